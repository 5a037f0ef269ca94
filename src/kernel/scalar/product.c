// The matrix product of every type, as kernel.h defines it: one row, one block, one column at a time.
// The other levels must give the same bits. Nothing here is fast.
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"

// One row of one block of 32 columns, read from a tile.
typedef struct block {
    int q[COP_BLOCK];  // the integers, offset taken away
    int s[2];          // integer scales of the two halves: 1, 1 but for Q2_K, Q3_K, Q6_K
    int minimum[2];    // M of the two halves, of Q2_K
    float d, m;        // w_d and w_m; DM of Q2_K
} block;

typedef void read_block(block *w, const uint8_t *tile, int b, int r);

// ---- the pieces of a packed block: row r, column k = 4j + t ------------------------------------

static int nibble(const uint8_t *at, int r, int k) {
    int j = k / 4, t = k % 4, byte = at[64 * (j % 4) + 4 * r + t];
    return j < 4 ? byte & 15 : byte >> 4;
}

static int fifth_bit(const uint8_t *at, int r, int k) { return at[4 * r + k % 4] >> k / 4 & 1; }

static int pair(const uint8_t *at, int r, int k) {
    int j = k / 4, t = k % 4;
    return at[64 * (j % 2) + 4 * r + t] >> 2 * (j / 2) & 3;
}

static int signed_byte(const uint8_t *at, int r, int k) { return (int8_t)at[64 * (k / 4) + 4 * r + k % 4]; }

static float half_of(const uint8_t *halves, int r) {
    uint16_t h;
    memcpy(&h, halves + 2 * r, sizeof h);
    return cop_half_to_float(h);
}

static void read_nibbles(block *w, const uint8_t *at, int r, int offset) {
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = nibble(at, r, k) - offset;
}

static void read_five_bits(block *w, const uint8_t *at, int r) {
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = nibble(at, r, k) + 16 * fifth_bit(at + 256, r, k) - 16;
}

// ---- one reader per type ------------------------------------------------------------------------

static void read_q4_0(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 288;
    read_nibbles(w, at, r, 8);
    w->d = half_of(at + 256, r);
}

static void read_iq4_nl(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 288;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = cop_iq4_nl_values[nibble(at, r, k)];
    w->d = half_of(at + 256, r);
}

static void read_q4_1(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 320;
    read_nibbles(w, at, r, 0);
    w->d = half_of(at + 256, r);
    w->m = half_of(at + 288, r);
}

static void read_q5_0(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 352;
    read_five_bits(w, at, r);
    w->d = half_of(at + 320, r);
}

static void read_q5_1(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 384;
    read_five_bits(w, at, r);
    w->d = half_of(at + 320, r);
    w->m = fmaf(16.0f, w->d, half_of(at + 352, r));
}

static void read_q8_0(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 544;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = signed_byte(at, r, k);
    w->d = half_of(at + 512, r);
}

// Scales of Q4_K and Q5_K: S[8][16], M[8][16], then the halves D and DM.
static float k_minimum(block *w, const uint8_t *scales, int b, int r) {
    const float S = scales[16 * (b % 8) + r], M = scales[128 + 16 * (b % 8) + r];
    w->d = half_of(scales + 256, r) * S;
    return half_of(scales + 288, r) * M;
}

static void read_q4_k(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 2368;
    read_nibbles(w, super + b % 8 * 256, r, 0);
    w->m = -k_minimum(w, super + 8 * 256, b, r);
}

static void read_q5_k(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 2880;
    read_five_bits(w, super + b % 8 * 320, r);
    const float minimum = k_minimum(w, super + 8 * 320, b, r);
    w->m = fmaf(16.0f, w->d, -minimum);
}

static void read_q6_k(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 3360, *at = super + b % 8 * 384, *S = super + 8 * 384;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = (nibble(at, r, k) | pair(at + 256, r, k) << 4) - 32;
    for (int i = 0; i < 2; i++) w->s[i] = (int8_t)S[16 * (b % 8 * 2 + i) + r];
    w->d = half_of(S + 256, r);
}

static void read_q2_k(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 1344, *SM = super + 8 * 128;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = pair(super + b % 8 * 128, r, k);
    for (int i = 0; i < 2; i++) {
        const int both = SM[16 * (b % 8 * 2 + i) + r];
        w->s[i] = both & 15;
        w->minimum[i] = both >> 4;
    }
    w->d = half_of(SM + 256, r);
    w->m = half_of(SM + 288, r);
}

static void read_q3_k(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 1824, *at = super + b % 8 * 192, *S = super + 8 * 192;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = pair(at, r, k) + 4 * fifth_bit(at + 128, r, k) - 4;
    for (int i = 0; i < 2; i++) w->s[i] = S[16 * (b % 8 * 2 + i) + r] - 32;
    w->d = half_of(S + 256, r);
}

