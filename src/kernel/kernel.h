// The compute kernels: what each one means, and the table of pointers for this CPU.
//
// The law of this folder: every element of every result is computed by ONE written sequence of
// operations that depends on the shapes only, so scalar, AVX2, AVX-512 and NEON give the same bits
// whatever the number of columns, rows or threads. fma(a, b, c) is the fused operation by name;
// all other products and sums round separately (the whole tree is built with -ffp-contract=off).
// Integers are exact. A kernel never allocates, fails, logs or starts threads; arguments were
// checked at the door. Unless said otherwise pointers need no alignment.
#ifndef COP_KERNEL_KERNEL_H
#define COP_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/dtype.h"

// ---------------------------------------------------------------------------------------------
// Packed matrices
//
// A weight matrix W[rows][cols] is cut into tiles of COP_TILE rows; a tile holds everything its rows
// need, block by block along the columns, and is the unit of work. The last tile is padded with rows
// of zeros. The layout is the same for every level, so a packed file serves every machine.
//
// "Lane order" of a block of 32 columns: a vector of 64 bytes holds 16 rows x 4 columns; byte 4r + t
// of vector j is the weight of row r and column 4j + t, j = 0 … 7.
//
//   nibbles     256 bytes: four vectors; the low nibble of vector j is vector j, the high nibble
//               is vector j + 4 (columns 16 + 4j + t)
//   fifth bits   64 bytes: bit j of byte 4r + t is bit 4 of vector j
//   pairs       128 bytes: two vectors i = 0, 1; of byte 4r + t, bits 2u and 2u + 1 are two bits of
//               vector i + 2u, u = 0 … 3: bits 4 and 5 (Q6_K), bits 0 and 1 (Q2_K, Q3_K)
//   third bits   64 bytes: bit j of byte 4r + t is bit 2 of vector j
//   bytes       512 bytes: eight vectors of signed bytes
//   halves       16 IEEE half numbers, one per row
//
//   type        one block                                                    bytes per tile
//   Q4_0        nibbles, d halves                                            288 per 32 columns
//   IQ4_NL      as Q4_0; a nibble is an index into cop_iq4_nl_values          288 per 32
//   MXFP4       nibbles, indices into cop_mxfp4_values; exponents [16] u8     272 per 32
//   Q4_1        nibbles, d halves, m halves                                  320 per 32
//   Q5_0        nibbles, fifth bits, d halves                                352 per 32
//   Q5_1        nibbles, fifth bits, d halves, m halves                      384 per 32
//   Q8_0        bytes, d halves                                              544 per 32
//   Q2_K        8 x pairs, SM[16][16] u8 (S low, M high), D halves, DM halves 1344 per 256
//   Q3_K        8 x (pairs, third bits), S[16][16] u8 (plus 32), D halves     1824 per 256
//   IQ4_XS      8 x nibbles as IQ4_NL, S[8][16] u8 (plus 32), D halves        2208 per 256
//   Q4_K        8 x nibbles, S[8][16] u8, M[8][16] u8, D halves, DM halves   2368 per 256
//   Q5_K        8 x (nibbles, fifth bits), S, M, D, DM as Q4_K               2880 per 256
//   Q6_K        8 x (nibbles, pairs), S[16][16] s8, D halves                 3360 per 256
//   BF16        16 rows x 2 columns: u16 at 2r + t, column 2j + t            64 per 2
//   F16, F32    one column: 16 halves, or 16 floats                          32, 64 per 1
//
// Columns of the quantised types are a multiple of 32 (256 for the K types and IQ4_XS); columns of F16, F32 and
// BF16 are padded with zero columns to a multiple of 2.
// ---------------------------------------------------------------------------------------------

extern const int8_t cop_iq4_nl_values[16];  // what the codes of IQ4_NL stand for (pack.c)
extern const int8_t cop_mxfp4_values[16];   // of MXFP4, doubled

#define COP_TILE 16       // rows of a tile, and virtual lanes of a sum along a row
#define COP_BLOCK 32      // columns of an activation block
#define COP_MAX_COLUMNS 16  // columns of one panel pass

typedef struct cop_matrix {
    cop_dtype type;
    int rows, cols;        // as in the file
    const uint8_t *data;   // n_tiles x tile_bytes, 64-byte aligned
    size_t tile_bytes;
    int n_tiles;           // ceil(rows / COP_TILE)
} cop_matrix;

