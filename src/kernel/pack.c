// Weights from file layout to tiles (kernel.h says what a tile is), and plain dequantisation.
// The file layouts are those of the GGUF format document. Every move is of bytes and of 4-byte words
// taken as four separate bytes, so the order of bytes in the machine's words does not matter.
// Cost: about one word operation per four weights. Not here: quantising, which is surgery's.
#include <string.h>

#include "kernel/kernel.h"

// Elements of a super-block of the K types, and its blocks.
#define SUPER 256
#define N_SUB (SUPER / COP_BLOCK)

// ---- numbers --------------------------------------------------------------------------------

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float cop_half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

uint16_t cop_float_to_half(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x3ff));
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // half way past the largest half, and beyond
    if (size < 0x38800000) {                                   // below the normal halves
        float grid = float_of_bits(size) + 0.5f;               // one unit of 0.5f is one unit of a tiny half
        return (uint16_t)(sign | (bits_of_float(grid) - 0x3f000000));
    }
    uint32_t odd = size >> 13 & 1;
    return (uint16_t)(sign | (size - 0x38000000 + 0xfff + odd) >> 13);
}

uint16_t cop_float_to_bf16(float x) {
    uint32_t bits = bits_of_float(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t load16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t load32(const uint8_t *p) { return load16(p) | (uint32_t)load16(p + 2) << 16; }
static float half_at(const uint8_t *p) { return cop_half_to_float(load16(p)); }

static void store32(uint8_t *p, uint32_t x) {
    for (int t = 0; t < 4; t++) p[t] = (uint8_t)(x >> 8 * t);
}

const int8_t cop_iq4_nl_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t cop_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Scale S and minimum M of sub-block k of Q4_K and Q5_K: six bits each, packed in 12 bytes.
static void k_scales(const uint8_t s[12], int k, uint8_t *S, uint8_t *M) {
    if (k < 4) {
        *S = s[k] & 63;
        *M = s[k + 4] & 63;
    } else {
        *S = (uint8_t)((s[k + 4] & 15) | s[k - 4] >> 6 << 4);
        *M = (uint8_t)(s[k + 4] >> 4 | s[k] >> 6 << 4);
    }
}

// Scale of run k of Q3_K and of IQ4_XS: six bits less 32, the low four and the high two apart.
static int q3_k_scale(const uint8_t s[12], int k) {
    return ((s[k % 8] >> k / 8 * 4 & 15) | (s[8 + k % 4] >> k / 4 * 2 & 3) << 4) - 32;
}

static int iq4_xs_scale(const uint8_t *block, int k) {
    return ((block[4 + k / 2] >> k % 2 * 4 & 15) | (load16(block + 2) >> 2 * k & 3) << 4) - 32;
}

float cop_mxfp4_scale(uint8_t e) { return e < 2 ? float_of_bits(0x00200000u << e) : float_of_bits((uint32_t)(e - 1) << 23); }

// ---- dequantisation: the formats' definitions -------------------------------------------------

static void dequantise_32(float *y, cop_dtype type, const uint8_t *src) {
    const bool has_m = type == COP_Q4_1 || type == COP_Q5_1, five = type == COP_Q5_0 || type == COP_Q5_1;
    const float d = half_at(src), m = has_m ? half_at(src + 2) : 0;
    const uint8_t *rest = src + (has_m ? 4 : 2);
    if (type == COP_Q8_0) {
        for (int i = 0; i < 32; i++) y[i] = d * (float)(int8_t)rest[i];
        return;
    }
    const uint32_t fifth = five ? load32(rest) : 0;
    const uint8_t *q = rest + (five ? 4 : 0);
    const int offset = has_m ? 0 : five ? 16 : 8;
    for (int i = 0; i < 32; i++) {
        int n = (i < 16 ? q[i] & 15 : q[i - 16] >> 4) + (int)(fifth >> i & 1) * 16 - offset;
        if (type == COP_IQ4_NL) n = cop_iq4_nl_values[n + offset];
        y[i] = has_m ? d * (float)n + m : d * (float)n;
    }
}

static void dequantise_mxfp4(float *y, const uint8_t *src) {
    const float d = cop_mxfp4_scale(src[0]);
    for (int i = 0; i < 32; i++) y[i] = d * (float)cop_mxfp4_values[i < 16 ? src[1 + i] & 15 : src[1 + i - 16] >> 4];
}

static void dequantise_q2_k(float *y, const uint8_t *src) {
    const float d = half_at(src + 80), dm = half_at(src + 82);
    for (int i = 0; i < SUPER; i++) {
        const int n = src[16 + i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3, scales = src[i / 16];
        y[i] = d * (float)(scales & 15) * (float)n - dm * (float)(scales >> 4);
    }
}

static void dequantise_q3_k(float *y, const uint8_t *src) {
    const float d = half_at(src + 108);
    for (int i = 0; i < SUPER; i++) {
        const int high = src[i % 32] >> i / 32 & 1, n = src[32 + i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
        y[i] = d * (float)q3_k_scale(src + 96, i / 16) * (float)(n + 4 * high - 4);
    }
}

static void dequantise_iq4_xs(float *y, const uint8_t *src) {
    const float d = half_at(src);
    for (int i = 0; i < SUPER; i++) {
        const int byte = src[8 + i / 32 * 16 + i % 16];
        y[i] = d * (float)iq4_xs_scale(src, i / 32) * (float)cop_iq4_nl_values[i % 32 < 16 ? byte & 15 : byte >> 4];
    }
}

static void dequantise_q45_k(float *y, cop_dtype type, const uint8_t *src) {
    const float d = half_at(src), dm = half_at(src + 2);
    const uint8_t *fifth = src + 16, *q = type == COP_Q5_K ? src + 48 : src + 16;
    for (int i = 0; i < SUPER; i++) {
        uint8_t S, M;
        k_scales(src + 4, i / 32, &S, &M);
        int byte = q[i / 64 * 32 + i % 32], n = i % 64 < 32 ? byte & 15 : byte >> 4;
        if (type == COP_Q5_K) n += (fifth[i % 32] >> i / 32 & 1) * 16;
        y[i] = d * (float)S * (float)n - dm * (float)M;
    }
}

static void dequantise_q6_k(float *y, const uint8_t *src) {
    const uint8_t *low = src, *high = src + 128;
    const float d = half_at(src + 208);
    for (int i = 0; i < SUPER; i++) {
        int a = i / 128, b = i / 32 % 4, c = i % 32;
        int byte = low[64 * a + c + 32 * (b & 1)], n = b < 2 ? byte & 15 : byte >> 4;
        n |= (high[32 * a + c] >> 2 * b & 3) << 4;
        y[i] = d * (float)(int8_t)src[192 + i / 16] * (float)(n - 32);
    }
}

void cop_dequantise(float *y, cop_dtype type, const uint8_t *src, int64_t n) {
    const cop_dtype_info *info = cop_dtype_get(type);
    for (int64_t i = 0; i < n; i += info->block, src += info->block_bytes) {
        switch (type) {
        case COP_F32: y[i] = float_of_bits(load32(src)); break;
        case COP_F16: y[i] = half_at(src); break;
        case COP_BF16: y[i] = float_of_bits((uint32_t)load16(src) << 16); break;
        case COP_Q4_K:
        case COP_Q5_K: dequantise_q45_k(y + i, type, src); break;
        case COP_Q6_K: dequantise_q6_k(y + i, src); break;
        case COP_Q2_K: dequantise_q2_k(y + i, src); break;
        case COP_Q3_K: dequantise_q3_k(y + i, src); break;
        case COP_IQ4_XS: dequantise_iq4_xs(y + i, src); break;
        case COP_MXFP4: dequantise_mxfp4(y + i, src); break;
        default: dequantise_32(y + i, type, src); break;
        }
    }
}

// ---- tiles ------------------------------------------------------------------------------------

// Bytes of a packed block and its columns; no type here has a larger one.
typedef struct layout {
    int columns, bytes;
} layout;

static layout layout_of(cop_dtype type) {
    switch (type) {
    case COP_F32: return (layout){1, 64};
    case COP_F16: return (layout){1, 32};
    case COP_BF16: return (layout){2, 64};
    case COP_IQ4_NL:
    case COP_Q4_0: return (layout){32, 288};
    case COP_MXFP4: return (layout){32, 272};
    case COP_Q4_1: return (layout){32, 320};
    case COP_Q5_0: return (layout){32, 352};
    case COP_Q5_1: return (layout){32, 384};
    case COP_Q8_0: return (layout){32, 544};
    case COP_Q2_K: return (layout){SUPER, 1344};
    case COP_Q3_K: return (layout){SUPER, 1824};
    case COP_IQ4_XS: return (layout){SUPER, 2208};
    case COP_Q4_K: return (layout){SUPER, 2368};
    case COP_Q5_K: return (layout){SUPER, 2880};
    case COP_Q6_K: return (layout){SUPER, 3360};
    default: return (layout){0, 0};
    }
}

size_t cop_pack_tile_bytes(cop_dtype type, int cols) {
    const layout l = layout_of(type);
    if (!l.bytes || cols <= 0) return 0;
    if (l.columns <= 2) return ((size_t)cols + 1) / 2 * 2 / (size_t)l.columns * (size_t)l.bytes;
    return cols % l.columns ? 0 : (size_t)(cols / l.columns) * (size_t)l.bytes;
}

// A byte of 16 in the file holds columns m and m + 16, as in the tile: words move as they are.
static void pack_nibbles(uint8_t *out, const uint8_t q[16], int r) {
    for (int j = 0; j < 4; j++) memcpy(out + 64 * j + 4 * r, q + 4 * j, 4);
}

// Nibbles of columns 0 … 31 standing in the low (shift 0) or high (shift 4) halves of 32 bytes.
static void pack_split_nibbles(uint8_t *out, const uint8_t q[32], int shift, int r) {
    for (int j = 0; j < 4; j++) {
        uint32_t first = load32(q + 4 * j) >> shift & 0x0f0f0f0f, second = load32(q + 16 + 4 * j) >> shift & 0x0f0f0f0f;
        store32(out + 64 * j + 4 * r, first | second << 4);
    }
}

static void pack_fifth_of_word(uint8_t *out, uint32_t h, int r) {
    for (int t = 0; t < 4; t++) {
        unsigned byte = 0;
        for (int j = 0; j < 8; j++) byte |= (h >> (4 * j + t) & 1) << j;
        out[4 * r + t] = (uint8_t)byte;
    }
}

static void pack_fifth_of_plane(uint8_t *out, const uint8_t h[32], int bit, int r) {
    uint32_t word = 0;
    for (int j = 0; j < 8; j++) word |= (load32(h + 4 * j) >> bit & 0x01010101) << j;
    store32(out + 4 * r, word);
}

static void pack_pairs(uint8_t *out, const uint8_t h[32], int shift, int r) {
    for (int i = 0; i < 2; i++) {
        uint32_t word = 0;
        for (int u = 0; u < 4; u++) word |= (load32(h + 4 * (i + 2 * u)) >> shift & 0x03030303) << 2 * u;
        store32(out + 64 * i + 4 * r, word);
    }
}

static void pack_32(uint8_t *out, cop_dtype type, const uint8_t *src, int r) {
    const bool has_m = type == COP_Q4_1 || type == COP_Q5_1, five = type == COP_Q5_0 || type == COP_Q5_1;
    const uint8_t *rest = src + (has_m ? 4 : 2);
    size_t scales = 256;
    if (type == COP_Q8_0) {
        for (int j = 0; j < 8; j++) memcpy(out + 64 * j + 4 * r, rest + 4 * j, 4);
        scales = 512;
    } else if (five) {
        pack_nibbles(out, rest + 4, r);
        pack_fifth_of_word(out + 256, load32(rest), r);
        scales = 320;
    } else {
        pack_nibbles(out, rest, r);
    }
    memcpy(out + scales + 2 * r, src, 2);
    if (has_m) memcpy(out + scales + 32 + 2 * r, src + 2, 2);
}

static void pack_q45_k(uint8_t *out, cop_dtype type, const uint8_t *src, int r) {
    const bool five = type == COP_Q5_K;
    const uint8_t *q = five ? src + 48 : src + 16;
    const size_t sub = five ? 320 : 256;
    uint8_t *S = out + N_SUB * sub, *M = S + N_SUB * COP_TILE, *D = M + N_SUB * COP_TILE;
    for (int k = 0; k < N_SUB; k++) {
        pack_split_nibbles(out + (size_t)k * sub, q + k / 2 * 32, k % 2 * 4, r);
        if (five) pack_fifth_of_plane(out + (size_t)k * sub + 256, src + 16, k, r);
        k_scales(src + 4, k, &S[COP_TILE * k + r], &M[COP_TILE * k + r]);
    }
    memcpy(D + 2 * r, src, 2);
    memcpy(D + 32 + 2 * r, src + 2, 2);
}

static void pack_q6_k(uint8_t *out, const uint8_t *src, int r) {
    uint8_t *S = out + N_SUB * 384, *D = S + 16 * COP_TILE;
    for (int k = 0; k < N_SUB; k++) {
        int a = k / 4, b = k % 4;
        pack_split_nibbles(out + k * 384, src + 64 * a + 32 * (b & 1), b < 2 ? 0 : 4, r);
        pack_pairs(out + k * 384 + 256, src + 128 + 32 * a, 2 * b, r);
    }
    for (int k = 0; k < 16; k++) S[COP_TILE * k + r] = src[192 + k];
    memcpy(D + 2 * r, src + 208, 2);
}

static void pack_q2_k(uint8_t *out, const uint8_t *src, int r) {
    uint8_t *SM = out + N_SUB * 128, *D = SM + 16 * COP_TILE;
    for (int k = 0; k < N_SUB; k++) pack_pairs(out + k * 128, src + 16 + k / 4 * 32, k % 4 * 2, r);
    for (int k = 0; k < 16; k++) SM[COP_TILE * k + r] = src[k];
    memcpy(D + 2 * r, src + 80, 2);
    memcpy(D + 32 + 2 * r, src + 82, 2);
}

static void pack_q3_k(uint8_t *out, const uint8_t *src, int r) {
    uint8_t *S = out + N_SUB * 192, *D = S + 16 * COP_TILE;
    for (int k = 0; k < N_SUB; k++) {
        pack_pairs(out + k * 192, src + 32 + k / 4 * 32, k % 4 * 2, r);
        pack_fifth_of_plane(out + k * 192 + 128, src, k, r);
    }
    for (int k = 0; k < 16; k++) S[COP_TILE * k + r] = (uint8_t)(q3_k_scale(src + 96, k) + 32);
    memcpy(D + 2 * r, src + 108, 2);
}

static void pack_iq4_xs(uint8_t *out, const uint8_t *src, int r) {
    uint8_t *S = out + N_SUB * 256, *D = S + N_SUB * COP_TILE;
    for (int k = 0; k < N_SUB; k++) {
        pack_nibbles(out + k * 256, src + 8 + 16 * k, r);
        S[COP_TILE * k + r] = (uint8_t)(iq4_xs_scale(src, k) + 32);
    }
    memcpy(D + 2 * r, src, 2);
}

static void pack_mxfp4(uint8_t *out, const uint8_t *src, int r) {
    pack_nibbles(out, src + 1, r);
    out[256 + r] = src[0];
}

static void pack_block(uint8_t *out, cop_dtype type, const uint8_t *src, int r) {
    switch (type) {
    case COP_F32: memcpy(out + 4 * r, src, 4); break;
    case COP_F16: memcpy(out + 2 * r, src, 2); break;
    case COP_Q4_K:
    case COP_Q5_K: pack_q45_k(out, type, src, r); break;
    case COP_Q6_K: pack_q6_k(out, src, r); break;
    case COP_Q2_K: pack_q2_k(out, src, r); break;
    case COP_Q3_K: pack_q3_k(out, src, r); break;
    case COP_IQ4_XS: pack_iq4_xs(out, src, r); break;
    case COP_MXFP4: pack_mxfp4(out, src, r); break;
    default: pack_32(out, type, src, r); break;
    }
}

void cop_pack_tile(uint8_t *out, cop_dtype type, const uint8_t *src, size_t row_bytes, int rows, int cols, int i) {
    const layout l = layout_of(type);
    const int first = i * COP_TILE, used = rows - first < COP_TILE ? rows - first : COP_TILE;
    memset(out, 0, cop_pack_tile_bytes(type, cols));
    src += (size_t)first * row_bytes;
    if (type == COP_BF16) {
        for (int c = 0; c < cols; c++)
            for (int r = 0; r < used; r++)
                memcpy(out + (size_t)(c / 2) * 64 + (size_t)(4 * r + 2 * (c & 1)), src + (size_t)r * row_bytes + 2 * (size_t)c, 2);
        return;
    }
    const size_t block_bytes = (size_t)cop_dtype_get(type)->block_bytes;
    for (int b = 0; b < cols / l.columns; b++)
        for (int r = 0; r < used; r++)
            pack_block(out + (size_t)b * (size_t)l.bytes, type, src + (size_t)r * row_bytes + (size_t)b * block_bytes, r);
}
