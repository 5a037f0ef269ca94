// bench kernel: packed matrix times 1 … 64 rows, per weight type; the verification curve of the product.
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/noise.h"
#include "cli/bench.h"
#include "kernel/quantise_file.h"

#define COLD_BYTES ((size_t)160 << 20)  // matrices together exceed the L3 several times
#define MOST_WIDTHS 32
#define MOST_MATRICES 64

static const struct {
    const char *name;
    cop_dtype type;
} types[] = {
    {"q4_0", COP_Q4_0}, {"q4_1", COP_Q4_1}, {"q5_0", COP_Q5_0}, {"q5_1", COP_Q5_1}, {"q8_0", COP_Q8_0}, {"q4_k", COP_Q4_K},
    {"q5_k", COP_Q5_K}, {"q6_k", COP_Q6_K}, {"iq4_nl", COP_IQ4_NL}, {"q2_k", COP_Q2_K}, {"q3_k", COP_Q3_K},
    {"iq4_xs", COP_IQ4_XS}, {"mxfp4", COP_MXFP4}, {"bf16", COP_BF16}, {"f16", COP_F16},   {"f32", COP_F32},
};
#define N_TYPES (sizeof types / sizeof *types)

typedef struct product_job {
    cop_bench *b;
    cop_matrix w;
    size_t matrix_bytes;
    uint8_t *data;      // n_matrices of them
    int n_matrices, n;
    const void *x;
    size_t x_stride;
    float *y;
} product_job;

// All matrices in one job with a barrier between them, as a forward does.
static cop_status product_worker(void *arg, int worker) {
    (void)worker;
    const product_job *j = arg;
    int64_t begin, end, grain = j->w.n_tiles / (cop_pool_threads(j->b->pool) * 12);
    size_t stride = (size_t)j->w.n_tiles * COP_TILE;
    for (int i = 0; i < j->n_matrices; i++) {
        const uint8_t *w = j->data + (size_t)i * j->matrix_bytes;
        while (cop_pool_take(j->b->pool, j->w.n_tiles, grain < 1 ? 1 : grain, &begin, &end))
            for (int64_t t = begin; t < end; t++)
                j->b->kernels.product[j->w.type](j->y + t * COP_TILE, stride, w + (size_t)t * j->w.tile_bytes, j->w.cols, j->x, j->x_stride, j->n);
        cop_pool_barrier(j->b->pool, NULL, NULL);
    }
    return COP_OK;
}

// One tile of random weights, and copies of it.
static cop_status fill(product_job *j) {
    uint64_t row_bytes;
    COP_TRY(cop_dtype_bytes(j->w.type, (uint64_t)j->w.cols, &row_bytes));
    float *x = cop_alloc_array((size_t)j->w.cols, sizeof *x);
    uint8_t *rows = cop_alloc_array((size_t)row_bytes, COP_TILE);
    cop_status st = x && rows ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    for (int r = 0; !st && r < COP_TILE; r++) {
        for (int i = 0; i < j->w.cols; i++) x[i] = (float)cop_noise_uniform(3, COP_NOISE_DRAFT, (uint64_t)i, (uint64_t)r) - 0.5f;
        st = cop_quantise_row(rows + (size_t)r * (size_t)row_bytes, j->w.type, x, j->w.cols);
    }
    for (int t = 0; !st && t < j->w.n_tiles * j->n_matrices; t++)
        if (t == 0) cop_pack_tile(j->data, j->w.type, rows, (size_t)row_bytes, COP_TILE, j->w.cols, 0);
        else memcpy(j->data + (size_t)t * j->w.tile_bytes, j->data, j->w.tile_bytes);
    cop_free(x);
    cop_free(rows);
    return st;
}

typedef struct activations {
    float *rows;     // [most][cols]
    cop_act *panel;  // of the width in use
    int cols, most;
} activations;

static void make_panel(const cop_kernels *k, activations *a, int n) {
    int n_blocks = a->cols / COP_BLOCK;
    for (int c = 0; c < n; c++) {
        size_t first = cop_panel_index(n, n_blocks, 0, c);
        k->quantise(a->panel + first, cop_panel_index(n, n_blocks, 1, c) - first, a->rows + (size_t)c * (size_t)a->cols, n_blocks);
    }
}

static cop_status time_widths(product_job *j, activations *a, const int *widths, int n_widths, cop_timing *timings) {
    bool quantised = cop_dtype_get(j->w.type)->block > 1;
    int rounds = j->b->args->rounds ? j->b->args->rounds : 15;
    for (int round = -1; round < rounds; round++)
        for (int i = 0; i < n_widths; i++) {
            j->n = widths[i];
            if (quantised) make_panel(&j->b->kernels, a, j->n);
            double start = cop_clock();
            COP_TRY(cop_pool_run(j->b->pool, product_worker, j));
            if (round >= 0) cop_timing_add(&timings[i], (cop_clock() - start) / j->n_matrices);
            if (cop_cli_interrupted()) return cop_fail(COP_ERR_CANCELLED, "interrupted");
        }
    return COP_OK;
}

