// Scales of the K types, IQ4_XS and IQ4_NL by weighted least squares.
//
// A block is cut into runs of 16 or 32 elements. For each run some scales (and minima) are tried: the
// codes they give determine the best scale for those codes, and the smallest squared error wins. The
// runs' scales are then rounded to multiples of the block's d and dm, each with its neighbours tried in
// the place of it, and d and dm are fitted anew to all codes, as long as the error falls.
// An element's weight is 1 + |x| over the block's root mean square: errors of large elements count for more.
// Cost: about a hundred passes over each element. Sums run in eight lanes, folded in a fixed order.
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/quantise_private.h"

enum { SUPER = 256, MAX_RUN = 32, LANES = 8, ROUNDS = 3 };

// What codes and scales of a type may be.
typedef struct shape {
    int block, run;          // elements
    int low, high;           // values of the codes; of the table: ignored
    int S_low, S_high, M_high;  // integer scales; M_high 0: no minima
    bool table;              // values are those of IQ4_NL
} shape;

static shape shape_of(cop_dtype type) {
    switch (type) {
    case COP_Q2_K: return (shape){256, 16, 0, 3, 0, 15, 15, false};
    case COP_Q3_K: return (shape){256, 16, -4, 3, -32, 31, 0, false};
    case COP_Q4_K: return (shape){256, 32, 0, 15, 0, 63, 63, false};
    case COP_Q5_K: return (shape){256, 32, 0, 31, 0, 63, 63, false};
    case COP_Q6_K: return (shape){256, 16, -32, 31, -128, 127, 0, false};
    case COP_IQ4_XS: return (shape){256, 32, -127, 113, -32, 31, 0, true};
    default: return (shape){32, 32, -127, 113, 1, 1, 0, true};  // IQ4_NL: the half is the scale
    }
}

// One run: its elements and weights, and the sums that do not depend on codes.
typedef struct run {
    const float *x, *w;
    int n;
    float sum_w, sum_x, sum_xx;  // of w, w x, w x x
} run;

// Sums over a run that depend on the values q of its codes: w q, w q q, w x q.
typedef struct fit {
    float q, qq, xq;
} fit;

static float fold(const float s[LANES]) { return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])); }

static run run_of(const float *x, const float *w, int n) {
    float sum_w[LANES] = {0}, sum_x[LANES] = {0}, sum_xx[LANES] = {0};
    for (int i = 0; i < n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            sum_w[l] += w[i + l];
            sum_x[l] += w[i + l] * x[i + l];
            sum_xx[l] += w[i + l] * x[i + l] * x[i + l];
        }
    }
    return (run){x, w, n, fold(sum_w), fold(sum_x), fold(sum_xx)};
}

// ---- nearest values -------------------------------------------------------------------------------

// Nearest even for |x| < 2^22, in a form that compilers make vectors of.
static float nearest(float x) {
    const float big = 0x1.8p23f;
    return (x + big) - big;
}

// The nearest values of the table, by adding a step for each middle that is passed.
static void nearest_of_table(float q[MAX_RUN], int n) {
    float v[MAX_RUN];
    memcpy(v, q, (size_t)n * sizeof *v);
    for (int i = 0; i < n; i++) q[i] = (float)cop_iq4_nl_values[0];
    for (int t = 1; t < 16; t++) {
        const float low = (float)cop_iq4_nl_values[t - 1], high = (float)cop_iq4_nl_values[t];
        for (int i = 0; i < n; i++) q[i] += v[i] > 0.5f * (low + high) ? high - low : 0;
    }
}

static int table_code(float value) {
    int n = 0;
    while ((float)cop_iq4_nl_values[n] != value) n++;
    return n;
}

static void nearest_values(float q[MAX_RUN], const shape *s, const run *r, float inverse, float shift) {
    const float low = (float)s->low, high = (float)s->high;
    for (int i = 0; i < r->n; i++) {
        float v = r->x[i] * inverse + shift;
        v = v < low ? low : v;
        q[i] = v < high ? v : high;
    }
    if (s->table) {
        nearest_of_table(q, r->n);
        return;
    }
    for (int i = 0; i < r->n; i++) q[i] = nearest(q[i]);
}

// The sums for the values nearest to x * inverse + shift.
static fit fit_of(const shape *s, const run *r, float inverse, float shift) {
    float q[MAX_RUN], sum_q[LANES] = {0}, sum_qq[LANES] = {0}, sum_xq[LANES] = {0};
    nearest_values(q, s, r, inverse, shift);
    for (int i = 0; i < r->n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            const float wq = r->w[i + l] * q[i + l];
            sum_q[l] += wq;
            sum_qq[l] += wq * q[i + l];
            sum_xq[l] += wq * r->x[i + l];
        }
    }
    return (fit){fold(sum_q), fold(sum_qq), fold(sum_xq)};
}