/* Bytes of one tile of `cols` columns; 0 when the type has no product or cols does not fit it. */
size_t cop_pack_tile_bytes(cop_dtype type, int cols);

/* Pack tile i of a row-major matrix in file layout into out[tile_bytes]. Scalar, runs once at load.
 * src: the first byte of row 0; row_bytes: bytes of a row; rows, cols: of the whole matrix. */
void cop_pack_tile(uint8_t *out, cop_dtype type, const uint8_t *src, size_t row_bytes, int rows, int cols, int i);

/* Dequantise n elements (whole blocks) in file layout: exactly the format's definition in float32,
 * the product d*n rounded, then the sum with m rounded (K types: (D*S)*n - (DM*M)). */
void cop_dequantise(float *y, cop_dtype type, const uint8_t *src, int64_t n);

float cop_half_to_float(uint16_t h);
float cop_mxfp4_scale(uint8_t e);         // 2^(e - 128), what multiplies cop_mxfp4_values
uint16_t cop_float_to_half(float x);      // round to nearest even; NaN stays NaN
uint16_t cop_float_to_bf16(float x);      // round to nearest even; NaN stays NaN

// ---------------------------------------------------------------------------------------------
// Activations
// ---------------------------------------------------------------------------------------------

/* One block of 32 activations of one column (row of the batch).
 *   a = max |x|, d = a / 127, q = nearest even of x * (127 / a), in -127 … 127; all zero when a is 0
 *   (or is so small that 127 / a overflows).  The caller's x is finite.
 *   ds = d * (float) sum of q.
 * n[] holds what the level's own products start from: the negated sum of q (n[0]) and the negated sum
 * of the second 16 (n[1]); AVX2 and AVX-512 hold 16-bit sums there instead (quantise_avx2.c, quantise_avx512.c). */
typedef struct cop_act {
    int8_t q[32];
    float d, ds;
    int32_t n[2];
} cop_act;  // 48 bytes

/* A panel holds the activations of N columns (rows of the batch) for one matrix input of `cols`:
 * passes of up to 16 columns, each [cols / 32][width] of cop_act, width = columns of that pass.
 * The block b of column c is panel[(c / 16 * 16) * n_blocks + b * width + c % 16]. */
static inline size_t cop_panel_index(int n, int n_blocks, int b, int c) {
    int first = c & ~15, width = n - first < 16 ? n - first : 16;
    return (size_t)first * (size_t)n_blocks + (size_t)b * (size_t)width + (size_t)(c - first);
}

/* x[0 … 32 n_blocks) -> blocks at out[0], out[stride], out[2 stride], ... (stride in cop_act). */
typedef void cop_quantise_fn(cop_act *out, size_t stride, const float *x, int n_blocks);

/* One tile times n columns, n = 1 … any:  y[c * y_stride + r] = sum over columns, r = 0 … 15
 *   w         the tile;  cols: columns of the matrix
 *   x         quantised types: cop_act panel of n columns as above; F32, F16, BF16: float rows, column c
 *             of the batch at ((float *)x) + c * x_stride, padded with a zero to an even length
 *   x_stride  floats; ignored by the quantised types
 * All 16 rows are written. May read (prefetch) beyond the tile, never touches what is not mapped.
 *
 * Quantised types, per row and column, blocks b in order, acc = 0:
 *   t   = exact integer sum over the 32 columns of q_w * q
 *           IQ4_NL, IQ4_XS: q_w = cop_iq4_nl_values[n]   MXFP4: cop_mxfp4_values[n]
 *           Q4_0: q_w = n - 8   Q5_0, Q5_1, Q5_K: n - 16   Q8_0: n   Q4_1, Q4_K: n (unsigned)
 *           Q6_K: t = S[2b] * (sum of the first 16 of (n - 32) q) + S[2b+1] * (the second 16)
 *           Q2_K: the same with n, Q3_K with n - 4
 *   u   = (float)t * w_d          w_d = d;  MXFP4: 2^(e - 128);  Q4_K, Q5_K, IQ4_XS: D * (float)S[b];
 *           Q2_K, Q3_K, Q6_K: D.  Q2_K: then u = fma(-(float)(M[2b] * (sum of the first 16 q) +
 *           M[2b+1] * (sum of the second 16)), DM, u)
 *   acc = fma(u, x.d, acc)
 *   with minima:  acc = fma(w_m, x.ds, acc)
 *           Q4_1: w_m = m         Q5_1: w_m = fma(16, d, m)
 *           Q4_K: w_m = -(DM * (float)M[b])      Q5_K: w_m = fma(16, w_d, -(DM * (float)M[b]))
 * (t is below 2^24 in magnitude, so (float)t is exact everywhere.)
 *
 * F32, F16, BF16: even = odd = 0; for each pair of columns even = fma(w[2j], x[2j], even),
 * odd = fma(w[2j+1], x[2j+1], odd); y = even + odd. */
