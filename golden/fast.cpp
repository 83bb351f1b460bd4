// Native part of the fast engine: whole ticks of a chip. golden/fast_tables.py makes the tables, golden/fast.py calls it, and docs/fast.md
// describes it.
//
// Neurons are updated in vectors of eight, in the compiler's own vector types. All numbers fit 32 bits: where a product or a sum could be
// longer, a comment says why nothing is lost.

#include "fast.h"
#include "fast_learning.h"
#include "fast_short_term.h"

namespace {

// Events ------------------------------------------------------------------------------------------------------------------

// A destination is one word: the global axon and, in the low four bits, the delay. With delay 0 it stands for 0: a packet that leaves
// the mesh, 1 + c: an event that core c drops, 1 + cores + n: output n.
void deposit(Engine &e, int64_t tick, uint32_t code) {
    const Tables &t = e.t;
    const uint32_t delay = code % SLOTS, what = code / SLOTS;
    if (delay) {
        uint64_t &word = t.pending[(tick + delay) % SLOTS * t.axon_words + what / 64];
        const uint64_t bit = uint64_t(1) << what % 64;
        if (word & bit)
            t.merged[t.core_of_word[what / 64]]++;
        word |= bit;
    } else if (what == 0) {
        ++*t.misrouted;
    } else if (what <= t.cores) {
        t.dropped[what - 1]++;
    } else {
        e.output_ticks.push_back(tick);
        e.output_numbers.push_back(uint32_t(what - 1 - t.cores));
    }
}

// The axons due, in ascending order; none of them is pending any more.
void take(Engine &e, int64_t tick) {
    uint64_t *slot = e.t.pending + tick % SLOTS * e.t.axon_words;
    uint32_t *next = e.axons.data();
    for (int64_t w = 0; w < e.t.axon_words; w++) {
        for (uint64_t word = slot[w]; word; word &= word - 1)
            *next++ = uint32_t(w * 64 + __builtin_ctzll(word));
        slot[w] = 0;
    }
    e.due = size_t(next - e.axons.data());
}

// Integration --------------------------------------------------------------------------------------------------------------

// N rows that cover the same columns at once: sums are read and written once for all of them.
template <int N, class Sum, class Weight>
void add_rows(Sum *__restrict sums, const Weight *const *weights, int count) {
    for (int i = 0; i < count; i++) {
        Sum sum = sums[i];
        for (int k = 0; k < N; k++)
            sum = Sum(sum + weights[k][i]);
        sums[i] = sum;
    }
}

// -1 for each of 16 columns whose bit is set, else 0.
inline Short16 mask_of(uint16_t word) {
    const Short16 bit = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768};
    const Short16 all = int16_t(word) - Short16{};
    return (all & bit) == bit;
}

inline void add16(int16_t *sums, Short16 values) {
    Short16At &target = *reinterpret_cast<Short16At *>(sums);
    target = target + values;
}

inline void add16(int32_t *sums, Short16 values) {
    for (int i = 0; i < 16; i++)
        sums[i] += values[i];
}

template <int N, class Sum>
void add_bits(Sum *sums, const uint16_t *const *bits, const int16_t *const *weights, int count) {
    for (int w = 0; w < count; w++) {
        Short16 sum = {};
        for (int k = 0; k < N; k++)
            sum += mask_of(bits[k][w]) & *reinterpret_cast<const Short16At *>(weights[k] + w * 16);
        add16(sums + w * 16, sum);
    }
}

// Stochastic synapses of a row: the sign of a weight if its size is at least the synapse's random number (golden/random.py, spread).
template <class Sum>
void add_chances(Sum *sums, const uint16_t *bits, const int16_t *chances, int first, int count, uint32_t number) {
    uint32_t power[13];
    power[0] = number >> 16;
    for (int k = 1; k < 13; k++)
        power[k] = (power[k - 1] << 1 & 0xFFFF) ^ (power[k - 1] >> 15 ? 0x2B : 0);
    // The product with a neuron's number is a sum over its bits: the low four of them here, the others per word.
    Short16 low = {};
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 4; k++)
            if (i >> k & 1)
                low[i] ^= int16_t(power[k]);
    for (int w = 0; w < count; w++) {
        uint32_t high = number;
        for (int k = 4; k < 13; k++)
            if ((first + w) >> (k - 4) & 1)
                high ^= power[k];
        const Short16 random = (low ^ int16_t(high)) & 0xFF;
        const Short16 weight = *reinterpret_cast<const Short16At *>(chances + w * 16) & mask_of(bits[w]);
        // Comparisons give -1 for true.
        const Short16 positive = (weight > 0) & (weight >= random), negative = (weight < 0) & (-weight >= random);
        add16(sums + w * 16, negative - positive);
    }
}

