// coppice perplexity: how well a model predicts a text. The field's usual protocol (llama.cpp's): the text
// is cut into windows of --ctx tokens, each evaluated on its own beginning with the model's first token
// where it wants one; the second half of each window counts. docs/perplexity.md has figures beside llama.cpp's.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"

#define CHUNK 64

typedef struct perplexity_args {
    cop_model_args model;
    const char *file;
    int32_t chunks;
} perplexity_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(perplexity_args, model),
    COP_LORA_ARG(perplexity_args, model),
    {'c', "ctx", COP_ARG_INT, offsetof(perplexity_args, model.context), 8, 1 << 20, "N", "tokens of a window; default 512"},
    {0, "cache", COP_ARG_TEXT, offsetof(perplexity_args, model.cache_type), 0, 0, "TYPE", "cache elements: f16, bf16, q8_0, f32"},
    {'f', "file", COP_ARG_TEXT, offsetof(perplexity_args, file), 0, 0, "FILE", "the text; - reads standard input"},
    {0, "chunks", COP_ARG_INT, offsetof(perplexity_args, chunks), 0, 1 << 20, "N", "windows at most; 0: all"},
    {0},
};

typedef struct tally {
    double sum, squares;  // of negative log-probabilities
    int64_t n;
} tally;

static double surprise(const float *logits, int V, int32_t token) {
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < V; i++) max = fmax(max, (double)logits[i]);
    for (int i = 0; i < V; i++) sum += exp((double)logits[i] - max);
    return max + log(sum) - (double)logits[token];
}

static cop_status window(const cop_engine *e, cop_workspace *ws, cop_seq *seq, const cop_adapter_set *adapters, const int32_t *tokens, int n,
                         tally *t) {
    cop_row rows[CHUNK];
    cop_seq_truncate(seq, 0);
    for (int at = 0; at < n - 1; at += CHUNK) {
        int m = n - 1 - at < CHUNK ? n - 1 - at : CHUNK;
        for (int i = 0; i < m; i++)
            rows[i] = (cop_row){.seq = seq, .token = tokens[at + i], .adapters = adapters, .parent = i - 1, .want_logits = at + i >= n / 2};
        COP_TRY(cop_seq_reserve(seq, m));
        COP_TRY(cop_model_forward(e->model, ws, rows, m, NULL));
        for (int i = 0; i < m; i++) {
            if (!rows[i].want_logits) continue;
            double s = surprise(cop_workspace_logits(ws, i), e->model->desc.V, tokens[at + i + 1]);
            t->sum += s;
            t->squares += s * s;
            t->n++;
        }
        cop_seq_commit(seq, NULL, m);
        if (cop_cli_interrupted()) return cop_fail(COP_ERR_CANCELLED, "interrupted");
    }
    return COP_OK;
}

static cop_status windows(const cop_engine *e, const perplexity_args *a, const cop_adapter_set *adapters, cop_token_array *ids, tally *t) {
    int ctx = a->model.context, n_windows = (int)(ids->n / (size_t)ctx);
    if (n_windows < 1) return cop_fail(COP_ERR_ARG, "%zu tokens of text, need at least one window of %d", ids->n, ctx);
    if (a->chunks && a->chunks < n_windows) n_windows = a->chunks;
    cop_cache_shape shape = cop_model_cache_shape(e->model, COP_KV_F16);
    if (a->model.cache_type) COP_TRY(cop_kv_type_parse(&shape.type, a->model.cache_type));
    cop_cache *cache = NULL;
    cop_seq *seq = NULL;
    cop_workspace *ws = NULL;
    cop_status st = cop_cache_new(&cache, &shape, ctx / COP_PAGE + 1);
    if (!st) st = cop_seq_new(&seq, cache, ctx);
    if (!st) st = cop_workspace_new(&ws, e->model, CHUNK, CHUNK, ctx);
    if (!st) st = cop_workspace_reserve_adapters(ws, adapters);
    int32_t bos = cop_tokenizer_adds_bos(e->tokenizer) ? cop_tokenizer_bos(e->tokenizer) : -1;
    for (int w = 0; !st && w < n_windows; w++) {
        int32_t *tokens = ids->v + (size_t)w * (size_t)ctx, first = tokens[0];
        if (bos >= 0) tokens[0] = bos;
        st = window(e, ws, seq, adapters, tokens, ctx, t);
        tokens[0] = first;
        cop_cli_progress("perplexity", (double)(w + 1) / n_windows);
    }
    cop_workspace_free(ws);
    cop_seq_free(seq);
    cop_cache_free(cache);
    return st;
}

static cop_status report(const tally *t, bool json) {
    double mean = t->sum / (double)t->n, variance = t->squares / (double)t->n - mean * mean;
    double perplexity = exp(mean), error = t->n > 1 ? perplexity * sqrt(fmax(variance, 0) / (double)(t->n - 1)) : 0;
    if (json) return cop_cli_print_json(json_pack("{s:f, s:f, s:I}", "perplexity", perplexity, "error", error, "tokens", (json_int_t)t->n));
    printf("perplexity %.4f +- %.4f over %lld tokens\n", perplexity, error, (long long)t->n);
    return cop_cli_write("", 0);
}

static cop_status run(int argc, char **argv) {
    perplexity_args a = {.model.context = 512};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    char *text;
    size_t bytes;
    if (!a.file) return cop_fail(COP_ERR_ARG, "which text? -f FILE, or -f - for standard input");
    bool dash = !strcmp(a.file, "-");
    COP_TRY(cop_cli_prompt(dash ? "-" : NULL, dash ? NULL : a.file, &text, &bytes));
    cop_engine *engine = NULL;
    cop_token_array ids = {.most = SIZE_MAX / 8};
    tally t = {0};
    cop_adapter_set adapters = {0};
    cop_cli_catch_interrupts();
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = cop_engine_take_adapters(engine, a.model.lora.v, a.model.lora.n, &adapters);
    if (!st) st = cop_tokenizer_encode(engine->tokenizer, text, bytes, true, false, &ids);
    if (!st) st = windows(engine, &a, &adapters, &ids, &t);
    if (!st) st = report(&t, a.model.json);
    cop_array_fini(&ids);
    if (engine) cop_engine_give_adapters(engine, &adapters);
    cop_engine_close(engine);
    cop_free(text);
    return st;
}

const cop_command cop_command_perplexity = {
    .name = "perplexity", .summary = "how well a model predicts a text", .usage = "perplexity -m M -f FILE [--ctx N] [--chunks N] [--json]",
    .options = options, .run = run,
};
