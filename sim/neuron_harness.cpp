// Drives one neuron pipeline from Python, thousands of neurons at a time.
//
// Compiled together with the model that Verilator made of NeuronBench (sim/neuron_rtl.py). Ports hold what the pipeline may rely on only
// in the cycles in which it may; in all other cycles they hold words from a pool of random ones.

#include <cstdint>
#include <memory>
#include <type_traits>

#include "Vdut.h"
#include "verilated.h"

namespace {

// Words of a port, least significant 32 bits first.
template <typename Port>
void put(Port& port, const uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        uint64_t value = words[0];
        if constexpr (sizeof(Port) == 8) value |= static_cast<uint64_t>(words[1]) << 32;
        port = static_cast<Port>(value);
    } else {
        for (size_t i = 0; i < sizeof(Port) / sizeof(uint32_t); ++i) port[i] = words[i];
    }
}

// Returns whether any bit is set.
template <typename Port>
bool get(const Port& port, uint32_t* words) {
    uint32_t any = 0;
    if constexpr (std::is_integral_v<Port>) {
        words[0] = static_cast<uint32_t>(port);
        if constexpr (sizeof(Port) == 8) words[1] = static_cast<uint32_t>(static_cast<uint64_t>(port) >> 32);
        any = port != 0;
    } else {
        for (size_t i = 0; i < sizeof(Port) / sizeof(uint32_t); ++i) any |= words[i] = port[i];
    }
    return any != 0;
}

enum { kState, kParameters, kOwn, kFiring, kRandom, kSum, kPorts };
// The first three stay at the ports until the next start.
constexpr int kHeld = 3;

struct Simulation {
    std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
    std::unique_ptr<Vdut> dut;
    uint64_t random;

    explicit Simulation(uint32_t seed) : random(seed * 2ull + 1) {
        // Registers without a reset begin with random values.
        context->randReset(2);
        context->randSeed(static_cast<int>(seed % 0x7fffffff) + 1);
        dut = std::make_unique<Vdut>(context.get());
        dut->clk = 0;
        dut->rst = 1;
        dut->start = 0;
        dut->eval();
        for (int i = 0; i < 4; ++i) edge();
        dut->rst = 0;
    }

    void edge() {
        dut->clk = 1;
        dut->eval();
        dut->clk = 0;
        dut->eval();
    }

    // xorshift64 (Marsaglia 2003).
    uint64_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random;
    }

    void drive(int port, const uint32_t* words) {
        switch (port) {
            case kState: put(dut->state, words); break;
            case kParameters: put(dut->parameters, words); break;
            case kOwn: put(dut->own, words); break;
            case kFiring: put(dut->firing, words); break;
            case kRandom: put(dut->number, words); break;
            default: put(dut->synaptic_sum, words); break;
        }
    }
};

}  // namespace

extern "C" {

void* sim_new(uint32_t seed) { return new Simulation(seed); }
void sim_free(void* handle) { delete static_cast<Simulation*>(handle); }

// Run `cycles` clock cycles with n neurons, neuron k starting in cycle starts[k].
//
// words[p] are the words of port p of all neurons, slices[p] 32-bit words each; pool[p] are `pool_size` others. delays[p] is the cycle
// after start in which port p counts. Each cycle with done gives an entry of results (words of the state, then the spike) and of
// result_cycles. stray gets the first cycle in which an output is not zero without done, or -1. Returns the number of results, of
// which no more than max_results are stored.
int64_t sim_run(void* handle, int64_t n, const int64_t* starts, int64_t cycles, const uint32_t* const* words, const uint32_t* slices,
                const uint32_t* const* pool, uint32_t pool_size, const int64_t* delays, uint32_t* results, int64_t* result_cycles,
                int64_t max_results, int64_t* stray) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    Vdut& dut = *sim.dut;
    int64_t next[kPorts] = {}, found = 0;
    uint32_t state[64];
    const uint32_t width = slices[kState];
    *stray = -1;
    for (int64_t cycle = 0; cycle < cycles; ++cycle) {
        for (int port = 0; port < kPorts; ++port) {
            const bool counts = next[port] < n && starts[next[port]] + delays[port] == cycle;
            if (port == kState) dut.start = counts;
            if (counts) {
                sim.drive(port, words[port] + next[port] * slices[port]);
                ++next[port];
            } else if (port >= kHeld || next[port] == 0) {
                sim.drive(port, pool[port] + (sim.draw() >> 20) % pool_size * slices[port]);
            }
        }
        dut.eval();
        const bool any = get(dut.new_state, state);
        if (dut.done) {
            if (found < max_results) {
                for (uint32_t i = 0; i < width; ++i) results[found * (width + 1) + i] = state[i];
                results[found * (width + 1) + width] = dut.spike;
                result_cycles[found] = cycle;
            }
            ++found;
        } else if ((any || dut.spike) && *stray < 0) {
            *stray = cycle;
        }
        sim.edge();
    }
    return found;
}
}
