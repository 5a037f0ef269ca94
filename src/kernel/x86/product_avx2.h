// The product of one packed tile with n columns for the quantised types, without VNNI.
//
// maddubs multiplies bytes and adds them in pairs; eight such vectors are summed in 16 bits and widened
// by one maddwd per block. The 16-bit sums may wrap on the way because their end fits:
//   unsigned 4 bits                 16 x 15 x 127 = 30480
//   5 bits, centred by -16          16 x 16 x 127 = 32512
//   6 bits, centred by -32, halves   8 x 32 x 127 = 32512
// Centring costs nothing but the start value: the negated sums of the activations in act.n[], times the
// centre. Q8_0 has no room in 16 bits and pays a maddwd for each vector.
//
// Few columns unpack the weights straight into registers (tiles of up to 4 columns x 2 halves); more
// columns unpack a chunk of 256 columns once into a buffer on the stack and then run tiles of up to 6
// columns from L1. The float sequence of a column is the same in each case.
#ifndef COP_KERNEL_PRODUCT_AVX2_H
#define COP_KERNEL_PRODUCT_AVX2_H

#include "kernel/x86/product_lanes_avx2.h"

#define CHUNK 8           // blocks unpacked at a time: what one pair of D, DM of the K types covers
#define GROUP 32          // columns that share one unpacking; more would push activations out of L1
#define DIRECT_TILE 4     // columns x 2 halves of sums, two weights, raw nibbles, mask: 16 registers
#define BUFFERED_TILE 6   // columns x 2 halves of sums, two weights, one activation: 16 registers
#define PREFETCH 9216     // bytes ahead; 2 to 9 KiB are alike, 15-30 % better than none (section 9)

typedef struct unpacked {
    __m256i w[CHUNK][8][2];  // [block][vector][half]
    __m256 d[CHUNK][2], m[CHUNK][2];
    __m256i pairs[2 * CHUNK][2];  // Q6_K only
} unpacked;

// The weights of one chunk: as packed, and if not NULL also unpacked.
typedef struct chunk {
    const uint8_t *packed;
    const unpacked *buffer;
    int n_blocks;
    const uint8_t *ahead;  // what to prefetch, in the layout of this chunk
} chunk;

COP_INLINE void unpack_chunk(const cop_dtype t, unpacked *u, const uint8_t *packed, int n_blocks) {
    const super_scale super[2] = {load_super_scale(t, packed, 0), load_super_scale(t, packed, 1)};
    for (int b = 0; b < n_blocks; b++) {
        const uint8_t *quants = block_quants(t, packed, b);
        COP_UNROLL for (int half = 0; half < 2; half++) {
            COP_UNROLL for (int j = 0; j < 8; j++) u->w[b][j][half] = unpack_vector(t, quants, half, j);
            load_scales(t, packed, b, half, super[half], &u->d[b][half], &u->m[b][half]);
            if (t != COP_Q6_K) continue;
            u->pairs[2 * b][half] = load_scale_pairs(packed, 2 * b, half);
            u->pairs[2 * b + 1][half] = load_scale_pairs(packed, 2 * b + 1, half);
        }
    }
}

// What the 16-bit sums of a column start from: minus the centre of the type times the sum of q.
COP_INLINE __m256i start_sum(const cop_dtype t, const cop_act *x, const int part) {
    if (t == COP_Q4_0) return _mm256_slli_epi16(_mm256_set1_epi32(x->n[0]), 3);
    if (has_fifth_bit(t)) return _mm256_slli_epi16(_mm256_set1_epi32(x->n[0]), 4);
    if (t != COP_Q6_K) return _mm256_setzero_si256();
    __m256i second = _mm256_set1_epi32(x->n[1]);
    __m256i n = part ? second : _mm256_sub_epi16(_mm256_set1_epi32(x->n[0]), second);
    return _mm256_slli_epi16(n, 5);
}

