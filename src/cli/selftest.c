// coppice selftest: does this computer give the same bits as every other? Hashes of every kernel at every
// level that the CPU has, and of the default model's logits on ten prompts, against the recorded ones.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "cli/cli.h"
#include "cli/selftest_hashes.h"
#include "format/registry.h"

#define COLS 512
#define COLUMNS 5
#define TOKENS 8  // generated per prompt

typedef struct selftest_args {
    cop_model_args model;
    bool record, kernels_only;
} selftest_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(selftest_args, model),
    {0, "kernels", COP_ARG_FLAG, offsetof(selftest_args, kernels_only), 0, 0, NULL, "the kernels only, without a model"},
    {0, "record", COP_ARG_FLAG, offsetof(selftest_args, record), 0, 0, NULL, "print the hashes as src/cli/selftest_hashes.h wants them"},
    {0},
};

static const char *const prompts[] = {
    "The capital of France is",
    "def fibonacci(n):\n",
    "Once upon a time, in a small village,",
    "Die Katze sitzt auf dem",
    "1, 1, 2, 3, 5, 8,",
    "{\"name\": \"Ada\", \"born\":",
    "Water boils at",
    "Dear Sir or Madam,",
    "SELECT name FROM users WHERE",
    "\xe6\x98\xa5\xe7\x9c\xa0\xe4\xb8\x8d\xe8\xa7\x89\xe6\x99\x93",
};
#define N_PROMPTS (sizeof prompts / sizeof *prompts)

typedef struct data {
    float x[COLUMNS][COLS], y[COLUMNS * COP_TILE + COLS], s[COLS];
    cop_act panel[COLUMNS * COLS / COP_BLOCK];
    uint8_t rows[COP_TILE * COLS * 4], tile[COP_TILE * COLS * 4 + 4096], page[2][COP_PAGE * 64 * 4 + 4096];
} data;

static void fill_floats(float *x, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) x[i] = (float)(8 * cop_noise_uniform(seed, COP_NOISE_DRAFT, i, 0) - 4);
}

// Makes the halves among a block's random bytes numbers near one.
static void tame_scales(uint8_t *block, cop_dtype type) {
    const cop_dtype_info *info = cop_dtype_get(type);
    bool one = type == COP_Q3_K || type == COP_Q6_K || type == COP_Q8_0 || type == COP_IQ4_NL || type == COP_IQ4_XS;
    bool behind = type == COP_Q2_K || type == COP_Q3_K || type == COP_Q6_K;
    if (type == COP_MXFP4) {
        block[0] = (uint8_t)(120 | (block[0] & 7));
        return;
    }
    int n = one || info->block == 1 ? 1 : 2, at = behind || info->block == 1 ? info->block_bytes - 2 * n : 0;
    for (int i = 0; i < n; i++) block[at + 2 * i + 1] = (uint8_t)(0x38 | (block[at + 2 * i + 1] & 0x83));
}

static uint64_t product_hash(const cop_kernels *k, data *d, cop_dtype type) {
    const cop_dtype_info *info = cop_dtype_get(type);
    size_t row_bytes = (size_t)(COLS / info->block * info->block_bytes);
    for (size_t i = 0; i < row_bytes * COP_TILE; i++) d->rows[i] = (uint8_t)cop_noise_bits(2, COP_NOISE_DRAFT, i, type);
    for (size_t at = 0; at < row_bytes * COP_TILE; at += (size_t)info->block_bytes) tame_scales(d->rows + at, type);
    memset(d->tile, 0, sizeof d->tile);
    cop_pack_tile(d->tile, type, d->rows, row_bytes, COP_TILE, COLS, 0);
    for (int c = 0; c < COLUMNS; c++)
        k->quantise(d->panel + cop_panel_index(COLUMNS, COLS / COP_BLOCK, 0, c), COLUMNS, d->x[c], COLS / COP_BLOCK);
    const void *x = info->block > 1 ? (const void *)d->panel : (const void *)d->x;
    k->product[type](d->y, COP_TILE, d->tile, COLS, x, COLS, COLUMNS);
    return XXH64(d->y, COLUMNS * COP_TILE * sizeof(float), 0);
}

static uint64_t rows_hash(const cop_kernels *k, data *d) {
    uint64_t h = 0;
    const int n = COLS - 3;
    k->rmsnorm(d->y, d->x[0], d->x[1], n, 1e-5f);
    h = XXH64(d->y, (size_t)n * sizeof(float), h);
    k->layernorm(d->y, d->x[0], d->x[1], d->x[2], n, 1e-5f);
    h = XXH64(d->y, (size_t)n * sizeof(float), h);
    for (int a = 0; a < COP_N_ACTS; a++) {
        k->activate[a](d->y, d->x[0], d->x[1], n);
        h = XXH64(d->y, (size_t)n * sizeof(float), h);
    }
    for (int half_split = 0; half_split < 2; half_split++) {
        memcpy(d->y, d->x[0], sizeof d->x[0]);
        k->rope(d->y, d->x[1], 48, half_split);
        h = XXH64(d->y, 96 * sizeof(float), h);
    }
    memcpy(d->s, d->x[3], sizeof d->s);
    k->softcap(d->s, 3.0f, n);
    float sum = k->softmax(d->s, n);
    h = XXH64(d->s, (size_t)n * sizeof(float), h);
    return XXH64(&sum, sizeof sum, h);
}