// Rows lie far apart: ask for that of a later event, which may be one of a later core, before it is needed.
void fetch(const void *row, int bytes) {
    for (int at = 0; at < bytes; at += 64)
        __builtin_prefetch(static_cast<const char *>(row) + at);
}

// The type weights that a row of bits will be combined with.
void fetch_types(const Tables &t, uint32_t axon) {
    const Core &core = t.core[t.core_of_word[axon / 64]];
    const Row &row = t.rows[axon];
    fetch(t.type_weights + core.type_weights + int64_t(row.type) * core.columns + row.first * 16, row.count * 32);
}

// The events from number "i" on, N of them, whose rows cover the same columns.
template <int N, class Sum>
void add_events(const Engine &e, const Core &core, uint32_t key, size_t i, Sum *sums) {
    const Tables &t = e.t;
    const Row &like = t.rows[e.axons[i]];
    const uint16_t *bits[N] = {};
    const int16_t *shorts[N] = {};
    const int8_t *bytes[N] = {};
    for (int k = 0; k < N; k++) {
        const Row &row = t.rows[e.axons[i + k]];
        const bool ahead = i + k + AHEAD < e.due;
        const int64_t next = ahead ? t.rows[e.axons[i + k + AHEAD]].offset : 0;
        if (core.kind == BITS) {
            fetch(t.bits + next, row.count * 2);
            if (i + k + NEAR < e.due)
                fetch_types(t, e.axons[i + k + NEAR]);
            bits[k] = t.bits + row.offset;
            shorts[k] = t.type_weights + core.type_weights + int64_t(row.type) * core.columns + row.first * 16;
        } else if (core.kind == BYTES) {
            fetch(t.bytes + next, row.count);
            bytes[k] = t.bytes + row.offset;
        } else {
            shorts[k] = t.shorts + row.offset;
        }
    }
    if (core.short_term)
        return core.kind == BYTES ? add_scaled<N>(sums + like.first, bytes, &e.efficacies[i], like.count)
                                  : add_scaled<N>(sums + like.first, shorts, &e.efficacies[i], like.count);
    if (core.kind == BYTES)
        return add_rows<N>(sums + like.first, bytes, like.count);
    if (core.kind == SHORTS)
        return add_rows<N>(sums + like.first, shorts, like.count);
    add_bits<N>(sums + like.first * 16, bits, shorts, like.count);
    for (int k = 0; core.stochastic && k < N; k++) {
        const uint32_t number = mix(key ^ ((1u << 31) + e.axons[i + k] - core.first_axon));
        add_chances(sums + like.first * 16, bits[k], shorts[k] - t.type_weights + t.chances, like.first, like.count, number);
    }
}

template <class Sum>
void integrate(const Engine &e, const Core &core, int64_t tick, size_t begin, size_t end, Sum *sums) {
    const uint32_t key = core.seed + uint32_t(tick) * 0x9E3779B9u;
    std::memset(sums, 0, core.columns * sizeof(Sum));
    const auto row = [&](size_t i) -> const Row & { return e.t.rows[e.axons[i]]; };
    const auto alike = [&](size_t i, size_t j) { return row(i).first == row(j).first && row(i).count == row(j).count; };
    while (begin < end) {
        const bool four = begin + 4 <= end && alike(begin, begin + 1) && alike(begin, begin + 2) && alike(begin, begin + 3);
        if (four)
            add_events<4>(e, core, key, begin, sums);
        else
            add_events<1>(e, core, key, begin, sums);
        begin += four ? 4 : 1;
    }
}

// Neurons -------------------------------------------------------------------------------------------------------------------