COP_INLINE __m256i add_product(const cop_dtype t, __m256i sum, __m256i w, __m256i q) {
    if (t != COP_Q8_0) return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, q));
    // |w| is unsigned, so -128 is 128, and 2 x 128 x 127 fits; the sign goes to q, which is never -128.
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// sums[c][half] += vectors first … last-1 of block b times the columns c.
COP_INLINE void add_products(const cop_dtype t, const int columns, const bool direct, const chunk *k, int b,
                             const int first, const int last, const cop_act *x, __m256i sums[][2]) {
    const uint8_t *quants = block_quants(t, k->packed, b);
    // Not to be kept in registers from the low nibbles of Q6_K to its high ones: there are none left.
    if (direct && t == COP_Q6_K) __asm__("" : "+r"(quants));
    COP_UNROLL for (int i = first; i < last; i++) {
        // Both nibbles of a byte one after the other, except where the scale changes between them.
        const int j = t == COP_Q6_K || t == COP_Q8_0 ? i : i / 2 + i % 2 * 4;
        const __m256i low = direct ? unpack_vector(t, quants, 0, j) : k->buffer->w[b][j][0];
        const __m256i high = direct ? unpack_vector(t, quants, 1, j) : k->buffer->w[b][j][1];
        COP_UNROLL for (int c = 0; c < columns; c++) {
            const __m256i q = broadcast_four(x[c].q + 4 * j);
            sums[c][0] = add_product(t, sums[c][0], low, q);
            COP_KEEP_ORDER(sums[c][0]);
            sums[c][1] = add_product(t, sums[c][1], high, q);
            COP_KEEP_ORDER(sums[c][1]);
        }
    }
}

// The exact integers t of the contract for block b.
COP_INLINE void block_sums(const cop_dtype t, const int columns, const bool direct, const chunk *k, int b,
                           const cop_act *x, __m256i total[][2]) {
    const int parts = t == COP_Q6_K ? 2 : 1;
    COP_UNROLL for (int part = 0; part < parts; part++) {
        __m256i sums[BUFFERED_TILE][2], scale[2];
        COP_UNROLL for (int c = 0; c < columns; c++) sums[c][0] = sums[c][1] = start_sum(t, x + c, part);
        add_products(t, columns, direct, k, b, 8 / parts * part, 8 / parts * (part + 1), x, sums);
        COP_UNROLL for (int half = 0; half < 2; half++) {
            scale[half] = t != COP_Q6_K ? _mm256_set1_epi16(1)
                          : direct      ? load_scale_pairs(k->packed, 2 * b + part, half)
                                        : k->buffer->pairs[2 * b + part][half];
            COP_UNROLL for (int c = 0; c < columns; c++) {
                __m256i wide = t == COP_Q8_0 ? sums[c][half] : _mm256_madd_epi16(sums[c][half], scale[half]);
                total[c][half] = part ? _mm256_add_epi32(total[c][half], wide) : wide;
            }
        }
    }
}

// Lines begin … end-1 of what lies ahead of block b: each tile over a chunk fetches its share.
COP_INLINE void prefetch_share(const cop_dtype t, const chunk *k, int b, int begin, int end) {
    const char *p = (const char *)k->ahead + (size_t)b * block_bytes(t);
    for (int i = begin; i < end; i++) _mm_prefetch(p + 64 * i, _MM_HINT_T0);
}

/* acc[c][0 … 15] += the chunk times the columns c, block after block.
 *   x      the activations of the first block; those of the next lie `width` further
 *   share  which of `shares` equal parts of the prefetching is done here */
COP_INLINE void multiply_tile(const cop_dtype t, const int columns, const bool direct, const chunk *k,
                              const cop_act *x, int width, float (*acc)[COP_TILE], int share, int shares) {
    const super_scale super[2] = {load_super_scale(t, k->packed, 0), load_super_scale(t, k->packed, 1)};
    const int lines = (int)(block_bytes(t) + 63) / 64;
    const int begin = lines * share / shares, end = lines * (share + 1) / shares;
    __m256 a[BUFFERED_TILE][2];
    COP_UNROLL for (int c = 0; c < columns; c++) {
        a[c][0] = _mm256_loadu_ps(acc[c]);
        a[c][1] = _mm256_loadu_ps(acc[c] + 8);
    }
    for (int b = 0; b < k->n_blocks; b++, x += width) {
        __m256i total[BUFFERED_TILE][2];
        prefetch_share(t, k, b, begin, end);
        block_sums(t, columns, direct, k, b, x, total);
        COP_UNROLL for (int half = 0; half < 2; half++) {
            __m256 w_d, w_m;
            if (direct)
                load_scales(t, k->packed, b, half, super[half], &w_d, &w_m);
            else
                w_d = k->buffer->d[b][half], w_m = k->buffer->m[b][half];
            COP_UNROLL for (int c = 0; c < columns; c++) {
                const __m256 u = _mm256_mul_ps(_mm256_cvtepi32_ps(total[c][half]), w_d);
                a[c][half] = _mm256_fmadd_ps(u, _mm256_set1_ps(x[c].d), a[c][half]);
                if (has_minimum(t)) a[c][half] = _mm256_fmadd_ps(w_m, _mm256_set1_ps(x[c].ds), a[c][half]);
            }
        }
    }
    COP_UNROLL for (int c = 0; c < columns; c++) {
        _mm256_storeu_ps(acc[c], a[c][0]);
        _mm256_storeu_ps(acc[c] + 8, a[c][1]);
    }
}

