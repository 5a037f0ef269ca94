// Products of quantised tiles for NEON with dotprod: signed bytes times signed bytes, four columns of
// the matrix at a time, four rows to a register. Every weight is made a signed byte first (the
// unsigned four-bit ones fit as they are), so no correction by activation sums is needed.
//
// A block's 16 rows are four groups of 4 rows; a group is unpacked into eight registers, used for up
// to four columns of the panel, and dropped: 16 registers of sums, 8 of activations, the rest weights.
// More than four columns take another pass over the tile, which is in the first-level cache by then.
#include <arm_neon.h>
#include <string.h>

#include "kernel/kernel_private.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define GROUP_ENDS (void)0
#else
#define UNROLL _Pragma("GCC unroll 8")
// gcc would mix the groups and spill some 300 registers over it.
#define GROUP_ENDS __asm__ volatile("" ::: "memory")
#endif

enum { MAX_WIDTH = 4, GROUPS = COP_TILE / 4, AHEAD = 4 * 288 };

// Bytes of the parts of a block of 32 columns, and of a block of 256.
enum { NIBBLES = 256, FIFTH = 64, PAIRS = 128, BYTES = 512, HALVES = 32, SCALES = 8 * COP_TILE };

// What one 32-column block of the tile says about scales, for a group of 4 rows.
typedef struct scales {
    float32x4_t d, m;   // w_d and w_m of the contract; of Q2_K D and DM
    int32x4_t s0, s1;   // the integer scales of the two halves: Q2_K, Q3_K, Q6_K
    int32x4_t m0, m1;   // the minima of the two halves: Q2_K
} scales;

INLINE bool has_halves(cop_dtype type) { return type == COP_Q2_K || type == COP_Q3_K || type == COP_Q6_K; }
INLINE bool is_k(cop_dtype type) {
    return has_halves(type) || type == COP_IQ4_XS || type == COP_Q4_K || type == COP_Q5_K;
}
INLINE bool has_minimum(cop_dtype type) {
    return type == COP_Q4_1 || type == COP_Q5_1 || type == COP_Q4_K || type == COP_Q5_K;
}

// Bytes of the weights of 32 columns, without scales.
INLINE size_t quant_bytes(cop_dtype type) {
    switch (type) {
    case COP_Q8_0: return BYTES;
    case COP_Q6_K: return NIBBLES + PAIRS;
    case COP_Q2_K: return PAIRS;
    case COP_Q3_K: return PAIRS + FIFTH;
    case COP_Q5_0: case COP_Q5_1: case COP_Q5_K: return NIBBLES + FIFTH;
    default: return NIBBLES;
    }
}

// Bytes of the unit that repeats in the tile: 32 columns, or 256 for the K types.
INLINE size_t unit_bytes(cop_dtype type) {
    switch (type) {
    case COP_Q4_1: case COP_Q5_1: return quant_bytes(type) + 2 * HALVES;
    case COP_Q2_K: case COP_Q4_K: case COP_Q5_K: return 8 * quant_bytes(type) + 2 * SCALES + 2 * HALVES;
    case COP_IQ4_XS: return 8 * quant_bytes(type) + SCALES + HALVES;
    case COP_MXFP4: return quant_bytes(type) + COP_TILE;
    case COP_Q3_K: case COP_Q6_K: return 8 * quant_bytes(type) + 2 * SCALES + HALVES;
    default: return quant_bytes(type) + HALVES;
    }
}

// Two bits, and of Q3_K a third, less 4.
INLINE void unpack_pairs(int8x16_t v[8], cop_dtype type, const uint8_t *q, int g) {
    const uint8x16_t third = type == COP_Q3_K ? vld1q_u8(q + PAIRS + 16 * g) : vdupq_n_u8(0);
    UNROLL for (int j = 0; j < 8; j++) {
        const uint8x16_t pairs = vshlq_u8(vld1q_u8(q + 64 * (j & 1) + 16 * g), vdupq_n_s8((int8_t)(-2 * (j >> 1))));
        uint8x16_t u = vandq_u8(pairs, vdupq_n_u8(3));
        if (type == COP_Q3_K) u = vorrq_u8(u, vandq_u8(vshlq_u8(third, vdupq_n_s8((int8_t)(2 - j))), vdupq_n_u8(4)));
        v[j] = type == COP_Q3_K ? vsubq_s8(vreinterpretq_s8_u8(u), vdupq_n_s8(4)) : vreinterpretq_s8_u8(u);
    }
}

