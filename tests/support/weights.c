#include "weights.h"

#include <string.h>

#include "base/alloc.h"

const cop_dtype test_types[TEST_N_TYPES] = {COP_F32,  COP_F16,  COP_BF16, COP_Q4_0, COP_Q4_1, COP_Q5_0,
                                            COP_Q5_1, COP_Q8_0, COP_Q4_K, COP_Q5_K, COP_Q6_K,
                                            COP_IQ4_NL, COP_Q2_K, COP_Q3_K, COP_IQ4_XS, COP_MXFP4};

// xorshift64*: Vigna 2016.
test_rng test_seed(uint64_t seed) { return (test_rng){seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du}; }

uint32_t test_bits(test_rng *rng) {
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return (uint32_t)(rng->state * 0x2545f4914f6cdd1du >> 32);
}

float test_uniform(test_rng *rng) { return (float)(test_bits(rng) >> 8) * 0x1p-23f - 1.0f; }

bool test_is_float(cop_dtype type) { return type == COP_F32 || type == COP_F16 || type == COP_BF16; }

bool test_fits(cop_dtype type, int cols) { return cols % cop_dtype_get(type)->block == 0; }

static uint16_t scale(test_weights kind, test_rng *rng) {
    static const uint16_t nasty[] = {0, 0x8000, 1, 0x83ff, 0x0400, 0x7bff, 0xfbff, 0x3c00};
    if (kind == TEST_W_SCALES) return nasty[test_bits(rng) % 8];
    return cop_float_to_half(test_uniform(rng) * 0.1f);
}

static void put16(uint8_t *p, uint16_t x) { memcpy(p, &x, 2); }

static void fill_quantised(uint8_t *block, cop_dtype type, test_weights kind, test_rng *rng) {
    const int bytes = cop_dtype_get(type)->block_bytes;
    for (int i = 0; i < bytes; i++) {
        uint8_t random = (uint8_t)test_bits(rng);
        block[i] = kind == TEST_W_LOW ? 0 : kind == TEST_W_HIGH ? 0xff : kind == TEST_W_EDGE ? 0x80 : random;
    }
    switch (type) {
    case COP_Q6_K:
        if (kind == TEST_W_EDGE) memset(block, 0, 192);
        put16(block + 208, scale(kind, rng));
        return;
    case COP_Q3_K: put16(block + 108, scale(kind, rng)); return;
    case COP_Q2_K:
        put16(block + 80, scale(kind, rng));
        put16(block + 82, scale(kind, rng));
        return;
    case COP_MXFP4:  // any byte is a scale; most of them near one
        if (kind == TEST_W_RANDOM) block[0] = (uint8_t)(120 + block[0] % 16);
        return;
    default: break;
    }
    put16(block, scale(kind, rng));
    if (type == COP_Q4_1 || type == COP_Q5_1 || type == COP_Q4_K || type == COP_Q5_K) put16(block + 2, scale(kind, rng));
}

static void fill_float(uint8_t *out, cop_dtype type, test_weights kind, test_rng *rng) {
    static const float nasty[] = {0, -0.0f, 1e-44f, -1e-39f, 3e37f, -2e37f, 1.17549435e-38f, 1};
    float x = test_uniform(rng);
    if (kind == TEST_W_LOW) x = 0;
    if (kind == TEST_W_HIGH) x = -65504.0f;
    if (kind == TEST_W_SCALES) x = nasty[test_bits(rng) % 8];
    uint16_t half = kind == TEST_W_SCALES ? scale(kind, rng) : cop_float_to_half(x), bf16 = cop_float_to_bf16(x);
    memcpy(out, type == COP_F32 ? (void *)&x : type == COP_F16 ? (void *)&half : (void *)&bf16, type == COP_F32 ? 4 : 2);
}

uint8_t *test_file_matrix(cop_dtype type, int rows, int cols, test_weights kind, uint64_t seed, size_t *row_bytes) {
    const cop_dtype_info *info = cop_dtype_get(type);
    test_rng rng = test_seed(seed);
    *row_bytes = (size_t)(cols / info->block) * (size_t)info->block_bytes;
    uint8_t *file = cop_alloc((size_t)rows * *row_bytes);
    if (!file) return NULL;
    for (size_t i = 0; i < (size_t)rows * *row_bytes; i += (size_t)info->block_bytes) {
        if (test_is_float(type)) fill_float(file + i, type, kind, &rng);
        else fill_quantised(file + i, type, kind, &rng);
    }
    return file;
}

cop_matrix test_pack(cop_dtype type, const uint8_t *file, size_t row_bytes, int rows, int cols) {
    cop_matrix m = {.type = type, .rows = rows, .cols = cols, .tile_bytes = cop_pack_tile_bytes(type, cols)};
    m.n_tiles = (rows + COP_TILE - 1) / COP_TILE;
    uint8_t *data = cop_alloc_array((size_t)m.n_tiles, m.tile_bytes);
    for (int i = 0; data && i < m.n_tiles; i++)
        cop_pack_tile(data + (size_t)i * m.tile_bytes, type, file, row_bytes, rows, cols, i);
    m.data = data;
    return m;
}

void test_fill_column(float *x, int cols, test_column kind, test_rng *rng) {
    for (int i = 0; i < cols; i++) {
        float r = test_uniform(rng);
        switch (kind) {
        case TEST_X_ALL_MAX: x[i] = 1.5f; break;
        case TEST_X_ALL_MIN: x[i] = -0.3f; break;
        case TEST_X_ZERO: x[i] = i % 3 ? 0.0f : -0.0f; break;
        case TEST_X_HUGE: x[i] = r * 3e38f; break;
        case TEST_X_TINY: x[i] = r * 1e-36f; break;
        case TEST_X_DENORMAL: x[i] = r * 1e-38f; break;
        case TEST_X_SPIKE: x[i] = i % 32 == 7 ? 1e4f * r : 1e-3f * r; break;
        case TEST_X_MIXED: x[i] = i / 32 % 2 ? r * (float)(1 << i / 32 % 20) : (float)(int)(r * 127.0f) + 0.5f; break;
        default: x[i] = r; break;
        }
    }
}

void test_panel(cop_act *panel, const cop_act *acts, int n, int n_blocks) {
    for (int c = 0; c < n; c++)
        for (int b = 0; b < n_blocks; b++)
            panel[cop_panel_index(n, n_blocks, b, c)] = acts[(size_t)c * (size_t)n_blocks + (size_t)b];
}

int test_levels(cop_kernels levels[4]) {
    unsigned features = cop_cpu_features();
    int n = 0;
    if (features & COP_CPU_NEON) levels[n++] = cop_kernels_bind(COP_CPU_NEON);
    if (!(features & COP_CPU_AVX2)) return n;
    levels[n++] = cop_kernels_bind(COP_CPU_AVX2);
#if defined(COP_EMULATE)
    features |= COP_CPU_AVX512;
#endif
    if (features & COP_CPU_AVX512) levels[n++] = cop_kernels_bind(COP_CPU_AVX2 | COP_CPU_AVX512);
    return n;
}
