// bench verify, prefill, decode, load: the whole model.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/noise.h"
#include "cli/bench.h"
#include "format/registry.h"

#define MOST_WIDTHS 32
#define MOST_ROWS 256

typedef struct bench_seq {
    const cop_engine *engine;
    cop_cache *cache;
    cop_seq *seq;
    cop_workspace *ws;
    cop_row rows[MOST_ROWS];
} bench_seq;

static void close_seq(bench_seq *s) {
    cop_workspace_free(s->ws);
    cop_seq_free(s->seq);
    cop_cache_free(s->cache);
}

static cop_status open_seq(bench_seq *s, const cop_engine *engine, const cop_bench_args *a, int tokens) {
    cop_cache_shape shape = cop_model_cache_shape(engine->model, COP_KV_F16);
    *s = (bench_seq){.engine = engine};
    if (a->model.cache_type) COP_TRY(cop_kv_type_parse(&shape.type, a->model.cache_type));
    cop_status st = cop_cache_new(&s->cache, &shape, tokens / COP_PAGE + 1);
    if (!st) st = cop_seq_new(&s->seq, s->cache, tokens);
    if (!st) st = cop_workspace_new(&s->ws, engine->model, MOST_ROWS, 64, tokens);
    if (st) close_seq(s);
    return st;
}

static int32_t any_token(const bench_seq *s, int i) {
    return (int32_t)(cop_noise_bits(1, COP_NOISE_DRAFT, (uint64_t)i, 0) % (uint64_t)s->engine->model->desc.V);
}

// n rows in one forward; the first is the chain's end, the others its children: a tree of depth one.
static cop_status forward_tree(bench_seq *s, int n) {
    for (int i = 0; i < n; i++) s->rows[i] = (cop_row){.seq = s->seq, .token = any_token(s, i), .parent = i ? 0 : -1, .want_logits = true};
    COP_TRY(cop_seq_reserve(s->seq, n));
    return cop_model_forward(s->engine->model, s->ws, s->rows, n, NULL);
}

static cop_status read_chain(bench_seq *s, int n) {
    for (int at = 0; at < n;) {
        int m = n - at < MOST_ROWS ? n - at : MOST_ROWS;
        for (int i = 0; i < m; i++) s->rows[i] = (cop_row){.seq = s->seq, .token = any_token(s, at + i), .parent = i - 1, .want_logits = at + i == n - 1};
        COP_TRY(cop_seq_reserve(s->seq, m));
        COP_TRY(cop_model_forward(s->engine->model, s->ws, s->rows, m, NULL));
        cop_seq_commit(s->seq, NULL, m);
        at += m;
        if (cop_cli_interrupted()) return cop_fail(COP_ERR_CANCELLED, "interrupted");
    }
    return COP_OK;
}

static cop_status verify(cop_bench *b, bench_seq *s, int context, const int *widths, int n_widths, cop_timing *timings) {
    COP_TRY(read_chain(s, context));
    int rounds = b->args->rounds ? b->args->rounds : 7;
    for (int round = -1; round < rounds; round++)
        for (int i = 0; i < n_widths; i++) {
            double start = cop_clock();
            COP_TRY(forward_tree(s, widths[i]));
            if (round >= 0) cop_timing_add(&timings[i], cop_clock() - start);
            if (cop_cli_interrupted()) return cop_fail(COP_ERR_CANCELLED, "interrupted");
        }
    for (int i = 0; i < n_widths; i++) {
        double best = cop_timing_best(&timings[i]);
        json_array_append_new(b->rows, json_pack("{s:i, s:i, s:f, s:f, s:f}", "n", widths[i], "context", context, "ms", best * 1e3, "ratio",
                              best / cop_timing_best(&timings[0]), "spread", cop_timing_spread(&timings[i])));
    }
    return COP_OK;
}

cop_status cop_bench_verify(cop_bench *b, cop_engine *engine) {
    int widths[MOST_WIDTHS], n_widths, context = b->args->model.context ? b->args->model.context : 1024;
    COP_TRY(cop_bench_numbers("--widths", b->args->widths ? b->args->widths : "1,2,3,4,6,8,12,16,32,64", 64, widths, MOST_WIDTHS, &n_widths));
    bench_seq s;
    COP_TRY(open_seq(&s, engine, b->args, context + 64));
    cop_timing *timings = cop_alloc_array((size_t)n_widths, sizeof *timings);
    cop_status st = timings ? verify(b, &s, context, widths, n_widths, timings) : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    cop_free(timings);
    close_seq(&s);
    return st;
}

