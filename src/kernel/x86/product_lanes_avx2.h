// What the AVX2 products share about vectors and packed weights. A tile's 16 rows are two "halves" of
// 8 rows, one __m256i each: every 32-bit lane holds four consecutive columns of one row.
#ifndef COP_KERNEL_PRODUCT_LANES_AVX2_H
#define COP_KERNEL_PRODUCT_LANES_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernel/kernel_private.h"

// The products are templates: inline functions whose type and column count are constants of the call,
// so that every array of vectors below becomes registers.
#define COP_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define COP_UNROLL _Pragma("unroll")
#define COP_KEEP_LOOP _Pragma("nounroll")
#else
#define COP_UNROLL _Pragma("GCC unroll 16")
#define COP_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

// An empty asm keeps a sum where it is written. Without it the compiler gathers all products of a block
// before adding them and spills every one: 2 x slower (performance.md section 9).
#define COP_KEEP_ORDER(sum) __asm__("" : "+x"(sum))

COP_INLINE __m256i load_bytes(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
COP_INLINE __m256 load_halves(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }

// Four neighbouring activations in every lane.
COP_INLINE __m256i broadcast_four(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

// Bit groups of a byte moved up (down if negative); the bits of the neighbour byte are masked off after.
COP_INLINE __m256i shift_bits(__m256i x, const int up, const int mask) {
    if (up > 0) x = _mm256_slli_epi16(x, up);
    if (up < 0) x = _mm256_srli_epi16(x, -up);
    return _mm256_and_si256(x, _mm256_set1_epi8((char)mask));
}

// ---- types ----------------------------------------------------------------------------------

COP_INLINE bool is_k_type(const cop_dtype t) {
    return t == COP_Q2_K || t == COP_Q3_K || t == COP_IQ4_XS || t == COP_Q4_K || t == COP_Q5_K || t == COP_Q6_K;
}
// A scale for each 16 columns.
COP_INLINE bool has_halves(const cop_dtype t) { return t == COP_Q2_K || t == COP_Q3_K || t == COP_Q6_K; }
COP_INLINE bool has_table(const cop_dtype t) { return t == COP_IQ4_NL || t == COP_IQ4_XS || t == COP_MXFP4; }
COP_INLINE bool has_fifth_bit(const cop_dtype t) { return t == COP_Q5_0 || t == COP_Q5_1 || t == COP_Q5_K; }
COP_INLINE bool has_minimum(const cop_dtype t) {
    return t == COP_Q4_1 || t == COP_Q5_1 || t == COP_Q4_K || t == COP_Q5_K;
}

// Signed weights have no room in 16 bits and pay a maddwd for each vector.
COP_INLINE bool is_signed(const cop_dtype t) { return t == COP_Q8_0 || t == COP_IQ4_NL || t == COP_IQ4_XS; }

// Bytes of the weights of one block, without what scales them.
COP_INLINE size_t quants_bytes(const cop_dtype t) {
    switch (t) {
    case COP_Q8_0: return 512;
    case COP_Q6_K: return 384;
    case COP_Q3_K: return 192;
    case COP_Q2_K: return 128;
    default: return has_fifth_bit(t) ? 320 : 256;
    }
}

// Bytes of one block; of the K types an eighth of their 256 columns.
COP_INLINE size_t block_bytes(const cop_dtype t) {
    if (t == COP_Q3_K || t == COP_Q6_K) return quants_bytes(t) + 288 / 8;
    if (t == COP_IQ4_XS) return quants_bytes(t) + 160 / 8;
    if (is_k_type(t)) return quants_bytes(t) + 320 / 8;
    if (t == COP_MXFP4) return quants_bytes(t) + 16;
    return quants_bytes(t) + (has_minimum(t) ? 64 : 32);
}

// Where block b of a chunk of 8 blocks begins.
COP_INLINE const uint8_t *block_quants(const cop_dtype t, const uint8_t *chunk, int b) {
    return chunk + (size_t)b * (is_k_type(t) ? quants_bytes(t) : block_bytes(t));
}

// Vector j of one half of a block, as bytes: unsigned, or signed where is_signed says so.
COP_INLINE __m256i unpack_vector(const cop_dtype t, const uint8_t *quants, const int half, const int j) {
    const uint8_t *p = quants + 32 * half;
    if (t == COP_Q8_0) return load_bytes(p + 64 * j);
    if (t == COP_Q2_K) return shift_bits(load_bytes(p + 64 * (j % 2)), -(j / 2 * 2), 3);
    if (t == COP_Q3_K) {
        const __m256i two = shift_bits(load_bytes(p + 64 * (j % 2)), -(j / 2 * 2), 3);
        return _mm256_or_si256(two, shift_bits(load_bytes(p + 128), 2 - j, 4));
    }
    __m256i w = shift_bits(load_bytes(p + 64 * (j % 4)), j < 4 ? 0 : -4, 0x0f);
    if (has_table(t)) {
        __m128i values = _mm_loadu_si128((const __m128i *)(t == COP_MXFP4 ? cop_mxfp4_values : cop_iq4_nl_values));
        if (t == COP_MXFP4) values = _mm_add_epi8(values, _mm_set1_epi8(12));
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), w);
    }
    if (has_fifth_bit(t)) w = _mm256_or_si256(w, shift_bits(load_bytes(p + 256), 4 - j, 0x10));
    if (t == COP_Q6_K) w = _mm256_or_si256(w, shift_bits(load_bytes(p + 256 + 64 * (j % 2)), 4 - j / 2 * 2, 0x30));
    return w;
}

