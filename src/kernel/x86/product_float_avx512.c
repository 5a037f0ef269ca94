// Products of F32, F16 and BF16 weights for AVX-512: a lane is a row, up to eight columns a pass, each
// with an even and an odd sum.
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/x86/avx512.h"

#define COLUMNS 8             // two sums for each fit the registers
#define PREFETCH_BYTES 8192

// Bytes of two columns of a tile.
COP_INLINE int pair_bytes(cop_dtype type) { return type == COP_F32 ? 128 : 64; }

COP_INLINE void load_pair(__m512 *even, __m512 *odd, cop_dtype type, const uint8_t *w) {
    if (type == COP_F32) {
        *even = _mm512_loadu_ps(w);
        *odd = _mm512_loadu_ps(w + 64);
    } else if (type == COP_F16) {
        *even = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)w));
        *odd = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(w + 32)));
    } else {
        const __m512i both = _mm512_loadu_si512(w);
        *even = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
        *odd = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000)));
    }
}

COP_INLINE void pass(float *y, size_t y_stride, const uint8_t *w, int cols, const float *x, size_t x_stride,
                 cop_dtype type, const int n) {
    __m512 even[COLUMNS], odd[COLUMNS];
    COP_UNROLL for (int c = 0; c < n; c++) even[c] = odd[c] = _mm512_setzero_ps();
    for (int k = 0; k < cols; k += 2, w += pair_bytes(type)) {
        __m512 w_even, w_odd;
        load_pair(&w_even, &w_odd, type, w);
        COP_UNROLL for (int i = 0; i < pair_bytes(type); i += 64)
            _mm_prefetch((const char *)w + PREFETCH_BYTES + i, _MM_HINT_T0);
        COP_UNROLL for (int c = 0; c < n; c++) {
            const float *at = x + (size_t)c * x_stride + (size_t)k;
            even[c] = _mm512_fmadd_ps(w_even, _mm512_set1_ps(at[0]), even[c]);
            odd[c] = _mm512_fmadd_ps(w_odd, _mm512_set1_ps(at[1]), odd[c]);
        }
    }
    COP_UNROLL for (int c = 0; c < n; c++) _mm512_storeu_ps(y + (size_t)c * y_stride, _mm512_add_ps(even[c], odd[c]));
}

#define PASS(n_) \
    case n_: pass(y, y_stride, w, cols, x, x_stride, type, n_); break

COP_INLINE void product(float *y, size_t y_stride, const uint8_t *w, int cols, const float *x, size_t x_stride, int n,
                    cop_dtype type) {
    for (int first = 0; first < n; first += COLUMNS, x += COLUMNS * x_stride, y += COLUMNS * y_stride) {
        switch (n - first < COLUMNS ? n - first : COLUMNS) {
            PASS(1); PASS(2); PASS(3); PASS(4); PASS(5); PASS(6); PASS(7); PASS(8);
        }
    }
}

#define PRODUCT(name, type)                                                                             \
    void cop_product_##name##_avx512(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, \
                                     size_t x_stride, int n) {                                          \
        product(y, y_stride, w, cols, x, x_stride, n, type);                                            \
    }

PRODUCT(f32, COP_F32)
PRODUCT(f16, COP_F16)
PRODUCT(bf16, COP_BF16)
