// Sixteen floats in one zmm register: the vocabulary of rows_body.h and attention_body.h for AVX-512.
// _n: only the first n lanes count (n may exceed 16); the others load as +0 and are not stored, and
// no memory behind them is touched. The other levels define the same words.
#ifndef COP_KERNEL_X86_LANES_AVX512_H
#define COP_KERNEL_X86_LANES_AVX512_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/x86/avx512.h"

#define LANES16_LEVEL(name) name##_avx512
#define LANES16_SUMS 16  // lanes16 that an inner loop may keep in registers

typedef __m512 lanes16;

static inline __mmask16 lanes16_mask(int n) { return (__mmask16)(n >= 16 ? 0xffff : (1 << n) - 1); }

static inline lanes16 lanes16_zero(void) { return _mm512_setzero_ps(); }
static inline lanes16 lanes16_set1(float x) { return _mm512_set1_ps(x); }
static inline lanes16 lanes16_load(const float *p) { return _mm512_loadu_ps(p); }
static inline lanes16 lanes16_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(lanes16_mask(n), p); }
static inline void lanes16_store(float *p, lanes16 x) { _mm512_storeu_ps(p, x); }
static inline void lanes16_store_n(float *p, lanes16 x, int n) { _mm512_mask_storeu_ps(p, lanes16_mask(n), x); }
static inline lanes16 lanes16_first(lanes16 x, int n) { return _mm512_maskz_mov_ps(lanes16_mask(n), x); }

static inline lanes16 lanes16_add(lanes16 a, lanes16 b) { return _mm512_add_ps(a, b); }
static inline lanes16 lanes16_sub(lanes16 a, lanes16 b) { return _mm512_sub_ps(a, b); }
static inline lanes16 lanes16_mul(lanes16 a, lanes16 b) { return _mm512_mul_ps(a, b); }
static inline lanes16 lanes16_div(lanes16 a, lanes16 b) { return _mm512_div_ps(a, b); }
static inline lanes16 lanes16_fma(lanes16 a, lanes16 b, lanes16 c) { return _mm512_fmadd_ps(a, b, c); }
static inline lanes16 lanes16_max(lanes16 a, lanes16 b) { return _mm512_max_ps(a, b); }
static inline lanes16 lanes16_min(lanes16 a, lanes16 b) { return _mm512_min_ps(a, b); }
static inline lanes16 lanes16_round(lanes16 x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline lanes16 lanes16_neg(lanes16 x) {
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN)));
}
static inline lanes16 lanes16_abs(lanes16 x) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MAX)));
}
/* x * 2^n by adding to the exponent; n whole, the result normal. */
static inline lanes16 lanes16_exponent(lanes16 x, lanes16 n) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(x), _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23)));
}
/* x < y ? a : b */
static inline lanes16 lanes16_less(lanes16 x, lanes16 y, lanes16 a, lanes16 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}

/* s[i] += s[i + 8], then 4, 2, 1. */
static inline float lanes16_fold(lanes16 s) {
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1));
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(s), high);
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
static inline float lanes16_fold_max(lanes16 s) {
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1));
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(s), high);
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

/* p[0], p[2], ... p[30] and p[1], p[3], ... p[31]; and back. */
static inline void lanes16_split(const float *p, lanes16 *even, lanes16 *odd) {
    const __m512i at = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16);
    *even = _mm512_permutex2var_ps(a, at, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(at, _mm512_set1_epi32(1)), b);
}
static inline void lanes16_join(float *p, lanes16 even, lanes16 odd) {
    const __m512i at = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_ps(p, _mm512_permutex2var_ps(even, at, odd));
    _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(even, _mm512_add_epi32(at, _mm512_set1_epi32(8)), odd));
}

// ---- elements of the cache --------------------------------------------------------------------

static inline lanes16 lanes16_from_f16(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline lanes16 lanes16_from_bf16(const uint8_t *p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static inline lanes16 lanes16_from_s8(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline void lanes16_to_f16(uint8_t *p, lanes16 x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void lanes16_to_bf16(uint8_t *p, lanes16 x) {
    const __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i near = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    const __m512i nan = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, near, nan)));
}
/* Nearest even; the lanes are in -128 … 127. */
static inline void lanes16_to_s8(uint8_t *p, lanes16 x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

#endif
