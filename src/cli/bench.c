// coppice bench: speeds, beside what the machine can do in the same run.
#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/env.h"

#define STREAM_BYTES ((size_t)256 << 20)  // several times any L3 seen
#define STREAM_CHUNK ((size_t)1 << 20)

static const cop_arg options[] = {
    COP_MODEL_ARGS(cop_bench_args, model),
    COP_CONTEXT_ARGS(cop_bench_args, model),
    {0, "type", COP_ARG_TEXT, offsetof(cop_bench_args, types), 0, 0, "TYPES", "kernel: weight types, as q4_k,q8_0; default all"},
    {0, "widths", COP_ARG_TEXT, offsetof(cop_bench_args, widths), 0, 0, "LIST", "kernel, verify: rows at once; default 1,2,3,4,6,8,12,16,32,64"},
    {'k', "columns", COP_ARG_INT, offsetof(cop_bench_args, k), 32, 1 << 17, "K", "kernel: columns; default 4096"},
    {0, "rows", COP_ARG_INT, offsetof(cop_bench_args, m), 16, 1 << 20, "M", "kernel: rows of the matrix; default 4096"},
    {'n', "tokens", COP_ARG_INT, offsetof(cop_bench_args, n), 1, 1 << 16, "N", "prefill: prompt tokens, default 512; decode: tokens, default 64; spec: 128"},
    {0, "rounds", COP_ARG_INT, offsetof(cop_bench_args, rounds), 1, COP_BENCH_MOST_ROUNDS, "R", "interleaved rounds; default 15 (kernel), 7, 1 (spec)"},
    {0, "data", COP_ARG_TEXTS, offsetof(cop_bench_args, data), 0, 0, "[NAME=]FILE",
     "spec: prompts (Spec-Bench, MT-Bench, GSM8K, HumanEval, lines with a prompt, or text); NAME: their task; repeatable"},
    {0, "methods", COP_ARG_TEXTS, offsetof(cop_bench_args, methods), 0, 0, "LIST",
     "spec: all, or DRAFT[@CONTROL[@VERIFY]],... as for --draft; default auto; repeatable"},
    {0, "limit", COP_ARG_INT, offsetof(cop_bench_args, limit), 0, 1 << 20, "N", "spec: prompts of each task at most; 0, the default: all"},
    {0, "total", COP_ARG_INT, offsetof(cop_bench_args, total), 0, 1 << 20, "N", "spec: prompts in all at most, as many of each task as of the others; 0: all"},
    {0, "temp", COP_ARG_NUMBER, offsetof(cop_bench_args, temp), 0, 100, "T", "spec: temperature; default 0"},
    {'s', "seed", COP_ARG_SEED, offsetof(cop_bench_args, seed), 0, 0, "S", "spec: seed; default 0"},
    {0, "raw", COP_ARG_FLAG, offsetof(cop_bench_args, raw), 0, 0, NULL, "spec: no chat template"},
    {0, "by-turn", COP_ARG_FLAG, offsetof(cop_bench_args, by_turn), 0, 0, NULL, "spec: the turns of a conversation are tasks of their own"},
    {0, "remember", COP_ARG_FLAG, offsetof(cop_bench_args, remember), 0, 0, NULL,
     "spec: auto begins with what was learnt on this machine and keeps what it learns; without it every prompt begins anew"},
    {0, "resume", COP_ARG_TEXT, offsetof(cop_bench_args, resume), 0, 0, "FILE", "spec: keep what is measured in FILE, and go on from what it holds"},
    {0, "svg", COP_ARG_TEXT, offsetof(cop_bench_args, svg), 0, 0, "FILE", "spec: a plot of the ratios"},
    COP_DRAFT_ARGS(cop_bench_args, draft, model),
    {0},
};

void cop_timing_add(cop_timing *t, double seconds) {
    if (t->n < COP_BENCH_MOST_ROUNDS) t->seconds[t->n++] = seconds;
}

