// Blocks in file layout: the plain types, and the bytes of what quantise_search.c finds.
// Rounding and divisors are those of the format document's plain quantisers: the divisor is the float
// scale, not the rounded half that is stored.
#include "kernel/quantise_file.h"

#include <math.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/quantise_private.h"

static void store16(uint8_t *p, uint16_t x) {
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static void store32(uint8_t *p, uint32_t x) {
    store16(p, (uint16_t)x);
    store16(p + 2, (uint16_t)(x >> 16));
}

// Stores a scale; false when it is too large for a half.
static bool store_half(uint8_t *p, float x) {
    const uint16_t h = cop_float_to_half(x);
    store16(p, h);
    return (h & 0x7c00) != 0x7c00;
}

// 0 for a scale so small that its inverse overflows: everything becomes zero.
static float inverse_of(float d) { return isfinite(1.0f / d) ? 1.0f / d : 0; }

// ---- 32 elements ------------------------------------------------------------------------------

// Codes of 4 or 5 bits: elements i and i + 16 share a byte, fifth bits are a word before them.
static void store_codes(uint8_t *out, const int code[32], bool five) {
    if (five) {
        uint32_t fifth = 0;
        for (int i = 0; i < 32; i++) fifth |= (uint32_t)(code[i] >> 4 & 1) << i;
        store32(out, fifth);
        out += 4;
    }
    for (int i = 0; i < 16; i++) out[i] = (uint8_t)((code[i] & 15) | (code[i + 16] & 15) << 4);
}

// Q4_0 (levels 16) and Q5_0 (32): the element of largest magnitude becomes the lowest code.
static bool quantise_centred(uint8_t *out, const float *x, int levels) {
    float most = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > fabsf(most)) most = x[i];
    const float d = most / (float)(-levels / 2), inverse = inverse_of(d);
    int code[32];
    for (int i = 0; i < 32; i++) {
        const int n = (int)(x[i] * inverse + ((float)(levels / 2) + 0.5f));
        code[i] = n < levels ? n : levels - 1;
    }
    store_codes(out + 2, code, levels == 32);
    return store_half(out, d);
}

// Q4_1 and Q5_1: from the smallest to the largest.
static bool quantise_from_minimum(uint8_t *out, const float *x, int levels) {
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
    }
    const float d = (high - low) / (float)(levels - 1), inverse = inverse_of(d);
    int code[32];
    for (int i = 0; i < 32; i++) {
        const int n = (int)((x[i] - low) * inverse + 0.5f);
        code[i] = n < levels ? n : levels - 1;
    }
    store_codes(out + 4, code, levels == 32);
    const bool fits = store_half(out, d);
    return store_half(out + 2, low) && fits;
}

static float largest_of_32(const float *x) {
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    return most;
}

static bool quantise_q8_0(uint8_t *out, const float *x) {
    const float d = largest_of_32(x) / 127.0f, inverse = inverse_of(d);
    for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    return store_half(out, d);
}

// A power of two from the largest magnitude, then the nearest of sixteen values, the first among equals.
static bool quantise_mxfp4(uint8_t *out, const float *x) {
    const float most = largest_of_32(x);
    int e = 0;
    if (most > 0) {
        int exponent;
        frexpf(most, &exponent);
        e = exponent - 3 + 127 > 0 ? exponent - 3 + 127 : 0;
    }
    const float d = ldexpf(1, e - 128);
    int code[32];
    for (int i = 0; i < 32; i++) {
        float best = HUGE_VALF;
        code[i] = 0;
        for (int n = 0; n < 16; n++) {
            const float error = fabsf(d * (float)cop_mxfp4_values[n] - x[i]);
            if (error < best) best = error, code[i] = n;
        }
    }
    store_codes(out + 1, code, false);
    out[0] = (uint8_t)e;
    return true;
}

// ---- what the search finds, as bytes ------------------------------------------------------------

// Pairs (S, M) of six bits each in 12 bytes, of Q4_K and Q5_K.
static void store_pairs(uint8_t out[12], const cop_found *f) {
    for (int k = 0; k < 4; k++) {
        out[k] = (uint8_t)(f->S[k] | f->S[k + 4] >> 4 << 6);
        out[k + 4] = (uint8_t)(f->M[k] | f->M[k + 4] >> 4 << 6);
        out[k + 8] = (uint8_t)((f->S[k + 4] & 15) | (f->M[k + 4] & 15) << 4);
    }
}

static void store_q2_k(uint8_t *out, const cop_found *f) {
    for (int k = 0; k < 16; k++) out[k] = (uint8_t)(f->S[k] | f->M[k] << 4);
    for (int i = 0; i < 256; i++) out[16 + i / 128 * 32 + i % 32] |= (uint8_t)(f->code[i] << i / 32 % 4 * 2);
    store16(out + 80, f->d);
    store16(out + 82, f->dm);
}

static void store_q3_k(uint8_t *out, const cop_found *f) {
    for (int i = 0; i < 256; i++) {
        out[i % 32] |= (uint8_t)(f->code[i] >> 2 << i / 32);
        out[32 + i / 128 * 32 + i % 32] |= (uint8_t)((f->code[i] & 3) << i / 32 % 4 * 2);
    }
    for (int k = 0; k < 16; k++) {
        const int S = f->S[k] + 32;
        out[96 + k % 8] |= (uint8_t)((S & 15) << k / 8 * 4);
        out[104 + k % 4] |= (uint8_t)(S >> 4 << k / 4 * 2);
    }
    store16(out + 108, f->d);
}

