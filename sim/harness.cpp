// Drives a compiled chip or top level from Python, whole requests and whole ticks at a time.
//
// Compiled together with the model that Verilator made (class Vdut). With DUT_TOP the model is a top level with a serial port, with
// DUT_TILES (the number of wires between chips) several chips behind a switch, otherwise a chip with its request and response streams.
// With DUT_GATES whatever hardware leaves undefined is random. With VM_TRACE a waveform can be written.

#include <cstdint>
#include <memory>

#include "Vdut.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

// Verilator writes the double underscore between a stream and its member as ___05F.
#define PORT(stream, member) stream##___05F##member

namespace {

// A request that is not answered within this many cycles is a fault of the design.
constexpr uint64_t kCycleLimit = 50'000'000;

// A serial line. Bits of the byte on its way, least significant first: start, data, stop.
struct Serial {
    uint32_t tx_shift = 0, tx_bits = 0, tx_timer = 0;
    uint32_t rx_bits = 0, rx_timer = 0, rx_byte = 0;
};

struct Simulation {
    std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
    std::unique_ptr<Vdut> dut;
    uint64_t cycles = 0;
    Serial serial;
    // Tick of the outputs that come next from the queue.
    uint32_t output_tick = 0;
    // Chance of a pause per cycle in percent, and the state of its random numbers (xorshift64, Marsaglia 2003).
    uint32_t stall_percent = 0;
    uint64_t random = 1;

    uint64_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random;
    }

    bool stalls() { return stall_percent != 0 && draw() % 100 < stall_percent; }

    Simulation() {
#ifdef DUT_GATES
        context->randReset(2);
        context->randSeed(1);
#endif
#if VM_TRACE
        context->traceEverOn(true);
#endif
        dut = std::make_unique<Vdut>(context.get());
        dut->clk = 0;
        dut->rst = 1;
        idle_inputs();
        // Verilator needs one evaluation with the clock low before the first edge.
        dut->eval();
        for (int i = 0; i < 4; ++i) cycle();
        dut->rst = 0;
        cycles = 0;
    }

    void idle_inputs();

#ifdef DUT_TILES
    // Chance per wire and cycle of an inverted level, and per cycle of a cut of all wires, in parts per million.
    uint32_t flip_ppm = 0, cut_ppm = 0;
    uint32_t cut_left = 0;

    void disturb() {
        if (flip_ppm == 0 && cut_ppm == 0) return;
        if (cut_left > 0) --cut_left;
        else if (draw() % 1'000'000 < cut_ppm) cut_left = 1 + draw() % 2000;
        for (uint32_t wire = 0; wire < DUT_TILES; ++wire) {
            // While they are cut, wires hold noise.
            const bool flip = cut_left > 0 ? draw() & 1 : draw() % 1'000'000 < flip_ppm;
            set_noise(wire, flip);
        }
    }

    void set_noise(uint32_t wire, bool value) {
#if DUT_TILES > 64
        const uint32_t mask = 1u << (wire % 32);
        dut->noise[wire / 32] = value ? dut->noise[wire / 32] | mask : dut->noise[wire / 32] & ~mask;
#else
        const uint64_t mask = uint64_t{1} << wire;
        dut->noise = value ? dut->noise | mask : dut->noise & ~mask;
#endif
    }
#else
    void disturb() {}
#endif

#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> wave;
    uint64_t wave_end = 0;

    // A clock cycle is shown as 10 ns: inputs change with the falling edge, registers half a cycle later.
    void show(uint64_t half) {
        if (wave == nullptr) return;
        if (half == 0) {
            if (cycles >= wave_end) {
                wave->close();
                wave = nullptr;
                return;
            }
            dut->eval();
        }
        wave->dump(10 * cycles + 5 * half);
    }

    ~Simulation() {
        if (wave != nullptr) wave->close();
    }
#else
    void show(uint64_t) {}
#endif

    void cycle() {
        disturb();
        show(0);
        dut->clk = 1;
        dut->eval();
        show(1);
        dut->clk = 0;
        dut->eval();
        ++cycles;
    }
};

#ifdef DUT_TOP
void Simulation::idle_inputs() { dut->rx = 1; }
#else
constexpr uint32_t kStatus = 0x03, kRun = 0x05, kEvent = 0x06, kOutputs = 0x07, kWindow = 0x100, kWindowWords = 128;

