// Products of the quantised types for AVX-512 VNNI: one loop for all, only reading the weights differs.
//
// A lane is a row. Each block of 32 columns is unpacked once into eight registers of unsigned bytes
// and used for up to 16 activation columns, whose sums stay in registers; an activation enters as a
// dword broadcast from memory. The offset of the signed types is in the start of the integer sum:
// sum (n - 8) q = -8 sum q + sum n q. Q2_K and Q3_K have so few values that a shuffle multiplies them by the
// scales of 16 columns: four rows times four values fill its table. The order of operations is the
// contract's, for any n.
#include <string.h>

#include "kernel/kernel_private.h"
#include "kernel/x86/avx512.h"

#define PREFETCH_BYTES 8192  // ahead of the block in work; the next tile follows in memory. docs/speed-log.md

// Scales of 16 rows: d and m as the contract's w_d and w_m, s the two integer scales of Q6_K. For each half of
// the block table holds what the values 0 … 3 stand for, high (Q3_K) the same with the third bit set; of
// Q2_K m is DM, and minima holds the M of both halves as 16-bit numbers, as act->n[1] holds sums.
typedef struct scales {
    __m512 d, m, s[2];
    __m512i table[2], high[2], minima;
} scales;

// ---- geometry, constants once the type is known -----------------------------------------------

COP_INLINE int blocks_per_super(cop_dtype type) {
    switch (type) {
    case COP_Q2_K:
    case COP_Q3_K:
    case COP_IQ4_XS:
    case COP_Q4_K:
    case COP_Q5_K:
    case COP_Q6_K: return 8;
    default: return 1;
    }
}

// Bytes of the codes of one block; the scales stand behind the codes of the whole super-block.
COP_INLINE int code_bytes(cop_dtype type) {
    switch (type) {
    case COP_Q8_0: return 512;
    case COP_Q5_0:
    case COP_Q5_1:
    case COP_Q5_K: return 320;
    case COP_Q6_K: return 384;
    case COP_Q2_K: return 128;
    case COP_Q3_K: return 192;
    default: return 256;
    }
}

COP_INLINE int super_bytes(cop_dtype type) {
    switch (type) {
    case COP_Q4_1:
    case COP_Q5_1: return code_bytes(type) + 64;
    case COP_Q4_K:
    case COP_Q5_K: return 8 * code_bytes(type) + 320;
    case COP_Q2_K: return 8 * code_bytes(type) + 320;
    case COP_Q3_K:
    case COP_Q6_K: return 8 * code_bytes(type) + 288;
    case COP_IQ4_XS: return 8 * code_bytes(type) + 160;
    case COP_MXFP4: return code_bytes(type) + 16;
    default: return code_bytes(type) + 32;
    }
}

COP_INLINE bool has_table(cop_dtype type) { return type == COP_IQ4_NL || type == COP_IQ4_XS || type == COP_MXFP4; }

COP_INLINE bool has_minimum(cop_dtype type) {
    return type == COP_Q4_1 || type == COP_Q5_1 || type == COP_Q4_K || type == COP_Q5_K;
}

// ---- reading weights ----------------------------------------------------------------------------

COP_INLINE __m512 load_halves(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
COP_INLINE __m512 load_unsigned(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)));
}
COP_INLINE __m512 load_signed(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

// The bits of `from` at `mask` after a shift left (right when negative), set in the nibbles w.
#define SET_BITS(w, from, left, mask)                                                                   \
    _mm512_ternarylogic_epi32((left) >= 0 ? _mm512_slli_epi16(from, (left) >= 0 ? (left) : 0)           \
                                          : _mm512_srli_epi16(from, (left) < 0 ? -(left) : 0),          \
                              mask, w, 0xea)

// 16 values of nibbles, plus 128, in every part of a register.
COP_INLINE __m512i values_of(cop_dtype type) {
    const int8_t *values = type == COP_MXFP4 ? cop_mxfp4_values : cop_iq4_nl_values;
    return _mm512_xor_si512(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values)), _mm512_set1_epi8((char)0x80));
}