// All columns of one panel pass in tiles of nearly equal width.
COP_INLINE void multiply_pass(const cop_dtype t, const bool direct, const chunk *k, const cop_act *x, int width,
                              float (*acc)[COP_TILE]) {
    const int most = direct ? DIRECT_TILE : BUFFERED_TILE, tiles = (width + most - 1) / most;
    for (int i = 0, c = 0; i < tiles; i++) {
        const int columns = (width - c + tiles - i - 1) / (tiles - i);
        switch (columns) {
        case 1: multiply_tile(t, 1, direct, k, x + c, width, acc + c, i, tiles); break;
        case 2: multiply_tile(t, 2, direct, k, x + c, width, acc + c, i, tiles); break;
        case 3: multiply_tile(t, 3, direct, k, x + c, width, acc + c, i, tiles); break;
        case 4: multiply_tile(t, 4, direct, k, x + c, width, acc + c, i, tiles); break;
        case 5: if (!direct) multiply_tile(t, 5, false, k, x + c, width, acc + c, i, tiles); break;
        case 6: if (!direct) multiply_tile(t, 6, false, k, x + c, width, acc + c, i, tiles); break;
        }
        c += columns;
    }
}

// One group of up to GROUP columns, beginning at a pass of the panel.
COP_INLINE void multiply_group(const cop_dtype t, const bool direct, const uint8_t *w, int n_blocks,
                               const cop_act *x, int n, float (*acc)[COP_TILE]) {
    unpacked buffer;
    chunk k = {.packed = w, .buffer = &buffer};
    for (int b = 0; b < n_blocks; b += CHUNK, k.packed += CHUNK * block_bytes(t)) {
        k.n_blocks = n_blocks - b < CHUNK ? n_blocks - b : CHUNK;
        k.ahead = k.packed + PREFETCH;
        if (!direct) unpack_chunk(t, &buffer, k.packed, k.n_blocks);
        for (int c = 0; c < n; c += COP_MAX_COLUMNS) {
            const int width = n - c < COP_MAX_COLUMNS ? n - c : COP_MAX_COLUMNS;
            multiply_pass(t, direct, &k, x + cop_panel_index(n, n_blocks, b, c), width, acc + c);
        }
    }
}

/* The whole kernel of one type. Up to `direct` columns (the type's own threshold, measured) are
 * unpacked in registers. */
COP_INLINE void multiply(const cop_dtype t, const int direct, float *y, size_t y_stride, const uint8_t *w, int cols,
                         const cop_act *x, int n) {
    const int n_blocks = cols / COP_BLOCK;
    _Alignas(32) float acc[GROUP][COP_TILE];
    for (int c = 0; c < n; c += GROUP) {
        const int columns = n - c < GROUP ? n - c : GROUP;
        memset(acc, 0, (size_t)columns * sizeof *acc);
        if (columns <= direct)
            multiply_group(t, true, w, n_blocks, x + (size_t)c * (size_t)n_blocks, columns, acc);
        else
            multiply_group(t, false, w, n_blocks, x + (size_t)c * (size_t)n_blocks, columns, acc);
        for (int i = 0; i < columns; i++) memcpy(y + (size_t)(c + i) * y_stride, acc[i], sizeof *acc);
    }
}

#endif
