// Sixteen floats in four q registers: the vocabulary of rows_body.h and attention_body.h for NEON.
// _n: only the first n lanes count (n may exceed 16); the others load as +0 and are not stored, and
// no memory behind them is touched. The other levels define the same words.
#ifndef COP_KERNEL_ARM_LANES_NEON_H
#define COP_KERNEL_ARM_LANES_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES16_LEVEL(name) name##_neon
#define LANES16_SUMS 4  // lanes16 that an inner loop may keep in registers

typedef struct lanes16 {
    float32x4_t v[4];
} lanes16;

#define LANES16_EACH(f, a, b) \
    ((lanes16){{f((a).v[0], (b).v[0]), f((a).v[1], (b).v[1]), f((a).v[2], (b).v[2]), f((a).v[3], (b).v[3])}})
#define LANES16_EACH1(f, a) ((lanes16){{f((a).v[0]), f((a).v[1]), f((a).v[2]), f((a).v[3])}})

static inline lanes16 lanes16_set1(float x) {
    const float32x4_t v = vdupq_n_f32(x);
    return (lanes16){{v, v, v, v}};
}
static inline lanes16 lanes16_zero(void) { return lanes16_set1(0); }
static inline lanes16 lanes16_load(const float *p) {
    return (lanes16){{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
static inline void lanes16_store(float *p, lanes16 x) {
    for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.v[i]);
}
static inline lanes16 lanes16_load_n(const float *p, int n) {
    if (n >= 16) return lanes16_load(p);
    float copy[16] = {0};
    memcpy(copy, p, (size_t)n * sizeof *p);
    return lanes16_load(copy);
}
static inline void lanes16_store_n(float *p, lanes16 x, int n) {
    if (n >= 16) {
        lanes16_store(p, x);
        return;
    }
    float copy[16];
    lanes16_store(copy, x);
    memcpy(p, copy, (size_t)n * sizeof *p);
}
static inline lanes16 lanes16_first(lanes16 x, int n) {
    float copy[16];
    lanes16_store(copy, x);
    return lanes16_load_n(copy, n);
}

static inline lanes16 lanes16_add(lanes16 a, lanes16 b) { return LANES16_EACH(vaddq_f32, a, b); }
static inline lanes16 lanes16_sub(lanes16 a, lanes16 b) { return LANES16_EACH(vsubq_f32, a, b); }
static inline lanes16 lanes16_mul(lanes16 a, lanes16 b) { return LANES16_EACH(vmulq_f32, a, b); }
static inline lanes16 lanes16_div(lanes16 a, lanes16 b) { return LANES16_EACH(vdivq_f32, a, b); }
static inline lanes16 lanes16_max(lanes16 a, lanes16 b) { return LANES16_EACH(vmaxq_f32, a, b); }
static inline lanes16 lanes16_min(lanes16 a, lanes16 b) { return LANES16_EACH(vminq_f32, a, b); }
static inline lanes16 lanes16_fma(lanes16 a, lanes16 b, lanes16 c) {
    return (lanes16){{vfmaq_f32(c.v[0], a.v[0], b.v[0]), vfmaq_f32(c.v[1], a.v[1], b.v[1]),
                      vfmaq_f32(c.v[2], a.v[2], b.v[2]), vfmaq_f32(c.v[3], a.v[3], b.v[3])}};
}
static inline lanes16 lanes16_round(lanes16 x) { return LANES16_EACH1(vrndnq_f32, x); }
static inline lanes16 lanes16_neg(lanes16 x) { return LANES16_EACH1(vnegq_f32, x); }
static inline lanes16 lanes16_abs(lanes16 x) { return LANES16_EACH1(vabsq_f32, x); }
/* x * 2^n by adding to the exponent; n whole, the result normal. */
static inline float32x4_t lanes16_exponent4(float32x4_t x, float32x4_t n) {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), vshlq_n_s32(vcvtq_s32_f32(n), 23)));
}
static inline lanes16 lanes16_exponent(lanes16 x, lanes16 n) { return LANES16_EACH(lanes16_exponent4, x, n); }
/* x < y ? a : b */
static inline lanes16 lanes16_less(lanes16 x, lanes16 y, lanes16 a, lanes16 b) {
    for (int i = 0; i < 4; i++) b.v[i] = vbslq_f32(vcltq_f32(x.v[i], y.v[i]), a.v[i], b.v[i]);
    return b;
}

