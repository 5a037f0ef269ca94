// Products of the unquantised types: even and odd columns in sums of their own, by fused multiply-add.
// A tile of 3 columns x 2 halves x 2 sums fills the registers. The columns of the matrix are cut in
// chunks that stay in L1 while all columns of the batch pass over them.
#include "kernel/x86/product_lanes_avx2.h"

#define PAIRS 64       // pairs of columns of a chunk: 4 KiB of BF16 or F16, 8 KiB of F32
#define GROUP 32       // columns of the batch whose sums are kept on the stack
#define TILE 3
#define PREFETCH 8192  // bytes ahead
#define FAR (512 * 1024)  // bytes of activations that no longer stay in L2 from tile to tile

typedef struct float_sums {
    float even[COP_TILE], odd[COP_TILE];
} float_sums;

// The rows of one batch: column c, element k is x[c * stride + k].
typedef struct float_rows {
    const float *x;
    size_t stride;
    bool far;  // they come from L3: fetch those of the next chunk
} float_rows;

COP_INLINE size_t pair_bytes(const cop_dtype t) { return t == COP_F32 ? 128 : 64; }

// The weights of 8 rows in column 2j + odd, p being where pair j begins.
COP_INLINE __m256 load_weights(const cop_dtype t, const uint8_t *p, const int half, const int odd) {
    if (t == COP_F32) return _mm256_loadu_ps((const float *)(const void *)(p + 64 * odd + 32 * half));
    if (t == COP_F16) return load_halves(p + 32 * odd + 16 * half);
    const __m256i both = load_bytes(p + 32 * half);
    const __m256i top = _mm256_set1_epi32((int)0xffff0000);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(both, top) : _mm256_slli_epi32(both, 16));
}

COP_INLINE void add_pair(const cop_dtype t, const int columns, const uint8_t *p, const float *const x[], int pair,
                         __m256 sums[][2][2]) {
    COP_UNROLL for (int odd = 0; odd < 2; odd++) {
        const __m256 low = load_weights(t, p, 0, odd), high = load_weights(t, p, 1, odd);
        COP_UNROLL for (int c = 0; c < columns; c++) {
            const __m256 value = _mm256_set1_ps(x[c][2 * pair + odd]);
            sums[c][odd][0] = _mm256_fmadd_ps(low, value, sums[c][odd][0]);
            sums[c][odd][1] = _mm256_fmadd_ps(high, value, sums[c][odd][1]);
        }
    }
}

COP_INLINE void prefetch_rows(const int columns, const float *const x[]) {
    for (int c = 0; c < columns; c++)
        for (int i = 0; i < 2 * PAIRS; i += 16) _mm_prefetch((const char *)(x[c] + 2 * PAIRS + i), _MM_HINT_T0);
}

// acc[c] += a chunk of pairs times the columns c, c+1, ... of the batch.
COP_INLINE void multiply_tile(const cop_dtype t, const int columns, const uint8_t *w, int n_pairs, float_rows rows,
                              float_sums *acc, bool prefetch) {
    __m256 sums[TILE][2][2];
    const float *x[TILE];
    COP_UNROLL for (int c = 0; c < columns; c++) {
        x[c] = rows.x + (size_t)c * rows.stride;
        COP_UNROLL for (int half = 0; half < 2; half++) {
            sums[c][0][half] = _mm256_loadu_ps(acc[c].even + 8 * half);
            sums[c][1][half] = _mm256_loadu_ps(acc[c].odd + 8 * half);
        }
    }
    if (rows.far) prefetch_rows(columns, x);
    for (int i = 0; i < n_pairs; i++, w += pair_bytes(t)) {
        if (prefetch) {
            _mm_prefetch((const char *)w + PREFETCH, _MM_HINT_T0);
            if (t == COP_F32) _mm_prefetch((const char *)w + PREFETCH + 64, _MM_HINT_T0);
        }
        add_pair(t, columns, w, x, i, sums);
    }
    COP_UNROLL for (int c = 0; c < columns; c++) {
        COP_UNROLL for (int half = 0; half < 2; half++) {
            _mm256_storeu_ps(acc[c].even + 8 * half, sums[c][0][half]);
            _mm256_storeu_ps(acc[c].odd + 8 * half, sums[c][1][half]);
        }
    }
}

// All columns of a group over one chunk, in tiles of nearly equal width.
COP_INLINE void multiply_chunk(const cop_dtype t, const uint8_t *w, int n_pairs, float_rows rows, int n,
                               float_sums *acc) {
    const int tiles = (n + TILE - 1) / TILE;
    for (int i = 0, c = 0; i < tiles; i++) {
        const int columns = (n - c + tiles - i - 1) / (tiles - i);
        const float_rows at = {rows.x + (size_t)c * rows.stride, rows.stride, rows.far};
        switch (columns) {
        case 1: multiply_tile(t, 1, w, n_pairs, at, acc + c, i == 0); break;
        case 2: multiply_tile(t, 2, w, n_pairs, at, acc + c, i == 0); break;
        case 3: multiply_tile(t, 3, w, n_pairs, at, acc + c, i == 0); break;
        }
        c += columns;
    }
}

COP_INLINE void multiply(const cop_dtype t, float *y, size_t y_stride, const uint8_t *w, int cols, const float *x,
                         size_t x_stride, int n) {
    const int n_pairs = (cols + 1) / 2;
    const float_rows rows = {x, x_stride, (size_t)n * (size_t)cols * sizeof *x > FAR};
    float_sums acc[GROUP];
    for (int first = 0; first < n; first += GROUP) {
        const int columns = n - first < GROUP ? n - first : GROUP;
        memset(acc, 0, (size_t)columns * sizeof *acc);
        for (int i = 0; i < n_pairs; i += PAIRS) {
            const float_rows at = {rows.x + (size_t)first * rows.stride + 2 * i, rows.stride, rows.far};
            const int pairs = n_pairs - i < PAIRS ? n_pairs - i : PAIRS;
            multiply_chunk(t, w + (size_t)i * pair_bytes(t), pairs, at, columns, acc);
        }
        for (int c = 0; c < columns; c++)
            for (int r = 0; r < COP_TILE; r++)
                y[(size_t)(first + c) * y_stride + (size_t)r] = acc[c].even[r] + acc[c].odd[r];
    }
}

void cop_product_f32_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    multiply(COP_F32, y, y_stride, w, cols, x, x_stride, n);
}

void cop_product_f16_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    multiply(COP_F16, y, y_stride, w, cols, x, x_stride, n);
}

void cop_product_bf16_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    multiply(COP_BF16, y, y_stride, w, cols, x, x_stride, n);
}
