// Products of F32, F16 and BF16 tiles for NEON. Sixteen rows are four registers; each column of the
// panel has a sum of the even and one of the odd columns of the matrix, so three columns of the panel
// fill 24 registers and leave room for the weights.
#include <arm_neon.h>

#include "kernel/kernel_private.h"

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

enum { MAX_WIDTH = 3, GROUPS = COP_TILE / 4, AHEAD = 1024 };

// Bytes of two columns of a tile.
INLINE size_t pair_bytes(cop_dtype type) { return type == COP_F32 ? 128 : 64; }

// Rows 4g … 4g + 3 of the two columns at w.
INLINE void load_pair(float32x4_t *even, float32x4_t *odd, cop_dtype type, const uint8_t *w, int g) {
    if (type == COP_F32) {
        *even = vreinterpretq_f32_u8(vld1q_u8(w + 16 * g));
        *odd = vreinterpretq_f32_u8(vld1q_u8(w + 64 + 16 * g));
    } else if (type == COP_F16) {
        *even = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(w + 8 * g)));
        *odd = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(w + 32 + 8 * g)));
    } else {
        uint32x4_t both = vreinterpretq_u32_u8(vld1q_u8(w + 16 * g));
        *even = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
        *odd = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000u)));
    }
}

INLINE void pass(float *y, size_t y_stride, cop_dtype type, const uint8_t *w, int pairs, const float *x, size_t x_stride,
                 int width) {
    float32x4_t even[MAX_WIDTH][GROUPS], odd[MAX_WIDTH][GROUPS];
    UNROLL for (int c = 0; c < width; c++)
        UNROLL for (int g = 0; g < GROUPS; g++) even[c][g] = odd[c][g] = vdupq_n_f32(0);
    for (int j = 0; j < pairs; j++, w += pair_bytes(type)) {
        __builtin_prefetch(w + AHEAD);
        float32x2_t two[MAX_WIDTH];
        UNROLL for (int c = 0; c < width; c++) two[c] = vld1_f32(x + (size_t)c * x_stride + 2 * j);
        UNROLL for (int g = 0; g < GROUPS; g++) {
            float32x4_t w_even, w_odd;
            load_pair(&w_even, &w_odd, type, w, g);
            UNROLL for (int c = 0; c < width; c++) {
                even[c][g] = vfmaq_lane_f32(even[c][g], w_even, two[c], 0);
                odd[c][g] = vfmaq_lane_f32(odd[c][g], w_odd, two[c], 1);
            }
        }
    }
    UNROLL for (int c = 0; c < width; c++)
        UNROLL for (int g = 0; g < GROUPS; g++)
            vst1q_f32(y + (size_t)c * y_stride + 4 * g, vaddq_f32(even[c][g], odd[c][g]));
}

INLINE void product(float *y, size_t y_stride, cop_dtype type, const uint8_t *w, int cols, const float *x,
                    size_t x_stride, int n) {
    const int pairs = (cols + 1) / 2;
    for (int c = 0; c < n; c += MAX_WIDTH, y += MAX_WIDTH * y_stride, x += MAX_WIDTH * x_stride) {
        int left = n - c;
        if (left == 1) pass(y, y_stride, type, w, pairs, x, x_stride, 1);
        else if (left == 2) pass(y, y_stride, type, w, pairs, x, x_stride, 2);
        else pass(y, y_stride, type, w, pairs, x, x_stride, 3);
    }
}

#define PRODUCT(name, type)                                                                              \
    void cop_product_##name##_neon(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, \
                                   size_t x_stride, int n) {                                             \
        product(y, y_stride, type, w, cols, x, x_stride, n);                                             \
    }

PRODUCT(f32, COP_F32)
PRODUCT(f16, COP_F16)
PRODUCT(bf16, COP_BF16)
