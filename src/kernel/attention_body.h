// Attention over one page of the cache, written once for every level with registers: the file of a
// level includes its lanes header and then this. kernel.h has the contracts and layouts,
// scalar/attention.c the meaning in plain loops.
//
// Both products work on a tile of independent sums that stays in registers: n_q queries by some
// groups of 16 keys (scores), or by some 16 elements of the values (mix). What is loaded and
// converted once serves the whole tile; LANES16_SUMS bounds it. Every sum is one chain, so the
// tile's shape changes no bit.
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/kv.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

#define MAX_QUERIES 6  // of a tile
#define MAX_WIDE 8     // groups or sixteens of a tile

// What comes from memory is asked for early: the begin of each stream together, then a constant
// distance before the use. (The hardware's own prefetching stops at 4 KB, the size of few groups.)
#define AHEAD 1024       // bytes, of a group of keys
#define AHEAD_TOKENS 16  // values
#define LINE 64

static ALWAYS_INLINE void prefetch(const uint8_t *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += LINE) __builtin_prefetch(p + i);
}

// ---- elements ---------------------------------------------------------------------------------

static ALWAYS_INLINE lanes16 element16(cop_kv_type type, const uint8_t *p) {
    switch (type) {
    case COP_KV_F16: return lanes16_from_f16(p);
    case COP_KV_BF16: return lanes16_from_bf16(p);
    case COP_KV_Q8_0: return lanes16_from_s8(p);
    default: {
        float x[16];
        memcpy(x, p, sizeof x);
        return lanes16_load(x);
    }
    }
}

// The first n < 16 elements; nothing behind them is read.
static ALWAYS_INLINE lanes16 element_n(cop_kv_type type, const uint8_t *p, int n) {
    uint8_t copy[16 * sizeof(float)] = {0};
    memcpy(copy, p, (size_t)n * cop_kv_element_bytes(type));
    return element16(type, copy);
}

static ALWAYS_INLINE void put16(cop_kv_type type, uint8_t *p, lanes16 x) {
    float plain[16];
    switch (type) {
    case COP_KV_F16: lanes16_to_f16(p, x); return;
    case COP_KV_BF16: lanes16_to_bf16(p, x); return;
    case COP_KV_Q8_0: lanes16_to_s8(p, x); return;
    default: lanes16_store(plain, x); memcpy(p, plain, sizeof plain); return;
    }
}

// ---- store ------------------------------------------------------------------------------------

// `step` elements lie between one element of the token and the next: 1 or COP_KV_GROUP.
static ALWAYS_INLINE void spread(cop_kv_type type, uint8_t *to, const uint8_t *packed, int n, size_t step) {
    const size_t bytes = cop_kv_element_bytes(type);
    if (step == 1)
        memcpy(to, packed, (size_t)n * bytes);
    else
        for (int i = 0; i < n; i++) memcpy(to + (size_t)i * step * bytes, packed + (size_t)i * bytes, bytes);
}

static ALWAYS_INLINE void store(cop_kv_type type, uint8_t *to, const float *x, int head, size_t step) {
    const size_t bytes = cop_kv_element_bytes(type);
    for (int d = 0; d < head; d += 16) {
        uint8_t packed[16 * sizeof(float)];
        put16(type, packed, lanes16_load_n(x + d, head - d));
        spread(type, to + (size_t)d * step * bytes, packed, head - d < 16 ? head - d : 16, step);
    }
}

static ALWAYS_INLINE void store_q8_0(uint8_t *to, uint8_t *scales, const float *x, int head, size_t step) {
    for (int b = 0; b < head / COP_BLOCK; b++) {
        const lanes16 low = lanes16_load(x + b * COP_BLOCK), high = lanes16_load(x + b * COP_BLOCK + 16);
        const float a = lanes16_fold_max(lanes16_max(lanes16_abs(low), lanes16_abs(high)));
        const bool zero = isinf(127.0f / a);
        const float scale = zero ? 0 : a / 127.0f;
        const lanes16 to_byte = lanes16_set1(zero ? 0 : 127.0f / a);
        uint8_t packed[COP_BLOCK];
        lanes16_to_s8(packed, lanes16_mul(low, to_byte));
        lanes16_to_s8(packed + 16, lanes16_mul(high, to_byte));
        spread(COP_KV_Q8_0, to + (size_t)b * COP_BLOCK * step, packed, COP_BLOCK, step);
        memcpy(scales + (size_t)b * step * sizeof scale, &scale, sizeof scale);
    }
}

