// Quantisation of activations, with the start values of product_avx2.h: n[0] and n[1] hold negated sums
// as pairs of 16-bit numbers, the low one over the columns with k % 4 in {0, 1}, the high one over
// {2, 3}, which is how maddubs pairs the columns of a lane.
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"

static inline float max_of_lanes(__m256 v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// Nearest even of 32 floats times `scale`, as bytes in order.
static inline __m256i round_to_bytes(const __m256 v[4], float scale) {
    const __m256 s = _mm256_set1_ps(scale);
    __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(v[0], s)), i1 = _mm256_cvtps_epi32(_mm256_mul_ps(v[1], s));
    __m256i i2 = _mm256_cvtps_epi32(_mm256_mul_ps(v[2], s)), i3 = _mm256_cvtps_epi32(_mm256_mul_ps(v[3], s));
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(i0, i1), _mm256_packs_epi32(i2, i3));
    // The packs work inside 128-bit lanes: put the groups of four back in order.
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// Pairs of 16-bit sums of 16 bytes' pair sums: all lanes hold the result of their half.
static inline __m256i fold_pairs(__m256i v) {
    v = _mm256_add_epi16(v, _mm256_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_add_epi16(v, _mm256_shuffle_epi32(v, _MM_SHUFFLE(2, 3, 0, 1)));
}

static void quantise_block(cop_act *out, const float *x) {
    const __m256 v[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16), _mm256_loadu_ps(x + 24)};
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 a01 = _mm256_max_ps(_mm256_andnot_ps(sign, v[0]), _mm256_andnot_ps(sign, v[1]));
    const __m256 a23 = _mm256_max_ps(_mm256_andnot_ps(sign, v[2]), _mm256_andnot_ps(sign, v[3]));
    const float a = max_of_lanes(_mm256_max_ps(a01, a23)), scale = 127.0f / a;
    if (a == 0.0f || isinf(scale)) {
        memset(out, 0, sizeof *out);
        return;
    }
    const __m256i q = round_to_bytes(v, scale);
    const __m256i pairs = fold_pairs(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q));
    const __m128i second = _mm256_extracti128_si256(pairs, 1);
    const __m128i all = _mm_add_epi16(_mm256_castsi256_si128(pairs), second), zero = _mm_setzero_si128();
    const int sum = _mm_cvtsi128_si32(_mm_madd_epi16(all, _mm_set1_epi16(1)));

    _mm256_storeu_si256((__m256i *)out->q, q);
    out->d = a / 127.0f;
    out->ds = out->d * (float)sum;
    out->n[0] = _mm_cvtsi128_si32(_mm_sub_epi16(zero, all));
    out->n[1] = _mm_cvtsi128_si32(_mm_sub_epi16(zero, second));
}

void cop_quantise_avx2(cop_act *out, size_t stride, const float *x, int n_blocks) {
    for (int b = 0; b < n_blocks; b++) quantise_block(out + (size_t)b * stride, x + (size_t)b * COP_BLOCK);
}