static void store_q45_k(uint8_t *out, const cop_found *f, bool five) {
    uint8_t *q = out + (five ? 48 : 16);
    store16(out, f->d);
    store16(out + 2, f->dm);
    store_pairs(out + 4, f);
    for (int i = 0; i < 256; i++) {
        q[i / 64 * 32 + i % 32] |= (uint8_t)((f->code[i] & 15) << i % 64 / 32 * 4);
        if (five) out[16 + i % 32] |= (uint8_t)(f->code[i] >> 4 << i / 32);
    }
}

static void store_q6_k(uint8_t *out, const cop_found *f) {
    for (int i = 0; i < 256; i++) {
        const int a = i / 128, b = i / 32 % 4, c = i % 32;
        out[64 * a + c + 32 * (b & 1)] |= (uint8_t)((f->code[i] & 15) << b / 2 * 4);
        out[128 + 32 * a + c] |= (uint8_t)(f->code[i] >> 4 << 2 * b);
    }
    for (int k = 0; k < 16; k++) out[192 + k] = (uint8_t)(int8_t)f->S[k];
    store16(out + 208, f->d);
}

static void store_iq4(uint8_t *out, const cop_found *f, int n) {
    store16(out, f->d);
    uint8_t *q = out + 2;
    if (n == 256) {
        unsigned high = 0;
        for (int k = 0; k < 8; k++) {
            const unsigned S = (unsigned)(f->S[k] + 32);
            high |= S >> 4 << 2 * k;
            out[4 + k / 2] |= (uint8_t)((S & 15) << k % 2 * 4);
        }
        store16(out + 2, (uint16_t)high);
        q = out + 8;
    }
    for (int i = 0; i < n; i++) q[i / 32 * 16 + i % 16] |= (uint8_t)(f->code[i] << i % 32 / 16 * 4);
}

static bool quantise_by_search(uint8_t *out, cop_dtype type, const float *x) {
    cop_found f;
    if (!cop_search_block(&f, type, x)) return false;
    memset(out, 0, (size_t)cop_dtype_get(type)->block_bytes);
    switch (type) {
    case COP_Q2_K: store_q2_k(out, &f); break;
    case COP_Q3_K: store_q3_k(out, &f); break;
    case COP_Q6_K: store_q6_k(out, &f); break;
    case COP_IQ4_NL:
    case COP_IQ4_XS: store_iq4(out, &f, cop_dtype_get(type)->block); break;
    default: store_q45_k(out, &f, type == COP_Q5_K); break;
    }
    return true;
}

// ---- rows ---------------------------------------------------------------------------------------

bool cop_can_quantise(cop_dtype type) {
    const cop_dtype_info *info = cop_dtype_get(type);
    return info && info->can_compute;
}

// False when the block has no scale that a half can hold; beyond 2^30 no type has.
static bool quantise_block(uint8_t *out, cop_dtype type, const float *x) {
    const float most = 0x1p30f;
    for (int i = 0; type != COP_MXFP4 && i < cop_dtype_get(type)->block; i++)
        if (fabsf(x[i]) > most) return false;
    switch (type) {
    case COP_Q4_0: return quantise_centred(out, x, 16);
    case COP_Q5_0: return quantise_centred(out, x, 32);
    case COP_Q4_1: return quantise_from_minimum(out, x, 16);
    case COP_Q5_1: return quantise_from_minimum(out, x, 32);
    case COP_Q8_0: return quantise_q8_0(out, x);
    case COP_MXFP4: return quantise_mxfp4(out, x);
    default: return quantise_by_search(out, type, x);
    }
}

static cop_status convert_plain(uint8_t *out, cop_dtype type, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        if (type == COP_F32) {
            store32(out + 4 * i, bits);
            continue;
        }
        const uint16_t small = type == COP_F16 ? cop_float_to_half(x[i]) : cop_float_to_bf16(x[i]);
        const uint16_t infinite = type == COP_F16 ? 0x7c00 : 0x7f80;
        if ((small & 0x7fff) == infinite && isfinite(x[i]))
            return cop_fail(COP_ERR_FORMAT, "element %lld is %g: too large for %s", (long long)i, (double)x[i], cop_dtype_name(type));
        store16(out + 2 * i, small);
    }
    return COP_OK;
}

cop_status cop_quantise_row(uint8_t *out, cop_dtype type, const float *x, int64_t n) {
    const cop_dtype_info *info = cop_dtype_get(type);
    if (!cop_can_quantise(type)) return cop_fail(COP_ERR_ARG, "type %s cannot be written", cop_dtype_name(type));
    if (n < 0 || n % info->block)
        return cop_fail(COP_ERR_ARG, "%lld elements are not a whole number of %s blocks of %d", (long long)n, info->name,
                        info->block);
    if (info->block == 1) return convert_plain(out, type, x, n);
    for (int64_t i = 0; i < n; i += info->block, out += info->block_bytes) {
        for (int64_t j = i; j < i + info->block; j++)
            if (!isfinite(x[j])) return cop_fail(COP_ERR_FORMAT, "element %lld is not finite", (long long)j);
        if (!quantise_block(out, type, x + i))
            return cop_fail(COP_ERR_FORMAT, "elements %lld to %lld are too large for a scale of %s", (long long)i,
                            (long long)(i + info->block - 1), info->name);
    }
    return COP_OK;
}