void LANES16_LEVEL(cop_store_key_q8_0)(uint8_t *page, int slot, const float *x, int head) {
    uint8_t *scales = page + cop_kv_scales_offset(head) + cop_kv_key_scale_at(slot, 0, head) * sizeof(float);
    store_q8_0(page + cop_kv_key_at(slot, 0, head), scales, x, head, COP_KV_GROUP);
}
void LANES16_LEVEL(cop_store_value_q8_0)(uint8_t *page, int slot, const float *x, int head) {
    uint8_t *scales = page + cop_kv_scales_offset(head) + cop_kv_value_scale_at(slot, 0, head) * sizeof(float);
    store_q8_0(page + cop_kv_value_at(slot, 0, head), scales, x, head, 1);
}

#define DEFINE_STORE(name, type)                                                                                    \
    void LANES16_LEVEL(cop_store_key_##name)(uint8_t * page, int slot, const float *x, int head) {                  \
        store(type, page + cop_kv_key_at(slot, 0, head) * cop_kv_element_bytes(type), x, head, COP_KV_GROUP);       \
    }                                                                                                               \
    void LANES16_LEVEL(cop_store_value_##name)(uint8_t * page, int slot, const float *x, int head) {                \
        store(type, page + cop_kv_value_at(slot, 0, head) * cop_kv_element_bytes(type), x, head, 1);                \
    }
DEFINE_STORE(f32, COP_KV_F32)
DEFINE_STORE(f16, COP_KV_F16)
DEFINE_STORE(bf16, COP_KV_BF16)

// ---- scores -----------------------------------------------------------------------------------

typedef struct score_args {
    float *s;
    size_t s_stride;
    const float *q;
    size_t q_stride;
    const uint8_t *keys;    // of the first group
    const uint8_t *scales;  // of the first group, Q8_0 only
    int head;
    float scale;
} score_args;

// n_q queries and n_wide groups, constants in every call.
static ALWAYS_INLINE void scores_tile(cop_kv_type type, int n_q, int n_wide, const score_args *a) {
    const size_t row = COP_KV_GROUP * cop_kv_element_bytes(type), group = (size_t)a->head * row;
    const int block = type == COP_KV_Q8_0 ? COP_BLOCK : a->head;
    lanes16 sum[MAX_QUERIES][MAX_WIDE], scale[MAX_WIDE];
    UNROLLED for (int q = 0; q < n_q; q++)
        UNROLLED for (int g = 0; g < n_wide; g++) sum[q][g] = lanes16_zero();

    const uint8_t *keys = a->keys, *scales = a->scales;
    for (int first = 0; first < a->head; first += block) {
        if (type == COP_KV_Q8_0) {
            UNROLLED for (int g = 0; g < n_wide; g++)
                scale[g] = element16(COP_KV_F32, scales + (size_t)g * (size_t)(a->head / COP_BLOCK) * 16 * sizeof(float));
            scales += 16 * sizeof(float);
        }
        const float *x = a->q + first;
        for (int d = 0; d < block; d++, keys += row, x++) {
            lanes16 key[MAX_WIDE];
            UNROLLED for (int g = 0; g < n_wide; g++) {
                key[g] = element16(type, keys + (size_t)g * group);
                __builtin_prefetch(keys + (size_t)g * group + AHEAD);
                if (type == COP_KV_Q8_0) key[g] = lanes16_mul(key[g], scale[g]);
            }
            UNROLLED for (int q = 0; q < n_q; q++) {
                const lanes16 each = lanes16_set1(x[(size_t)q * a->q_stride]);
                UNROLLED for (int g = 0; g < n_wide; g++) sum[q][g] = lanes16_fma(each, key[g], sum[q][g]);
            }
        }
    }
    const lanes16 by = lanes16_set1(a->scale);
    UNROLLED for (int q = 0; q < n_q; q++)
        UNROLLED for (int g = 0; g < n_wide; g++)
            lanes16_store(a->s + (size_t)q * a->s_stride + g * 16, lanes16_mul(by, sum[q][g]));
}