static uint64_t attention_hash(const cop_kernels *k, data *d, cop_kv_type type) {
    const int head = 64;
    memset(d->page, 0, sizeof d->page);
    for (int slot = 0; slot < COP_PAGE; slot++) {
        k->store_key[type](d->page[0], slot, d->x[slot % COLUMNS] + slot, head);
        k->store_value[type](d->page[1], slot, d->x[slot % COLUMNS] + 2 * slot, head);
    }
    k->scores[type](d->s, COP_PAGE, d->x[0], (size_t)head, 3, d->page[0], 0, COP_PAGE / COP_TILE, head, 0.125f);
    memset(d->y, 0, sizeof d->y);
    k->mix[type](d->y, (size_t)head, d->s, COP_PAGE, 3, d->page[1], 5, 50, head);
    return XXH64(d->y, 3 * (size_t)head * sizeof(float), XXH64(d->s, 3 * COP_PAGE * sizeof(float), 0));
}

static const cop_dtype types[] = {COP_F32, COP_F16, COP_BF16, COP_Q4_0, COP_Q4_1, COP_Q5_0, COP_Q5_1, COP_Q8_0, COP_Q4_K, COP_Q5_K, COP_Q6_K, COP_IQ4_NL,
                                  COP_Q2_K, COP_Q3_K, COP_IQ4_XS, COP_MXFP4};
#define N_TYPES (sizeof types / sizeof *types)
#define N_KERNELS (N_TYPES + 1 + COP_N_KV_TYPES)

static const char *kernel_name(size_t i, char *name, size_t bytes) {
    if (i < N_TYPES) snprintf(name, bytes, "product %s", cop_dtype_name(types[i]));
    else if (i == N_TYPES) snprintf(name, bytes, "rows");
    else snprintf(name, bytes, "attention %s", cop_kv_type_name((cop_kv_type)(i - N_TYPES - 1)));
    return name;
}

static uint64_t kernel_hash(const cop_kernels *k, data *d, size_t i) {
    if (i < N_TYPES) return product_hash(k, d, types[i]);
    return i == N_TYPES ? rows_hash(k, d) : attention_hash(k, d, (cop_kv_type)(i - N_TYPES - 1));
}

// Counts the hashes that differ; prints each with its level.
static cop_status check_kernels(const char *level, bool record, int *n_wrong) {
    cop_kernels k;
    if (cop_kernels_best(&k, level)) return COP_OK;  // this CPU does not have it
    data *d = cop_alloc(sizeof *d);
    if (!d) return cop_fail(COP_ERR_NOMEM, "selftest: cannot allocate");
    for (int c = 0; c < COLUMNS; c++) fill_floats(d->x[c], COLS, (uint64_t)c);
    int wrong = 0;
    for (size_t i = 0; i < N_KERNELS; i++) {
        char name[32];
        uint64_t h = kernel_hash(&k, d, i);
        if (record) printf("    0x%016" PRIx64 ",  // %s\n", h, kernel_name(i, name, sizeof name));
        else if (h != kernel_hashes[i]) printf("%s, %s: %016" PRIx64 ", expected %016" PRIx64 "\n", level, kernel_name(i, name, sizeof name), h, kernel_hashes[i]), wrong++;
    }
    if (!record) printf("%-7s %zu kernels: %s\n", level, (size_t)N_KERNELS, wrong ? "DIFFERENT" : "the same bits");
    *n_wrong += wrong;
    cop_free(d);
    return COP_OK;
}

static cop_status prompt_hash(cop_engine *engine, const char *prompt, uint64_t *hash) {
    cop_session_options o = cop_session_defaults();
    o.context = 128;
    o.hash_logits = 1;
    cop_session *s;
    COP_TRY(cop_session_open(&s, engine, &o));
    cop_result r;
    cop_status st = cop_session_add_text(s, prompt, strlen(prompt), 0);
    if (!st) st = cop_session_generate(s, TOKENS, NULL, NULL, &r);
    if (!st) *hash = r.logits_hash;
    cop_session_close(s);
    return st;
}

static cop_status check_model(const selftest_args *a, int *n_wrong) {
    cop_engine *engine;
    COP_TRY(cop_cli_open(&engine, &a->model));
    cop_status st = COP_OK;
    int wrong = 0;
    for (size_t i = 0; !st && i < N_PROMPTS; i++) {
        uint64_t h = 0;
        st = prompt_hash(engine, prompts[i], &h);
        if (st) break;
        if (a->record) printf("    0x%016" PRIx64 ",\n", h);
        else if (h != model_hashes[i]) printf("prompt %zu: %016" PRIx64 ", expected %016" PRIx64 "\n", i, h, model_hashes[i]), wrong++;
    }
    if (!st && !a->record)
        printf("%-7s %s, %zu prompts: %s\n", engine->model->kernels.level, a->model.model, N_PROMPTS, wrong ? "DIFFERENT" : "the same bits");
    *n_wrong += wrong;
    cop_engine_close(engine);
    return st;
}

static cop_status run(int argc, char **argv) {
    selftest_args a = {.model.model = cop_named_models[0].name};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    static const char *const levels[] = {"scalar", "avx2", "avx512", "neon"};
    int n_wrong = 0;
    for (size_t i = 0; i < (a.record ? 1 : 4); i++) COP_TRY(check_kernels(levels[i], a.record, &n_wrong));
    if (!a.kernels_only) COP_TRY(check_model(&a, &n_wrong));
    COP_TRY(cop_cli_write("", 0));
    if (n_wrong) return cop_fail(COP_ERR_UNSUPPORTED, "%d hashes differ from the recorded ones: this build does not give the common bits", n_wrong);
    if (!a.record) printf(a.kernels_only ? "this computer's kernels give the same bits as every other's; no model was run\n"
                                         : "this computer gives the same text as every other\n");
    return cop_cli_write("", 0);
}

const cop_command cop_command_selftest = {
    .name = "selftest", .summary = "does this computer give the same bits as every other", .usage = "selftest [-m M] [--kernels]",
    .options = options, .run = run,
};
