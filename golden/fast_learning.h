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
    int32_t terms[4][2];       // numbers of each phase's, for weights and for tags; they lie in this order
    int32_t shared[4][2];      // the first so many of them know nothing of a synapse but its neuron, or that its axon had an event
    Term term[32];
};

namespace {

enum Phase { PRE, POST, EPOCH, TEACH };
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
    int counts[TARGETS], shared[TARGETS];
    uint32_t index[TARGETS];  // what the number of an axon is combined with to give its random number

    Walk(const Engine &e, const Learner &learner, Phase phase, int64_t tick) : t(e.t), core(e.t.core[learner.core]), unit(learner) {
        const Term *next = unit.term;
        for (int p = 0; p <= phase; p++)
            for (int target = 0; target < TARGETS; target++) {
                terms[target] = next;
                counts[target] = unit.terms[p][target];
                shared[target] = unit.shared[p][target];
                next += counts[target];
            }
        const uint32_t key = core.seed + uint32_t(tick) * 0x9E3779B9u;
        for (uint32_t target = 0; target < TARGETS; target++)
            index[target] = key ^ (1u << 30 | target << 28 | uint32_t(phase) << 26);
    }
    bool idle() const { return !unit.enabled || counts[WEIGHTS] + counts[TAGS] == 0; }
    // Terms from number "from" to "to" - 1, added to a sum.
    Ints sum(int target, int from, int to, const Ints *variables, Ints total) const {
        for (int k = from; k < to; k++) {
            const Term &term = terms[target][k];
            Ints a = variables[term.first] + term.first_constant, b = variables[term.second] + term.second_constant;
            if (term.first_compared)
                a = (a >= 0) & ONE;
            if (term.second_compared)
                b = (b >= 0) & ONE;
            const Ints value = a * b >> term.shift;
            total = term.negative ? total - value : total + value;
        }
        return total;
    }
};

inline Ints bounded(Ints x, int32_t low, int32_t high) {
    const Ints least = low - Ints{}, most = high - Ints{};
    x = x > most ? most : x;
    return x < least ? least : x;
}

// Random numbers -------------------------------------------------------------------------------------------------------------

// Product without carries with an odd constant: numbers of near axons become independent.
inline uint32_t scattered(uint32_t axon) {
    uint32_t result = 0;
    for (int bit = 0; bit < 13; bit++)
        result ^= axon >> bit & 1 ? 0x85EBCA6Bu << bit : 0;
    return result;
}

