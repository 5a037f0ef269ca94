// The product of one packed tile with n columns for the quantised types, without VNNI.
//
// maddubs multiplies bytes and adds them in pairs; eight such vectors are summed in 16 bits and widened
// by one maddwd per block. The 16-bit sums may wrap on the way because their end fits:
//   unsigned 4 bits                 16 x 15 x 127 = 30480
//   5 bits, centred by -16          16 x 16 x 127 = 32512
//   6 bits, centred by -32, halves   8 x 32 x 127 = 32512; Q2_K and Q3_K need less
//   MXFP4, centred by -12           16 x 12 x 127 = 24384
// Centring costs nothing but the start value: the negated sums of the activations in act.n[], times the
// centre. Q8_0, IQ4_NL and IQ4_XS have no room in 16 bits and pay a maddwd for each vector.
//
// Weights are unpacked straight into registers. With more than 4 columns the first tile of columns also
// keeps what it unpacked, 256 columns of the matrix at a time, in a buffer on the stack, and the other
// tiles read that from L1. The float sequence of a column is the same in each case. Activations of more
// than 64 columns leave L2 from tile to tile, so callers had better sweep the tiles 32 or 64 at a time.
#ifndef COP_KERNEL_PRODUCT_AVX2_H
#define COP_KERNEL_PRODUCT_AVX2_H

#include "kernel/x86/product_lanes_avx2.h"

#define CHUNK 8           // blocks unpacked at a time: what one pair of D, DM of the K types covers
#define GROUP 32          // columns that share one unpacking; more would push activations out of L1
#define DIRECT_TILE 4     // columns x 2 halves of sums, two weights, raw nibbles, mask: 16 registers
#define BUFFERED_TILE 6   // columns x 2 halves of sums, two weights, one activation: 16 registers
#define PREFETCH 9216     // bytes ahead; 2 to 9 KiB are alike, 15-30 % better than none (section 9)
#define FAR (512 * 1024)  // bytes of activations that no longer stay in L2 from tile to tile

// Where a tile of columns takes its weights from.
typedef enum source {
    DIRECT,   // from the packed tile
    KEEP,     // from the packed tile, and leaves them in the buffer
    BUFFERED  // from the buffer
} source;

typedef struct unpacked {
    __m256i w[CHUNK][8][2];  // [block][vector][half]
    __m256 d[CHUNK][2], m[CHUNK][2];
    __m256i pairs[2 * CHUNK][2];  // types with a scale per 16 columns only
    __m256i minima[2 * CHUNK][2]; // Q2_K only
} unpacked;

// Some consecutive blocks of the tile.
typedef struct chunk {
    const uint8_t *packed;
    unpacked *buffer;
    int n_blocks;  // at most CHUNK but for DIRECT types without super-scales
    bool far;      // fetch the activations of the next chunk too
} chunk;

COP_INLINE __m256i weights(const cop_dtype t, const source from, const chunk *k, const uint8_t *quants, int b,
                           const int half, const int j) {
    if (from == BUFFERED) return k->buffer->w[b][j][half];
    const __m256i w = unpack_vector(t, quants, half, j);
    if (from == KEEP) k->buffer->w[b][j][half] = w;
    return w;
}

COP_INLINE void scales(const cop_dtype t, const source from, const chunk *k, int b, const int half,
                       super_scale super, __m256 *w_d, __m256 *w_m) {
    if (from == BUFFERED) {
        *w_d = k->buffer->d[b][half];
        *w_m = k->buffer->m[b][half];
        return;
    }
    load_scales(t, k->packed, b, half, super, w_d, w_m);
    if (from == KEEP) {
        k->buffer->d[b][half] = *w_d;
        if (has_minimum(t) || t == COP_Q2_K) k->buffer->m[b][half] = *w_m;
    }
}

// What widens the 16-bit sums of a part (half of the columns where they have a scale, else all) of block b.
COP_INLINE __m256i widener(const cop_dtype t, const source from, const chunk *k, int b, const int part,
                           const int half) {
    if (!has_halves(t)) return _mm256_set1_epi16(1);
    if (from == BUFFERED) return k->buffer->pairs[2 * b + part][half];
    const __m256i pairs = load_pairs(t, k->packed, 2 * b + part, half, false);
    if (from == KEEP) k->buffer->pairs[2 * b + part][half] = pairs;
    return pairs;
}

