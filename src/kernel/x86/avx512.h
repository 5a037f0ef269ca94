// The AVX-512 intrinsics. Built with COP_EMULATE they are portable code over AVX2, so that the level is
// tested on CPUs without it: SIMDe, and below it what SIMDe lacks, from Intel's descriptions of the
// instructions. The emulation is for tests and is slow.
#ifndef COP_KERNEL_X86_AVX512_H
#define COP_KERNEL_X86_AVX512_H

// Bodies that must become straight-line code for constant arguments. The emulation, where an intrinsic
// is a loop, and the sanitizers, which watch every access, would take minutes to compile that way.
#if defined(COP_EMULATE) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COP_INLINE static inline
#define COP_UNROLL
#define COP_ROLLED
#elif defined(__clang__)
#define COP_INLINE static inline __attribute__((always_inline))
#define COP_UNROLL _Pragma("clang loop unroll(full)")
#define COP_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define COP_INLINE static inline __attribute__((always_inline))
#define COP_UNROLL _Pragma("GCC unroll 16")
#define COP_ROLLED _Pragma("GCC unroll 1")
#endif

#if !defined(COP_EMULATE)
#include <immintrin.h>
#else

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define COP_EMU static inline __attribute__((always_inline, unused))

// Both halves of a register, which is what the AVX2 instruction works on.
typedef union cop_emu {
    __m512 f;
    __m512i i;
    __m256 f8[2];
    __m256i i8[2];
    __m128i i4[4];
    float lane[16];
    int32_t dword[16];
} cop_emu;

COP_EMU __m512 cop_emu_cvtepi32_ps(__m512i x) {
    cop_emu a = {.i = x};
    for (int h = 0; h < 2; h++) a.f8[h] = _mm256_cvtepi32_ps(a.i8[h]);
    return a.f;
}

COP_EMU __m512i cop_emu_cvtps_epi32(__m512 x) {
    cop_emu a = {.f = x};
    for (int h = 0; h < 2; h++) a.i8[h] = _mm256_cvtps_epi32(a.f8[h]);
    return a.i;
}

COP_EMU __m512i cop_emu_cvtepi8_epi32(__m128i x) {
    cop_emu a = {.i8 = {_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8))}};
    return a.i;
}

COP_EMU __m512i cop_emu_cvtepu8_epi32(__m128i x) {
    cop_emu a = {.i8 = {_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8))}};
    return a.i;
}

COP_EMU __m512i cop_emu_cvtepu16_epi32(__m256i x) {
    cop_emu a;
    for (int h = 0; h < 2; h++)
        a.i8[h] = _mm256_cvtepu16_epi32(h ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x));
    return a.i;
}

COP_EMU __m128i cop_emu_cvtepi32_epi8(__m512i x) {
    const cop_emu a = {.i = x};
    int8_t low[16];
    for (int l = 0; l < 16; l++) low[l] = (int8_t)a.dword[l];
    return _mm_loadu_si128((const void *)low);
}

COP_EMU __m256i cop_emu_cvtepi32_epi16(__m512i x) {
    const cop_emu a = {.i = x};
    int16_t low[16];
    for (int l = 0; l < 16; l++) low[l] = (int16_t)a.dword[l];
    return _mm256_loadu_si256((const void *)low);
}

COP_EMU __m512 cop_emu_cvtph_ps(__m256i x) {
    cop_emu a;
    for (int h = 0; h < 2; h++)
        a.f8[h] = _mm256_cvtph_ps(h ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x));
    return a.f;
}

// Rounds to nearest even, whatever is asked for: nothing else is.
COP_EMU __m256i cop_emu_cvtps_ph(__m512 x) {
    const cop_emu a = {.f = x};
    return _mm256_set_m128i(_mm256_cvtps_ph(a.f8[1], 0), _mm256_cvtps_ph(a.f8[0], 0));
}

COP_EMU int cop_emu_reduce_add_epi32(__m512i x) {
    const cop_emu a = {.i = x};
    int sum = 0;
    for (int l = 0; l < 16; l++) sum += a.dword[l];
    return sum;
}

COP_EMU float cop_emu_reduce_max_ps(__m512 x) {
    const cop_emu a = {.f = x};
    float max = a.lane[0];
    for (int l = 1; l < 16; l++) max = a.lane[l] > max ? a.lane[l] : max;
    return max;
}

// Lanes outside the mask are not touched in memory.
COP_EMU __m512 cop_emu_maskz_loadu_ps(__mmask16 mask, const void *p) {
    cop_emu a = {.lane = {0}};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) a.lane[l] = ((const float *)p)[l];
    return a.f;
}

COP_EMU void cop_emu_mask_storeu_ps(void *p, __mmask16 mask, __m512 x) {
    const cop_emu a = {.f = x};
    for (int l = 0; l < 16; l++)
        if (mask >> l & 1) ((float *)p)[l] = a.lane[l];
}

#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_epi32
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepu8_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi8
#undef _mm512_cvtepi32_epi16
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_ph
#undef _mm512_reduce_add_epi32
#undef _mm512_reduce_max_ps
#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_cvtepi32_ps cop_emu_cvtepi32_ps
#define _mm512_cvtps_epi32 cop_emu_cvtps_epi32
#define _mm512_cvtepi8_epi32 cop_emu_cvtepi8_epi32
#define _mm512_cvtepu8_epi32 cop_emu_cvtepu8_epi32
#define _mm512_cvtepu16_epi32 cop_emu_cvtepu16_epi32
#define _mm512_cvtepi32_epi8 cop_emu_cvtepi32_epi8
#define _mm512_cvtepi32_epi16 cop_emu_cvtepi32_epi16
#define _mm512_cvtph_ps cop_emu_cvtph_ps
#define _mm512_cvtps_ph(x, rounding) cop_emu_cvtps_ph(x)
#define _mm512_reduce_add_epi32 cop_emu_reduce_add_epi32
#define _mm512_reduce_max_ps cop_emu_reduce_max_ps
#define _mm512_maskz_loadu_ps cop_emu_maskz_loadu_ps
#define _mm512_mask_storeu_ps cop_emu_mask_storeu_ps

#endif
#endif
