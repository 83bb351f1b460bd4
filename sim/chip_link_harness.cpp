// Two chip links on one cable, each with a clock of its own, driven from Python in long stretches.
//
// Compiled together with the model that Verilator made of a ChipLink (sim/chip_link_rtl.py). Time is counted in units of which a clock
// period has some thousand. Words wait in a queue at each side, are handed over and taken with random pauses, and are kept in the order
// in which they came. Between the two stands a bad cable: transitions of each pin arrive a little late, each by another time; pins are
// inverted, stuck or noisy for a while; or all of them are. Verilator writes `i__valid` as i___05Fvalid.

#include <cstdint>
#include <memory>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {

// Order as in sim/chip_link_rtl.py.
struct Settings {
    uint64_t period;         // of the side's clock
    uint64_t reset;          // whether it is held in reset
    uint64_t source_pause;   // chance, of 2**32, that no word is offered in a cycle
    uint64_t sink_pause;     // chance that none is taken
    uint64_t fault_chance;   // chance in each cycle of the receiver that a pin becomes faulty
    uint64_t fault_cycles;   // longest fault of a pin
    uint64_t cut_chance;     // chance that the whole cable becomes faulty
    uint64_t cut_cycles;     // longest such fault
    uint64_t skew;           // latest arrival of a transition
};

struct Counts {
    uint64_t cycles, errors, repeats, up, falls, accepted, faults;
};

enum Fault : uint32_t { kInverted, kLow, kHigh, kNoise, kKinds };

struct Pin {
    bool driven = false, seen = false;
    uint64_t arrives = 0;
    Fault fault = kInverted;
    uint64_t left = 0;
};

struct Side {
    std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
    std::unique_ptr<Vdut> dut;
    Settings settings{};
    Counts counts{};
    uint64_t next = 0;
    std::vector<uint64_t> words, taken;
    size_t offered = 0;
    bool was_up = false;
    // The cable to this side.
    Pin pins[32];
    Fault cut = kInverted;
    uint64_t cut_left = 0;
};

struct Simulation {
    Side sides[2];
    uint64_t now = 0, random;

    explicit Simulation(uint32_t seed) : random(seed * 2ull + 1) {
        for (Side& side : sides) {
            // Registers without a reset begin with random values.
            side.context->randReset(2);
            side.context->randSeed(static_cast<int>(seed % 0x7ffffff0) + 1 + (&side - sides));
            side.dut = std::make_unique<Vdut>(side.context.get());
            side.dut->clk = 0;
            side.dut->rst = 1;
            side.dut->i___05Fvalid = 0;
            side.dut->o___05Fready = 0;
            side.dut->eval();
        }
    }