COP_INLINE __m256i minimum_pairs(const cop_dtype t, const source from, const chunk *k, int b, const int part,
                                 const int half) {
    if (from == BUFFERED) return k->buffer->minima[2 * b + part][half];
    const __m256i pairs = load_pairs(t, k->packed, 2 * b + part, half, true);
    if (from == KEEP) k->buffer->minima[2 * b + part][half] = pairs;
    return pairs;
}

// Fills the buffer before any tile runs, which types with a scale per 16 columns prefer: unpacking it leaves a tile no registers
// (3 to 6 % at 5 to 16 columns; the other types gain as much by filling while the first tile runs).
COP_INLINE void fill_buffer(const cop_dtype t, const chunk *k) {
    const super_scale super[2] = {load_super_scale(t, k->packed, 0), load_super_scale(t, k->packed, 1)};
    for (int b = 0; b < k->n_blocks; b++) {
        COP_UNROLL for (int half = 0; half < 2; half++) {
            __m256 w_d, w_m;
            COP_UNROLL for (int j = 0; j < 8; j++) weights(t, KEEP, k, block_quants(t, k->packed, b), b, half, j);
            scales(t, KEEP, k, b, half, super[half], &w_d, &w_m);
            widener(t, KEEP, k, b, 0, half);
            widener(t, KEEP, k, b, 1, half);
            if (t == COP_Q2_K) minimum_pairs(t, KEEP, k, b, 0, half), minimum_pairs(t, KEEP, k, b, 1, half);
        }
    }
}

// The negated sum of q over half of the columns, in two 16-bit parts.
COP_INLINE __m256i half_sum(const cop_act *x, const int part) {
    const __m256i second = _mm256_set1_epi32(x->n[1]);
    return part ? second : _mm256_sub_epi16(_mm256_set1_epi32(x->n[0]), second);
}

// What the 16-bit sums of a column start from: minus the centre of the type times the sum of q.
COP_INLINE __m256i start_sum(const cop_dtype t, const cop_act *x, const int part) {
    if (t == COP_Q4_0) return _mm256_slli_epi16(_mm256_set1_epi32(x->n[0]), 3);
    if (has_fifth_bit(t)) return _mm256_slli_epi16(_mm256_set1_epi32(x->n[0]), 4);
    if (t == COP_MXFP4) return _mm256_mullo_epi16(_mm256_set1_epi32(x->n[0]), _mm256_set1_epi16(12));
    if (t != COP_Q6_K && t != COP_Q3_K) return _mm256_setzero_si256();
    return _mm256_slli_epi16(half_sum(x, part), t == COP_Q6_K ? 5 : 2);
}

