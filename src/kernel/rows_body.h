// Kernels over rows of floats, written once for every level with registers: the file of a level
// includes its lanes header and then this. kernel.h has the contracts, exp.h the constants,
// scalar/rows.c the meaning in plain loops.
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/exp.h"
#include "kernel/kernel_private.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

// ---- exp and tanh -----------------------------------------------------------------------------

// Horner with fma over n constants, highest first.
static ALWAYS_INLINE lanes16 horner(const float *c, int n, lanes16 x) {
    lanes16 p = lanes16_set1(c[0]);
    for (int i = 1; i < n; i++) p = lanes16_fma(p, x, lanes16_set1(c[i]));
    return p;
}

static ALWAYS_INLINE lanes16 exp16(lanes16 x) {
    static const float c[] = COP_EXP_COEFFICIENTS;
    const lanes16 low = lanes16_set1(COP_EXP_LOW);
    const lanes16 at = lanes16_min(lanes16_max(x, low), lanes16_set1(COP_EXP_HIGH));
    const lanes16 n = lanes16_round(lanes16_mul(at, lanes16_set1(COP_EXP_LOG2E)));
    lanes16 r = lanes16_fma(n, lanes16_set1(-COP_EXP_LN2_HI), at);
    r = lanes16_fma(n, lanes16_set1(-COP_EXP_LN2_LO), r);
    return lanes16_less(x, low, lanes16_zero(), lanes16_exponent(horner(c, 7, r), n));
}

static ALWAYS_INLINE lanes16 tanh16(lanes16 k) {
    const lanes16 one = lanes16_set1(1), two = lanes16_set1(2);
    return lanes16_sub(one, lanes16_div(two, lanes16_add(exp16(lanes16_mul(two, k)), one)));
}

// ---- sums along a row -------------------------------------------------------------------------

void LANES16_LEVEL(cop_rmsnorm)(float *y, const float *x, const float *w, int n, float eps) {
    lanes16 sum = lanes16_zero();
    for (int i = 0; i < n; i += 16) {
        const lanes16 v = lanes16_load_n(x + i, n - i);
        sum = lanes16_fma(v, v, sum);
    }
    const lanes16 s = lanes16_set1(1.0f / sqrtf(lanes16_fold(sum) / (float)n + eps));
    for (int i = 0; i < n; i += 16) {
        lanes16 v = lanes16_mul(lanes16_load_n(x + i, n - i), s);
        if (w) v = lanes16_mul(v, lanes16_load_n(w + i, n - i));
        lanes16_store_n(y + i, v, n - i);
    }
}

void LANES16_LEVEL(cop_layernorm)(float *y, const float *x, const float *w, const float *b, int n, float eps) {
    lanes16 sum = lanes16_zero();
    for (int i = 0; i < n; i += 16) sum = lanes16_add(sum, lanes16_load_n(x + i, n - i));
    const lanes16 mean = lanes16_set1(lanes16_fold(sum) / (float)n);

    sum = lanes16_zero();
    for (int i = 0; i < n; i += 16) {
        const lanes16 v = lanes16_first(lanes16_sub(lanes16_load_n(x + i, n - i), mean), n - i);
        sum = lanes16_fma(v, v, sum);
    }
    const lanes16 s = lanes16_set1(1.0f / sqrtf(lanes16_fold(sum) / (float)n + eps));
    for (int i = 0; i < n; i += 16) {
        const lanes16 v = lanes16_mul(lanes16_sub(lanes16_load_n(x + i, n - i), mean), s);
        const lanes16 weight = w ? lanes16_load_n(w + i, n - i) : lanes16_set1(1);
        const lanes16 bias = b ? lanes16_load_n(b + i, n - i) : lanes16_zero();
        lanes16_store_n(y + i, lanes16_fma(v, weight, bias), n - i);
    }
}

static float row_max(const float *s, int n) {
    float max = s[0];
    int i = 0;
    if (n >= 16) {
        lanes16 most = lanes16_load(s);
        for (i = 16; i + 16 <= n; i += 16) most = lanes16_max(most, lanes16_load(s + i));
        max = lanes16_fold_max(most);
    }
    for (; i < n; i++) max = s[i] > max ? s[i] : max;
    return max;
}

float LANES16_LEVEL(cop_softmax)(float *s, int n) {
    const lanes16 max = lanes16_set1(row_max(s, n));
    lanes16 sum = lanes16_zero();
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        const lanes16 e = exp16(lanes16_sub(lanes16_load(s + i), max));
        lanes16_store(s + i, e);
        sum = lanes16_add(sum, e);
    }
    if (i < n) {
        const lanes16 e = exp16(lanes16_sub(lanes16_load_n(s + i, n - i), max));
        lanes16_store_n(s + i, e, n - i);
        sum = lanes16_add(sum, lanes16_first(e, n - i));
    }
    return lanes16_fold(sum);
}

// ---- element by element -----------------------------------------------------------------------

void LANES16_LEVEL(cop_add)(float *y, const float *x, int n) {
    for (int i = 0; i < n; i += 16)
        lanes16_store_n(y + i, lanes16_add(lanes16_load_n(y + i, n - i), lanes16_load_n(x + i, n - i)), n - i);
}

void LANES16_LEVEL(cop_scale)(float *y, const float *x, float s, int n) {
    const lanes16 by = lanes16_set1(s);
    for (int i = 0; i < n; i += 16) lanes16_store_n(y + i, lanes16_mul(lanes16_load_n(x + i, n - i), by), n - i);
}

