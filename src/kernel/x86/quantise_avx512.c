// Activations to signed bytes for AVX-512: a block is two registers. n[0] is the negated sum of q, n[1] holds those
// of the first 16 and of the second 16 as two 16-bit numbers.
#include <math.h>

#include "kernel/kernel_private.h"
#include "kernel/x86/avx512.h"

static void quantise_block(cop_act *act, const float *x) {
    const __m512 first = _mm512_loadu_ps(x), second = _mm512_loadu_ps(x + 16);
    const float a = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(first), _mm512_abs_ps(second)));
    const float scale = 127.0f / a;
    if (isinf(scale)) {
        *act = (cop_act){0};
        return;
    }
    const __m512i q0 = _mm512_cvtps_epi32(_mm512_mul_ps(first, _mm512_set1_ps(scale)));
    const __m512i q1 = _mm512_cvtps_epi32(_mm512_mul_ps(second, _mm512_set1_ps(scale)));
    _mm_storeu_si128((void *)act->q, _mm512_cvtepi32_epi8(q0));
    _mm_storeu_si128((void *)(act->q + 16), _mm512_cvtepi32_epi8(q1));
    const int sum1 = _mm512_reduce_add_epi32(q1), sum = _mm512_reduce_add_epi32(q0) + sum1;
    act->d = a / 127.0f;
    act->ds = act->d * (float)sum;
    act->n[0] = -sum;
    act->n[1] = (int32_t)((uint32_t)(sum1 - sum) & 0xffff) | (int32_t)((uint32_t)-sum1 << 16);
}

void cop_quantise_avx512(cop_act *out, size_t stride, const float *x, int n_blocks) {
    for (int b = 0; b < n_blocks; b++) quantise_block(out + (size_t)b * stride, x + (size_t)b * COP_BLOCK);
}