// Options of Lif that most cores leave out are known when this is compiled, all others when it runs.
template <bool Decay, bool Constant, bool Negative>
struct Plain {
    static constexpr bool decay = Decay, constant = Constant, negative = Negative;
    static constexpr bool current = false, random = false, noise = false, refractory = false, adaptation = false, masked = false;
};

struct Any {
    bool decay, constant, negative, current, random, noise, refractory, adaptation, masked;
};

// A parameter or state field of a core's neurons.
template <class Value>
struct Field {
    Value *data;
    uint32_t each;  // all bits set, or 0 if the core has one value

    Field(const Column &column, const Core &core, size_t number)
        : data(static_cast<Value *>(column.data) + (column.stride ? core.first_neuron : number * 8)), each(uint32_t(-column.stride)) {}
    Value &operator[](uint32_t n) const { return data[n & each]; }
    Ints at(uint32_t n) const { return widened(data + (n & each)); }
    void put(uint32_t n, Ints values) const { narrowed(data + n, values); }
};

// golden/fixed.py. Retentions have 13 bits and states at most 28, so both parts of the product have 32 bits.
inline Ints faded(Ints x, Ints retention) {
    const Ints size = x < 0 ? -x : x;
    const Ints part = (size >> 12) * retention + ((size & 4095) * retention >> 12);
    return x < 0 ? -part : part;
}

inline Ints saturated(Ints x, int32_t limit) {
    const Ints high = limit - Ints{}, low = -limit - 1 - Ints{};
    x = x > high ? high : x;
    return x < low ? low : x;
}

inline int32_t wrapped(uint32_t x, int spare) {
    return int32_t(x << spare) >> spare;
}

inline Ints wrapped(Words x, int spare) {
    return reinterpret_cast<Ints>(x << spare) >> spare;
}

inline Ints sign_of(Ints x) {
    return (x < 0) - (x > 0);
}

inline int bits_of(Ints mask) {
#ifdef __AVX2__
    return _mm256_movemask_ps(reinterpret_cast<__m256>(mask));
#else
    int bits = 0;
    for (int i = 0; i < 8; i++)
        bits |= (mask[i] & 1) << i;
    return bits;
#endif
}

