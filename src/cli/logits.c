// coppice logits: the logits of every position, and the hidden states.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/vocabulary.h"

#define CHUNK 64  // rows with logits at once

typedef struct logits_args {
    cop_model_args model;
    const char *prompt, *file, *tokens, *npy;
    int32_t top;
    bool layers, special;
} logits_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(logits_args, model),
    COP_LORA_ARG(logits_args, model),
    {0, "cache", COP_ARG_TEXT, offsetof(logits_args, model.cache_type), 0, 0, "TYPE", "cache elements: f16, bf16, q8_0, f32"},
    {'p', "prompt", COP_ARG_TEXT, offsetof(logits_args, prompt), 0, 0, "TEXT", "the text; - reads standard input"},
    {'f', "file", COP_ARG_TEXT, offsetof(logits_args, file), 0, 0, "FILE", "the text from a file"},
    {0, "tokens", COP_ARG_TEXT, offsetof(logits_args, tokens), 0, 0, "IDS", "token ids instead of a text, as 1,2,3"},
    {0, "special", COP_ARG_FLAG, offsetof(logits_args, special), 0, 0, NULL, "texts such as <|im_end|> become control tokens"},
    {0, "npy", COP_ARG_TEXT, offsetof(logits_args, npy), 0, 0, "FILE", "write the logits as a NumPy array, float32 [T][V]; layers as FILE.layers.npy [L+2][T][D]"},
    {0, "top", COP_ARG_INT, offsetof(logits_args, top), 0, 1000, "K", "print the K best tokens of each position; default 5"},
    {0, "layers", COP_ARG_FLAG, offsetof(logits_args, layers), 0, 0, NULL, "hidden states too: input, each layer's output, final norm"},
    {0},
};

// NumPy format 1.0: magic, version, length of the header, a Python literal padded to 64 bytes.
static cop_status write_npy_header(FILE *f, const char *shape) {
    char dict[128], header[192];
    int n = snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    int padded = (10 + n + 1 + 63) / 64 * 64 - 10;
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(padded & 255);
    header[9] = (char)(padded >> 8);
    memset(header + 10, ' ', (size_t)padded);
    memcpy(header + 10, dict, (size_t)n);
    header[10 + padded - 1] = '\n';
    return fwrite(header, 1, (size_t)(10 + padded), f) == (size_t)(10 + padded) ? COP_OK : cop_fail(COP_ERR_IO, "%s", strerror(errno));
}

static cop_status write_npy(const char *path, const char *shape, const float *data, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    cop_status st = write_npy_header(f, shape);
    if (!st && fwrite(data, sizeof(float), n, f) != n) st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    if (fclose(f) && !st) st = cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    return st;
}

typedef struct evaluation {
    const cop_token_array *ids;
    float *logits;  // [T][V]
    float *hidden;  // [L + 2][T][D] or NULL
    const cop_engine *engine;
    const cop_adapter_set *adapters;
} evaluation;

static cop_status evaluate_chunk(evaluation *e, cop_seq *seq, cop_workspace *ws, int at, int n, float *taps_out) {
    const cop_desc *d = &e->engine->model->desc;
    cop_row rows[CHUNK];
    cop_tap taps[4100];
    size_t D = (size_t)d->D, V = (size_t)d->V, T = e->ids->n;
    for (int i = 0; i < n; i++) rows[i] = (cop_row){.seq = seq, .token = e->ids->v[at + i], .adapters = e->adapters, .parent = i - 1, .want_logits = true};
    for (int i = 0; e->hidden && i < d->L + 2; i++) taps[i] = (cop_tap){i - 1, taps_out + (size_t)i * CHUNK * D};
    const cop_forward_options o = {.taps = taps, .n_taps = e->hidden ? d->L + 2 : 0};
    COP_TRY(cop_seq_reserve(seq, n));
    COP_TRY(cop_model_forward(e->engine->model, ws, rows, n, &o));
    cop_seq_commit(seq, NULL, n);
    for (int i = 0; i < n; i++) memcpy(e->logits + (size_t)(at + i) * V, cop_workspace_logits(ws, i), V * sizeof(float));
    for (int i = 0; e->hidden && i < d->L + 2; i++)
        memcpy(e->hidden + ((size_t)i * T + (size_t)at) * D, taps_out + (size_t)i * CHUNK * D, (size_t)n * D * sizeof(float));
    return COP_OK;
}