typedef void cop_product_fn(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride, int n);

// ---------------------------------------------------------------------------------------------
// Rows
//
// A "lane sum" of v[0 … n): element i goes to partial sum i % 16 in order of i (the missing ones of
// the last group are +0); the sixteen are folded s[i] += s[i + 8], then 4, 2, 1.
// ---------------------------------------------------------------------------------------------

/* y[i] = (x[i] * s) * w[i], s = 1 / sqrt(lane sum of fma(x,x,·) / n + eps); w NULL means 1. y may be x.
 * Zhang and Sennrich 2019 (arXiv:1910.07467). */
typedef void cop_rmsnorm_fn(float *y, const float *x, const float *w, int n, float eps);

/* mean = lane sum / n; v = lane sum of fma(x-mean, x-mean, ·) / n; y = fma((x-mean) * (1/sqrt(v+eps)), w, b);
 * w NULL means 1, b NULL means 0. Ba et al. 2016 (arXiv:1607.06450). */
typedef void cop_layernorm_fn(float *y, const float *x, const float *w, const float *b, int n, float eps);

/* y += x;  y = x * s;  y += x * s (fma); elementwise. */
typedef void cop_add_fn(float *y, const float *x, int n);
typedef void cop_scale_fn(float *y, const float *x, float s, int n);
typedef void cop_axpy_fn(float *y, const float *x, float s, int n);

/* Gated and plain activations, in the float exp of exp.h (cop_expf): y[i] = act(g[i]) * u[i]; u NULL
 * means 1; y may be g or u.
 *   SILU       g / (1 + exp(-g))
 *   GELU_TANH  (0.5 g) * (1 + tanh(k)),  k = 0.7978845608 * fma((0.044715 * g) * g, g, g),
 *              tanh(k) = 1 - 2 / (exp(2k) + 1)
 *   GELU_ERF   (0.5 g) * (1 + erf(g / sqrt 2)) in the form of Abramowitz and Stegun 7.1.26, with a
 *              polynomial fitted for this product (exp.h): h = 0.5 g, t = 1 / fma(p, |g|, 1),
 *              E = (Horner with fma over c, highest first, times t) * exp(-(h * g)),
 *              result h * (g < 0 ? E : 2 - E); error below 1e-6 absolute, or 1e-7 |g|
 *   RELU       0 < g ? g : 0 */
typedef enum cop_act_kind { COP_ACT_SILU, COP_ACT_GELU_TANH, COP_ACT_GELU_ERF, COP_ACT_RELU, COP_N_ACTS } cop_act_kind;
typedef void cop_activate_fn(float *y, const float *g, const float *u, int n);

/* Rotate one head in place: pairs (x[i], x[i + half]) when half_split, else (x[2i], x[2i + 1]),
 * i = 0 … half-1: a' = fma(a, cos, -(b * sin)), b' = fma(a, sin, b * cos). cs: [half][2] cos and sin.
 * Su et al. 2021 (arXiv:2104.09864). */
typedef void cop_rope_fn(float *x, const float *cs, int half, bool half_split);

/* In place: m = max; s[i] = exp(s[i] - m) by cop_expf; returns the lane sum of the results. -inf gives
 * exactly 0. n >= 1 and at least one element is finite. */
typedef float cop_softmax_fn(float *s, int n);

/* s[i] = cap * tanh(s[i] / cap), tanh as above. */
typedef void cop_softcap_fn(float *s, float cap, int n);

// ---------------------------------------------------------------------------------------------
// Attention over the cache. One page holds COP_PAGE tokens; per (page, layer, key/value head):
//   keys    [COP_PAGE / 16][K][16]: 16 tokens side by side, so scores need no horizontal sum
//   values  [COP_PAGE][K]
// F16 and BF16: 2 bytes an element. Q8_0 (K a multiple of 32): signed bytes in the same order, then
// float scales: keys [COP_PAGE / 16][K / 32][16], values [COP_PAGE][K / 32]; element = q * scale rounded.
// ---------------------------------------------------------------------------------------------