    // xorshift64 (Marsaglia 2003).
    uint64_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random >> 11;
    }

    bool happens(uint64_t chance) { return chance && (draw() & 0xffffffff) < chance; }

    bool through(Fault fault, bool value) {
        switch (fault) {
            case kInverted: return !value;
            case kLow: return false;
            case kHigh: return true;
            default: return draw() & 1;
        }
    }

    // What the side sees on its pins.
    uint32_t pins_of(Side& side, int width) {
        const Settings& settings = side.settings;
        if (side.cut_left) {
            --side.cut_left;
        } else if (happens(settings.cut_chance)) {
            side.cut_left = 1 + draw() % settings.cut_cycles;
            side.cut = static_cast<Fault>(draw() % kKinds);
            ++side.counts.faults;
        }
        uint32_t value = 0;
        for (int i = 0; i < width; ++i) {
            Pin& pin = side.pins[i];
            if (pin.arrives <= now) pin.seen = pin.driven;
            bool seen = pin.seen;
            if (!pin.left && happens(settings.fault_chance)) {
                pin.left = 1 + draw() % settings.fault_cycles;
                pin.fault = static_cast<Fault>(draw() % kKinds);
                ++side.counts.faults;
            }
            if (pin.left) {
                --pin.left;
                seen = through(pin.fault, seen);
            }
            if (side.cut_left) seen = through(side.cut, seen);
            value |= static_cast<uint32_t>(seen) << i;
        }
        return value;
    }

    void drive(Side& other, uint32_t value, int width) {
        for (int i = 0; i < width; ++i) {
            Pin& pin = other.pins[i];
            const bool level = value >> i & 1;
            if (level == pin.driven) continue;
            if (pin.arrives <= now) pin.seen = pin.driven;
            pin.driven = level;
            pin.arrives = now + (other.settings.skew ? draw() % other.settings.skew : 0);
        }
    }

    // One clock cycle of a side. What stands at its inputs was decided in the cycle before.
    void edge(Side& side, Side& other, int width) {
        Vdut& dut = *side.dut;
        dut.rst = side.settings.reset != 0;
        dut.rx = pins_of(side, width);
        dut.eval();
        bool held = dut.i___05Fvalid;
        if (!dut.rst) {
            if (dut.i___05Fvalid && dut.i___05Fready) {
                ++side.offered;
                ++side.counts.accepted;
                held = false;
            }
            if (dut.o___05Fvalid && dut.o___05Fready) side.taken.push_back(dut.o___05Fpayload);
            side.counts.errors += dut.errors;
            side.counts.repeats += dut.repeats;
            side.counts.up += dut.up;
        }
        ++side.counts.cycles;
        // Inputs change with the clock, as if they came from registers.
        const bool takes = !happens(side.settings.sink_pause);
        const bool offers = held || (side.offered < side.words.size() && !happens(side.settings.source_pause));
        dut.clk = 1;
        dut.eval();
        dut.i___05Fvalid = offers;
        if (!side.words.empty()) dut.i___05Fpayload = side.words[offers ? side.offered : draw() % side.words.size()];
        dut.o___05Fready = takes;
        dut.clk = 0;
        dut.eval();
        if (side.was_up && !dut.up) ++side.counts.falls;
        side.was_up = dut.up;
        drive(other, dut.tx, width);
    }
};

}  // namespace

extern "C" {

void* sim_new(uint32_t seed) { return new Simulation(seed); }
void sim_free(void* handle) { delete static_cast<Simulation*>(handle); }

void sim_set(void* handle, uint32_t number, const Settings* settings) {
    static_cast<Simulation*>(handle)->sides[number].settings = *settings;
}

// More words to send from a side.
void sim_put(void* handle, uint32_t number, const uint64_t* words, uint64_t count) {
    auto& queue = static_cast<Simulation*>(handle)->sides[number].words;
    queue.insert(queue.end(), words, words + count);
}

// Run until both sides have taken so many words, or for that time. `width` pins each way. Returns whether all words came.
int sim_run(void* handle, uint64_t duration, uint64_t wanted0, uint64_t wanted1, int width) {
    Simulation& sim = *static_cast<Simulation*>(handle);
    Side(&sides)[2] = sim.sides;
    const uint64_t end = sim.now + duration;
    auto done = [&] { return sides[0].taken.size() >= wanted0 && sides[1].taken.size() >= wanted1; };
    while (!done() && sim.now < end) {
        const int first = sides[1].next < sides[0].next;
        Side& side = sides[first];
        sim.now = side.next;
        sim.edge(side, sides[!first], width);
        side.next += side.settings.period;
    }
    return done();
}

uint64_t sim_taken(void* handle, uint32_t number, uint64_t* words, uint64_t most) {
    const auto& taken = static_cast<Simulation*>(handle)->sides[number].taken;
    for (size_t i = 0; i < taken.size() && i < most; ++i) words[i] = taken[i];
    return taken.size();
}

void sim_counts(void* handle, uint32_t number, Counts* counts) { *counts = static_cast<Simulation*>(handle)->sides[number].counts; }
int sim_up(void* handle, uint32_t number) { return static_cast<Simulation*>(handle)->sides[number].dut->up; }
}