// Q2_K: S n. Q3_K: S (n - 4) + 127.
COP_INLINE void unpack_scaled(__m512i w[8], cop_dtype type, const uint8_t *at, const scales *s) {
    const __m512i two = _mm512_set1_epi8(3);
    const __m512i rows = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    const __m512i third = type == COP_Q3_K ? _mm512_loadu_si512(at + 128) : rows;
    COP_UNROLL for (int j = 0; j < 8; j++) {
        const __m512i pairs = _mm512_loadu_si512(at + 64 * (j % 2));
        const __m512i shifted = j < 2 ? pairs : _mm512_srli_epi16(pairs, j / 2 * 2);
        const __m512i index = _mm512_ternarylogic_epi32(shifted, two, rows, 0xea);  // (shifted & 3) | rows
        w[j] = _mm512_shuffle_epi8(s->table[j / 4], index);
        if (type == COP_Q3_K) {
            const __mmask64 set = _mm512_test_epi8_mask(third, _mm512_set1_epi8((char)(1 << j)));
            w[j] = _mm512_mask_shuffle_epi8(w[j], set, s->high[j / 4], index);
        }
    }
}

// Eight vectors of unsigned bytes: the codes of one block (of Q8_0 and of tables: plus 128).
COP_INLINE void unpack(__m512i w[8], cop_dtype type, const uint8_t *at, const scales *s) {
    if (type == COP_Q2_K || type == COP_Q3_K) {
        unpack_scaled(w, type, at, s);
        return;
    }
    if (type == COP_Q8_0) {
        const __m512i flip = _mm512_set1_epi8((char)0x80);
        COP_UNROLL for (int j = 0; j < 8; j++) w[j] = _mm512_xor_si512(_mm512_loadu_si512(at + 64 * j), flip);
        return;
    }
    const __m512i low = _mm512_set1_epi8(15);
    COP_UNROLL for (int j = 0; j < 4; j++) {
        const __m512i v = _mm512_loadu_si512(at + 64 * j);
        w[j] = _mm512_and_si512(v, low);
        w[j + 4] = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    }
    if (has_table(type)) {
        const __m512i values = values_of(type);
        COP_UNROLL for (int j = 0; j < 8; j++) w[j] = _mm512_shuffle_epi8(values, w[j]);
    }
    if (code_bytes(type) == 320) {
        const __m512i fifth = _mm512_loadu_si512(at + 256), mask = _mm512_set1_epi8(0x10);
        w[0] = SET_BITS(w[0], fifth, 4, mask);
        w[1] = SET_BITS(w[1], fifth, 3, mask);
        w[2] = SET_BITS(w[2], fifth, 2, mask);
        w[3] = SET_BITS(w[3], fifth, 1, mask);
        w[4] = SET_BITS(w[4], fifth, 0, mask);
        w[5] = SET_BITS(w[5], fifth, -1, mask);
        w[6] = SET_BITS(w[6], fifth, -2, mask);
        w[7] = SET_BITS(w[7], fifth, -3, mask);
    }
    if (type == COP_Q6_K) {
        const __m512i mask = _mm512_set1_epi8(0x30);
        COP_UNROLL for (int i = 0; i < 2; i++) {
            const __m512i pairs = _mm512_loadu_si512(at + 256 + 64 * i);
            w[i] = SET_BITS(w[i], pairs, 4, mask);
            w[i + 2] = SET_BITS(w[i + 2], pairs, 2, mask);
            w[i + 4] = SET_BITS(w[i + 4], pairs, 0, mask);
            w[i + 6] = SET_BITS(w[i + 6], pairs, -2, mask);
        }
    }
}

// 2^(e - 128), which is no normal number for e < 2.
COP_INLINE __m512 load_exponents(const uint8_t *p) {
    const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)), one = _mm512_set1_epi32(1);
    const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
    const __m512i tiny = _mm512_slli_epi32(_mm512_add_epi32(e, one), 21);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(_mm512_cmpgt_epi32_mask(e, one), tiny, normal));
}

// What a super-block's scales have in common: D and DM of the K types, else d and m themselves.
COP_INLINE scales super_scales(cop_dtype type, const uint8_t *super) {
    const bool two = has_minimum(type) || type == COP_Q2_K;
    const uint8_t *at = super + super_bytes(type) - (two ? 64 : 32);
    if (type == COP_MXFP4) return (scales){.d = load_exponents(super + 256)};
    scales s = {.d = load_halves(at)};
    if (two) s.m = load_halves(at + 32);
    if (type == COP_Q5_1) s.m = _mm512_fmadd_ps(_mm512_set1_ps(16.0f), s.d, s.m);
    return s;
}

COP_INLINE __m512i load_dwords(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)); }

