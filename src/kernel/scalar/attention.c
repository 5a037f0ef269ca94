// Attention over one page of the cache, scalar: the meaning of store, scores and mix for every type
// of element. kernel.h has the contracts and the layouts; the fast levels are attention_body.h.
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/kv.h"

// ---- one element ------------------------------------------------------------------------------

static void put(cop_kv_type type, uint8_t *page, size_t at, float x) {
    uint8_t *p = page + at * cop_kv_element_bytes(type);
    if (type == COP_KV_F32) {
        memcpy(p, &x, sizeof x);
    } else {
        const uint16_t h = type == COP_KV_F16 ? cop_float_to_half(x) : cop_float_to_bf16(x);
        memcpy(p, &h, sizeof h);
    }
}

static float get(cop_kv_type type, const uint8_t *page, size_t at) {
    const uint8_t *p = page + at * cop_kv_element_bytes(type);
    uint16_t h;
    uint32_t bits;
    float x;
    switch (type) {
    case COP_KV_Q8_0: return (float)(int8_t)*p;
    case COP_KV_F16: memcpy(&h, p, sizeof h); return cop_half_to_float(h);
    case COP_KV_BF16:
        memcpy(&h, p, sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&x, &bits, sizeof x);
        return x;
    default: memcpy(&x, p, sizeof x); return x;
    }
}

static float scale_at(const uint8_t *page, int head, size_t at) {
    float x;
    memcpy(&x, page + cop_kv_scales_offset(head) + at * sizeof x, sizeof x);
    return x;
}

static float key(cop_kv_type type, const uint8_t *page, int slot, int d, int head) {
    const float x = get(type, page, cop_kv_key_at(slot, d, head));
    return type == COP_KV_Q8_0 ? x * scale_at(page, head, cop_kv_key_scale_at(slot, d / COP_BLOCK, head)) : x;
}

static float value(cop_kv_type type, const uint8_t *page, int slot, int d, int head) {
    const float x = get(type, page, cop_kv_value_at(slot, d, head));
    return type == COP_KV_Q8_0 ? x * scale_at(page, head, cop_kv_value_scale_at(slot, d / COP_BLOCK, head)) : x;
}

// ---- store ------------------------------------------------------------------------------------

typedef size_t position_fn(int slot, int d, int head);

static void store(cop_kv_type type, uint8_t *page, int slot, const float *x, int head, position_fn *at) {
    for (int d = 0; d < head; d++) put(type, page, at(slot, d, head), x[d]);
}

static void store_q8_0(uint8_t *page, int slot, const float *x, int head, position_fn *at, position_fn *scale_position) {
    for (int b = 0; b < head / COP_BLOCK; b++) {
        const float *block = x + b * COP_BLOCK;
        float a = 0;
        for (int i = 0; i < COP_BLOCK; i++) a = fabsf(block[i]) > a ? fabsf(block[i]) : a;
        const bool zero = isinf(127.0f / a);
        const float to_byte = zero ? 0 : 127.0f / a, scale = zero ? 0 : a / 127.0f;
        for (int i = 0; i < COP_BLOCK; i++)
            page[at(slot, b * COP_BLOCK + i, head)] = (uint8_t)(int8_t)lrintf(block[i] * to_byte);
        memcpy(page + cop_kv_scales_offset(head) + scale_position(slot, b, head) * sizeof scale, &scale, sizeof scale);
    }
}

void cop_store_key_q8_0_scalar(uint8_t *page, int slot, const float *x, int head) {
    store_q8_0(page, slot, x, head, cop_kv_key_at, cop_kv_key_scale_at);
}
void cop_store_value_q8_0_scalar(uint8_t *page, int slot, const float *x, int head) {
    store_q8_0(page, slot, x, head, cop_kv_value_at, cop_kv_value_scale_at);
}

#define DEFINE_STORE(name, type)                                                                                    \
    void cop_store_key_##name##_scalar(uint8_t *page, int slot, const float *x, int head) {                         \
        store(type, page, slot, x, head, cop_kv_key_at);                                                            \
    }                                                                                                               \
    void cop_store_value_##name##_scalar(uint8_t *page, int slot, const float *x, int head) {                       \
        store(type, page, slot, x, head, cop_kv_value_at);                                                          \
    }
DEFINE_STORE(f32, COP_KV_F32)
DEFINE_STORE(f16, COP_KV_F16)
DEFINE_STORE(bf16, COP_KV_BF16)

// ---- scores and mix ---------------------------------------------------------------------------

static void scores(cop_kv_type type, float *s, size_t s_stride, const float *q, size_t q_stride, int n_q,
                   const uint8_t *keys, int group, int n_groups, int head, float scale) {
    for (int i = 0; i < n_q; i++)
        for (int t = 0; t < n_groups * COP_KV_GROUP; t++) {
            float acc = 0;
            for (int d = 0; d < head; d++)
                acc = fmaf(q[(size_t)i * q_stride + (size_t)d], key(type, keys, group * COP_KV_GROUP + t, d, head), acc);
            s[(size_t)i * s_stride + (size_t)t] = scale * acc;
        }
}

static void mix(cop_kv_type type, float *acc, size_t acc_stride, const float *p, size_t p_stride, int n_q,
                const uint8_t *values, int first, int n_tokens, int head) {
    for (int i = 0; i < n_q; i++)
        for (int j = 0; j < n_tokens; j++)
            for (int d = 0; d < head; d++) {
                float *a = &acc[(size_t)i * acc_stride + (size_t)d];
                *a = fmaf(p[(size_t)i * p_stride + (size_t)j], value(type, values, first + j, d, head), *a);
            }
}

#define DEFINE_ATTENTION(name, type)                                                                                \
    void cop_scores_##name##_scalar(float *s, size_t s_stride, const float *q, size_t q_stride, int n_q,            \
                                    const uint8_t *keys, int group, int n_groups, int head, float scale) {          \
        scores(type, s, s_stride, q, q_stride, n_q, keys, group, n_groups, head, scale);                            \
    }                                                                                                               \
    void cop_mix_##name##_scalar(float *acc, size_t acc_stride, const float *p, size_t p_stride, int n_q,           \
                                 const uint8_t *values, int first, int n_tokens, int head) {                        \
        mix(type, acc, acc_stride, p, p_stride, n_q, values, first, n_tokens, head);                                \
    }
DEFINE_ATTENTION(f32, COP_KV_F32)
DEFINE_ATTENTION(f16, COP_KV_F16)
DEFINE_ATTENTION(bf16, COP_KV_BF16)
DEFINE_ATTENTION(q8_0, COP_KV_Q8_0)