#define COP_PAGE 64

typedef enum cop_kv_type { COP_KV_F16, COP_KV_BF16, COP_KV_Q8_0, COP_KV_F32, COP_N_KV_TYPES } cop_kv_type;

/* Bytes of the keys (or of the values) of one page, layer and head: a multiple of 64. */
size_t cop_kv_page_bytes(cop_kv_type type, int head);

/* Store one token's key (or value) x[head] at slot 0 … COP_PAGE-1 of a page. F16, BF16: rounded to
 * nearest even. Q8_0: scale = max/127 per 32 elements, q as in cop_act.
 * Copy: move one token's bits between pages or slots. */
typedef void cop_kv_store_fn(uint8_t *page, int slot, const float *x, int head);
void cop_kv_copy_key(cop_kv_type type, uint8_t *to, int to_slot, const uint8_t *from, int from_slot, int head);
void cop_kv_copy_value(cop_kv_type type, uint8_t *to, int to_slot, const uint8_t *from, int from_slot, int head);

/* Scores of n_groups consecutive groups of 16 tokens, the first of them `group` of the page:
 *   s[q * s_stride + 16 g + i] = scale * (sum over d of q[q][d] * key[group + g][d][i]),  i = 0 … 15
 * The sum is one chain: acc = fma(q[d], key[d][i], acc) for d = 0, 1, … head-1, from 0.
 *   keys  the page's keys; group + n_groups <= COP_PAGE / 16;  q: n_q rows of `head` floats, q_stride apart
 * All 16 n_groups scores of a query are written, whatever the slots hold. Whole pages are fastest. */
typedef void cop_scores_fn(float *s, size_t s_stride, const float *q, size_t q_stride, int n_q,
                           const uint8_t *keys, int group, int n_groups, int head, float scale);

/* acc[q * acc_stride + d] = fma(p[q * p_stride + j], value[first + j][d], acc), j = 0 … n_tokens-1 in order. */
typedef void cop_mix_fn(float *acc, size_t acc_stride, const float *p, size_t p_stride, int n_q,
                        const uint8_t *values, int first, int n_tokens, int head);

// ---------------------------------------------------------------------------------------------
// What the machine can do (benches only)
// ---------------------------------------------------------------------------------------------

/* n rounds of independent multiply-adds in registers, of the level's best integer (8-bit) or float32
 * kind. Returns the operations done, a multiply and an add counting as two. */
typedef double cop_spin_fn(int64_t n);
/* Read p[0 … bytes) once, in order, bytes a multiple of 512; returns a sum that keeps the reads alive. */
typedef uint64_t cop_stream_fn(const uint8_t *p, size_t bytes);

typedef struct cop_kernels {
    const char *level;  // "scalar", "avx2", "avx512", "neon"
    cop_quantise_fn *quantise;
    cop_product_fn *product[COP_N_DTYPES];  // NULL for types without one
    cop_rmsnorm_fn *rmsnorm;
    cop_layernorm_fn *layernorm;
    cop_add_fn *add;
    cop_scale_fn *scale;
    cop_axpy_fn *axpy;
    cop_activate_fn *activate[COP_N_ACTS];
    cop_rope_fn *rope;
    cop_softmax_fn *softmax;
    cop_softcap_fn *softcap;
    cop_kv_store_fn *store_key[COP_N_KV_TYPES], *store_value[COP_N_KV_TYPES];
    cop_scores_fn *scores[COP_N_KV_TYPES];
    cop_mix_fn *mix[COP_N_KV_TYPES];
    cop_spin_fn *spin_int, *spin_float;
    cop_stream_fn *stream;
} cop_kernels;

/* The table for these features (COP_CPU_*): scalar first, then climb. */
cop_kernels cop_kernels_bind(unsigned cpu_features);
/* The table for this CPU, or for the level that COPPICE_CPU names (scalar, avx2, avx512, neon);
 * COP_ERR_ARG for an unknown level, COP_ERR_UNSUPPORTED for one this CPU lacks. */
cop_status cop_kernels_best(cop_kernels *out, const char *level_or_null);

#endif
