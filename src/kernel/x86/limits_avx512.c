// Rates of the avx512 level, for benches: vpdpbusd, and fused multiply-adds.
#include "kernel/kernel_private.h"
#include "kernel/x86/avx512.h"

#if defined(COP_EMULATE)
#define KEEP(x) (void)(x)
#else
#define KEEP(x) __asm__ volatile("" : "+v"(x))
#endif

double cop_spin_int_avx512(int64_t n) {
    __m512i a[12], w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(1);
    for (int j = 0; j < 12; j++) a[j] = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) a[j] = _mm512_dpbusd_epi32(a[j], w, x);
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) KEEP(a[j]);
    return 12.0 * 128.0 * (double)n;
}

double cop_spin_float_avx512(int64_t n) {
    __m512 a[12], w = _mm512_set1_ps(0.5f), x = _mm512_set1_ps(0.25f);
    for (int j = 0; j < 12; j++) a[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i++) {
        KEEP(w);
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) a[j] = _mm512_fmadd_ps(w, x, a[j]);
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) KEEP(a[j]);
    return 12.0 * 32.0 * (double)n;
}

uint64_t cop_stream_avx512(const uint8_t *p, size_t bytes) {
    __m512i a[4];
    for (int j = 0; j < 4; j++) a[j] = _mm512_setzero_si512();
    for (size_t i = 0; i < bytes; i += 512) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) a[j % 4] = _mm512_xor_si512(a[j % 4], _mm512_loadu_si512((const void *)(p + i + 64 * j)));
    }
    a[0] = _mm512_xor_si512(_mm512_xor_si512(a[0], a[1]), _mm512_xor_si512(a[2], a[3]));
    uint64_t lane[8], sum = 0;
    _mm512_storeu_si512((void *)lane, a[0]);
    for (int i = 0; i < 8; i++) sum += lane[i];
    return sum;
}