// Products of a scale below 64 with the bytes of `factors` carry nothing from byte to byte.
COP_INLINE __m512i times_bytes(__m512i S, int factors) { return _mm512_mullo_epi32(S, _mm512_set1_epi32(factors)); }

COP_INLINE void scale_values(scales *s, cop_dtype type, const uint8_t *at) {
    const __m512i low = _mm512_set1_epi32(15);
    COP_UNROLL for (int i = 0; i < 2; i++) {
        const __m512i S = load_dwords(at + 16 * i);
        if (type == COP_Q2_K) {
            s->table[i] = times_bytes(_mm512_and_si512(S, low), 0x03020100);
            s->minima = i ? _mm512_or_si512(s->minima, _mm512_slli_epi32(_mm512_srli_epi32(S, 4), 16)) : _mm512_srli_epi32(S, 4);
        } else {  // S holds 32 more: (S - 32)(n - 4) + 127 = 255 - 32 n - (4 - n) S; of n + 4: 127 - 32 n + n S
            s->table[i] = _mm512_sub_epi32(_mm512_set1_epi32((int)0x9fbfdfff), times_bytes(S, 0x01020304));
            s->high[i] = _mm512_add_epi32(_mm512_set1_epi32(0x1f3f5f7f), times_bytes(S, 0x03020100));
        }
    }
}

COP_INLINE scales block_scales(cop_dtype type, const uint8_t *super, int b, scales common) {
    const uint8_t *at = super + blocks_per_super(type) * code_bytes(type);
    scales s = common;
    if (type == COP_Q6_K) {
        COP_UNROLL for (int i = 0; i < 2; i++) s.s[i] = load_signed(at + 32 * b + 16 * i);
    } else if (type == COP_Q2_K || type == COP_Q3_K) {
        scale_values(&s, type, at + 32 * b);
    } else if (type == COP_IQ4_XS) {
        s.d = _mm512_mul_ps(common.d, _mm512_sub_ps(load_unsigned(at + 16 * b), _mm512_set1_ps(32)));
    } else if (type == COP_Q4_K || type == COP_Q5_K) {
        s.d = _mm512_mul_ps(common.d, load_unsigned(at + 16 * b));
        const __m512 minimum = _mm512_mul_ps(common.m, load_unsigned(at + 128 + 16 * b));
        s.m = type == COP_Q4_K ? minimum : _mm512_fmsub_ps(_mm512_set1_ps(16.0f), s.d, minimum);
    }
    return s;
}

// ---- the loop -------------------------------------------------------------------------------------

COP_INLINE __m512i dword(const int8_t *q) {
    int32_t x;
    memcpy(&x, q, sizeof x);
    return _mm512_set1_epi32(x);
}

// sum + the products of vectors first … first + n - 1.
COP_INLINE __m512i dot(__m512i sum, const __m512i w[8], const int8_t *q, int first, int n) {
    COP_UNROLL for (int j = first; j < first + n; j++) sum = _mm512_dpbusd_epi32(sum, w[j], dword(q + 4 * j));
    return sum;
}

// The contract's t of one column, as floats (it is exact).
COP_INLINE __m512 block_sum(cop_dtype type, const __m512i w[8], const scales *s, const cop_act *act) {
    const __m512i zero = _mm512_setzero_si512();
    if (type == COP_Q6_K) {
        const __m512i first = _mm512_slli_epi32(_mm512_set1_epi32((int16_t)act->n[1]), 5);
        const __m512i second = _mm512_slli_epi32(_mm512_set1_epi32(act->n[1] >> 16), 5);
        const __m512 t0 = _mm512_cvtepi32_ps(dot(first, w, act->q, 0, 4));
        const __m512 t1 = _mm512_cvtepi32_ps(dot(second, w, act->q, 4, 4));
        return _mm512_fmadd_ps(s->s[1], t1, _mm512_mul_ps(s->s[0], t0));
    }
    const __m512i n = _mm512_set1_epi32(act->n[0]);
    const __m512i start = type == COP_Q4_0   ? _mm512_slli_epi32(n, 3)
                          : type == COP_Q8_0 || has_table(type) ? _mm512_slli_epi32(n, 7)
                          : type == COP_Q3_K ? _mm512_sub_epi32(_mm512_slli_epi32(n, 7), n)
                          : code_bytes(type) == 320 ? _mm512_slli_epi32(n, 4)
                                                    : zero;
    return _mm512_cvtepi32_ps(dot(start, w, act->q, 0, 8));
}