// a * n + b of the first neurons n, in the field of golden/random.py; a and b are the halves of the axon's number. The product is a sum
// over the bits of n: sixteen at first, then each bit doubles what is known. There is room for a multiple of sixteen.
inline void spread_row(int16_t *numbers, uint32_t number, uint32_t neurons) {
    const Short16 neuron = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint32_t power = number >> 16;
    const auto next = [&] {
        const uint32_t last = power;
        power = (last << 1 & 0xFFFF) ^ (last >> 15) * 0x2B;
        return int16_t(last) - Short16{};
    };
    Short16 low = int16_t(number) - Short16{};
    for (int16_t bit = 1; bit < 16; bit *= 2)
        low ^= ((neuron & bit) != 0) & next();
    *reinterpret_cast<Short16At *>(numbers) = low;
    for (uint32_t size = 16; size < neurons; size *= 2) {
        const Short16 high = next();
        for (uint32_t i = 0; i < size && size + i < neurons; i += 16)
            *reinterpret_cast<Short16At *>(numbers + size + i) = *reinterpret_cast<const Short16At *>(numbers + i) ^ high;
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

inline void load_neurons(const Tables &t, int32_t n, Ints *v) {
    v[Y1] = widened(t.y[0] + n) >> SEEN;
    v[Y2] = widened(t.y[1] + n) >> SEEN;
    v[V0] = widened(t.v0 + n);
}

// Before rows are walked over: the sums of shared terms, with half a unit unless a random number comes in its place.
inline void prepare_rows(Engine &e, const Walk &walk, int32_t x0) {
    Ints v[VARIABLES] = {};
    v[X0] += x0;
    v[REWARD] += walk.unit.reward;
    const Ints start = (walk.unit.stochastic ? 0 : HALF) - Ints{};
    for (uint32_t i = 0; i < walk.core.columns; i += 8) {
        load_neurons(walk.t, int32_t(walk.core.first_neuron + i), v);
        for (int target = 0; target < TARGETS; target++)
            narrowed(e.shared[target].data() + i, walk.sum(target, 0, walk.shared[target], v, start));
    }
}

// A row's weights or tags if all of their terms are shared; "numbers" may be null: no random numbers.
template <class Value>
void add_shared(Value *__restrict values, const int32_t *__restrict shared, const int16_t *__restrict numbers,
                const int32_t *__restrict plastic, int32_t count, int32_t low, int32_t high) {
    const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int32_t i = 0; i < count; i += 8) {
        const Ints before = widened(values + i), chosen = widened(plastic + i) & (lanes < count - i);
        Ints total = widened(shared + i);
        if (numbers)
            total += widened(numbers + i) & RANDOM_MASK;
        narrowed(values + i, chosen ? bounded(before + (total >> CHANGE_BITS), low, high) : before);
    }
}

// The synapses of one axon, with all its neurons.
template <class Weight>
void walk_row(Engine &e, const Walk &walk, uint32_t axon, int32_t x0) {
    const Tables &t = walk.t;
    const Learner &unit = walk.unit;
    const Row &row = t.rows[axon];
    if (!row.type)
        return;
    const int32_t neuron = int32_t(walk.core.first_neuron + row.first), count = row.count;
    Weight *weights = weights_of<Weight>(t) + row.offset;
    int16_t *tags = t.tags + (unit.tags + row.offset - unit.weights);
    const int32_t *shared[TARGETS];
    const int16_t *numbers[TARGETS] = {};
    bool own = false;
    for (int target = 0; target < TARGETS; target++) {
        shared[target] = e.shared[target].data() + row.first;
        own |= walk.shared[target] < walk.counts[target];
        if (unit.stochastic && walk.counts[target]) {
            spread_row(e.numbers[target].data(), mix(walk.index[target] ^ e.scattered[axon - walk.core.first_axon]), row.first + row.count);
            numbers[target] = e.numbers[target].data() + row.first;
        }
    }
    if (!own) {
        if (walk.counts[WEIGHTS])
            add_shared(weights, shared[WEIGHTS], numbers[WEIGHTS], t.plastic + neuron, count, unit.low[WEIGHTS], unit.high[WEIGHTS]);
        if (walk.counts[TAGS])
            add_shared(tags, shared[TAGS], numbers[TAGS], t.plastic + neuron, count, unit.low[TAGS], unit.high[TAGS]);
        return;
    }
    Ints v[VARIABLES] = {};
    v[X0] += x0;
    v[X1] += t.x[0][axon] >> SEEN;
    v[X2] += t.x[1][axon] >> SEEN;
    v[REWARD] += unit.reward;
    const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int32_t i = 0; i < count; i += 8) {
        const Ints chosen = widened(t.plastic + neuron + i) & (lanes < count - i);
        load_neurons(t, neuron + i, v);
        // Weight and tag both see what was there before.
        v[WEIGHT] = widened(weights + i);
        if (unit.tagged)
            v[TAG] = widened(tags + i);
        for (int target = 0; target < TARGETS; target++) {
            if (!walk.counts[target])
                continue;
            Ints total = widened(shared[target] + i);
            if (numbers[target])
                total += widened(numbers[target] + i) & RANDOM_MASK;
            total = walk.sum(target, walk.shared[target], walk.counts[target], v, total);
            const Ints before = v[target == WEIGHTS ? WEIGHT : TAG];
            const Ints after = chosen ? bounded(before + (total >> CHANGE_BITS), unit.low[target], unit.high[target]) : before;
            if (target == WEIGHTS)
                narrowed(weights + i, after);
            else
                narrowed(tags + i, after);
        }
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
                const Ints total = walk.sum(target, 0, walk.counts[target], v, random);
                const Ints after = v[target == WEIGHTS ? WEIGHT : TAG] + (total >> CHANGE_BITS);
                narrowed((target == WEIGHTS ? old_weights : old_tags) + i, bounded(after, unit.low[target], unit.high[target]));
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
void learn_before(Engine &e, const Learner &unit, int64_t tick) {
    const Walk walk(e, unit, PRE, tick);
    if (walk.idle())
        return;
    prepare_rows(e, walk, ONE);
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
    for (const uint32_t axon : axons)
        e.x0[axon] = ONE;
    for (const Phase phase : {POST, TEACH}) {
        const Walk walk(e, unit, phase, tick);
        if (walk.idle())
            continue;
        // The teacher of neuron n is neuron n xor 1.
        for (const uint32_t neuron : neurons)
            walk_column<Weight>(e, walk, (neuron - core.first_neuron) ^ (phase == TEACH));
    }
    for (const uint32_t axon : axons)
        e.x0[axon] = 0;
    for (int number = 0; number < unit.x_traces; number++)
        fade(t.x[number] + core.first_axon, core.axon_words * BLOCK, unit.decay[number]);
    for (int number = 0; number < unit.y_traces; number++) {
        raise(t.y[number], neurons, unit, 2 + number);
        fade(t.y[number] + core.first_neuron, core.columns, unit.decay[2 + number]);
    }
    const Walk epoch(e, unit, EPOCH, tick);
    if ((tick + 1) % (int64_t(1) << unit.epoch) != 0 || epoch.idle())
        return;
    prepare_rows(e, epoch, 0);
    for (uint32_t axon = core.first_axon; axon < core.first_axon + core.axon_words * BLOCK; axon++)
        walk_row<Weight>(e, epoch, axon, 0);
}

}  // namespace