double cop_timing_best(const cop_timing *t) {
    double best = t->seconds[0];
    for (int i = 1; i < t->n; i++)
        if (t->seconds[i] < best) best = t->seconds[i];
    return best;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double cop_timing_spread(cop_timing *t) {
    qsort(t->seconds, (size_t)t->n, sizeof *t->seconds, by_value);
    return t->seconds[t->n / 2] / t->seconds[0];
}

cop_status cop_bench_numbers(const char *what, const char *text, int high, int *out, int most, int *n) {
    *n = 0;
    while (*text) {
        size_t bytes = strcspn(text, ",");
        int64_t v;
        COP_TRY(cop_parse_int(what, text, bytes, 1, high, &v));
        if (*n == most) return cop_fail(COP_ERR_ARG, "%s: more than %d numbers", what, most);
        out[(*n)++] = (int)v;
        text += bytes + (text[bytes] == ',');
    }
    return *n ? COP_OK : cop_fail(COP_ERR_ARG, "%s: an empty list", what);
}

// ---- the machine ------------------------------------------------------------------------------

typedef struct probe {
    cop_bench *b;
    const uint8_t *data;
    int64_t spins;
    uint64_t sums[COP_MAX_THREADS];
    double ops[COP_MAX_THREADS];
    bool floats;
} probe;

static cop_status stream_worker(void *arg, int worker) {
    probe *p = arg;
    int64_t begin, end;
    while (cop_pool_take(p->b->pool, STREAM_BYTES / STREAM_CHUNK, 4, &begin, &end))
        p->sums[worker] += p->b->kernels.stream(p->data + (size_t)begin * STREAM_CHUNK, (size_t)(end - begin) * STREAM_CHUNK);
    return COP_OK;
}

static cop_status spin_worker(void *arg, int worker) {
    probe *p = arg;
    p->ops[worker] = (p->floats ? p->b->kernels.spin_float : p->b->kernels.spin_int)(p->spins);
    return COP_OK;
}

cop_status cop_bench_stream(cop_bench *b) {
    probe *p = cop_alloc(sizeof *p);
    uint8_t *data = cop_pages_alloc(STREAM_BYTES);
    cop_status st = p && data ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate %zu bytes", STREAM_BYTES);
    if (!st) memset(data, 1, STREAM_BYTES);
    for (int round = 0; !st && round < 12; round++) {
        *p = (probe){.b = b, .data = data};
        double start = cop_clock();
        st = cop_pool_run(b->pool, stream_worker, p);
        double gbps = (double)STREAM_BYTES / (cop_clock() - start) / 1e9;
        if (gbps > b->stream_gbps) b->stream_gbps = gbps;
    }
    cop_pages_free(data, STREAM_BYTES);
    cop_free(p);
    return st;
}

static cop_status spin_rate(cop_bench *b, bool floats, double *rate) {
    probe *p = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    cop_status st = COP_OK;
    for (int round = 0; !st && round < 8; round++) {
        *p = (probe){.b = b, .spins = 2000000, .floats = floats};
        double start = cop_clock(), ops = 0;
        st = cop_pool_run(b->pool, spin_worker, p);
        double seconds = cop_clock() - start;
        for (int i = 0; i < cop_pool_threads(b->pool); i++) ops += p->ops[i];
        if (ops / seconds / 1e9 > *rate) *rate = ops / seconds / 1e9;
    }
    cop_free(p);
    return st;
}

static json_t *machine_json(const cop_bench *b) {
    char cpu[128];
    cop_cpu_name(cpu, sizeof cpu);
    return json_pack("{s:s, s:s, s:i, s:f, s:f, s:f}", "cpu", cpu, "level", b->kernels.level, "threads", cop_pool_threads(b->pool),
                     "streaming_gbps", b->stream_gbps, "integer_gops", b->int_gops, "float_gflops", b->float_gflops);
}

// ---- printing ---------------------------------------------------------------------------------

// Every row has the same members, so the first gives the heading.
static void print_table(json_t *rows) {
    size_t i;
    json_t *row, *value;
    const char *key;
    json_array_foreach(rows, i, row) {
        if (i == 0) {
            json_object_foreach(row, key, value) printf("%12s", key);
            printf("\n");
        }
        json_object_foreach(row, key, value) {
            if (json_is_string(value)) printf("%12s", json_string_value(value));
            else if (json_is_integer(value)) printf("%12lld", (long long)json_integer_value(value));
            else printf("%12.2f", json_real_value(value));
        }
        printf("\n");
    }
}

static cop_status report(cop_bench *b) {
    json_t *machine = machine_json(b), *rows = b->rows;
    b->rows = NULL;
    if (b->args->model.json) {
        json_t *all = json_pack("{s:o}", "machine", machine);
        if (b->facts) json_object_update(all, b->facts);
        json_object_set_new(all, "rows", rows);
        return cop_cli_print_json(all);
    }
    printf("%s, level %s, %d threads: %.1f GB/s streaming, %.0f GOPS integer, %.0f GFLOPS float\n",
           json_string_value(json_object_get(machine, "cpu")), b->kernels.level, cop_pool_threads(b->pool), b->stream_gbps, b->int_gops,
           b->float_gflops);
    if (b->table) b->table(b, rows);
    else print_table(rows);
    json_decref(machine);
    json_decref(rows);
    return cop_cli_write("", 0);
}

// ---- which bench ------------------------------------------------------------------------------

typedef struct bench_kind {
    const char *name;
    bool needs_model;
    cop_status (*plain)(cop_bench *b);
    cop_status (*with_model)(cop_bench *b, cop_engine *engine);
} bench_kind;

static const bench_kind kinds[] = {
    {"limits", false, NULL, NULL},          {"kernel", false, cop_bench_kernel, NULL},       {"verify", true, NULL, cop_bench_verify},
    {"prefill", true, NULL, cop_bench_prefill}, {"decode", true, NULL, cop_bench_decode}, {"load", false, cop_bench_load, NULL},
    {"spec", true, NULL, cop_bench_spec},   {"guide", true, NULL, cop_bench_guide},
};

static cop_status measure(cop_bench *b, const bench_kind *kind) {
    cop_engine *engine = NULL;
    cop_status st = COP_OK;
    if (kind->needs_model) st = cop_cli_open(&engine, &b->args->model);
    if (!st && !engine) st = cop_pool_new(&b->pool, b->args->model.threads);
    if (engine) b->pool = engine->pool;
    if (!st) st = cop_kernels_best(&b->kernels, b->args->model.level ? b->args->model.level : cop_env("COPPICE_CPU"));
    if (!st && kind->with_model) st = kind->with_model(b, engine);  // first, because it may refuse what it was given
    if (!st) st = cop_bench_stream(b);
    if (!st) st = spin_rate(b, false, &b->int_gops);
    if (!st) st = spin_rate(b, true, &b->float_gflops);
    if (!st && kind->plain) st = kind->plain(b);
    if (!st) st = report(b);
    if (!st && b->n_different) st = cop_fail(COP_ERR_UNSUPPORTED, "%d texts differ from plain decoding's and must not", b->n_different);
    if (!engine) cop_pool_free(b->pool);
    cop_engine_close(engine);
    return st;
}

static cop_status run(int argc, char **argv) {
    cop_bench_args a = {.k = 4096, .m = 4096};
    cop_texts words = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, &words));
    for (size_t i = 0; words.n == 1 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, words.v[0])) continue;
        cop_bench b = {.args = &a, .rows = json_array()};
        cop_cli_catch_interrupts();
        cop_status st = measure(&b, &kinds[i]);
        json_decref(b.rows);
        json_decref(b.facts);
        return st;
    }
    if (words.n == 1) return cop_fail(COP_ERR_ARG, "no bench %s; there are limits, kernel, verify, prefill, decode, load, spec and guide", words.v[0]);
    return cop_fail(COP_ERR_ARG, "which bench? limits, kernel, verify, prefill, decode, load, spec or guide");
}

const cop_command cop_command_bench = {
    .name = "bench",
    .summary = "speeds, beside what the machine can do in the same run",
    .usage = "bench limits|kernel|load [--type TYPES] [--widths LIST] [-k K] [--rows M] [-t THREADS] [--json]\n"
             "bench verify|prefill|decode -m M [-c CTX] [-n N] [-t THREADS] [--json]\n"
             "bench spec -m M --data [NAME=]FILE ... [--methods LIST|all] [--limit N] [--total N] [-n N] [--temp T] [--seed S] [--rounds R]\n"
             "    [--draft-model M] [--by-turn] [--remember] [--resume FILE] [--svg FILE] [--json]\n"
             "bench guide -m M --data FILE ... [--limit N] [--json]",
    .options = options,
    .run = run,
};
