// coppice tokenize: text to token ids.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/vocabulary.h"

typedef struct tokenize_args {
    cop_model_args model;
    const char *prompt, *file;
    bool lines, special;
} tokenize_args;

static const cop_arg options[] = {
    COP_VOCABULARY_ARGS(tokenize_args, model),
    {'p', "prompt", COP_ARG_TEXT, offsetof(tokenize_args, prompt), 0, 0, "TEXT", "the text; - reads standard input (default)"},
    {'f', "file", COP_ARG_TEXT, offsetof(tokenize_args, file), 0, 0, "FILE", "the text from a file"},
    {0, "lines", COP_ARG_FLAG, offsetof(tokenize_args, lines), 0, 0, NULL, "each line on its own, without its line break"},
    {0, "special", COP_ARG_FLAG, offsetof(tokenize_args, special), 0, 0, NULL, "texts such as <|im_end|> become control tokens; add the model's own"},
    {0},
};

static json_t *ids_json(const cop_token_array *ids) {
    json_t *list = json_array();
    for (size_t i = 0; i < ids->n; i++) json_array_append_new(list, json_integer(ids->v[i]));
    return list;
}

static cop_status print_ids(const cop_token_array *ids) {
    for (size_t i = 0; i < ids->n; i++) {
        char number[16];
        int n = snprintf(number, sizeof number, "%s%d", i ? " " : "", ids->v[i]);
        if (fwrite(number, 1, (size_t)n, stdout) != (size_t)n) break;
    }
    return cop_cli_write("\n", 1);
}

static cop_status tokenize(const cop_tokenizer *tok, const tokenize_args *a, const char *text, size_t bytes) {
    json_t *all = a->model.json ? json_array() : NULL;
    cop_status st = COP_OK;
    for (size_t at = 0; !st;) {
        const char *end = a->lines ? memchr(text + at, '\n', bytes - at) : NULL;
        size_t n = end ? (size_t)(end - (text + at)) : bytes - at;
        cop_token_array ids = {.most = SIZE_MAX / 8};
        st = cop_tokenizer_encode(tok, text + at, n, a->special, a->special, &ids);
        if (!st && all) json_array_append_new(all, ids_json(&ids));
        else if (!st) st = print_ids(&ids);
        cop_array_fini(&ids);
        at += n + 1;
        if (!end || at >= bytes) break;
    }
    if (!all || st) {
        json_decref(all);
        return st;
    }
    if (!a->lines) {
        json_t *one = json_incref(json_array_get(all, 0));
        json_decref(all);
        return cop_cli_print_json(json_pack("{s:o}", "tokens", one));
    }
    return cop_cli_print_json(json_pack("{s:o}", "lines", all));
}

static cop_status run(int argc, char **argv) {
    tokenize_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    char *text;
    size_t bytes;
    COP_TRY(cop_cli_prompt(!a.prompt && !a.file ? "-" : a.prompt, a.file, &text, &bytes));
    cop_tokenizer *tok = NULL;
    cop_status st = cop_cli_vocabulary(&tok, a.model.model);
    if (!st) st = tokenize(tok, &a, text, bytes);
    cop_tokenizer_free(tok);
    cop_free(text);
    return st;
}

const cop_command cop_command_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids, one line of ids per text",
    .usage = "tokenize -m M [-f FILE | -p TEXT] [--lines] [--special] [--json]",
    .options = options,
    .run = run,
};