static void add_rows(product_job *j, const char *name, const int *widths, int n_widths, cop_timing *timings) {
    for (int i = 0; i < n_widths; i++) {
        double best = cop_timing_best(&timings[i]), one = cop_timing_best(&timings[0]);
        json_array_append_new(j->b->rows, json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "type", name, "k", j->w.cols, "m",
                              j->w.rows, "n", widths[i], "threads", cop_pool_threads(j->b->pool), "us", best * 1e6, "gbps",
                              (double)j->matrix_bytes / best / 1e9, "gops", 2.0 * j->w.cols * j->w.rows * widths[i] / best / 1e9, "ratio",
                              best / one, "spread", cop_timing_spread(&timings[i])));
    }
}

static cop_status bench_type(cop_bench *b, size_t t, const int *widths, int n_widths, activations *a) {
    product_job j = {.b = b, .w = {.type = types[t].type, .rows = b->args->m, .cols = b->args->k}, .x = a->panel};
    j.w.tile_bytes = cop_pack_tile_bytes(j.w.type, j.w.cols);
    if (!j.w.tile_bytes) return COP_OK;  // columns that do not fit this type's blocks
    j.w.n_tiles = (j.w.rows + COP_TILE - 1) / COP_TILE;
    j.matrix_bytes = j.w.tile_bytes * (size_t)j.w.n_tiles;
    j.n_matrices = (int)(COLD_BYTES / j.matrix_bytes) + 1;
    if (j.n_matrices > MOST_MATRICES) j.n_matrices = MOST_MATRICES;
    if (cop_dtype_get(j.w.type)->block == 1) j.x = a->rows, j.x_stride = (size_t)a->cols;
    size_t bytes = j.matrix_bytes * (size_t)j.n_matrices + 8192;
    j.data = cop_pages_alloc(bytes);
    j.y = cop_alloc_array((size_t)j.w.n_tiles * COP_TILE * (size_t)a->most, sizeof(float));
    cop_timing *timings = cop_alloc_array((size_t)n_widths, sizeof *timings);
    cop_status st = j.data && j.y && timings ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    if (!st) st = fill(&j);
    if (!st) st = time_widths(&j, a, widths, n_widths, timings);
    if (!st) add_rows(&j, types[t].name, widths, n_widths, timings);
    cop_free(timings);
    cop_free(j.y);
    cop_pages_free(j.data, bytes);
    return st;
}

static bool wanted(const char *list, const char *name) {
    if (!list) return true;
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (strlen(name) == n && !memcmp(name, list, n)) return true;
    }
    return false;
}

cop_status cop_bench_kernel(cop_bench *b) {
    int widths[MOST_WIDTHS], n_widths;
    COP_TRY(cop_bench_numbers("--widths", b->args->widths ? b->args->widths : "1,2,3,4,6,8,12,16,32,64", 1024, widths, MOST_WIDTHS, &n_widths));
    activations a = {.cols = (b->args->k + 1) & ~1, .most = 1};
    for (int i = 0; i < n_widths; i++) a.most = widths[i] > a.most ? widths[i] : a.most;
    a.rows = cop_alloc_array((size_t)a.most * (size_t)a.cols, sizeof(float));
    a.panel = cop_alloc_array((size_t)a.most * ((size_t)a.cols / COP_BLOCK + 1), sizeof *a.panel);
    cop_status st = a.rows && a.panel ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    for (size_t i = 0; !st && i < (size_t)a.most * (size_t)a.cols; i++)
        a.rows[i] = (float)(cop_noise_uniform(5, COP_NOISE_DRAFT, i, 0) - 0.5);
    int found = 0;
    for (size_t t = 0; !st && t < N_TYPES; t++) {
        if (!wanted(b->args->types, types[t].name)) continue;
        found++;
        st = bench_type(b, t, widths, n_widths, &a);
        cop_cli_progress("kernels", (double)(t + 1) / N_TYPES);
    }
    if (!st && !found) st = cop_fail(COP_ERR_ARG, "--type %s: none of q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k, iq4_nl, q2_k, q3_k, iq4_xs, mxfp4, bf16, f16, f32", b->args->types);
    cop_cli_progress("", 1);
    if (!st) st = cop_bench_stream(b);
    cop_free(a.rows);
    cop_free(a.panel);
    return st;
}
