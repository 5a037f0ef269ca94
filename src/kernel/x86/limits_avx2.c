// Rates of the avx2 level, for benches: eight products summed in 16 bits, and fused multiply-adds.
#include <immintrin.h>

#include "kernel/kernel_private.h"

#define KEEP(x) __asm__ volatile("" : "+x"(x))

double cop_spin_int_avx2(int64_t n) {
    __m256i a[10], w = _mm256_set1_epi8(3), x = _mm256_set1_epi8(1);
    for (int j = 0; j < 10; j++) a[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 10
        for (int j = 0; j < 10; j++) a[j] = _mm256_add_epi16(a[j], _mm256_maddubs_epi16(w, x));
    }
#pragma GCC unroll 10
    for (int j = 0; j < 10; j++) KEEP(a[j]);
    return 10.0 * 64.0 * (double)n;
}

double cop_spin_float_avx2(int64_t n) {
    __m256 a[12], w = _mm256_set1_ps(0.5f), x = _mm256_set1_ps(0.25f);
    for (int j = 0; j < 12; j++) a[j] = _mm256_setzero_ps();
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) a[j] = _mm256_fmadd_ps(w, x, a[j]);
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) KEEP(a[j]);
    return 12.0 * 16.0 * (double)n;
}

uint64_t cop_stream_avx2(const uint8_t *p, size_t bytes) {
    __m256i a[4];
    for (int j = 0; j < 4; j++) a[j] = _mm256_setzero_si256();
    for (size_t i = 0; i < bytes; i += 512) {
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) a[j % 4] = _mm256_xor_si256(a[j % 4], _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 32 * j)));
    }
    a[0] = _mm256_xor_si256(_mm256_xor_si256(a[0], a[1]), _mm256_xor_si256(a[2], a[3]));
    return (uint64_t)_mm256_extract_epi64(a[0], 0) ^ (uint64_t)_mm256_extract_epi64(a[0], 3);
}