static cop_status evaluate(evaluation *e, const char *cache_type) {
    const cop_desc *d = &e->engine->model->desc;
    int T = (int)e->ids->n;
    cop_cache_shape shape = cop_model_cache_shape(e->engine->model, COP_KV_F16);
    if (cache_type) COP_TRY(cop_kv_type_parse(&shape.type, cache_type));
    cop_cache *cache = NULL;
    cop_seq *seq = NULL;
    cop_workspace *ws = NULL;
    float *taps = e->hidden ? cop_alloc_array((size_t)(d->L + 2) * CHUNK * (size_t)d->D, sizeof(float)) : NULL;
    cop_status st = e->hidden && !taps ? cop_fail(COP_ERR_NOMEM, "logits: cannot allocate") : COP_OK;
    if (!st) st = cop_cache_new(&cache, &shape, T / COP_PAGE + 1);
    if (!st) st = cop_seq_new(&seq, cache, T);
    if (!st) st = cop_workspace_new(&ws, e->engine->model, CHUNK, CHUNK, T);
    if (!st) st = cop_workspace_reserve_adapters(ws, e->adapters);
    for (int at = 0; !st && at < T; at += CHUNK) st = evaluate_chunk(e, seq, ws, at, T - at < CHUNK ? T - at : CHUNK, taps);
    cop_workspace_free(ws);
    cop_seq_free(seq);
    cop_cache_free(cache);
    cop_free(taps);
    return st;
}

static int best_after(const float *x, int n, float bound, int bound_id) {
    int best = -1;
    for (int i = 0; i < n; i++)
        if ((x[i] < bound || (x[i] == bound && i > bound_id)) && (best < 0 || x[i] > x[best])) best = i;
    return best;
}

static const float *logits_at(const evaluation *e, int t) { return e->logits + (size_t)t * (size_t)e->engine->model->desc.V; }

// The logarithm of the sum of exp(x).
static double log_total(const float *x, int n) {
    double sum = 0, max = -INFINITY;
    for (int i = 0; i < n; i++) max = fmax(max, (double)x[i]);
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - max);
    return max + log(sum);
}

static json_t *position_json(const evaluation *e, int t, int top) {
    const int V = e->engine->model->desc.V;
    const float *x = logits_at(e, t);
    const double total = log_total(x, V);
    json_t *list = json_array();
    float bound = INFINITY;
    for (int k = 0, id = -1; k < top && (id = best_after(x, V, bound, id)) >= 0; k++) {
        bound = x[id];
        json_array_append_new(list, json_pack("{s:i, s:f, s:f}", "token", id, "logit", (double)x[id], "logprob", (double)x[id] - total));
    }
    return json_pack("{s:i, s:i, s:o}", "position", t, "token", e->ids->v[t], "top", list);
}

static void print_token(const evaluation *e, int32_t token) {
    char text[256];
    const size_t n = cop_engine_piece(e->engine, token, text, sizeof text);
    json_t *quoted = cop_cli_json_text(text, n < sizeof text ? n : sizeof text);
    printf("%d ", token);
    if (quoted) json_dumpf(quoted, stdout, JSON_ENCODE_ANY);
    json_decref(quoted);
}

// A line per position: its token, then the best next ones with their log-probabilities.
static cop_status print_positions(const evaluation *e, int top) {
    const int V = e->engine->model->desc.V;
    for (int t = 0; t < (int)e->ids->n; t++) {
        const float *x = logits_at(e, t);
        const double total = log_total(x, V);
        float bound = INFINITY;
        printf("%d: ", t);
        print_token(e, e->ids->v[t]);
        for (int k = 0, id = -1; k < top && (id = best_after(x, V, bound, id)) >= 0; k++) {
            bound = x[id];
            printf(k ? ", " : "  then  ");
            print_token(e, id);
            printf(" %.3f", (double)x[id] - total);
        }
        printf("\n");
    }
    return cop_cli_write("", 0);
}

