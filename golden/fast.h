// What the parts of the fast engine's native code share: tables, vectors, random numbers. Part of fast.cpp.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace {

constexpr int BLOCK = 64;       // the neurons and axons of every core begin at a multiple of this
constexpr int SLOTS = 16;       // delay slots
constexpr int LEVELS = 16;      // ticks with a number of updated neurons of their own
constexpr int MAX_COLUMNS = 8192;
constexpr int AHEAD = 16;       // events and spikes between fetching into the cache and use
constexpr int NEAR = 4;         // the same for what is long and near
constexpr int32_t DRIVE_LIMIT = 1 << 29;  // beyond any potential, see update_lif

// Vectors of one length of registers; "At": in memory, at any address.
typedef int16_t Short16 __attribute__((vector_size(32)));
typedef int16_t Short16At __attribute__((vector_size(32), aligned(2), may_alias));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef int32_t IntsAt __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(32)));
typedef int16_t Shorts __attribute__((vector_size(16)));
typedef int16_t ShortsAt __attribute__((vector_size(16), aligned(2), may_alias));
typedef int8_t Bytes __attribute__((vector_size(8)));
typedef int8_t BytesAt __attribute__((vector_size(8), aligned(1), may_alias));

enum Kind : int32_t { BYTES, SHORTS, BITS };  // of weights
enum Parameter {
    RETENTION, CURRENT_RETENTION, ADAPTATION_RETENTION, LEAK, LEAK_REVERSAL, LEAK_STOCHASTIC, RESET_MODE, THRESHOLD, RESET,
    REFRACTORY_PERIOD, NEGATIVE_THRESHOLD, NEGATIVE_SATURATES, NOISE_MASK, ADAPTATION_STEP, BIAS, PARAMETERS
};
enum State { MEMBRANE, REFRACTORY, CURRENT, ADAPTATION, STATES };
constexpr int32_t ABSOLUTE = 0, RELATIVE = 1;  // reset modes

}  // namespace

// Tables; golden/fast_tables.py has the same structures as numpy and ctypes types.

// Values of one parameter or state field: of each neuron (stride 1), or eight times that of each core (stride 0).
struct Column {
    void *data;
    int64_t stride;
};

struct Row {
    int64_t offset;        // first weight in the array of its kind; with one bit per synapse in words of 16
    uint16_t first;        // first column, and number of columns; with one bit per synapse in words of 16
    uint16_t count;
    uint16_t words;        // weight words that the hardware reads, for the counter
    uint16_t type;         // with one bit per synapse the axon's type, else whether the row learns
};

struct Core {
    int64_t type_weights;  // first of the columns' weights, one type after the other
    uint32_t first_axon, axon_words;  // global axon number, a multiple of 64; words of 64 axons
    uint32_t first_neuron, neurons, columns;  // global neuron number; columns: neurons rounded up to BLOCK
    uint32_t seed;
    int32_t kind;          // of weights
    int32_t wide;          // whether sums need 32 bits
    int32_t stochastic;    // whether some synapses are stochastic
    int32_t native;        // whether some neurons are updated here
    int32_t mirrors;       // whether some are reset below the lower threshold instead of staying there
    int32_t mixed;         // whether others are not: then their sums are kept, and "mine" says which
    int32_t short_term;    // whether some axons have short-term plasticity
    // Lif
    int32_t state_bits, fraction_bits, decay, leak, stochastic_leak, bias, current_bits, current_wraps, refractory, negative, noise,
        adaptation_bits;
    uint32_t updated[LEVELS];  // neurons updated in tick t, the last also in all later ones
};

struct Learner;  // fast_learning.h

