// Activations to signed bytes with one scale per 32: the meaning of cop_quantise_fn.
#include <math.h>

#include "kernel/kernel_private.h"

static cop_act quantise_block(const float *x) {
    cop_act act = {0};
    float a = 0;
    for (int i = 0; i < COP_BLOCK; i++) a = fabsf(x[i]) > a ? fabsf(x[i]) : a;
    const float scale = 127.0f / a;
    if (isinf(scale)) return act;  // a is 0, or next to it

    int half[2] = {0, 0};
    for (int i = 0; i < COP_BLOCK; i++) {
        act.q[i] = (int8_t)lrintf(x[i] * scale);  // the rounding mode is nearest even
        half[i / 16] += act.q[i];
    }
    act.d = a / 127.0f;
    act.ds = act.d * (float)(half[0] + half[1]);
    act.n[0] = -(half[0] + half[1]);
    act.n[1] = -half[1];
    return act;
}

void cop_quantise_scalar(cop_act *out, size_t stride, const float *x, int n_blocks) {
    for (int b = 0; b < n_blocks; b++) out[(size_t)b * stride] = quantise_block(x + (size_t)b * COP_BLOCK);
}