// One tick of the first "updated" neurons of a core, by the steps of golden/lif.py; "sums" may be null: no event.
template <class Value, class Flags, class Sum>
void update_lif(Engine &e, const Core &core, size_t number, int64_t tick, uint32_t updated, const Sum *sums, const Flags flags) {
    const Tables &t = e.t;
    const auto parameter = [&](Parameter which) { return Field<Value>(t.parameters[which], core, number); };
    const auto state = [&](State which) { return Field<Value>(t.states[which], core, number); };
    const auto membranes = state(MEMBRANE), currents = state(CURRENT), counters = state(REFRACTORY), adaptations = state(ADAPTATION);
    const auto retention = parameter(RETENTION), current_retention = parameter(CURRENT_RETENTION), bias = parameter(BIAS),
                leak = parameter(LEAK), leak_reversal = parameter(LEAK_REVERSAL), leak_stochastic = parameter(LEAK_STOCHASTIC),
                noise_mask = parameter(NOISE_MASK), threshold = parameter(THRESHOLD), reset = parameter(RESET),
                mode = parameter(RESET_MODE), lower_threshold = parameter(NEGATIVE_THRESHOLD), saturates = parameter(NEGATIVE_SATURATES),
                period = parameter(REFRACTORY_PERIOD), adaptation_retention = parameter(ADAPTATION_RETENTION),
                adaptation_step = parameter(ADAPTATION_STEP);
    const uint32_t key = core.seed + uint32_t(tick) * 0x9E3779B9u;
    const int spare = 32 - core.state_bits;
    const int32_t highest = int32_t((1u << (core.state_bits - 1)) - 1);
    const int32_t most = int32_t((1u << core.adaptation_bits) - 1);
    const int32_t limit = DRIVE_LIMIT >> core.fraction_bits;
    const bool has_bias = flags.constant && core.bias, has_leak = flags.constant && core.leak;
    const int fraction_bits = core.fraction_bits;
    const Ints zero = {}, lanes = {0, 1, 2, 3, 4, 5, 6, 7};

    for (uint32_t n = 0; n < updated; n += 8) {
        const Ints membrane = membranes.at(n);
        // Who takes part. Columns beyond the last neuron need no mask: only their spikes would be seen.
        Ints taking = ~zero;
        if (flags.masked)
            taking = (lanes < int32_t(updated - n) - zero) & widened(t.mine + core.first_neuron + n);
        // Input or current. A sum beyond 2**29 is cut to that: it saturates what it is added to all the same.
        Ints drive = zero;
        if (sums) {
            drive = widened(sums + n);
            if (sizeof(Sum) > 2 && !core.current_wraps) {
                drive = drive > limit - zero ? limit - zero : drive;
                drive = drive < -limit - zero ? -limit - zero : drive;
            }
            drive = drive << fraction_bits;
        }
        if (flags.current) {
            const Ints before = currents.at(n), rest = faded(before, current_retention.at(n));
            if (core.current_wraps)
                drive = wrapped(reinterpret_cast<Words>(rest) + reinterpret_cast<Words>(drive), 32 - core.current_bits);
            else
                drive = saturated(rest + drive, int32_t((1u << (core.current_bits - 1)) - 1));
            currents.put(n, taking ? drive : before);
        }
        Ints x = (flags.decay ? faded(membrane, retention.at(n)) : membrane) + drive;
        if (has_bias)
            x += bias.at(n);
        Words random = {};
        if (flags.random)
            random = mix(key ^ (n + reinterpret_cast<Words>(lanes)));
        if (has_leak) {
            Ints amount = leak.at(n);
            if (core.stochastic_leak) {
                const Ints size = amount < 0 ? -amount : amount, chance = reinterpret_cast<Ints>(random & 255u);
                const Ints unit = size >= chance ? sign_of(amount) : zero;
                amount = leak_stochastic.at(n) != 0 ? unit : amount;
            }
            x += leak_reversal.at(n) != 0 ? sign_of(x) * amount : amount;
        }
        x = saturated(x, highest);

        Ints noise = zero, above = threshold.at(n);
        if (flags.noise) {
            noise = reinterpret_cast<Ints>(random >> 8) & noise_mask.at(n);
            above += noise;
        }
        if (flags.adaptation) {
            const Ints before = adaptations.at(n);
            above += before;
            const Ints after = faded(before, adaptation_retention.at(n));
            adaptations.put(n, taking ? (after > most - zero ? most - zero : after) : before);
        }
        Ints fires = (x > above) & taking, counter = zero;
        if (flags.refractory) {
            counter = counters.at(n);
            fires &= counter <= 0;
            const Ints next = counter > 0 ? counter - 1 : zero;
            counters.put(n, taking ? next : counter);
        }
        // The potential as it is without a spike.
        Ints after = x;
        if (flags.negative) {
            Ints below = lower_threshold.at(n), lower = below;
            if (core.mirrors) {
                const Ints stays = saturates.at(n) != 0, how = mode.at(n);
                lower = stays ? below : below - noise;
                const Ints mirrored = wrapped(reinterpret_cast<Words>(-reset.at(n)), spare);
                below = stays ? below : how == ABSOLUTE ? mirrored : how == RELATIVE ? x - lower : x;
            }
            after = x < lower ? below : x;
        }
        if (flags.refractory)
            after = counter > 0 ? membrane : after;
        membranes.put(n, taking ? after : membrane);
        // Few fire, so what a spike does is done one by one.
        for (unsigned bits = unsigned(bits_of(fires)); bits; bits &= bits - 1) {
            const int i = __builtin_ctz(bits);
            const uint32_t neuron = n + uint32_t(i);
            if (neuron >= updated)
                break;
            const int32_t how = mode[neuron], value = reset[neuron];
            const int32_t relative = wrapped(uint32_t(x[i]) + uint32_t(value) - uint32_t(noise[i]), spare);
            membranes[neuron] = Value(how == ABSOLUTE ? value : how == RELATIVE ? relative : x[i]);
            if (flags.refractory)
                counters[neuron] = period[neuron];
            if (flags.adaptation)
                adaptations[neuron] = Value(std::min(adaptations[neuron] + adaptation_step[neuron], most));
            e.fired.push_back(core.first_neuron + neuron);
        }
    }
}

