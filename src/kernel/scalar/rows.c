// Kernels over rows of floats, scalar: the meaning of rmsnorm, layernorm, the activations, rope and
// softmax. kernel.h has the contracts, exp.h the constants; the fast levels are rows_body.h.
#include <math.h>
#include <string.h>

#include "kernel/exp.h"
#include "kernel/kernel_private.h"

float cop_expf_scalar(float x) {
    static const float c[] = COP_EXP_COEFFICIENTS;
    if (x < COP_EXP_LOW) return 0;
    if (x > COP_EXP_HIGH) x = COP_EXP_HIGH;
    const float n = rintf(x * COP_EXP_LOG2E);  // the rounding mode is nearest even
    float r = fmaf(n, -COP_EXP_LN2_HI, x);
    r = fmaf(n, -COP_EXP_LN2_LO, r);
    float p = c[0];
    for (int i = 1; i < 7; i++) p = fmaf(p, r, c[i]);

    uint32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (uint32_t)(int32_t)n << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

static float tanh_by_exp(float k) { return 1.0f - 2.0f / (cop_expf_scalar(2.0f * k) + 1.0f); }

// ---- sums along a row -------------------------------------------------------------------------

static float fold_sum(float lane[16]) {
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) lane[i] += lane[i + width];
    return lane[0];
}

void cop_rmsnorm_scalar(float *y, const float *x, const float *w, int n, float eps) {
    float lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] = fmaf(x[i], x[i], lane[i % 16]);
    const float s = 1.0f / sqrtf(fold_sum(lane) / (float)n + eps);
    for (int i = 0; i < n; i++) {
        const float unit = x[i] * s;
        y[i] = w ? unit * w[i] : unit;
    }
}

void cop_layernorm_scalar(float *y, const float *x, const float *w, const float *b, int n, float eps) {
    float lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] += x[i];
    const float mean = fold_sum(lane) / (float)n;

    memset(lane, 0, sizeof lane);
    for (int i = 0; i < n; i++) lane[i % 16] = fmaf(x[i] - mean, x[i] - mean, lane[i % 16]);
    const float s = 1.0f / sqrtf(fold_sum(lane) / (float)n + eps);
    for (int i = 0; i < n; i++) y[i] = fmaf((x[i] - mean) * s, w ? w[i] : 1.0f, b ? b[i] : 0.0f);
}

float cop_softmax_scalar(float *s, int n) {
    float max = s[0], lane[16] = {0};
    for (int i = 1; i < n; i++) max = s[i] > max ? s[i] : max;
    for (int i = 0; i < n; i++) {
        s[i] = cop_expf_scalar(s[i] - max);
        lane[i % 16] += s[i];
    }
    return fold_sum(lane);
}

// ---- element by element -----------------------------------------------------------------------

void cop_add_scalar(float *y, const float *x, int n) {
    for (int i = 0; i < n; i++) y[i] += x[i];
}

void cop_scale_scalar(float *y, const float *x, float s, int n) {
    for (int i = 0; i < n; i++) y[i] = x[i] * s;
}

void cop_axpy_scalar(float *y, const float *x, float s, int n) {
    for (int i = 0; i < n; i++) y[i] = fmaf(x[i], s, y[i]);
}

void cop_softcap_scalar(float *s, float cap, int n) {
    for (int i = 0; i < n; i++) s[i] = cap * tanh_by_exp(s[i] / cap);
}

static float silu(float g) { return g / (1.0f + cop_expf_scalar(-g)); }

static float gelu_tanh(float g) {
    const float k = COP_GELU_OUTER * fmaf(COP_GELU_INNER * g * g, g, g);
    return 0.5f * g * (1.0f + tanh_by_exp(k));
}

static float gelu_erf(float g) {
    static const float c[] = COP_ERF_COEFFICIENTS;
    const float h = 0.5f * g, t = 1.0f / fmaf(COP_ERF_P, fabsf(g), 1.0f);
    float p = c[0];
    for (int i = 1; i < 6; i++) p = fmaf(p, t, c[i]);
    const float e = p * t * cop_expf_scalar(-(h * g));
    return h * (g < 0 ? e : 2.0f - e);
}

void cop_silu_scalar(float *y, const float *g, const float *u, int n) {
    for (int i = 0; i < n; i++) y[i] = u ? silu(g[i]) * u[i] : silu(g[i]);
}

void cop_gelu_tanh_scalar(float *y, const float *g, const float *u, int n) {
    for (int i = 0; i < n; i++) y[i] = u ? gelu_tanh(g[i]) * u[i] : gelu_tanh(g[i]);
}

void cop_gelu_erf_scalar(float *y, const float *g, const float *u, int n) {
    for (int i = 0; i < n; i++) y[i] = u ? gelu_erf(g[i]) * u[i] : gelu_erf(g[i]);
}

void cop_relu_scalar(float *y, const float *g, const float *u, int n) {
    for (int i = 0; i < n; i++) {
        const float positive = 0 < g[i] ? g[i] : 0;
        y[i] = u ? positive * u[i] : positive;
    }
}

void cop_rope_scalar(float *x, const float *cs, int half, bool half_split) {
    for (int i = 0; i < half; i++) {
        float *a = half_split ? &x[i] : &x[2 * i], *b = half_split ? &x[i + half] : &x[2 * i + 1];
        const float cosine = cs[2 * i], sine = cs[2 * i + 1], old = *a;
        *a = fmaf(old, cosine, -(*b * sine));
        *b = fmaf(old, sine, *b * cosine);
    }
}