static cop_status report(const evaluation *e, const logits_args *a) {
    const cop_desc *d = &e->engine->model->desc;
    size_t T = e->ids->n;
    char shape[64], path[4096];
    if (a->npy) {
        snprintf(shape, sizeof shape, "%zu, %d", T, d->V);
        COP_TRY(write_npy(a->npy, shape, e->logits, T * (size_t)d->V));
    }
    if (a->npy && e->hidden) {
        snprintf(shape, sizeof shape, "%d, %zu, %d", d->L + 2, T, d->D);
        snprintf(path, sizeof path, "%s.layers.npy", a->npy);
        COP_TRY(write_npy(path, shape, e->hidden, (size_t)(d->L + 2) * T * (size_t)d->D));
    }
    if (!a->model.json) return print_positions(e, a->top);
    json_t *positions = json_array();
    for (size_t t = 0; t < T; t++) json_array_append_new(positions, position_json(e, (int)t, a->top));
    json_t *v = json_pack("{s:[i, i], s:o}", "shape", (int)T, d->V, "positions", positions);
    if (e->hidden && !a->npy) {
        json_t *hidden = json_array();
        for (size_t i = 0; i < (size_t)(d->L + 2) * T * (size_t)d->D; i++) json_array_append_new(hidden, json_real((double)e->hidden[i]));
        json_object_set_new(v, "layers", json_pack("{s:[i, i, i], s:o}", "shape", d->L + 2, (int)T, d->D, "values", hidden));
    }
    return cop_cli_print_json(v);
}

static cop_status read_ids(const cop_engine *engine, const logits_args *a, cop_token_array *ids) {
    if (a->tokens) {
        COP_TRY(cop_cli_parse_ids(ids, a->tokens, strlen(a->tokens)));
    } else {
        char *text;
        size_t bytes;
        COP_TRY(cop_cli_prompt(a->prompt, a->file, &text, &bytes));
        cop_status st = cop_tokenizer_encode(engine->tokenizer, text, bytes, true, a->special, ids);
        cop_free(text);
        COP_TRY(st);
    }
    if (ids->n < 1 || ids->n > 1 << 16) return cop_fail(COP_ERR_ARG, "logits of %zu tokens: must be 1 to %d", ids->n, 1 << 16);
    return COP_OK;
}

static cop_status logits(const cop_engine *engine, const logits_args *a, const cop_adapter_set *adapters) {
    const cop_desc *d = &engine->model->desc;
    cop_token_array ids = {.most = SIZE_MAX / 8};
    evaluation e = {.ids = &ids, .engine = engine, .adapters = adapters};
    cop_status st = read_ids(engine, a, &ids);
    if (!st) {
        e.logits = cop_alloc_array(ids.n * (size_t)d->V, sizeof(float));
        if (a->layers) e.hidden = cop_alloc_array((size_t)(d->L + 2) * ids.n * (size_t)d->D, sizeof(float));
        if (!e.logits || (a->layers && !e.hidden)) st = cop_fail(COP_ERR_NOMEM, "logits of %zu tokens: cannot allocate", ids.n);
    }
    if (!st) st = evaluate(&e, a->model.cache_type);
    if (!st) st = report(&e, a);
    cop_free(e.logits);
    cop_free(e.hidden);
    cop_array_fini(&ids);
    return st;
}

static cop_status run(int argc, char **argv) {
    logits_args a = {.top = 5};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (a.layers && !a.npy && !a.model.json) return cop_fail(COP_ERR_ARG, "--layers: needs --npy FILE or --json");
    cop_engine *engine;
    COP_TRY(cop_cli_open(&engine, &a.model));
    cop_adapter_set adapters;
    cop_status st = cop_engine_take_adapters(engine, a.model.lora.v, a.model.lora.n, &adapters);
    if (!st) st = logits(engine, &a, &adapters);
    cop_engine_give_adapters(engine, &adapters);
    cop_engine_close(engine);
    return st;
}

const cop_command cop_command_logits = {
    .name = "logits", .summary = "the logits of every position", .usage = "logits -m M (-p TEXT | -f FILE | --tokens 1,2,3) [--npy FILE] [--top K] [--layers] [--json]",
    .options = options, .run = run,
};