void LANES16_LEVEL(cop_axpy)(float *y, const float *x, float s, int n) {
    const lanes16 by = lanes16_set1(s);
    for (int i = 0; i < n; i += 16) {
        const lanes16 sum = lanes16_fma(lanes16_load_n(x + i, n - i), by, lanes16_load_n(y + i, n - i));
        lanes16_store_n(y + i, sum, n - i);
    }
}

void LANES16_LEVEL(cop_softcap)(float *s, float cap, int n) {
    const lanes16 most = lanes16_set1(cap);
    for (int i = 0; i < n; i += 16) {
        const lanes16 k = lanes16_div(lanes16_load_n(s + i, n - i), most);
        lanes16_store_n(s + i, lanes16_mul(most, tanh16(k)), n - i);
    }
}

static ALWAYS_INLINE lanes16 silu16(lanes16 g) {
    return lanes16_div(g, lanes16_add(lanes16_set1(1), exp16(lanes16_neg(g))));
}

static ALWAYS_INLINE lanes16 gelu_tanh16(lanes16 g) {
    const lanes16 cube = lanes16_mul(lanes16_mul(lanes16_set1(COP_GELU_INNER), g), g);
    const lanes16 k = lanes16_mul(lanes16_set1(COP_GELU_OUTER), lanes16_fma(cube, g, g));
    return lanes16_mul(lanes16_mul(lanes16_set1(0.5f), g), lanes16_add(lanes16_set1(1), tanh16(k)));
}

static ALWAYS_INLINE lanes16 gelu_erf16(lanes16 g) {
    static const float c[] = COP_ERF_COEFFICIENTS;
    const lanes16 one = lanes16_set1(1), h = lanes16_mul(lanes16_set1(0.5f), g);
    const lanes16 t = lanes16_div(one, lanes16_fma(lanes16_set1(COP_ERF_P), lanes16_abs(g), one));
    const lanes16 e = lanes16_mul(lanes16_mul(horner(c, 6, t), t), exp16(lanes16_neg(lanes16_mul(h, g))));
    return lanes16_mul(h, lanes16_less(g, lanes16_zero(), e, lanes16_sub(lanes16_set1(2), e)));
}

static ALWAYS_INLINE lanes16 relu16(lanes16 g) { return lanes16_less(lanes16_zero(), g, g, lanes16_zero()); }

static ALWAYS_INLINE lanes16 activate16(cop_act_kind kind, lanes16 g) {
    return kind == COP_ACT_SILU ? silu16(g) : kind == COP_ACT_GELU_TANH ? gelu_tanh16(g)
           : kind == COP_ACT_GELU_ERF ? gelu_erf16(g) : relu16(g);
}

static ALWAYS_INLINE void activate(cop_act_kind kind, float *y, const float *g, const float *u, int n) {
    for (int i = 0; i < n; i += 16) {
        lanes16 v = activate16(kind, lanes16_load_n(g + i, n - i));
        if (u) v = lanes16_mul(v, lanes16_load_n(u + i, n - i));
        lanes16_store_n(y + i, v, n - i);
    }
}

void LANES16_LEVEL(cop_silu)(float *y, const float *g, const float *u, int n) { activate(COP_ACT_SILU, y, g, u, n); }
void LANES16_LEVEL(cop_gelu_tanh)(float *y, const float *g, const float *u, int n) {
    activate(COP_ACT_GELU_TANH, y, g, u, n);
}
void LANES16_LEVEL(cop_gelu_erf)(float *y, const float *g, const float *u, int n) {
    activate(COP_ACT_GELU_ERF, y, g, u, n);
}
void LANES16_LEVEL(cop_relu)(float *y, const float *g, const float *u, int n) { activate(COP_ACT_RELU, y, g, u, n); }

// ---- rope -------------------------------------------------------------------------------------

static ALWAYS_INLINE void rotate(lanes16 *a, lanes16 *b, lanes16 cosine, lanes16 sine) {
    const lanes16 first = lanes16_fma(*a, cosine, lanes16_neg(lanes16_mul(*b, sine)));
    *b = lanes16_fma(*a, sine, lanes16_mul(*b, cosine));
    *a = first;
}

static void rope_pairs(float *x, const float *cs) {
    lanes16 a, b, cosine, sine;
    lanes16_split(cs, &cosine, &sine);
    lanes16_split(x, &a, &b);
    rotate(&a, &b, cosine, sine);
    lanes16_join(x, a, b);
}

static void rope_interleaved(float *x, const float *cs, int half) {
    int i = 0;
    for (; i + 16 <= half; i += 16) rope_pairs(x + 2 * i, cs + 2 * i);
    if (i == half) return;
    float x_end[32] = {0}, cs_end[32] = {0};
    const size_t bytes = (size_t)(half - i) * 2 * sizeof(float);
    memcpy(x_end, x + 2 * i, bytes);
    memcpy(cs_end, cs + 2 * i, bytes);
    rope_pairs(x_end, cs_end);
    memcpy(x + 2 * i, x_end, bytes);
}

static void rope_split(float *x, const float *cs, int half) {
    for (int i = 0; i < half; i += 16) {
        const int n = half - i;
        float cs_end[32] = {0};
        if (n < 16) memcpy(cs_end, cs + 2 * i, (size_t)n * 2 * sizeof(float));
        lanes16 a = lanes16_load_n(x + i, n), b = lanes16_load_n(x + half + i, n), cosine, sine;
        lanes16_split(n < 16 ? cs_end : cs + 2 * i, &cosine, &sine);
        rotate(&a, &b, cosine, sine);
        lanes16_store_n(x + i, a, n);
        lanes16_store_n(x + half + i, b, n);
    }
}

void LANES16_LEVEL(cop_rope)(float *x, const float *cs, int half, bool half_split) {
    if (half_split)
        rope_split(x, cs, half);
    else
        rope_interleaved(x, cs, half);
}