COP_INLINE __m512 add_block(__m512 acc, cop_dtype type, const __m512i w[8], const scales *s, const cop_act *act) {
    __m512 u = _mm512_mul_ps(block_sum(type, w, s, act), s->d);
    if (type == COP_Q2_K) {  // the sums are negated
        const __m512i minima = _mm512_dpwssd_epi32(_mm512_setzero_si512(), s->minima, _mm512_set1_epi32(act->n[1]));
        u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(minima), s->m, u);
    }
    acc = _mm512_fmadd_ps(u, _mm512_set1_ps(act->d), acc);
    if (type == COP_Q4_K) return _mm512_fnmadd_ps(s->m, _mm512_set1_ps(act->ds), acc);  // m is kept unnegated
    if (has_minimum(type)) return _mm512_fmadd_ps(s->m, _mm512_set1_ps(act->ds), acc);
    return acc;
}

COP_INLINE void prefetch(const uint8_t *at, int bytes) {
    COP_UNROLL for (int i = 0; i < bytes; i += 64) _mm_prefetch((const char *)at + PREFETCH_BYTES + i, _MM_HINT_T0);
}

// n columns of one pass: n and the type are constants here, everything is unrolled for them.
COP_INLINE void pass(float *y, size_t y_stride, const uint8_t *w, int cols, const cop_act *x, cop_dtype type, const int n) {
    const int n_sub = blocks_per_super(type), n_super = cols / COP_BLOCK / n_sub;
    __m512 acc[COP_MAX_COLUMNS];
    COP_UNROLL for (int c = 0; c < n; c++) acc[c] = _mm512_setzero_ps();
    COP_ROLLED for (int i = 0; i < n_super; i++, w += super_bytes(type)) {
        const scales common = super_scales(type, w);
        COP_ROLLED for (int b = 0; b < n_sub; b++, x += n) {
            __m512i codes[8];
            prefetch(w + b * (super_bytes(type) / n_sub), super_bytes(type) / n_sub);
            const scales s = block_scales(type, w, b, common);
            unpack(codes, type, w + b * code_bytes(type), &s);
            COP_UNROLL for (int c = 0; c < n; c++) acc[c] = add_block(acc[c], type, codes, &s, x + c);
        }
    }
    COP_UNROLL for (int c = 0; c < n; c++) _mm512_storeu_ps(y + (size_t)c * y_stride, acc[c]);
}

#define PASS(n_) \
    case n_: pass(y, y_stride, w, cols, x, type, n_); break

COP_INLINE void product(float *y, size_t y_stride, const uint8_t *w, int cols, const cop_act *x, int n, cop_dtype type) {
    for (int first = 0; first < n; first += COP_MAX_COLUMNS) {
        const int width = n - first < COP_MAX_COLUMNS ? n - first : COP_MAX_COLUMNS;
        switch (width) {
            PASS(1); PASS(2); PASS(3); PASS(4); PASS(5); PASS(6); PASS(7); PASS(8);
            PASS(9); PASS(10); PASS(11); PASS(12); PASS(13); PASS(14); PASS(15); PASS(16);
        }
        x += (size_t)width * (size_t)(cols / COP_BLOCK);
        y += (size_t)width * y_stride;
    }
}

#define PRODUCT(name, type)                                                                             \
    void cop_product_##name##_avx512(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, \
                                     size_t x_stride, int n) {                                          \
        (void)x_stride;                                                                                 \
        product(y, y_stride, w, cols, x, n, type);                                                      \
    }

PRODUCT(q4_0, COP_Q4_0)
PRODUCT(iq4_nl, COP_IQ4_NL)
PRODUCT(mxfp4, COP_MXFP4)
PRODUCT(q2_k, COP_Q2_K)
PRODUCT(q3_k, COP_Q3_K)
PRODUCT(iq4_xs, COP_IQ4_XS)
PRODUCT(q4_1, COP_Q4_1)
PRODUCT(q5_0, COP_Q5_0)
PRODUCT(q5_1, COP_Q5_1)
PRODUCT(q8_0, COP_Q8_0)
PRODUCT(q4_k, COP_Q4_K)
PRODUCT(q5_k, COP_Q5_K)
PRODUCT(q6_k, COP_Q6_K)
