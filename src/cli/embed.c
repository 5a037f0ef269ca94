// coppice embed: each line of a text to a vector, one JSON object a line.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "engine/embedder.h"

typedef struct embed_args {
    cop_model_args model;
    const char *prompt, *file, *pooling;
    bool raw, truncate;
} embed_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(embed_args, model),
    {'p', "prompt", COP_ARG_TEXT, offsetof(embed_args, prompt), 0, 0, "TEXT", "the lines; - reads standard input (default)"},
    {'f', "file", COP_ARG_TEXT, offsetof(embed_args, file), 0, 0, "FILE", "the lines from a file"},
    {0, "pooling", COP_ARG_TEXT, offsetof(embed_args, pooling), 0, 0, "NAME", "mean, class (first token) or last; default what the file says, else mean for encoders, last for others"},
    {0, "raw", COP_ARG_FLAG, offsetof(embed_args, raw), 0, 0, NULL, "leave the vectors' length as it is; otherwise it is 1"},
    {0, "truncate", COP_ARG_FLAG, offsetof(embed_args, truncate), 0, 0, NULL, "cut lines that are too long for the model"},
    COP_LORA_ARG(embed_args, model),
    COP_CONTEXT_ARGS(embed_args, model),
    {0},
};

static cop_status put_text(char *to, size_t *at, size_t room, const char *text) {
    size_t n = strlen(text);
    if (n > room - *at) return cop_fail(COP_ERR_LIMIT, "embedding: a line of output is too long");
    memcpy(to + *at, text, n);
    *at += n;
    return COP_OK;
}

// Nine digits bring a float back as it was.
static cop_status print_vector(char *line, size_t room, size_t index, int n_tokens, const float *v, int D) {
    char number[64];
    size_t at = 0;
    snprintf(number, sizeof number, "{\"index\": %zu, \"tokens\": %d, \"embedding\": [", index, n_tokens);
    COP_TRY(put_text(line, &at, room, number));
    for (int i = 0; i < D; i++) {
        snprintf(number, sizeof number, i ? ", %.9g" : "%.9g", (double)v[i]);
        COP_TRY(put_text(line, &at, room, number));
    }
    COP_TRY(put_text(line, &at, room, "]}\n"));
    return cop_cli_write(line, at);
}

static cop_status embed_lines(cop_embedder *e, const char *text, size_t bytes) {
    int D = cop_embedder_width(e), n_tokens;
    size_t room = (size_t)D * 20 + 128, index = 0;
    float *v = cop_alloc_array((size_t)D, sizeof *v);
    char *line = cop_alloc(room);
    cop_status st = v && line ? COP_OK : cop_fail(COP_ERR_NOMEM, "embedding: cannot allocate");
    for (size_t at = 0, n; !st && at < bytes; at += n + 1, index++) {
        const char *end = memchr(text + at, '\n', bytes - at);
        n = end ? (size_t)(end - (text + at)) : bytes - at;
        st = cop_embedder_text(e, text + at, n, v, &n_tokens);
        if (st) cop_fail_note("line %zu", index + 1);
        else st = print_vector(line, room, index, n_tokens, v, D);
    }
    cop_free(v);
    cop_free(line);
    return st;
}

static cop_status run(int argc, char **argv) {
    embed_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    cop_embedder_options o = {.raw = a.raw, .truncate = a.truncate, .context = a.model.context, .cache_type = a.model.cache_type};
    if (a.pooling) COP_TRY(cop_pooling_parse(&o.pooling, a.pooling));
    char *text;
    size_t bytes;
    COP_TRY(cop_cli_prompt(!a.prompt && !a.file ? "-" : a.prompt, a.file, &text, &bytes));
    cop_engine *engine = NULL;
    cop_embedder *embedder = NULL;
    cop_adapter_set adapters = {0};
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = cop_engine_take_adapters(engine, a.model.lora.v, a.model.lora.n, &adapters);
    if (adapters.n) o.adapters = &adapters;
    if (!st) st = cop_embedder_open(&embedder, engine, &o);
    if (!st) st = embed_lines(embedder, text, bytes);
    cop_embedder_close(embedder);
    if (engine) cop_engine_give_adapters(engine, &adapters);
    cop_engine_close(engine);
    cop_free(text);
    return st;
}

const cop_command cop_command_embed = {
    .name = "embed",
    .summary = "each line to a vector, one JSON object a line",
    .usage = "embed -m M [-f FILE | -p TEXT] [--pooling NAME] [--raw] [--truncate] [--lora FILE[:S]]",
    .options = options,
    .run = run,
};