// n_q is a constant in every call, at most 4: more would leave too few registers for the keys.
static ALWAYS_INLINE void scores_queries(cop_kv_type type, int n_q, score_args a, int n_groups) {
    const size_t group = (size_t)a.head * COP_KV_GROUP * cop_kv_element_bytes(type);
    const size_t scales = (size_t)(a.head / COP_BLOCK) * COP_KV_GROUP * sizeof(float);
    const int wide = LANES16_SUMS >= 4 * n_q ? 4 : LANES16_SUMS >= 2 * n_q ? 2 : 1;
    while (n_groups > 0) {
        const int now = n_groups >= wide ? wide : 1;
        if (now == wide)
            scores_tile(type, n_q, wide, &a);
        else
            scores_tile(type, n_q, 1, &a);
        a.keys += (size_t)now * group;
        a.scales += (size_t)now * scales;
        a.s += now * 16;
        n_groups -= now;
    }
}

static ALWAYS_INLINE void scores(cop_kv_type type, score_args a, int n_q, int group, int n_groups) {
    a.scales = a.keys;
    if (type == COP_KV_Q8_0)
        a.scales += cop_kv_scales_offset(a.head) +
                    cop_kv_key_scale_at(group * COP_KV_GROUP, 0, a.head) * sizeof(float);
    a.keys += cop_kv_key_at(group * COP_KV_GROUP, 0, a.head) * cop_kv_element_bytes(type);
    const size_t group_bytes = (size_t)a.head * COP_KV_GROUP * cop_kv_element_bytes(type);
    for (int g = 0; g < n_groups; g++)
        prefetch(a.keys + (size_t)g * group_bytes, group_bytes < AHEAD ? group_bytes : AHEAD);
    while (n_q > 0) {
        const int now = n_q == 5 ? 3 : n_q < 4 ? n_q : 4;
        switch (now) {
        case 1: scores_queries(type, 1, a, n_groups); break;
        case 2: scores_queries(type, 2, a, n_groups); break;
        case 3: scores_queries(type, 3, a, n_groups); break;
        default: scores_queries(type, 4, a, n_groups); break;
        }
        a.s += (size_t)now * a.s_stride;
        a.q += (size_t)now * a.q_stride;
        n_q -= now;
    }
}

// ---- mix --------------------------------------------------------------------------------------

typedef struct mix_args {
    float *acc;
    size_t acc_stride;
    const float *p;
    size_t p_stride;
    const uint8_t *values;  // of the first token
    const uint8_t *scales;  // of the first token, Q8_0 only
    int n_tokens, head;
    bool from_memory;  // this tile is the first to touch the values
} mix_args;

// n_q queries and n_wide sixteens of the values from element d; both constants in every call.
static ALWAYS_INLINE void mix_tile(cop_kv_type type, int n_q, int n_wide, const mix_args *a, int d) {
    const size_t bytes = cop_kv_element_bytes(type), row = (size_t)a->head * bytes;
    const size_t scale_row = (size_t)(a->head / COP_BLOCK) * sizeof(float);
    lanes16 sum[MAX_QUERIES][MAX_WIDE];
    UNROLLED for (int q = 0; q < n_q; q++)
        UNROLLED for (int i = 0; i < n_wide; i++)
            sum[q][i] = lanes16_load(a->acc + (size_t)q * a->acc_stride + d + i * 16);

    const uint8_t *values = a->values + (size_t)d * bytes, *scales = a->scales;
    const float *p = a->p;
    const int n_ahead = a->from_memory ? a->n_tokens - AHEAD_TOKENS : 0;
    for (int j = 0; j < a->n_tokens; j++, values += row, scales += scale_row, p++) {
        if (j < n_ahead) prefetch(a->values + (size_t)(j + AHEAD_TOKENS) * row, row);
        lanes16 value[MAX_WIDE];
        UNROLLED for (int i = 0; i < n_wide; i++) {
            value[i] = element16(type, values + (size_t)i * 16 * bytes);
            if (type == COP_KV_Q8_0) {
                float scale;
                memcpy(&scale, scales + (size_t)(d / 16 + i) / 2 * sizeof scale, sizeof scale);
                value[i] = lanes16_mul(value[i], lanes16_set1(scale));
            }
        }
        UNROLLED for (int q = 0; q < n_q; q++) {
            const lanes16 each = lanes16_set1(p[(size_t)q * a->p_stride]);
            UNROLLED for (int i = 0; i < n_wide; i++) sum[q][i] = lanes16_fma(each, value[i], sum[q][i]);
        }
    }
    UNROLLED for (int q = 0; q < n_q; q++)
        UNROLLED for (int i = 0; i < n_wide; i++)
            lanes16_store(a->acc + (size_t)q * a->acc_stride + d + i * 16, sum[q][i]);
}