COP_INLINE __m256i add_product(const cop_dtype t, __m256i sum, __m256i w, __m256i q) {
    if (!is_signed(t)) return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, q));
    // |w| is unsigned, so -128 is 128, and 2 x 128 x 127 fits; the sign goes to q, which is never -128.
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// sums[c][half] += vectors first … last-1 of block b times the columns c.
COP_INLINE void add_products(const cop_dtype t, const int columns, const source from, const chunk *k, int b,
                             const int first, const int last, const cop_act *x, __m256i sums[][2]) {
    const uint8_t *quants = block_quants(t, k->packed, b);
    // Not to be kept in registers from the low nibbles of Q6_K to its high ones: there are none left.
    if (t == COP_Q6_K && from != BUFFERED) __asm__("" : "+r"(quants));
    COP_UNROLL for (int i = first; i < last; i++) {
        // Both nibbles of a byte one after the other, except where the scale changes between them.
        const int j = has_halves(t) || t == COP_Q8_0 ? i : i / 2 + i % 2 * 4;
        const __m256i low = weights(t, from, k, quants, b, 0, j);
        const __m256i high = weights(t, from, k, quants, b, 1, j);
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
COP_INLINE void block_sums(const cop_dtype t, const int columns, const source from, const chunk *k, int b,
                           const cop_act *x, __m256i total[][2]) {
    const int parts = has_halves(t) ? 2 : 1;
    COP_UNROLL for (int part = 0; part < parts; part++) {
        __m256i sums[BUFFERED_TILE][2];
        COP_UNROLL for (int c = 0; c < columns; c++) sums[c][0] = sums[c][1] = start_sum(t, x + c, part);
        add_products(t, columns, from, k, b, 8 / parts * part, 8 / parts * (part + 1), x, sums);
        COP_UNROLL for (int half = 0; half < 2; half++) {
            const __m256i scale = widener(t, from, k, b, part, half);
            COP_UNROLL for (int c = 0; c < columns; c++) {
                const __m256i wide = is_signed(t) ? sums[c][half] : _mm256_madd_epi16(sums[c][half], scale);
                total[c][half] = part ? _mm256_add_epi32(total[c][half], wide) : wide;
            }
        }
    }
}

// Of Q2_K, u + DM times the negated minima: exact integers, as in the contract.
COP_INLINE __m256 add_minima(const cop_act *x, __m256i first, __m256i second, __m256 minus_dm, __m256 u) {
    const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(half_sum(x, 0), first), _mm256_madd_epi16(half_sum(x, 1), second));
    return _mm256_fnmadd_ps(_mm256_cvtepi32_ps(sum), minus_dm, u);
}

// acc[c][half] as the contract has it, for one block.
COP_INLINE void add_block(const cop_dtype t, const int columns, const source from, const chunk *k, int b,
                          const super_scale super[2], const cop_act *x, __m256 acc[][2]) {
    __m256i total[BUFFERED_TILE][2];
    block_sums(t, columns, from, k, b, x, total);
    COP_UNROLL for (int half = 0; half < 2; half++) {
        __m256 w_d, w_m;
        scales(t, from, k, b, half, super[half], &w_d, &w_m);
        __m256i minima[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        if (t == COP_Q2_K)
            COP_UNROLL for (int i = 0; i < 2; i++) minima[i] = minimum_pairs(t, from, k, b, i, half);
        COP_UNROLL for (int c = 0; c < columns; c++) {
            __m256 u = _mm256_mul_ps(_mm256_cvtepi32_ps(total[c][half]), w_d);
            if (t == COP_Q2_K) u = add_minima(x + c, minima[0], minima[1], w_m, u);
            acc[c][half] = _mm256_fmadd_ps(u, _mm256_set1_ps(x[c].d), acc[c][half]);
            if (has_minimum(t)) acc[c][half] = _mm256_fmadd_ps(w_m, _mm256_set1_ps(x[c].ds), acc[c][half]);
        }
    }
}

// Lines begin … end-1 of what lies ahead of block b: each tile over a chunk fetches its share. And the
// activations one chunk on, where they come from L3; 48 bytes apart they touch every line.
COP_INLINE void prefetch(const cop_dtype t, const int columns, const chunk *k, int b, int begin, int end,
                         const cop_act *next) {
    const char *p = (const char *)k->packed + PREFETCH + (size_t)b * block_bytes(t);
    COP_KEEP_LOOP for (int i = begin; i < end; i++) _mm_prefetch(p + 64 * i, _MM_HINT_T0);
    if (!k->far) return;
    COP_UNROLL for (int c = 0; c < columns; c++) _mm_prefetch((const char *)(next + c), _MM_HINT_T0);
}

/* sums[c][0 … 15] += the chunk times the columns c, block after block.
 *   x      the activations of the first block; those of the next lie `width` further
 *   share  which of `shares` equal parts of the prefetching is done here */
COP_INLINE void multiply_tile(const cop_dtype t, const int columns, const source from, const chunk *k,
                              const cop_act *x, int width, float (*sums)[COP_TILE], int share, int shares) {
    const super_scale super[2] = {load_super_scale(t, k->packed, 0), load_super_scale(t, k->packed, 1)};
    const int lines = (int)(block_bytes(t) + 63) / 64;
    const int begin = lines * share / shares, end = lines * (share + 1) / shares;
    __m256 acc[BUFFERED_TILE][2];
    COP_UNROLL for (int c = 0; c < columns; c++) {
        acc[c][0] = _mm256_loadu_ps(sums[c]);
        acc[c][1] = _mm256_loadu_ps(sums[c] + 8);
    }
    for (int b = 0; b < k->n_blocks; b++, x += width) {
        prefetch(t, columns, k, b, begin, end, x + CHUNK * width);
        add_block(t, columns, from, k, b, super, x, acc);
    }
    COP_UNROLL for (int c = 0; c < columns; c++) {
        _mm256_storeu_ps(sums[c], acc[c][0]);
        _mm256_storeu_ps(sums[c] + 8, acc[c][1]);
    }
}

// The columns c … of one panel pass in tiles of nearly equal width, all from one source.
COP_INLINE void multiply_pass(const cop_dtype t, const source from, const chunk *k, const cop_act *x, int c,
                              int width, float (*sums)[COP_TILE]) {
    const int most = from == DIRECT ? DIRECT_TILE : BUFFERED_TILE, tiles = (width - c + most - 1) / most;
    for (int i = 0; i < tiles; i++) {
        const int columns = (width - c + tiles - i - 1) / (tiles - i);
        switch (columns) {
        case 1: multiply_tile(t, 1, from, k, x + c, width, sums + c, i, tiles); break;
        case 2: multiply_tile(t, 2, from, k, x + c, width, sums + c, i, tiles); break;
        case 3: multiply_tile(t, 3, from, k, x + c, width, sums + c, i, tiles); break;
        case 4: multiply_tile(t, 4, from, k, x + c, width, sums + c, i, tiles); break;
        case 5: if (from != DIRECT) multiply_tile(t, 5, from, k, x + c, width, sums + c, i, tiles); break;
        case 6: if (from != DIRECT) multiply_tile(t, 6, from, k, x + c, width, sums + c, i, tiles); break;
        }
        c += columns;
    }
}

// The first 3 or 4 columns of a pass of more than 4 fill the buffer: returns how many.
COP_INLINE int multiply_and_keep(const cop_dtype t, const chunk *k, const cop_act *x, int width,
                                 float (*sums)[COP_TILE]) {
    if (width < 7) {
        multiply_tile(t, 3, KEEP, k, x, width, sums, 0, 1);
        return 3;
    }
    multiply_tile(t, 4, KEEP, k, x, width, sums, 0, 1);
    return 4;
}

// One group of up to GROUP columns, beginning at a pass of the panel.
COP_INLINE void multiply_group(const cop_dtype t, const bool buffered, const uint8_t *w, int n_blocks,
                               const cop_act *x, int n, bool far, float (*sums)[COP_TILE]) {
    unpacked buffer;
    chunk k = {.packed = w, .buffer = &buffer, .far = far};
    const int step = n <= DIRECT_TILE && !is_k_type(t) ? n_blocks : CHUNK;
    for (int b = 0; b < n_blocks; b += step, k.packed += (size_t)step * block_bytes(t)) {
        k.n_blocks = n_blocks - b < step ? n_blocks - b : step;
        if (buffered && has_halves(t)) fill_buffer(t, &k);
        for (int c = 0; c < n; c += COP_MAX_COLUMNS) {
            const int width = n - c < COP_MAX_COLUMNS ? n - c : COP_MAX_COLUMNS;
            const cop_act *pass = x + cop_panel_index(n, n_blocks, b, c);
            if (!buffered) {
                multiply_pass(t, DIRECT, &k, pass, 0, width, sums + c);
            } else {
                const int kept = c || has_halves(t) ? 0 : multiply_and_keep(t, &k, pass, width, sums);
                multiply_pass(t, BUFFERED, &k, pass, kept, width, sums + c);
            }
        }
    }
}

// The whole kernel of one type. Q8_0 has nothing to unpack, so a buffer would gain nothing.
COP_INLINE void multiply(const cop_dtype t, float *y, size_t y_stride, const uint8_t *w, int cols, const cop_act *x,
                         int n) {
    const int n_blocks = cols / COP_BLOCK;
    const bool far = (size_t)n * (size_t)n_blocks * sizeof *x > FAR;
    _Alignas(32) float sums[GROUP][COP_TILE];
    for (int c = 0; c < n; c += GROUP) {
        const int columns = n - c < GROUP ? n - c : GROUP;
        const cop_act *group = x + (size_t)c * (size_t)n_blocks;
        memset(sums, 0, (size_t)columns * sizeof *sums);
        if (t == COP_Q8_0 || columns <= DIRECT_TILE)
            multiply_group(t, false, w, n_blocks, group, columns, far, sums);
        else
            multiply_group(t, true, w, n_blocks, group, columns, far, sums);
        for (int i = 0; i < columns; i++) memcpy(y + (size_t)(c + i) * y_stride, sums[i], sizeof *sums);
    }
}

#endif