static void read_iq4_xs(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *super = tile + (size_t)(b / 8) * 2208, *S = super + 8 * 256;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = cop_iq4_nl_values[nibble(super + b % 8 * 256, r, k)];
    w->d = half_of(S + 128, r) * (float)(S[16 * (b % 8) + r] - 32);
}

static void read_mxfp4(block *w, const uint8_t *tile, int b, int r) {
    const uint8_t *at = tile + (size_t)b * 272;
    for (int k = 0; k < COP_BLOCK; k++) w->q[k] = cop_mxfp4_values[nibble(at, r, k)];
    w->d = cop_mxfp4_scale(at[256 + r]);
}

// ---- the product --------------------------------------------------------------------------------

static int integer_sum(const block *w, const int8_t *q) {
    int half[2] = {0, 0};
    for (int k = 0; k < COP_BLOCK; k++) half[k / 16] += w->q[k] * q[k];
    return w->s[0] * half[0] + w->s[1] * half[1];
}

static int sum_of_minima(const block *w, const int8_t *q) {
    int half[2] = {0, 0};
    for (int k = 0; k < COP_BLOCK; k++) half[k / 16] += q[k];
    return w->minimum[0] * half[0] + w->minimum[1] * half[1];
}

typedef enum minima { NONE, OF_BLOCK, OF_HALVES } minima;

// A column's sum lives in y while the blocks go by.
static void product(float *y, size_t y_stride, const uint8_t *w, int cols, const cop_act *x, int n,
                    read_block *read, minima has) {
    const int n_blocks = cols / COP_BLOCK;
    for (int r = 0; r < COP_TILE; r++) {
        for (int c = 0; c < n; c++) y[(size_t)c * y_stride + (size_t)r] = 0;
        for (int b = 0; b < n_blocks; b++) {
            block row = {.s = {1, 1}};
            read(&row, w, b, r);
            for (int c = 0; c < n; c++) {
                const cop_act *act = x + cop_panel_index(n, n_blocks, b, c);
                float *acc = y + (size_t)c * y_stride + r;
                float u = (float)integer_sum(&row, act->q) * row.d;
                if (has == OF_HALVES) u = fmaf(-(float)sum_of_minima(&row, act->q), row.m, u);
                *acc = fmaf(u, act->d, *acc);
                if (has == OF_BLOCK) *acc = fmaf(row.m, act->ds, *acc);
            }
        }
    }
}

#define QUANTISED(type, minima)                                                                          \
    void cop_product_##type##_scalar(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, \
                                     size_t x_stride, int n) {                                          \
        (void)x_stride;                                                                                 \
        product(y, y_stride, w, cols, x, n, read_##type, minima);                                        \
    }

QUANTISED(q4_0, NONE)
QUANTISED(iq4_nl, NONE)
QUANTISED(mxfp4, NONE)
QUANTISED(q4_1, OF_BLOCK)
QUANTISED(q5_0, NONE)
QUANTISED(q5_1, OF_BLOCK)
QUANTISED(q8_0, NONE)
QUANTISED(q2_k, OF_HALVES)
QUANTISED(q3_k, NONE)
QUANTISED(iq4_xs, NONE)
QUANTISED(q4_k, OF_BLOCK)
QUANTISED(q5_k, OF_BLOCK)
QUANTISED(q6_k, NONE)

// ---- unquantised types ----------------------------------------------------------------------------

typedef float read_weight(const uint8_t *tile, int column, int r);

static float read_f32(const uint8_t *tile, int column, int r) {
    float w;
    memcpy(&w, tile + (size_t)column * 64 + (size_t)(4 * r), sizeof w);
    return w;
}

static float read_f16(const uint8_t *tile, int column, int r) { return half_of(tile + (size_t)column * 32, r); }

static float read_bf16(const uint8_t *tile, int column, int r) {
    uint16_t h;
    memcpy(&h, tile + (size_t)(column / 2) * 64 + (size_t)(4 * r + 2 * (column % 2)), sizeof h);
    const uint32_t bits = (uint32_t)h << 16;
    float w;
    memcpy(&w, &bits, sizeof w);
    return w;
}

static void product_float(float *y, size_t y_stride, const uint8_t *w, int cols, const float *x, size_t x_stride,
                          int n, read_weight *read) {
    for (int c = 0; c < n; c++, x += x_stride) {
        for (int r = 0; r < COP_TILE; r++) {
            float even = 0, odd = 0;
            for (int k = 0; k < cols; k += 2) {
                even = fmaf(read(w, k, r), x[k], even);
                odd = fmaf(read(w, k + 1, r), x[k + 1], odd);
            }
            y[(size_t)c * y_stride + (size_t)r] = even + odd;
        }
    }
}

#define UNQUANTISED(type)                                                                               \
    void cop_product_##type##_scalar(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, \
                                     size_t x_stride, int n) {                                          \
        product_float(y, y_stride, w, cols, x, x_stride, n, read_##type);                               \
    }

UNQUANTISED(f32)
UNQUANTISED(f16)
UNQUANTISED(bf16)