// The eight vectors of group g (rows 4g … 4g + 3) of the block at q, as signed bytes.
INLINE void unpack(int8x16_t v[8], cop_dtype type, const uint8_t *q, int g) {
    if (type == COP_Q8_0) {
        UNROLL for (int j = 0; j < 8; j++) v[j] = vreinterpretq_s8_u8(vld1q_u8(q + 64 * j + 16 * g));
        return;
    }
    if (type == COP_Q2_K || type == COP_Q3_K) {
        unpack_pairs(v, type, q, g);
        return;
    }
    uint8x16_t u[8];
    UNROLL for (int j = 0; j < 4; j++) {
        uint8x16_t both = vld1q_u8(q + 64 * j + 16 * g);
        u[j] = vandq_u8(both, vdupq_n_u8(15));
        u[j + 4] = vshrq_n_u8(both, 4);
    }
    if (type == COP_IQ4_NL || type == COP_IQ4_XS || type == COP_MXFP4) {
        const int8x16_t values = vld1q_s8(type == COP_MXFP4 ? cop_mxfp4_values : cop_iq4_nl_values);
        UNROLL for (int j = 0; j < 8; j++) v[j] = vqtbl1q_s8(values, u[j]);
        return;
    }
    int offset = 0;
    if (type == COP_Q4_0) offset = 8;
    if (type == COP_Q5_0 || type == COP_Q5_1 || type == COP_Q5_K) {
        uint8x16_t fifth = vld1q_u8(q + NIBBLES + 16 * g);
        UNROLL for (int j = 0; j < 8; j++)
            u[j] = vorrq_u8(u[j], vandq_u8(vshlq_u8(fifth, vdupq_n_s8((int8_t)(4 - j))), vdupq_n_u8(16)));
        offset = 16;
    }
    if (type == COP_Q6_K) {
        UNROLL for (int j = 0; j < 8; j++) {
            uint8x16_t pairs = vld1q_u8(q + NIBBLES + 64 * (j & 1) + 16 * g);
            int8x16_t shift = vdupq_n_s8((int8_t)(4 - 2 * (j >> 1)));
            u[j] = vorrq_u8(u[j], vandq_u8(vshlq_u8(pairs, shift), vdupq_n_u8(48)));
        }
        offset = 32;
    }
    UNROLL for (int j = 0; j < 8; j++)
        v[j] = offset ? vsubq_s8(vreinterpretq_s8_u8(u[j]), vdupq_n_s8((int8_t)offset)) : vreinterpretq_s8_u8(u[j]);
}

INLINE float32x4_t load_halves(const uint8_t *p, int g) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * g)));
}

// Four bytes, unsigned or signed, as integers.
INLINE uint32x4_t load_u8(const uint8_t *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
}
INLINE int32x4_t load_s8(const uint8_t *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four))));
}

// 2^(e - 128), which is no normal number for e < 2.
INLINE float32x4_t load_exponents(const uint8_t *p) {
    const uint32x4_t e = load_u8(p), one = vdupq_n_u32(1);
    const uint32x4_t normal = vshlq_n_u32(vsubq_u32(e, one), 23), tiny = vshlq_n_u32(vaddq_u32(e, one), 21);
    return vreinterpretq_f32_u32(vbslq_u32(vcgtq_u32(e, one), normal, tiny));
}

