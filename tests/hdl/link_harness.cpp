// Drives a compiled link from Python: bytes in, bytes out, and a chip with a memory behind it. See link_random.py.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

// Verilator writes the double underscore between a stream and its member as ___05F.
#define PORT(stream, member) stream##___05F##member

namespace {

struct Simulation {
    std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
    std::unique_ptr<Vdut> dut;
    uint64_t random;
    // Chances per cycle of a pause of the sender, the receiver and the chip, and that the chip is busy, in percent.
    uint32_t gaps = 0, line_stalls = 0, chip_stalls = 0, busy = 0;
    uint32_t bad_address, byte_cycles, since_byte;
    bool answering = false, was_reset = false;
    std::unordered_map<uint32_t, uint32_t> memory;
    std::vector<uint8_t> heard;
    // Write and status in one word, address, word written.
    std::vector<uint32_t> accesses;
    uint32_t resets = 0;

    Simulation(uint64_t seed, uint32_t bad, uint32_t spacing)
        : dut(std::make_unique<Vdut>(context.get())), random(seed), bad_address(bad), byte_cycles(spacing), since_byte(spacing) {
        dut->clk = 0;
        dut->rst = 1;
        dut->PORT(i, valid) = 0;
        dut->PORT(o, ready) = 0;
        dut->PORT(request, ready) = 0;
        dut->PORT(response, valid) = 0;
        // Verilator needs one evaluation with the clock low before the first edge.
        dut->eval();
        for (int k = 0; k < 4; ++k) edge();
        dut->rst = 0;
        dut->eval();
    }

    // xorshift64 (Marsaglia 2003).
    bool chance(uint32_t percent) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random % 100 < percent;
    }

    void edge() {
        dut->clk = 1;
        dut->eval();
        dut->clk = 0;
        dut->eval();
    }

    // One cycle; whether the byte was sent.
    bool cycle(bool has_byte, uint8_t byte) {
        const bool sends = has_byte && since_byte >= byte_cycles - 1 && !chance(gaps);
        dut->PORT(i, valid) = sends;
        dut->PORT(i, payload) = sends ? byte : 0xC0;
        dut->PORT(o, ready) = !chance(line_stalls);
        if (!dut->PORT(response, valid)) dut->PORT(response, valid) = answering && !chance(chip_stalls);
        dut->PORT(request, ready) = !answering && !chance(chip_stalls);
        dut->eval();
        since_byte = sends ? 0 : std::min(since_byte + 1, byte_cycles);
        if (dut->PORT(o, valid) && dut->PORT(o, ready)) heard.push_back(dut->PORT(o, payload));
        if (dut->reset && !was_reset) ++resets;
        was_reset = dut->reset;
        const bool answered = dut->PORT(response, valid) && dut->PORT(response, ready);
        const bool asked = dut->PORT(request, valid) && dut->PORT(request, ready);
        const uint64_t low = dut->PORT(request, payload)[0], middle = dut->PORT(request, payload)[1];
        const uint64_t high = dut->PORT(request, payload)[2];
        edge();
        if (answered) {
            dut->PORT(response, valid) = 0;
            answering = false;
        }
        if (asked) {
            // Address, write, data, from the low bits on.
            const auto address = static_cast<uint32_t>(low);
            const uint32_t write = middle & 1, data = static_cast<uint32_t>(middle >> 1 | high << 31);
            const uint32_t status = chance(busy) ? 1 : address == bad_address ? 2 : 0;
            if (status != 1) accesses.insert(accesses.end(), {write | status << 1, address, data});
            uint32_t value = 0xBAD0BAD0;
            if (status == 0 && write) memory[address] = data;
            if (status == 0 && !write) {
                const auto place = memory.find(address);
                value = place == memory.end() ? address * 0x9E3779B1u + 0xC0DBDCDDu : place->second;
            }
            dut->PORT(response, payload) = static_cast<uint64_t>(value) << 2 | status;
            answering = true;
        }
        return sends;
    }
};

}  // namespace

extern "C" {

Simulation* link_new(uint64_t seed, uint32_t bad_address, uint32_t byte_cycles) {
    return new Simulation(seed, bad_address, byte_cycles);
}

void link_free(Simulation* sim) { delete sim; }

void link_pauses(Simulation* sim, uint32_t gaps, uint32_t line_stalls, uint32_t chip_stalls, uint32_t busy) {
    sim->gaps = gaps;
    sim->line_stalls = line_stalls;
    sim->chip_stalls = chip_stalls;
    sim->busy = busy;
}

// Sends bytes, and lets the clock run for some cycles after the last one.
void link_send(Simulation* sim, const uint8_t* bytes, uint32_t count, uint32_t cycles) {
    for (uint32_t k = 0; k < count;) k += sim->cycle(true, bytes[k]);
    for (uint32_t k = 0; k < cycles; ++k) sim->cycle(false, 0);
}

// Bytes that came since the last call, at most so many.
uint32_t link_heard(Simulation* sim, uint8_t* bytes, uint32_t most) {
    const uint32_t count = std::min<uint32_t>(most, sim->heard.size());
    std::copy_n(sim->heard.begin(), count, bytes);
    sim->heard.erase(sim->heard.begin(), sim->heard.begin() + count);
    return count;
}

// Accesses since the last call, three words each, at most so many words (a multiple of three).
uint32_t link_accesses(Simulation* sim, uint32_t* words, uint32_t most) {
    const uint32_t count = std::min<uint32_t>(most, sim->accesses.size());
    std::copy_n(sim->accesses.begin(), count, words);
    sim->accesses.erase(sim->accesses.begin(), sim->accesses.begin() + count);
    return count;
}

uint32_t link_errors(Simulation* sim) { return sim->dut->errors; }

uint32_t link_resets(Simulation* sim) { return sim->resets; }
}