// ---- one run alone ----------------------------------------------------------------------------------

typedef struct pair {
    float d, m;  // x is near d q - m
} pair;

static float error_of(const run *r, const fit *f, pair p) {
    return r->sum_xx - 2 * p.d * f->xq + 2 * p.m * r->sum_x + p.d * p.d * f->qq - 2 * p.d * p.m * f->q + p.m * p.m * r->sum_w;
}

// The best d and m >= 0 (0 without minima) for these codes.
static pair solve(const shape *s, const run *r, const fit *f) {
    if (s->M_high) {
        const float det = r->sum_w * f->qq - f->q * f->q;
        if (det > 0) {
            const pair p = {(r->sum_w * f->xq - r->sum_x * f->q) / det, (f->q * f->xq - f->qq * r->sum_x) / det};
            if (p.m > 0 && p.d >= 0) return p;
        }
    }
    return (pair){f->qq > 0 ? f->xq / f->qq : 0, 0};
}

// Tries one scale and, with minima, one shift; keeps what is better than *best.
static void try_scale(const shape *s, const run *r, float inverse, float shift, pair *best, float *least) {
    if (!isfinite(inverse)) return;
    const fit f = fit_of(s, r, inverse, shift);
    const pair p = solve(s, r, &f);
    const float error = error_of(r, &f, p);
    if (error < *least && (p.d >= 0 || !s->M_high)) *least = error, *best = p;
}

// With minima: the range of the run is stretched over a little more or less than all codes.
static pair search_range(const shape *s, const run *r) {
    float low = 0, high = r->x[0], least = HUGE_VALF;  // m is not negative: the range includes zero
    for (int i = 0; i < r->n; i++) {
        if (r->x[i] < low) low = r->x[i];
        if (r->x[i] > high) high = r->x[i];
    }
    pair best = {0, -low};
    if (!(high > low)) return best;
    for (int i = -6; i <= 12; i++) {
        const float inverse = ((float)s->high + 0.1f * (float)i) / (high - low);
        try_scale(s, r, inverse, -low * inverse, &best, &least);
    }
    for (int i = 0; i < 4 && best.d > 0; i++) try_scale(s, r, 1.0f / best.d, best.m / best.d, &best, &least);
    return best;
}

// Without: the element of largest magnitude near either end of the codes.
static pair search_centred(const shape *s, const run *r) {
    float most = 0, least = HUGE_VALF;
    for (int i = 0; i < r->n; i++)
        if (fabsf(r->x[i]) > fabsf(most)) most = r->x[i];
    pair best = {0, 0};
    if (most == 0) return best;
    const float step = s->table ? 1.5f : 0.1f * (float)(s->high < 8 ? 1 : 2);
    for (int i = -7; i <= 9; i++) {
        try_scale(s, r, ((float)s->low - step * (float)i) / most, 0, &best, &least);
        try_scale(s, r, ((float)s->high + step * (float)i) / most, 0, &best, &least);
    }
    for (int i = 0; i < 2 && best.d != 0; i++) try_scale(s, r, 1.0f / best.d, 0, &best, &least);
    return best;
}

// ---- the block --------------------------------------------------------------------------------------

typedef struct block {
    shape s;
    int n_runs;
    run runs[16];
    int S[16], M[16];
    uint16_t d, dm;  // halves
} block;

static int clamp(float x, int low, int high) {
    return x <= (float)low ? low : x >= (float)high ? high : (int)nearest(x);
}

static bool is_finite_half(uint16_t h) { return (h & 0x7c00) != 0x7c00; }

// The run's sums when it is coded with d and m.
static fit fit_pair(const shape *s, const run *r, pair p) {
    const float inverse = p.d != 0 && isfinite(1.0f / p.d) ? 1.0f / p.d : 0;
    return fit_of(s, r, inverse, p.m * inverse);
}

static pair scales_of(const block *b, int S, int M) {
    return (pair){cop_half_to_float(b->d) * (float)S, cop_half_to_float(b->dm) * (float)M};
}

// The integer scales of run k among the neighbours of S and M; returns the error.
static float choose_scales(block *b, int k, int S, int M) {
    float least = HUGE_VALF;
    for (int i = S - 1; i <= S + 1; i++) {
        for (int j = M - 1; j <= M + 1; j++) {
            if (i < b->s.S_low || i > b->s.S_high || j < 0 || j > b->s.M_high) continue;
            const pair p = scales_of(b, i, j);
            const fit f = fit_pair(&b->s, &b->runs[k], p);
            const float error = error_of(&b->runs[k], &f, p);
            if (error < least) least = error, b->S[k] = i, b->M[k] = j;
        }
    }
    return least;
}