// The integer scales and minima of the halves of a block, and D, DM.
INLINE scales read_half_scales(cop_dtype type, const uint8_t *p, int sub, int g) {
    const uint8_t *first = p + 2 * sub * COP_TILE + 4 * g, *second = first + COP_TILE;
    scales s = {.d = load_halves(p + 2 * SCALES, g), .m = vdupq_n_f32(0), .m0 = vdupq_n_s32(0), .m1 = vdupq_n_s32(0)};
    if (type == COP_Q6_K) {
        s.s0 = load_s8(first);
        s.s1 = load_s8(second);
        return s;
    }
    const int32x4_t a = vreinterpretq_s32_u32(load_u8(first)), b = vreinterpretq_s32_u32(load_u8(second));
    if (type == COP_Q3_K) {
        s.s0 = vsubq_s32(a, vdupq_n_s32(32));
        s.s1 = vsubq_s32(b, vdupq_n_s32(32));
        return s;
    }
    s.s0 = vandq_s32(a, vdupq_n_s32(15));
    s.s1 = vandq_s32(b, vdupq_n_s32(15));
    s.m0 = vshrq_n_s32(a, 4);
    s.m1 = vshrq_n_s32(b, 4);
    s.m = load_halves(p + 2 * SCALES + HALVES, g);
    return s;
}

// The scales of group g. unit: start of the repeating unit; sub: which block of 32 in it.
INLINE scales read_scales(cop_dtype type, const uint8_t *unit, int sub, int g) {
    const int32x4_t none = vdupq_n_s32(0);
    scales s = {vdupq_n_f32(0), vdupq_n_f32(0), none, none, none, none};
    const uint8_t *p = unit + (is_k(type) ? 8 : 1) * quant_bytes(type);
    if (has_halves(type)) return read_half_scales(type, p, sub, g);
    if (type == COP_MXFP4) {
        s.d = load_exponents(p + 4 * g);
    } else if (!is_k(type)) {
        s.d = load_halves(p, g);
        if (type == COP_Q4_1) s.m = load_halves(p + HALVES, g);
        if (type == COP_Q5_1) s.m = vfmaq_n_f32(load_halves(p + HALVES, g), s.d, 16);
    } else if (type == COP_IQ4_XS) {
        const int32x4_t S = vsubq_s32(vreinterpretq_s32_u32(load_u8(p + sub * COP_TILE + 4 * g)), vdupq_n_s32(32));
        s.d = vmulq_f32(load_halves(p + SCALES, g), vcvtq_f32_s32(S));
    } else {
        float32x4_t scale = vcvtq_f32_u32(load_u8(p + sub * COP_TILE + 4 * g));
        float32x4_t minimum = vcvtq_f32_u32(load_u8(p + SCALES + sub * COP_TILE + 4 * g));
        s.d = vmulq_f32(load_halves(p + 2 * SCALES, g), scale);
        s.m = vnegq_f32(vmulq_f32(load_halves(p + 2 * SCALES + HALVES, g), minimum));
        if (type == COP_Q5_K) s.m = vfmaq_n_f32(s.m, s.d, 16);
    }
    return s;
}

// t + sums over 16 columns of four rows of weights times 16 activations.
INLINE int32x4_t dot16(int32x4_t t, const int8x16_t v[4], int8x16_t x) {
    t = vdotq_laneq_s32(t, v[0], x, 0);
    t = vdotq_laneq_s32(t, v[1], x, 1);
    t = vdotq_laneq_s32(t, v[2], x, 2);
    return vdotq_laneq_s32(t, v[3], x, 3);
}

// One block of 32 columns and one group of rows, for `width` columns of the panel.
INLINE void add_group(float32x4_t acc[][GROUPS], cop_dtype type, const uint8_t *unit, int sub, int g, const cop_act *x,
                      int8x16_t q[][2], int width) {
    int8x16_t v[8];
    unpack(v, type, unit + (size_t)sub * quant_bytes(type), g);
    scales s = read_scales(type, unit, sub, g);
    UNROLL for (int c = 0; c < width; c++) {
        int32x4_t t = dot16(vdupq_n_s32(0), v, q[c][0]);
        if (has_halves(type)) {
            int32x4_t second = dot16(vdupq_n_s32(0), v + 4, q[c][1]);
            t = vmlaq_s32(vmulq_s32(t, s.s0), second, s.s1);
        } else {
            t = dot16(t, v + 4, q[c][1]);
        }
        float32x4_t u = vmulq_f32(vcvtq_f32_s32(t), s.d);
        if (type == COP_Q2_K) {  // the sums are kept negated
            const int32x4_t minima = vmlaq_n_s32(vmulq_n_s32(s.m0, x[c].n[0] - x[c].n[1]), s.m1, x[c].n[1]);
            u = vfmaq_f32(u, vcvtq_f32_s32(minima), s.m);
        }
        acc[c][g] = vfmaq_n_f32(acc[c][g], u, x[c].d);
        if (has_minimum(type)) acc[c][g] = vfmaq_n_f32(acc[c][g], s.m, x[c].ds);
    }
}

