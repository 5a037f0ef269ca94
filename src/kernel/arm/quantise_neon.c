// Activations to blocks of 32 signed bytes for NEON: one block is eight registers.
#include <arm_neon.h>
#include <math.h>

#include "kernel/kernel_private.h"

static float largest_magnitude(const float32x4_t v[8]) {
    float32x4_t a = vabsq_f32(v[0]);
    for (int i = 1; i < 8; i++) a = vmaxq_f32(a, vabsq_f32(v[i]));
    return vmaxvq_f32(a);
}

// Nearest even, which is what vcvtn does.
static int8x16_t round16(const float32x4_t v[4], float scale) {
    int32x4_t n[4];
    for (int i = 0; i < 4; i++) n[i] = vcvtnq_s32_f32(vmulq_n_f32(v[i], scale));
    int16x8_t low = vcombine_s16(vmovn_s32(n[0]), vmovn_s32(n[1]));
    int16x8_t high = vcombine_s16(vmovn_s32(n[2]), vmovn_s32(n[3]));
    return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

static void quantise_block(cop_act *out, const float *x) {
    float32x4_t v[8];
    for (int i = 0; i < 8; i++) v[i] = vld1q_f32(x + 4 * i);
    float a = largest_magnitude(v), scale = 127 / a;
    if (!(a > 0) || isinf(scale)) {
        *out = (cop_act){0};
        return;
    }
    int8x16_t first = round16(v, scale), second = round16(v + 4, scale);
    vst1q_s8(out->q, first);
    vst1q_s8(out->q + 16, second);
    int32_t sum_first = vaddlvq_s8(first), sum_second = vaddlvq_s8(second);
    out->d = a / 127;
    out->ds = out->d * (float)(sum_first + sum_second);
    out->n[0] = -(sum_first + sum_second);
    out->n[1] = -sum_second;
}

void cop_quantise_neon(cop_act *out, size_t stride, const float *x, int n_blocks) {
    for (int b = 0; b < n_blocks; b++) quantise_block(out + (size_t)b * stride, x + COP_BLOCK * b);
}