// ---- scales ---------------------------------------------------------------------------------

// D of the K types and -DM, for one half: once per chunk.
typedef struct super_scale {
    __m256 d, minus_dm;
} super_scale;

COP_INLINE super_scale load_super_scale(const cop_dtype t, const uint8_t *chunk, const int half) {
    super_scale s = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    if (!is_k_type(t)) return s;
    const uint8_t *p = chunk + 8 * quants_bytes(t) + (t == COP_IQ4_XS ? 128 : 256) + 16 * half;
    s.d = load_halves(p);
    if (has_minimum(t) || t == COP_Q2_K) s.minus_dm = _mm256_xor_ps(load_halves(p + 32), _mm256_set1_ps(-0.0f));
    return s;
}

COP_INLINE __m256 load_small(const uint8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

// 2^(e - 128), which is no normal number for e < 2.
COP_INLINE __m256 load_exponents(const uint8_t *p) {
    const __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), one = _mm256_set1_epi32(1);
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
    const __m256i tiny = _mm256_slli_epi32(_mm256_add_epi32(e, one), 21);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(tiny, normal, _mm256_cmpgt_epi32(e, one)));
}

// w_d and w_m of the contract (of Q2_K: D and -DM) for one half of block b; minus_dm * M has the bits of -(DM * M).
COP_INLINE void load_scales(const cop_dtype t, const uint8_t *chunk, int b, const int half, super_scale super,
                            __m256 *w_d, __m256 *w_m) {
    *w_d = super.d;
    *w_m = super.minus_dm;
    if (has_halves(t)) return;
    if (t == COP_IQ4_XS) {
        const uint8_t *p = chunk + 8 * quants_bytes(t) + 16 * b + 8 * half;
        *w_d = _mm256_mul_ps(super.d, _mm256_sub_ps(load_small(p), _mm256_set1_ps(32)));
    } else if (t == COP_MXFP4) {
        *w_d = load_exponents(block_quants(t, chunk, b) + quants_bytes(t) + 8 * half);
    } else if (is_k_type(t)) {
        const uint8_t *p = chunk + 8 * quants_bytes(t) + 16 * b + 8 * half;
        *w_d = _mm256_mul_ps(super.d, load_small(p));
        *w_m = _mm256_mul_ps(super.minus_dm, load_small(p + 128));
    } else {
        const uint8_t *p = block_quants(t, chunk, b) + quants_bytes(t) + 16 * half;
        *w_d = load_halves(p);
        if (has_minimum(t)) *w_m = load_halves(p + 32);
    }
    if (has_minimum(t) && has_fifth_bit(t)) *w_m = _mm256_fmadd_ps(_mm256_set1_ps(16.0f), *w_d, *w_m);
}

// S[i] (or, of Q2_K, M[i]) of one half as pairs of equal 16-bit numbers, what one maddwd multiplies a sum with.
COP_INLINE __m256i load_pairs(const cop_dtype t, const uint8_t *chunk, int i, const int half, const bool minima) {
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(chunk + 8 * quants_bytes(t) + 16 * i + 8 * half));
    __m256i s = t == COP_Q6_K ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
    if (t == COP_Q3_K) s = _mm256_sub_epi32(s, _mm256_set1_epi32(32));
    if (t == COP_Q2_K) s = minima ? _mm256_srli_epi32(s, 4) : _mm256_and_si256(s, _mm256_set1_epi32(15));
    return _mm256_blend_epi16(s, _mm256_slli_epi32(s, 16), 0xaa);
}

#endif