// The whole tile for `width` columns; stride: blocks of the panel from one block of columns to the next.
INLINE void pass(float *y, size_t y_stride, cop_dtype type, const uint8_t *w, int n_blocks, const cop_act *x,
                 size_t stride, int width) {
    float32x4_t acc[MAX_WIDTH][GROUPS];
    UNROLL for (int c = 0; c < width; c++) UNROLL for (int g = 0; g < GROUPS; g++) acc[c][g] = vdupq_n_f32(0);
    const int per_unit = is_k(type) ? 8 : 1;
    for (int b = 0; b < n_blocks; b++, x += stride) {
        int sub = b % per_unit;
        int8x16_t q[MAX_WIDTH][2];
        UNROLL for (int c = 0; c < width; c++) q[c][0] = vld1q_s8(x[c].q), q[c][1] = vld1q_s8(x[c].q + 16);
        __builtin_prefetch(w + (size_t)sub * quant_bytes(type) + AHEAD);
        UNROLL for (int g = 0; g < GROUPS; g++) {
            add_group(acc, type, w, sub, g, x, q, width);
            GROUP_ENDS;
        }
        if (sub == per_unit - 1) w += unit_bytes(type);
    }
    UNROLL for (int c = 0; c < width; c++)
        UNROLL for (int g = 0; g < GROUPS; g++) vst1q_f32(y + (size_t)c * y_stride + 4 * g, acc[c][g]);
}

INLINE void product(float *y, size_t y_stride, cop_dtype type, const uint8_t *w, int cols, const cop_act *x, int n) {
    const int n_blocks = cols / COP_BLOCK;
    for (int c = 0; c < n; c += MAX_WIDTH, y += MAX_WIDTH * y_stride) {
        const cop_act *at = x + cop_panel_index(n, n_blocks, 0, c);
        int first = c & ~(COP_MAX_COLUMNS - 1), left = n - c;
        size_t stride = (size_t)(n - first < COP_MAX_COLUMNS ? n - first : COP_MAX_COLUMNS);
        switch (left < MAX_WIDTH ? left : MAX_WIDTH) {
        case 1: pass(y, y_stride, type, w, n_blocks, at, stride, 1); break;
        case 2: pass(y, y_stride, type, w, n_blocks, at, stride, 2); break;
        case 3: pass(y, y_stride, type, w, n_blocks, at, stride, 3); break;
        default: pass(y, y_stride, type, w, n_blocks, at, stride, 4); break;
        }
    }
}

#define PRODUCT(name, type)                                                                                    \
    void cop_product_##name##_neon(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x,       \
                                   size_t x_stride, int n) {                                                   \
        (void)x_stride;                                                                                        \
        product(y, y_stride, type, w, cols, x, n);                                                             \
    }

PRODUCT(q4_0, COP_Q4_0)
PRODUCT(iq4_nl, COP_IQ4_NL)
PRODUCT(mxfp4, COP_MXFP4)
PRODUCT(q2_k, COP_Q2_K)
PRODUCT(q3_k, COP_Q3_K)
PRODUCT(iq4_xs, COP_IQ4_XS)
PRODUCT(q4_1, COP_Q4_1)
PRODUCT(q5_0, COP_Q5_0)
PRODUCT(q5_1, COP_Q5_1)
PRODUCT(q8_0, COP_Q8_0)
PRODUCT(q4_k, COP_Q4_K)
PRODUCT(q5_k, COP_Q5_K)
PRODUCT(q6_k, COP_Q6_K)
