// Short-term plasticity in the fast engine: efficacies of axons that have an event, and their decay, by the steps of golden/short_term.py.
// Part of fast.cpp.
//
// All numbers fit 32 bits without a sign: a product of two of 16 bits, and of one with 2**16, are below 2**32.

#pragma once

#include "fast.h"

namespace {

constexpr uint32_t FRACTION = 1u << 16;  // 1, of utilisation, facilitation and depression
constexpr int EFFICACY_BITS = 12;

// Events of a core: their efficacies, and what they use up.
inline void arrive(Engine &e, size_t begin, size_t end) {
    const Tables &t = e.t;
    uint16_t *facilitations = t.short_term_state[0], *depressions = t.short_term_state[1];
    for (size_t i = begin; i < end; i++) {
        const uint32_t axon = e.axons[i], use = t.use[axon], before = facilitations[axon], depression = depressions[axon];
        const uint32_t facilitation = before + (use * (FRACTION - use - before) >> 16);
        const uint32_t released = (use + facilitation) * (FRACTION - depression) >> 16;
        facilitations[axon] = uint16_t(facilitation);
        depressions[axon] = uint16_t(depression + released);
        e.efficacies[i] = use ? int32_t(std::min((released + 8) >> 4, (1u << EFFICACY_BITS) - 1)) : 1 << EFFICACY_BITS;
        e.used[axon / BLOCK] |= use != 0;
    }
}

// One block of axons; whether any of them is away from rest. "next" is the number of the tick to come.
inline bool age(uint16_t *__restrict values, const uint16_t *__restrict decays, const uint16_t *__restrict masks, uint16_t next) {
    uint16_t any = 0;
    for (int i = 0; i < BLOCK; i++) {
        const uint32_t before = values[i], rounded = (before * decays[i] + (1u << 15)) >> 16;
        const uint32_t after = std::min(rounded, before - (before != 0));
        values[i] = uint16_t(next & masks[i] ? before : after);
        any |= values[i];
    }
    return any;
}

// The end of a tick. Blocks of axons that are all at rest are passed over.
inline void age(Engine &e, const Core &core, int64_t tick) {
    const Tables &t = e.t;
    for (uint32_t word = core.first_axon / BLOCK; word < core.first_axon / BLOCK + core.axon_words; word++) {
        if (!e.used[word])
            continue;
        bool any = false;
        for (int which = 0; which < 2; which++) {
            const uint32_t axon = word * BLOCK;
            any |= age(t.short_term_state[which] + axon, t.short_term_decay[which] + axon, t.short_term_mask[which] + axon,
                       uint16_t(tick + 1));
        }
        e.used[word] = any;
    }
}

// A weight times an efficacy, rounded to the nearest, a half upwards.
inline int32_t scaled(int16_t weight, int32_t efficacy) {
    return (weight * efficacy + (1 << (EFFICACY_BITS - 1))) >> EFFICACY_BITS;
}

// The same in 16 bits: the product is made of two, with the upper and the lower six bits, both at most 2**13 in magnitude.
inline int16_t scaled(int8_t weight, int32_t efficacy) {
    const int16_t high = int16_t(weight * int16_t(efficacy >> 6)), low = int16_t(weight * int16_t(efficacy & 63) + 2048);
    return int16_t(int16_t(high + (low >> 6)) >> 6);
}

// N rows that cover the same columns at once.
template <int N, class Sum, class Weight>
void add_scaled(Sum *__restrict sums, const Weight *const *weights, const int32_t *efficacies, int count) {
    for (int i = 0; i < count; i++) {
        Sum sum = sums[i];
        for (int k = 0; k < N; k++)
            sum = Sum(sum + scaled(weights[k][i], efficacies[k]));
        sums[i] = sum;
    }
}

}  // namespace