/* s[i] += s[i + 8], then 4, 2, 1. */
static inline float lanes16_fold(lanes16 s) {
    const float32x4_t four = vaddq_f32(vaddq_f32(s.v[0], s.v[2]), vaddq_f32(s.v[1], s.v[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
static inline float lanes16_fold_max(lanes16 s) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(s.v[0], s.v[2]), vmaxq_f32(s.v[1], s.v[3])));
}

/* p[0], p[2], ... p[30] and p[1], p[3], ... p[31]; and back. */
static inline void lanes16_split(const float *p, lanes16 *even, lanes16 *odd) {
    for (int i = 0; i < 4; i++) {
        const float32x4x2_t pair = vld2q_f32(p + 8 * i);
        even->v[i] = pair.val[0];
        odd->v[i] = pair.val[1];
    }
}
static inline void lanes16_join(float *p, lanes16 even, lanes16 odd) {
    for (int i = 0; i < 4; i++) vst2q_f32(p + 8 * i, ((float32x4x2_t){{even.v[i], odd.v[i]}}));
}

// ---- elements of the cache, which need no alignment -------------------------------------------

static inline lanes16 lanes16_from_f16(const uint8_t *p) {
    const float16x8_t a = vreinterpretq_f16_u8(vld1q_u8(p)), b = vreinterpretq_f16_u8(vld1q_u8(p + 16));
    return (lanes16){{vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a), vcvt_f32_f16(vget_low_f16(b)),
                      vcvt_high_f32_f16(b)}};
}
static inline lanes16 lanes16_from_bf16(const uint8_t *p) {
    const uint16x8_t a = vreinterpretq_u16_u8(vld1q_u8(p)), b = vreinterpretq_u16_u8(vld1q_u8(p + 16));
    return (lanes16){{vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(a), 16)),
                      vreinterpretq_f32_u32(vshll_high_n_u16(a, 16)),
                      vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(b), 16)),
                      vreinterpretq_f32_u32(vshll_high_n_u16(b, 16))}};
}
static inline lanes16 lanes16_from_s8(const uint8_t *p) {
    const int8x16_t q = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t a = vmovl_s8(vget_low_s8(q)), b = vmovl_high_s8(q);
    return (lanes16){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(a))), vcvtq_f32_s32(vmovl_high_s16(a)),
                      vcvtq_f32_s32(vmovl_s16(vget_low_s16(b))), vcvtq_f32_s32(vmovl_high_s16(b))}};
}

static inline void lanes16_to_f16(uint8_t *p, lanes16 x) {
    for (int i = 0; i < 4; i++) vst1_u8(p + 8 * i, vreinterpret_u8_f16(vcvt_f16_f32(x.v[i])));
}
static inline void lanes16_to_bf16(uint8_t *p, lanes16 x) {
    for (int i = 0; i < 4; i++) {
        const uint32x4_t bits = vreinterpretq_u32_f32(x.v[i]), high = vshrq_n_u32(bits, 16);
        const uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
        const uint32x4_t near = vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
        const uint32x4_t nan = vorrq_u32(high, vdupq_n_u32(0x40));
        vst1_u8(p + 8 * i, vreinterpret_u8_u16(vmovn_u32(vbslq_u32(vceqq_f32(x.v[i], x.v[i]), near, nan))));
    }
}
/* Nearest even; the lanes are in -128 … 127. */
static inline void lanes16_to_s8(uint8_t *p, lanes16 x) {
    int16x4_t half[4];
    for (int i = 0; i < 4; i++) half[i] = vmovn_s32(vcvtnq_s32_f32(x.v[i]));
    vst1q_s8((int8_t *)p, vcombine_s8(vmovn_s16(vcombine_s16(half[0], half[1])), vmovn_s16(vcombine_s16(half[2], half[3]))));
}

#endif
