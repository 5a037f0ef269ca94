// Sixteen floats in two ymm registers: the vocabulary of rows_body.h and attention_body.h for AVX2.
// _n: only the first n lanes count (n may exceed 16); the others load as +0 and are not stored, and
// no memory behind them is touched. The other levels define the same words.
#ifndef COP_KERNEL_X86_LANES_AVX2_H
#define COP_KERNEL_X86_LANES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES16_LEVEL(name) name##_avx2
#define LANES16_SUMS 4  // lanes16 that an inner loop may keep in registers

typedef struct lanes16 {
    __m256 low, high;
} lanes16;

#define LANES16_EACH(f, a, b) ((lanes16){f((a).low, (b).low), f((a).high, (b).high)})

static inline __m256i lanes16_mask8(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline lanes16 lanes16_set1(float x) { return (lanes16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline lanes16 lanes16_zero(void) { return (lanes16){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
static inline lanes16 lanes16_load(const float *p) { return (lanes16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline lanes16 lanes16_load_n(const float *p, int n) {
    if (n >= 16) return lanes16_load(p);
    if (n <= 8) return (lanes16){_mm256_maskload_ps(p, lanes16_mask8(n)), _mm256_setzero_ps()};
    return (lanes16){_mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, lanes16_mask8(n - 8))};
}
static inline void lanes16_store(float *p, lanes16 x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
static inline void lanes16_store_n(float *p, lanes16 x, int n) {
    if (n >= 16) {
        lanes16_store(p, x);
    } else if (n <= 8) {
        _mm256_maskstore_ps(p, lanes16_mask8(n), x.low);
    } else {
        _mm256_storeu_ps(p, x.low);
        _mm256_maskstore_ps(p + 8, lanes16_mask8(n - 8), x.high);
    }
}
static inline lanes16 lanes16_first(lanes16 x, int n) {
    return (lanes16){_mm256_and_ps(x.low, _mm256_castsi256_ps(lanes16_mask8(n))),
                     _mm256_and_ps(x.high, _mm256_castsi256_ps(lanes16_mask8(n - 8)))};
}

static inline lanes16 lanes16_add(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_add_ps, a, b); }
static inline lanes16 lanes16_sub(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_sub_ps, a, b); }
static inline lanes16 lanes16_mul(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_mul_ps, a, b); }
static inline lanes16 lanes16_div(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_div_ps, a, b); }
static inline lanes16 lanes16_max(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_max_ps, a, b); }
static inline lanes16 lanes16_min(lanes16 a, lanes16 b) { return LANES16_EACH(_mm256_min_ps, a, b); }
static inline lanes16 lanes16_fma(lanes16 a, lanes16 b, lanes16 c) {
    return (lanes16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
static inline lanes16 lanes16_round(lanes16 x) {
    return (lanes16){_mm256_round_ps(x.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                     _mm256_round_ps(x.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline lanes16 lanes16_neg(lanes16 x) { return LANES16_EACH(_mm256_xor_ps, x, lanes16_set1(-0.0f)); }
static inline lanes16 lanes16_abs(lanes16 x) { return LANES16_EACH(_mm256_andnot_ps, lanes16_set1(-0.0f), x); }
/* x * 2^n by adding to the exponent; n whole, the result normal. */
static inline __m256 lanes16_exponent8(__m256 x, __m256 n) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
}
static inline lanes16 lanes16_exponent(lanes16 x, lanes16 n) { return LANES16_EACH(lanes16_exponent8, x, n); }
/* x < y ? a : b */
static inline lanes16 lanes16_less(lanes16 x, lanes16 y, lanes16 a, lanes16 b) {
    return (lanes16){_mm256_blendv_ps(b.low, a.low, _mm256_cmp_ps(x.low, y.low, _CMP_LT_OQ)),
                     _mm256_blendv_ps(b.high, a.high, _mm256_cmp_ps(x.high, y.high, _CMP_LT_OQ))};
}

/* s[i] += s[i + 8], then 4, 2, 1. */
static inline float lanes16_fold(lanes16 s) {
    const __m256 eight = _mm256_add_ps(s.low, s.high);
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
static inline float lanes16_fold_max(lanes16 s) {
    const __m256 eight = _mm256_max_ps(s.low, s.high);
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

/* p[0], p[2], ... p[30] and p[1], p[3], ... p[31]; and back. */
static inline __m256 lanes16_every_second(__m256 a, __m256 b, bool odd) {
    const __m256 mixed = odd ? _mm256_shuffle_ps(a, b, 0xdd) : _mm256_shuffle_ps(a, b, 0x88);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}
static inline void lanes16_split(const float *p, lanes16 *even, lanes16 *odd) {
    const lanes16 a = lanes16_load(p), b = lanes16_load(p + 16);
    *even = (lanes16){lanes16_every_second(a.low, a.high, false), lanes16_every_second(b.low, b.high, false)};
    *odd = (lanes16){lanes16_every_second(a.low, a.high, true), lanes16_every_second(b.low, b.high, true)};
}
static inline lanes16 lanes16_zip8(__m256 even, __m256 odd) {
    const __m256 a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
    return (lanes16){_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)};
}
static inline void lanes16_join(float *p, lanes16 even, lanes16 odd) {
    lanes16_store(p, lanes16_zip8(even.low, odd.low));
    lanes16_store(p + 16, lanes16_zip8(even.high, odd.high));
}

// ---- elements of the cache --------------------------------------------------------------------

static inline __m128i lanes16_load_128(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

static inline lanes16 lanes16_from_f16(const uint8_t *p) {
    return (lanes16){_mm256_cvtph_ps(lanes16_load_128(p)), _mm256_cvtph_ps(lanes16_load_128(p + 16))};
}
static inline __m256 lanes16_from_bf16_8(const uint8_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(lanes16_load_128(p)), 16));
}
static inline lanes16 lanes16_from_bf16(const uint8_t *p) {
    return (lanes16){lanes16_from_bf16_8(p), lanes16_from_bf16_8(p + 16)};
}
static inline lanes16 lanes16_from_s8(const uint8_t *p) {
    const __m128i low = _mm_loadl_epi64((const __m128i *)p), high = _mm_loadl_epi64((const __m128i *)(p + 8));
    return (lanes16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high))};
}

static inline void lanes16_to_f16(uint8_t *p, lanes16 x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(p + 16), _mm256_cvtps_ph(x.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline __m256i lanes16_round_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i near = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256i nan = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    return _mm256_blendv_epi8(near, nan, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
static inline void lanes16_to_bf16(uint8_t *p, lanes16 x) {
    const __m256i packed = _mm256_packus_epi32(lanes16_round_bf16(x.low), lanes16_round_bf16(x.high));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(packed, 0xd8));
}
/* Nearest even; the lanes are in -128 … 127. */
static inline void lanes16_to_s8(uint8_t *p, lanes16 x) {
    __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high));
    packed = _mm256_permute4x64_epi64(packed, 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    _mm_storeu_si128((__m128i *)p, bytes);
}

#endif
