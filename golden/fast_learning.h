// Learning in the fast engine: traces, and the walks over synapses that change weights and tags, by the steps of golden/learning.py. Part
// of fast.cpp.
//
// All numbers fit 32 bits: a first factor has at most 14 bits with its sign, a second one 18, and images are checked for the sum of terms.

#pragma once

#include "fast.h"

// A product of two factors; each is a variable plus a constant, or ONE or 0 if that sum is compared with 0.
struct Term {
    int32_t first, second;  // Variable
    int32_t first_constant, second_constant;
    int32_t first_compared, second_compared;
    int32_t shift, negative;
};

// The learning unit of a core. A plastic row shares its weights with no other one, so they change where they are read.
struct Learner {
    int64_t weights, tags;     // first of the core's, in the array of their kind; tags lie as weights do
    int32_t core;
    int32_t enabled, reward;   // may change between ticks
    int32_t tagged, membrane_flag, v_threshold;
    int32_t stochastic, epoch;  // logarithm of the ticks of an epoch
    int32_t low[2], high[2];   // bounds of weights and tags
    int32_t x_traces, y_traces;
    uint32_t decay[4], impulse[4];  // of x1, x2, y1, y2
    int32_t nearest[4];
    int32_t terms[3][2];       // numbers of each phase's, for weights and for tags; they lie in this order
    Term term[32];
};

namespace {

enum Phase { PRE, POST, EPOCH };
enum Target { WEIGHTS, TAGS, TARGETS };
enum Variable { NOTHING, X0, X1, X2, Y1, Y2, REWARD, WEIGHT, TAG, V0, VARIABLES };
constexpr int32_t ONE = 1 << 10;      // a flag or comparison that is true
constexpr int SEEN = 4;               // rules see a trace without its lower bits
constexpr int CHANGE_BITS = 12;       // behind the point of a sum of terms
constexpr int32_t HALF = 1 << (CHANGE_BITS - 1), RANDOM_MASK = (1 << CHANGE_BITS) - 1;

template <class Weight>
Weight *weights_of(const Tables &t);
template <>
inline int8_t *weights_of<int8_t>(const Tables &t) { return t.bytes; }
template <>
inline int16_t *weights_of<int16_t>(const Tables &t) { return t.shorts; }

// One phase of one core.
struct Walk {
    const Tables &t;
    const Core &core;
    const Learner &unit;
    const Term *terms[TARGETS];
    int counts[TARGETS];
    uint32_t index[TARGETS];  // what the number of an axon is combined with to give its random number