template <class Value, class Sum>
void update_core(Engine &e, size_t number, int64_t tick, size_t begin, size_t end) {
    const Tables &t = e.t;
    const Core &core = t.core[number];
    alignas(64) static thread_local Sum buffer[MAX_COLUMNS];
    Sum *sums = nullptr;
    if (begin < end) {
        sums = buffer;
        integrate(e, core, tick, begin, end, sums);
    }
    if (core.mixed) {
        int32_t *kept = t.sums + core.first_neuron;
        for (uint32_t i = 0; i < core.columns; i++)
            kept[i] = sums ? sums[i] : 0;
    }
    if (!core.native)
        return;
    const uint32_t updated = core.updated[std::min<int64_t>(tick, LEVELS - 1)];
    const bool masked = core.mixed || updated < core.neurons, constant = core.bias || core.leak;
    const bool random = core.noise || core.stochastic_leak;
    const auto with = [&](auto flags) { update_lif<Value>(e, core, number, tick, updated, sums, flags); };
    if (masked || core.current_bits || random || core.refractory || core.adaptation_bits) {
        with(Any{core.decay != 0, constant, core.negative != 0, core.current_bits != 0, random, core.noise != 0, core.refractory != 0,
                 core.adaptation_bits != 0, masked});
        return;
    }
    switch (4 * (core.decay != 0) + 2 * constant + (core.negative != 0)) {
        case 0: return with(Plain<false, false, false>{});
        case 1: return with(Plain<false, false, true>{});
        case 2: return with(Plain<false, true, false>{});
        case 3: return with(Plain<false, true, true>{});
        case 4: return with(Plain<true, false, false>{});
        case 5: return with(Plain<true, false, true>{});
        case 6: return with(Plain<true, true, false>{});
        default: return with(Plain<true, true, true>{});
    }
}

// Ticks ---------------------------------------------------------------------------------------------------------------------

// Arrivals, integration, and the update of the neurons that are updated here; e.fired has their spikes in ascending order.
void update(Engine &e, int64_t tick) {
    const Tables &t = e.t;
    take(e, tick);
    e.fired.clear();
    size_t begin = 0;
    for (size_t number = 0; number < size_t(t.cores); number++) {
        const Core &core = t.core[number];
        size_t end = begin;
        int64_t words = 0;
        for (; end < e.due && e.axons[end] < core.first_axon + core.axon_words * 64; end++) {
            if (end + 2 * AHEAD < e.due)
                __builtin_prefetch(&t.rows[e.axons[end + 2 * AHEAD]]);
            words += t.rows[e.axons[end]].words;
        }
        t.events[number] += int64_t(end - begin);
        t.row_words[number] += words;
        if (core.short_term)
            arrive(e, begin, end);
        if (t.short_values)
            (core.wide ? update_core<int16_t, int32_t> : update_core<int16_t, int16_t>)(e, number, tick, begin, end);
        else
            (core.wide ? update_core<int32_t, int32_t> : update_core<int32_t, int16_t>)(e, number, tick, begin, end);
        if (core.short_term)
            age(e, core, tick);
        begin = end;
    }
    for (int64_t i = 0; i < t.learners; i++) {
        const Learner &unit = t.learner[i];
        (t.core[unit.core].kind == BYTES ? learn_before<int8_t> : learn_before<int16_t>)(e, unit, tick);
        (t.short_values ? compare_membranes<int16_t> : compare_membranes<int32_t>)(e, unit, tick);
    }
}

