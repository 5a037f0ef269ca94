// Rates of the neon level, for benches: dot products and fused multiply-adds.
#include <arm_neon.h>

#include "kernel/kernel_private.h"

#define KEEP(x) __asm__ volatile("" : "+w"(x))

double cop_spin_int_neon(int64_t n) {
    int32x4_t a[12];
    int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(1);
    for (int j = 0; j < 12; j++) a[j] = vdupq_n_s32(0);
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) a[j] = vdotq_s32(a[j], w, x);
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) KEEP(a[j]);
    return 12.0 * 32.0 * (double)n;
}

double cop_spin_float_neon(int64_t n) {
    float32x4_t a[12], w = vdupq_n_f32(0.5f), x = vdupq_n_f32(0.25f);
    for (int j = 0; j < 12; j++) a[j] = vdupq_n_f32(0);
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) a[j] = vfmaq_f32(a[j], w, x);
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) KEEP(a[j]);
    return 12.0 * 8.0 * (double)n;
}

uint64_t cop_stream_neon(const uint8_t *p, size_t bytes) {
    uint64x2_t a[4];
    for (int j = 0; j < 4; j++) a[j] = vdupq_n_u64(0);
    for (size_t i = 0; i < bytes; i += 512) {
#pragma GCC unroll 32
        for (int j = 0; j < 32; j++) a[j % 4] = veorq_u64(a[j % 4], vreinterpretq_u64_u8(vld1q_u8(p + i + 16 * j)));
    }
    a[0] = veorq_u64(veorq_u64(a[0], a[1]), veorq_u64(a[2], a[3]));
    return vgetq_lane_u64(a[0], 0) ^ vgetq_lane_u64(a[0], 1);
}