    Walk(const Engine &e, const Learner &learner, Phase phase, int64_t tick) : t(e.t), core(e.t.core[learner.core]), unit(learner) {
        const Term *next = unit.term;
        for (int p = 0; p <= phase; p++)
            for (int target = 0; target < TARGETS; target++) {
                terms[target] = next;
                counts[target] = unit.terms[p][target];
                next += counts[target];
            }
        const uint32_t key = core.seed + uint32_t(tick) * 0x9E3779B9u;
        for (uint32_t target = 0; target < TARGETS; target++)
            index[target] = key ^ (1u << 30 | target << 28 | uint32_t(phase) << 26);
    }
    bool idle() const { return !unit.enabled || counts[WEIGHTS] + counts[TAGS] == 0; }
    // The weight or tag with the change that its terms ask for.
    Ints changed(Target target, const Ints *variables, Ints random) const {
        Ints total = random;
        for (int k = 0; k < counts[target]; k++) {
            const Term &term = terms[target][k];
            Ints a = variables[term.first] + term.first_constant, b = variables[term.second] + term.second_constant;
            if (term.first_compared)
                a = (a >= 0) & ONE;
            if (term.second_compared)
                b = (b >= 0) & ONE;
            const Ints value = a * b >> term.shift;
            total = term.negative ? total - value : total + value;
        }
        const Ints low = unit.low[target] - Ints{}, high = unit.high[target] - Ints{};
        Ints next = variables[target == WEIGHTS ? WEIGHT : TAG] + (total >> CHANGE_BITS);
        next = next > high ? high : next;
        return next < low ? low : next;
    }
};

// Random numbers -------------------------------------------------------------------------------------------------------------

// Product without carries with an odd constant: numbers of near axons become independent.
inline uint32_t scattered(uint32_t axon) {
    uint32_t result = 0;
    for (int bit = 0; bit < 13; bit++)
        result ^= axon >> bit & 1 ? 0x85EBCA6Bu << bit : 0;
    return result;
}

// a * n + b of the first neurons n, in the field of golden/random.py; a and b are the halves of the axon's number. The product is a sum
// over the bits of n, so each bit doubles what is known.
inline void spread_row(int16_t *numbers, uint32_t number, uint32_t neurons) {
    uint32_t power = number >> 16;
    numbers[0] = int16_t(number);
    for (uint32_t size = 1; size < neurons; size *= 2) {
        const uint32_t count = std::min(size, neurons - size);
        for (uint32_t i = 0; i < count; i++)
            numbers[size + i] = int16_t(numbers[i] ^ int16_t(power));
        power = (power << 1 & 0xFFFF) ^ (power >> 15 ? 0x2B : 0);
    }
}

// The same for one neuron and the numbers of eight axons.
inline Ints spread_column(Words numbers, uint32_t neuron) {
    Words power = numbers >> 16, result = numbers;
    for (; neuron; neuron >>= 1) {
        if (neuron & 1)
            result ^= power;
        power = (power << 1 & 0xFFFF) ^ (power >> 15) * 0x2B;
    }
    return reinterpret_cast<Ints>(result) & RANDOM_MASK;
}

// Walks ------------------------------------------------------------------------------------------------------------------------

// The synapses of one axon, with all its neurons.
template <class Weight>
void walk_row(const Engine &e, const Walk &walk, uint32_t axon, int32_t x0) {
    const Tables &t = walk.t;
    const Learner &unit = walk.unit;
    const Row &row = t.rows[axon];
    if (!row.type)
        return;
    const int32_t first = int32_t(walk.core.first_neuron + row.first), count = row.count;
    Weight *weights = weights_of<Weight>(t) + row.offset;
    int16_t *tags = t.tags + (unit.tags + row.offset - unit.weights);
    alignas(32) static thread_local int16_t numbers[TARGETS][MAX_COLUMNS + 8];
    for (int target = 0; target < TARGETS; target++)
        if (unit.stochastic && walk.counts[target])
            spread_row(numbers[target], mix(walk.index[target] ^ e.scattered[axon - walk.core.first_axon]), row.first + row.count);
    Ints v[VARIABLES] = {};
    v[X0] += x0;
    v[X1] += t.x[0][axon] >> SEEN;
    v[X2] += t.x[1][axon] >> SEEN;
    v[REWARD] += unit.reward;
    const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int32_t i = 0; i < count; i += 8) {
        const int32_t n = first + i;
        v[Y1] = widened(t.y[0] + n) >> SEEN;
        v[Y2] = widened(t.y[1] + n) >> SEEN;
        v[V0] = widened(t.v0 + n);
        v[WEIGHT] = widened(weights + i);
        if (unit.tagged)
            v[TAG] = widened(tags + i);
        const Ints chosen = widened(t.plastic + n) & (lanes < count - i);
        Ints random[TARGETS] = {HALF - Ints{}, HALF - Ints{}};
        for (int target = 0; unit.stochastic && target < TARGETS; target++)
            random[target] = widened(numbers[target] + row.first + i) & RANDOM_MASK;
        // Both see what was there before.
        if (walk.counts[WEIGHTS])
            narrowed(weights + i, chosen ? walk.changed(WEIGHTS, v, random[WEIGHTS]) : v[WEIGHT]);
        if (walk.counts[TAGS])
            narrowed(tags + i, chosen ? walk.changed(TAGS, v, random[TAGS]) : v[TAG]);
    }
}

// The synapses of one neuron, with all axons of its core.
template <class Weight>
void walk_column(const Engine &e, const Walk &walk, uint32_t column) {
    const Tables &t = walk.t;
    const Learner &unit = walk.unit;
    const uint32_t neuron = walk.core.first_neuron + column, first = walk.core.first_axon;
    if (!t.plastic[neuron])
        return;
    Ints v[VARIABLES] = {};
    v[Y1] += t.y[0][neuron] >> SEEN;
    v[Y2] += t.y[1][neuron] >> SEEN;
    v[V0] += t.v0[neuron];
    v[REWARD] += unit.reward;
    for (uint32_t axon = first; axon < first + walk.core.axon_words * BLOCK; axon += BLOCK) {
        // A block of axons is collected, changed and put back. Where there is no synapse that learns, a spare one takes its place.
        Weight *weights[BLOCK], spare = 0;
        int16_t *tags[BLOCK], spare_tag = 0;
        int32_t old_weights[BLOCK], old_tags[BLOCK] = {};
        for (uint32_t i = 0; i < BLOCK; i++) {
            const Row &row = t.rows[axon + i];
            const bool there = row.type && column - row.first < row.count;
            const int64_t place = row.offset + column - row.first;
            weights[i] = there ? weights_of<Weight>(t) + place : &spare;
            old_weights[i] = *weights[i];
            if (unit.tagged) {
                tags[i] = there ? t.tags + (unit.tags + place - unit.weights) : &spare_tag;
                old_tags[i] = *tags[i];
            }
        }
        for (uint32_t i = 0; i < BLOCK; i += 8) {
            v[X0] = widened(e.x0.data() + axon + i);
            v[X1] = widened(t.x[0] + axon + i) >> SEEN;
            v[X2] = widened(t.x[1] + axon + i) >> SEEN;
            v[WEIGHT] = widened(old_weights + i);
            v[TAG] = widened(old_tags + i);
            for (int target = 0; target < TARGETS; target++) {
                if (!walk.counts[target])
                    continue;
                Ints random = HALF - Ints{};
                if (unit.stochastic) {
                    const Ints index = widened(reinterpret_cast<const int32_t *>(e.scattered.data()) + (axon - first) + i);
                    random = spread_column(mix(reinterpret_cast<Words>(index) ^ walk.index[target]), column);
                }
                narrowed((target == WEIGHTS ? old_weights : old_tags) + i, walk.changed(Target(target), v, random));
            }
        }
        for (uint32_t i = 0; i < BLOCK && walk.counts[WEIGHTS]; i++)
            *weights[i] = Weight(old_weights[i]);
        for (uint32_t i = 0; i < BLOCK && walk.counts[TAGS]; i++)
            *tags[i] = int16_t(old_tags[i]);
    }
}