// The last head % 16 elements, one query at a time; never Q8_0.
static ALWAYS_INLINE void mix_end(cop_kv_type type, int n_q, const mix_args *a, int d) {
    const size_t bytes = cop_kv_element_bytes(type), row = (size_t)a->head * bytes;
    const int n = a->head - d;
    for (int q = 0; q < n_q; q++) {
        float *acc = a->acc + (size_t)q * a->acc_stride + d;
        lanes16 sum = lanes16_load_n(acc, n);
        for (int j = 0; j < a->n_tokens; j++) {
            const lanes16 each = lanes16_set1(a->p[(size_t)q * a->p_stride + (size_t)j]);
            sum = lanes16_fma(each, element_n(type, a->values + (size_t)j * row + (size_t)d * bytes, n), sum);
        }
        lanes16_store_n(acc, sum, n);
    }
}

// n_q is a constant in every call.
static ALWAYS_INLINE void mix_queries(cop_kv_type type, int n_q, mix_args *a) {
    int d = 0;
    if (LANES16_SUMS >= 8 * n_q)
        for (; d + 128 <= a->head; d += 128, a->from_memory = false) mix_tile(type, n_q, 8, a, d);
    if (LANES16_SUMS >= 4 * n_q)
        for (; d + 64 <= a->head; d += 64, a->from_memory = false) mix_tile(type, n_q, 4, a, d);
    if (LANES16_SUMS >= 2 * n_q)
        for (; d + 32 <= a->head; d += 32, a->from_memory = false) mix_tile(type, n_q, 2, a, d);
    for (; d + 16 <= a->head; d += 16, a->from_memory = false) mix_tile(type, n_q, 1, a, d);
    if (type != COP_KV_Q8_0 && d < a->head) mix_end(type, n_q, a, d);
}

static ALWAYS_INLINE void mix(cop_kv_type type, mix_args a, int n_q, int first) {
    a.scales = a.values;
    if (type == COP_KV_Q8_0)
        a.scales += cop_kv_scales_offset(a.head) + cop_kv_value_scale_at(first, 0, a.head) * sizeof(float);
    a.values += cop_kv_value_at(first, 0, a.head) * cop_kv_element_bytes(type);
    prefetch(a.values, (size_t)(a.n_tokens < AHEAD_TOKENS ? a.n_tokens : AHEAD_TOKENS) * (size_t)a.head *
                           cop_kv_element_bytes(type));
    while (n_q > 0) {
        const int now = n_q == 6 || n_q > 8 ? 6 : n_q == 5 ? 3 : n_q < 4 ? n_q : 4;
        switch (now) {
        case 1: mix_queries(type, 1, &a); break;
        case 2: mix_queries(type, 2, &a); break;
        case 3: mix_queries(type, 3, &a); break;
        case 4: mix_queries(type, 4, &a); break;
        default: mix_queries(type, 6, &a); break;
        }
        a.acc += (size_t)now * a.acc_stride;
        a.p += (size_t)now * a.p_stride;
        n_q -= now;
    }
}

#define DEFINE_ATTENTION(name, type)                                                                                \
    void LANES16_LEVEL(cop_scores_##name)(float *s, size_t s_stride, const float *q, size_t q_stride, int n_q,      \
                                          const uint8_t *keys, int group, int n_groups, int head, float scale) {    \
        scores(type, (score_args){s, s_stride, q, q_stride, keys, NULL, head, scale}, n_q, group, n_groups);        \
    }                                                                                                               \
    void LANES16_LEVEL(cop_mix_##name)(float *acc, size_t acc_stride, const float *p, size_t p_stride, int n_q,     \
                                       const uint8_t *values, int first, int n_tokens, int head) {                  \
        mix(type, (mix_args){acc, acc_stride, p, p_stride, values, NULL, n_tokens, head, true}, n_q, first);              \
    }
DEFINE_ATTENTION(f32, COP_KV_F32)
DEFINE_ATTENTION(f16, COP_KV_F16)
DEFINE_ATTENTION(bf16, COP_KV_BF16)
DEFINE_ATTENTION(q8_0, COP_KV_Q8_0)