void Simulation::idle_inputs() {
    dut->PORT(request, valid) = 0;
    dut->PORT(response, ready) = 0;
    dut->link_errors = 0;
#ifdef DUT_TILES
    dut->tile = 0;
    for (uint32_t wire = 0; wire < DUT_TILES; ++wire) set_noise(wire, false);
#endif
}

// One request. Returns the status, or -1 if no answer came.
int access(Simulation& sim, uint32_t address, bool write, uint32_t data, uint32_t* value) {
    Vdut& dut = *sim.dut;
    const uint64_t limit = sim.cycles + kCycleLimit;
    while (sim.stalls()) sim.cycle();
    // The payload is 65 bits: address, write, data from bit 0 on.
    dut.PORT(request, payload)[0] = address;
    dut.PORT(request, payload)[1] = static_cast<uint32_t>(write) | (data << 1);
    dut.PORT(request, payload)[2] = data >> 31;
    dut.PORT(request, valid) = 1;
    dut.eval();
    while (!dut.PORT(request, ready)) {
        if (sim.cycles > limit) return -1;
        sim.cycle();
    }
    sim.cycle();
    dut.PORT(request, valid) = 0;
    dut.eval();
    while (sim.stalls()) sim.cycle();
    dut.PORT(response, ready) = 1;
    dut.eval();
    while (!dut.PORT(response, valid)) {
        if (sim.cycles > limit) return -1;
        sim.cycle();
    }
    const uint64_t payload = dut.PORT(response, payload);
    sim.cycle();
    dut.PORT(response, ready) = 0;
    if (value != nullptr) *value = static_cast<uint32_t>(payload >> 2);
    return static_cast<int>(payload & 3);
}

// Take what the output queue holds: tick in the upper half, output number in the lower. Returns 0, or an error of sim_tick.
int take_outputs(Simulation& sim, uint32_t* outputs, int64_t max_outputs, int64_t* n_outputs) {
    uint32_t places = 0, word = 0;
    if (access(sim, kOutputs, false, 0, &places) != 0) return -1;
    const uint32_t written = places & 0xFFFF;
    uint32_t taken = places >> 16;
    if (written == taken) return 0;
    for (bool fresh = true; taken != written; taken = (taken + 1) & 0xFFFF, fresh = (taken & 1) == 0) {
        if (fresh && access(sim, kWindow + taken / 2 % kWindowWords, false, 0, &word) != 0) return -1;
        const uint32_t entry = (taken & 1) != 0 ? word >> 16 : word & 0xFFFF;
        if ((entry & 0x8000) != 0) {
            sim.output_tick = entry & 0x7FFF;
            continue;
        }
        if (*n_outputs == max_outputs) return -2;
        outputs[(*n_outputs)++] = sim.output_tick << 16 | entry;
    }
    return access(sim, kOutputs, true, written, nullptr) != 0 ? -1 : 0;
}
#endif

}  // namespace

extern "C" {

void* sim_new() { return new Simulation; }
void sim_free(void* handle) { delete static_cast<Simulation*>(handle); }
uint64_t sim_cycles(void* handle) { return static_cast<Simulation*>(handle)->cycles; }

// Pause at random between and within requests. percent 0 stops that.
void sim_stall(void* handle, uint64_t seed, uint32_t percent) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    sim.random = seed * 2 + 1;
    sim.stall_percent = percent;
}

#if VM_TRACE
// Write a waveform of the next cycles. Returns 0 if the file cannot be written.
int sim_wave(void* handle, const char* path, uint64_t cycles) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    auto wave = std::make_unique<VerilatedVcdC>();
    wave->set_time_unit("1ns");
    wave->set_time_resolution("1ns");
    sim.dut->trace(wave.get(), 99);
    wave->open(path);
    if (!wave->isOpen()) return 0;
    sim.wave = std::move(wave);
    sim.wave_end = sim.cycles + cycles;
    return 1;
}

// Whether the waveform is still being written.
int sim_waving(void* handle) { return static_cast<Simulation*>(handle)->wave != nullptr; }
#endif

#ifdef DUT_TOP