struct Tables {
    int64_t cores, axon_words;  // axon_words of all cores
    int64_t learners;           // cores that learn
    int64_t short_values;       // whether parameters and states have 16 bits, else 32
    const Core *core;
    const Row *rows;                 // of each global axon
    int8_t *bytes;                   // weights, which only learning changes
    int16_t *shorts;
    const uint16_t *bits;
    const int16_t *type_weights, *chances;  // certain weights, and weights that are probabilities
    const uint32_t *first_route;     // of each global neuron
    const uint16_t *route_count;
    const uint32_t *routes;          // codes, see deposit
    const uint16_t *core_of_word;    // of each word of 64 axons
    const int16_t *mine;             // -1 for each neuron that is updated here, else 0
    int32_t *sums;                   // of each neuron of a core with others
    uint64_t *pending;               // [SLOTS][axon_words]
    int64_t *events, *row_words, *spikes, *merged, *dropped, *misrouted;
    // Only if cores learn:
    const Learner *learner;
    int32_t *x[2], *y[2];            // traces of each global axon and neuron
    int32_t *v0;                     // of each global neuron: a flag of rules
    const int32_t *plastic;          // -1 for each neuron that learns, else 0
    int16_t *tags;
    // Only if axons have short-term plasticity, of each global axon; facilitation, then depression:
    const uint16_t *use;
    const uint16_t *short_term_decay[2], *short_term_mask[2];  // it decays in ticks t of which t + 1 has no bit of the mask
    uint16_t *short_term_state[2];
    Column parameters[PARAMETERS];
    Column states[STATES];
};

namespace {

struct Engine {
    Tables t;
    std::vector<uint32_t> axons;  // those due in this tick, in the first "due" places
    size_t due;
    std::vector<uint32_t> fired, all;
    std::vector<int64_t> output_ticks, spike_counts;  // the latter of each tick
    std::vector<uint32_t> output_numbers, spike_neurons;
    std::vector<int32_t> x0;          // flag of each axon while fired neurons learn
    std::vector<uint32_t> scattered;  // of an axon's number within its core, for its random number
    std::vector<int32_t> shared[2];   // of each column, while rows learn: what its terms say of all axons alike, and random numbers
    std::vector<int16_t> numbers[2];
    std::vector<int32_t> efficacies;  // of the events of this tick, in a core with short-term plasticity
    std::vector<uint8_t> used;        // of each word of 64 axons, whether short-term plasticity may have one away from rest
};

template <class Word>  // one or eight
Word mix(Word x) {
    x = x + 0x7ED55D16u + (x << 12);
    x = (x ^ 0xC761C23Cu) ^ (x >> 19);
    x = x + 0x165667B1u + (x << 5);
    x = (x + 0xD3A2646Cu) ^ (x << 9);
    x = x + 0xFD7046C5u + (x << 3);
    return (x ^ 0xB55A4F09u) ^ (x >> 16);
}

// Where the compiler finds a longer way, AVX2's own instructions; values fit what they are stored in.
#ifdef __AVX2__
inline Ints widened(const int16_t *from) {
    return reinterpret_cast<Ints>(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from))));
}
inline void narrowed(int16_t *to, Ints values) {
    const __m256i v = reinterpret_cast<__m256i>(values);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}
inline Ints widened(const int8_t *from) {
    return reinterpret_cast<Ints>(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(from))));
}
inline void narrowed(int8_t *to, Ints values) {
    const __m256i v = reinterpret_cast<__m256i>(values);
    const __m128i shorts = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i *>(to), _mm_packs_epi16(shorts, shorts));
}
#else
inline Ints widened(const int16_t *from) {
    return __builtin_convertvector(*reinterpret_cast<const ShortsAt *>(from), Ints);
}

inline void narrowed(int16_t *to, Ints values) {
    *reinterpret_cast<ShortsAt *>(to) = __builtin_convertvector(values, Shorts);
}

inline Ints widened(const int8_t *from) {
    return __builtin_convertvector(*reinterpret_cast<const BytesAt *>(from), Ints);
}

inline void narrowed(int8_t *to, Ints values) {
    *reinterpret_cast<BytesAt *>(to) = __builtin_convertvector(values, Bytes);
}
#endif

inline Ints widened(const int32_t *from) {
    return *reinterpret_cast<const IntsAt *>(from);
}

inline void narrowed(int32_t *to, Ints values) {
    *reinterpret_cast<IntsAt *>(to) = values;
}

}  // namespace