cop_status cop_bench_prefill(cop_bench *b, cop_engine *engine) {
    int n = b->args->n ? b->args->n : 512, rounds = b->args->rounds ? b->args->rounds : 5;
    bench_seq s;
    cop_timing t = {.n = 0};
    COP_TRY(open_seq(&s, engine, b->args, n));
    cop_status st = COP_OK;
    for (int round = 0; !st && round < rounds; round++) {
        cop_seq_truncate(s.seq, 0);
        double start = cop_clock();
        st = read_chain(&s, n);
        cop_timing_add(&t, cop_clock() - start);
    }
    if (!st)
        json_array_append_new(b->rows, json_pack("{s:i, s:f, s:f, s:f}", "n", n, "ms", cop_timing_best(&t) * 1e3, "tokens_per_s",
                              n / cop_timing_best(&t), "spread", cop_timing_spread(&t)));
    close_seq(&s);
    return st;
}

cop_status cop_bench_decode(cop_bench *b, cop_engine *engine) {
    int n = b->args->n ? b->args->n : 64, rounds = b->args->rounds ? b->args->rounds : 5, context = b->args->model.context ? b->args->model.context : 16;
    bench_seq s;
    cop_timing t = {.n = 0};
    COP_TRY(open_seq(&s, engine, b->args, context + n));
    cop_status st = read_chain(&s, context);
    for (int round = 0; !st && round < rounds; round++) {
        cop_seq_truncate(s.seq, context);
        double start = cop_clock();
        for (int i = 0; !st && i < n; i++) {
            st = forward_tree(&s, 1);
            if (!st) cop_seq_commit(s.seq, NULL, 1);
        }
        cop_timing_add(&t, (cop_clock() - start) / n);
        if (cop_cli_interrupted()) st = cop_fail(COP_ERR_CANCELLED, "interrupted");
    }
    double best = cop_timing_best(&t);
    if (!st)
        json_array_append_new(b->rows, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "n", n, "context", context, "ms", best * 1e3, "tokens_per_s",
                              1 / best, "gbps", (double)engine->model->step_bytes / best / 1e9, "spread", cop_timing_spread(&t)));
    close_seq(&s);
    return st;
}

// From nothing to the first computed row: packing, then the packed file.
static cop_status time_load(cop_bench *b, const char *folder, const char *path, bool warm) {
    double start = cop_clock();
    cop_model *model;
    const cop_model_options o = {.level = b->args->model.level, .packed_folder = folder};
    COP_TRY(cop_model_open(&model, path, b->pool, &o));
    double loaded = cop_clock() - start;
    cop_engine engine = {.pool = b->pool, .model = model};
    bench_seq s;
    cop_status st = open_seq(&s, &engine, b->args, 64);
    if (!st) {
        st = forward_tree(&s, 1);
        if (!st && warm == model->from_packed)
            json_array_append_new(b->rows, json_pack("{s:s, s:f, s:f, s:f}", "start", warm ? "packed" : "first", "load_ms", loaded * 1e3,
                                  "first_row_ms", (cop_clock() - start) * 1e3, "packed_mb", (double)model->memory_bytes / 1e6));
        close_seq(&s);
    }
    cop_model_close(model);
    return st;
}

cop_status cop_bench_load(cop_bench *b) {
    char path[COP_PATH_MAX], folder[COP_PATH_MAX + 32], models[COP_PATH_MAX];
    if (!b->args->model.model) return cop_fail(COP_ERR_ARG, "which model? -m NAME, FILE or FOLDER");
    COP_TRY(cop_model_locate(path, b->args->model.model));
    COP_TRY(cop_registry_folder(models));
    snprintf(folder, sizeof folder, "%s/packed", models);
    COP_TRY(time_load(b, NULL, path, false));
    cop_model *model;
    const cop_model_options o = {.level = b->args->model.level, .packed_folder = folder};
    COP_TRY(cop_model_open(&model, path, b->pool, &o));  // makes the packed file when it is not there
    cop_model_close(model);
    for (int round = 0; round < 3; round++) COP_TRY(time_load(b, folder, path, true));
    return COP_OK;
}