// Drive the serial line: send bytes and collect what comes back. Ends when the line has been silent and the chip idle for quiet_cycles,
// when stop_after delimiters have come and all is sent, when max_in bytes have come, or after max_cycles. Returns the number of bytes
// received; n_sent receives how many were put on the line. The line's state stays between calls.
int64_t sim_serial(void* handle, const uint8_t* out, int64_t n_out, int64_t* n_sent, uint8_t* in, int64_t max_in, uint32_t divisor,
                   uint8_t delimiter, int64_t stop_after, uint64_t quiet_cycles, uint64_t max_cycles) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    Vdut& dut = *sim.dut;
    Serial& line = sim.serial;
    int64_t sent = 0, received = 0, seen = 0;
    const uint64_t end = sim.cycles + max_cycles;
    uint64_t quiet = 0;
    while (quiet < quiet_cycles && received < max_in && sim.cycles < end) {
        if (line.tx_timer > 0) {
            --line.tx_timer;
        } else if (line.tx_bits > 0 || sent < n_out) {
            if (line.tx_bits == 0) {
                line.tx_shift = (static_cast<uint32_t>(out[sent++]) << 1) | 0x200;
                line.tx_bits = 10;
            }
            dut.rx = line.tx_shift & 1;
            line.tx_shift >>= 1;
            --line.tx_bits;
            line.tx_timer = divisor - 1;
        } else {
            dut.rx = 1;
            ++quiet;
        }
        sim.cycle();
        if (dut.busy) quiet = 0;
        const bool level = dut.tx;
        if (line.rx_bits == 0) {
            if (!level) {
                line.rx_bits = 10;
                line.rx_timer = divisor / 2;
                quiet = 0;
            }
        } else if (line.rx_timer > 0) {
            --line.rx_timer;
        } else {
            --line.rx_bits;
            line.rx_timer = divisor - 1;
            quiet = 0;
            if (line.rx_bits > 0 && line.rx_bits < 9) line.rx_byte = (line.rx_byte >> 1) | (level ? 0x80 : 0);
            if (line.rx_bits == 0) {
                in[received++] = static_cast<uint8_t>(line.rx_byte);
                if (line.rx_byte == delimiter && ++seen >= stop_after && sent == n_out) break;
            }
        }
    }
    *n_sent = sent;
    return received;
}

#else

#ifdef DUT_TILES
// Chip that the following requests go to.
void sim_select(void* handle, uint32_t tile) { static_cast<Simulation*>(handle)->dut->tile = tile; }

// Disturb the wires between the chips from now on.
void sim_noise(void* handle, uint32_t flip_ppm, uint32_t cut_ppm) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    sim.flip_ppm = flip_ppm;
    sim.cut_ppm = cut_ppm;
    for (uint32_t wire = 0; wire < DUT_TILES; ++wire) sim.set_noise(wire, false);
}

// Let the clock run.
void sim_wait(void* handle, uint64_t cycles) {
    for (uint64_t i = 0; i < cycles; ++i) static_cast<Simulation*>(handle)->cycle();
}
#endif

// Write (or read) n words from address on, or the same address n times if step is 0. Returns the number of words done; the status of
// the last request goes to status.
int64_t sim_access(void* handle, uint32_t address, uint32_t step, int write, uint32_t* words, int64_t n, int* status) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    *status = 0;
    for (int64_t i = 0; i < n; ++i) {
        *status = access(sim, address + static_cast<uint32_t>(i) * step, write != 0, words[i], &words[i]);
        if (*status != 0) return i;
    }
    return n;
}

// Inject events, run one tick, collect the outputs. Returns 0, or -1 if the design hangs, -2 if outputs do not fit, -3 if a request
// was refused. cycles receives the clock cycles of the tick itself.
int sim_tick(void* handle, const uint32_t* events, int64_t n_events, uint32_t* outputs, int64_t max_outputs,
             int64_t* n_outputs, uint64_t* cycles) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    *n_outputs = 0;
    for (int64_t i = 0; i < n_events; ++i)
        if (access(sim, kEvent, true, events[i], nullptr) != 0) return -3;
    if (access(sim, kRun, true, 1, nullptr) != 0) return -3;
    const uint64_t start = sim.cycles, limit = sim.cycles + kCycleLimit;
    while (true) {
        uint32_t status = 0;
        while (sim.dut->busy && sim.cycles < limit) {
            // Look now and then, so that a full queue does not stop the tick; mostly just let it run.
            for (int i = 0; i < 64 && sim.dut->busy; ++i) sim.cycle();
            if (const int error = take_outputs(sim, outputs, max_outputs, n_outputs)) return error;
        }
        if (sim.cycles >= limit) return -1;
        *cycles = sim.cycles - start;
        if (const int error = take_outputs(sim, outputs, max_outputs, n_outputs)) return error;
        if (access(sim, kStatus, false, 0, &status) != 0) return -1;
        if ((status & 3) == 0) return 0;
    }
}

#endif
}