// Ticks ------------------------------------------------------------------------------------------------------------------------

// Of an ascending list, the part of a core.
struct Part {
    const uint32_t *first, *last;
    Part(const uint32_t *list, size_t length, uint32_t from, uint32_t size)
        : first(std::lower_bound(list, list + length, from)), last(std::lower_bound(first, list + length, from + size)) {}
    const uint32_t *begin() const { return first; }
    const uint32_t *end() const { return last; }
};

inline Part active_axons(const Engine &e, const Core &core) {
    return Part(e.axons.data(), e.due, core.first_axon, core.axon_words * BLOCK);
}

inline void raise(int32_t *traces, const Part &events, const Learner &unit, int which) {
    for (const uint32_t place : events) {
        const uint32_t before = unit.nearest[which] ? 0 : uint32_t(traces[place]);
        traces[place] = int32_t(std::min(before + unit.impulse[which], 0xFFFFu));
    }
}

inline void fade(int32_t *traces, uint32_t count, uint32_t decay) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t before = uint32_t(traces[i]), rounded = (before * decay + (1u << 15)) >> 16;
        traces[i] = int32_t(std::min(rounded, before - (before != 0)));
    }
}

// Before neurons are updated.
template <class Weight>
void learn_before(const Engine &e, const Learner &unit, int64_t tick) {
    const Walk walk(e, unit, PRE, tick);
    if (walk.idle())
        return;
    for (const uint32_t axon : active_axons(e, walk.core))
        walk_row<Weight>(e, walk, axon, ONE);
}

// Whether potentials reach their threshold, of the neurons that are updated here.
template <class Value>
void compare_membranes(const Engine &e, const Learner &unit, int64_t tick) {
    const Tables &t = e.t;
    const Core &core = t.core[unit.core];
    if (!unit.membrane_flag || !core.native)
        return;
    const Value *membranes = static_cast<const Value *>(t.states[MEMBRANE].data);
    const uint32_t updated = core.updated[std::min<int64_t>(tick, LEVELS - 1)];
    for (uint32_t n = core.first_neuron; n < core.first_neuron + updated; n++)
        if (t.mine[n])
            t.v0[n] = membranes[n] >= unit.v_threshold ? ONE : 0;
}

// After all neurons of the chip are updated.
template <class Weight>
void learn_after(Engine &e, const Learner &unit, int64_t tick) {
    const Tables &t = e.t;
    const Core &core = t.core[unit.core];
    const Part axons = active_axons(e, core), neurons(e.fired.data(), e.fired.size(), core.first_neuron, core.columns);
    for (int number = 0; number < unit.x_traces; number++)
        raise(t.x[number], axons, unit, number);
    const Walk post(e, unit, POST, tick);
    if (!post.idle()) {
        for (const uint32_t axon : axons)
            e.x0[axon] = ONE;
        for (const uint32_t neuron : neurons)
            walk_column<Weight>(e, post, neuron - core.first_neuron);
        for (const uint32_t axon : axons)
            e.x0[axon] = 0;
    }
    for (int number = 0; number < unit.x_traces; number++)
        fade(t.x[number] + core.first_axon, core.axon_words * BLOCK, unit.decay[number]);
    for (int number = 0; number < unit.y_traces; number++) {
        raise(t.y[number], neurons, unit, 2 + number);
        fade(t.y[number] + core.first_neuron, core.columns, unit.decay[2 + number]);
    }
    const Walk epoch(e, unit, EPOCH, tick);
    if ((tick + 1) % (int64_t(1) << unit.epoch) == 0 && !epoch.idle())
        for (uint32_t axon = core.first_axon; axon < core.first_axon + core.axon_words * BLOCK; axon++)
            walk_row<Weight>(e, epoch, axon, 0);
}

}  // namespace