// d and dm by least squares with all codes and integer scales as they are.
static pair refit(const block *b) {
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;  // x is near d a - dm b, a = S q, b = M
    for (int k = 0; k < b->n_runs; k++) {
        const float S = (float)b->S[k], M = (float)b->M[k];
        const fit f = fit_pair(&b->s, &b->runs[k], scales_of(b, b->S[k], b->M[k]));
        aa += S * S * f.qq;
        ab += S * M * f.q;
        bb += M * M * b->runs[k].sum_w;
        xa += S * f.xq;
        xb += M * b->runs[k].sum_x;
    }
    const float det = aa * bb - ab * ab;
    if (b->s.M_high && det > 1e-6f * aa * bb) return (pair){(bb * xa - ab * xb) / det, (ab * xa - aa * xb) / det};
    return (pair){aa > 0 ? (xa + cop_half_to_float(b->dm) * ab) / aa : 0, cop_half_to_float(b->dm)};
}

// Integer scales for the runs' own ones under the block's d and dm; returns the whole error.
static float round_scales(block *b, const pair own[16]) {
    const float d = cop_half_to_float(b->d), dm = cop_half_to_float(b->dm);
    float error = 0;
    for (int k = 0; k < b->n_runs; k++) {
        const int S = d != 0 ? clamp(own[k].d / d, b->s.S_low, b->s.S_high) : b->s.S_low > 0 ? 1 : 0;
        const int M = dm > 0 ? clamp(own[k].m / dm, 0, b->s.M_high) : 0;
        error += choose_scales(b, k, S, M);
    }
    return error;
}

// d and dm from the largest of the runs' scales.
static void start_scales(block *b, const pair own[16]) {
    float most = 0, m = 0;
    for (int k = 0; k < b->n_runs; k++) {
        if (fabsf(own[k].d) > fabsf(most)) most = own[k].d;
        if (own[k].m > m) m = own[k].m;
    }
    b->d = cop_float_to_half(most / (float)(b->s.S_low < 0 ? b->s.S_low : b->s.S_high));
    b->dm = cop_float_to_half(b->s.M_high ? m / (float)b->s.M_high : 0);
}

static void search_scales(block *b) {
    pair own[16];
    for (int k = 0; k < b->n_runs; k++)
        own[k] = b->s.M_high ? search_range(&b->s, &b->runs[k]) : search_centred(&b->s, &b->runs[k]);
    start_scales(b, own);
    if (!is_finite_half(b->d) || !is_finite_half(b->dm)) return;
    float least = round_scales(b, own);
    for (int round = 0; round < ROUNDS; round++) {
        block next = *b;
        const pair p = refit(b);
        next.d = cop_float_to_half(p.d);
        next.dm = cop_float_to_half(p.m > 0 ? p.m : 0);
        if (!is_finite_half(next.d) || !is_finite_half(next.dm)) break;
        const float error = round_scales(&next, own);
        if (!(error < least)) break;
        least = error;
        *b = next;
    }
}

static void write_codes(cop_found *out, const block *b) {
    for (int k = 0; k < b->n_runs; k++) {
        const pair p = scales_of(b, b->S[k], b->M[k]);
        const float inverse = p.d != 0 && isfinite(1.0f / p.d) ? 1.0f / p.d : 0;
        float q[MAX_RUN];
        nearest_values(q, &b->s, &b->runs[k], inverse, p.m * inverse);
        for (int i = 0; i < b->s.run; i++)
            out->code[k * b->s.run + i] = (uint8_t)(b->s.table ? table_code(q[i]) : (int)q[i] - b->s.low);
        out->S[k] = (int16_t)b->S[k];
        out->M[k] = (uint8_t)b->M[k];
    }
    out->d = b->d;
    out->dm = b->dm;
}

bool cop_search_block(cop_found *out, cop_dtype type, const float *x) {
    block b = {.s = shape_of(type)};
    float w[SUPER], squares = 0;
    for (int i = 0; i < b.s.block; i++) squares += x[i] * x[i];
    const float rms = sqrtf(squares / (float)b.s.block);
    for (int i = 0; i < b.s.block; i++) w[i] = rms > 0 ? 1 + fabsf(x[i]) / rms : 1;
    b.n_runs = b.s.block / b.s.run;
    for (int k = 0; k < b.n_runs; k++) b.runs[k] = run_of(x + k * b.s.run, w + k * b.s.run, b.s.run);
    search_scales(&b);
    write_codes(out, &b);
    return is_finite_half(b.d) && is_finite_half(b.dm);
}