// Sends the spikes of a tick, and learns from them; "others" are those of neurons updated elsewhere, in ascending order.
void emit(Engine &e, int64_t tick, int64_t count, const uint32_t *others, bool keep) {
    const Tables &t = e.t;
    if (count) {
        e.all.resize(e.fired.size() + size_t(count));
        std::merge(e.fired.begin(), e.fired.end(), others, others + count, e.all.begin());
        e.fired.swap(e.all);
    }
    size_t core = 0;
    for (size_t i = 0; i < e.fired.size(); i++) {
        if (i + 2 * AHEAD < e.fired.size()) {
            __builtin_prefetch(&t.first_route[e.fired[i + 2 * AHEAD]]);
            __builtin_prefetch(&t.route_count[e.fired[i + 2 * AHEAD]]);
            __builtin_prefetch(&t.routes[t.first_route[e.fired[i + AHEAD]]]);
            const uint32_t code = t.routes[t.first_route[e.fired[i + AHEAD / 2]]];
            __builtin_prefetch(&t.pending[(tick + code % SLOTS) % SLOTS * t.axon_words + code / SLOTS / 64]);
        }
        const uint32_t neuron = e.fired[i];
        while (core + 1 < size_t(t.cores) && neuron >= t.core[core + 1].first_neuron)
            core++;
        t.spikes[core]++;
        const uint32_t *route = t.routes + t.first_route[neuron];
        for (int k = 0; k < t.route_count[neuron]; k++)
            deposit(e, tick, route[k]);
    }
    for (int64_t i = 0; i < t.learners; i++) {
        const Learner &unit = t.learner[i];
        (t.core[unit.core].kind == BYTES ? learn_after<int8_t> : learn_after<int16_t>)(e, unit, tick);
    }
    if (keep) {
        e.spike_neurons.insert(e.spike_neurons.end(), e.fired.begin(), e.fired.end());
        e.spike_counts.push_back(int64_t(e.fired.size()));
    }
}

}  // namespace

// Called from Python ----------------------------------------------------------------------------------------------------------

extern "C" {

// Sizes of the structures, and limits, for a check against those in Python.
void fast_sizes(int64_t *sizes) {
    const int64_t values[] = {sizeof(Tables), sizeof(Core), sizeof(Row), sizeof(Learner), BLOCK, MAX_COLUMNS};
    std::copy(std::begin(values), std::end(values), sizes);
}

Engine *fast_new(const Tables *tables) {
    Engine *engine = new Engine();
    engine->t = *tables;
    engine->axons.resize(size_t(tables->axon_words) * 64);
    if (tables->use) {
        engine->efficacies.resize(size_t(tables->axon_words) * 64);
        engine->used.resize(size_t(tables->axon_words));
    }
    if (tables->learners) {
        engine->x0.resize(size_t(tables->axon_words) * 64);
        for (uint32_t axon = 0; axon < MAX_COLUMNS; axon++)
            engine->scattered.push_back(scattered(axon));
        for (int target = 0; target < TARGETS; target++) {
            engine->shared[target].resize(MAX_COLUMNS + 8);
            engine->numbers[target].resize(MAX_COLUMNS + 16);
        }
    }
    return engine;
}

void fast_free(Engine *engine) {
    delete engine;
}

// Events due "delay" ticks after "tick", as codes.
void fast_deposit(Engine *engine, int64_t tick, int64_t count, const uint32_t *codes) {
    for (int64_t i = 0; i < count; i++)
        deposit(*engine, tick, codes[i]);
}

void fast_update(Engine *engine, int64_t tick) {
    update(*engine, tick);
}

void fast_emit(Engine *engine, int64_t tick, int64_t count, const uint32_t *others, int keep) {
    emit(*engine, tick, count, others, keep);
}

// Whole ticks; before tick first + i come the events codes[starts[i]] to codes[starts[i + 1] - 1], with delay 1.
void fast_run(Engine *engine, int64_t first, int64_t ticks, const int64_t *starts, const uint32_t *codes, int keep) {
    for (int64_t i = 0; i < ticks; i++) {
        fast_deposit(engine, first + i - 1, starts[i + 1] - starts[i], codes + starts[i]);
        update(*engine, first + i);
        emit(*engine, first + i, 0, nullptr, keep);
    }
}

// Since they were cleared: ticks (64 bits) and numbers of outputs, spikes per tick (64 bits) and neurons of the kept spikes.
void fast_results(Engine *engine, int64_t *counts, const void **arrays) {
    counts[0] = counts[1] = int64_t(engine->output_ticks.size());
    counts[2] = int64_t(engine->spike_counts.size());
    counts[3] = int64_t(engine->spike_neurons.size());
    arrays[0] = engine->output_ticks.data();
    arrays[1] = engine->output_numbers.data();
    arrays[2] = engine->spike_counts.data();
    arrays[3] = engine->spike_neurons.data();
}

void fast_clear_results(Engine *engine) {
    engine->output_ticks.clear();
    engine->output_numbers.clear();
    engine->spike_counts.clear();
    engine->spike_neurons.clear();
}

}  // extern "C"
