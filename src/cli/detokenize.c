// coppice detokenize: token ids to text.
#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/vocabulary.h"
#include "text/chat.h"

typedef struct detokenize_args {
    cop_model_args model;
    const char *prompt, *file;
    bool special;
} detokenize_args;

static const cop_arg options[] = {
    COP_VOCABULARY_ARGS(detokenize_args, model),
    {'p', "prompt", COP_ARG_TEXT, offsetof(detokenize_args, prompt), 0, 0, "IDS", "ids, separated by commas or spaces; - reads standard input (default)"},
    {'f', "file", COP_ARG_TEXT, offsetof(detokenize_args, file), 0, 0, "FILE", "ids from a file"},
    {0, "special", COP_ARG_FLAG, offsetof(detokenize_args, special), 0, 0, NULL, "show control tokens as their texts"},
    {0},
};

static cop_status append(cop_char_array *text, const char *piece, size_t bytes) {
    COP_TRY(cop_array_reserve(text, bytes));
    for (size_t i = 0; i < bytes; i++) text->v[text->n++] = piece[i];
    return COP_OK;
}

static cop_status detokenize(cop_char_array *text, const cop_tokenizer *tok, const cop_token_array *ids, bool special) {
    cop_detok d;
    size_t bytes;
    cop_detok_start(&d, tok, true, special, false);
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->v[i] >= cop_tokenizer_n_tokens(tok))
            return cop_fail(COP_ERR_ARG, "token %d: the vocabulary has 0 to %d", ids->v[i], cop_tokenizer_n_tokens(tok) - 1);
        const char *piece = cop_detok_push(&d, ids->v[i], &bytes);
        COP_TRY(append(text, piece, bytes));
    }
    const char *rest = cop_detok_flush(&d, &bytes);
    return append(text, rest, bytes);
}

static cop_status print_text(const detokenize_args *a, const cop_char_array *text) {
    if (!a->model.json) return cop_cli_write(text->v ? text->v : "", text->n);
    return cop_cli_print_json(json_pack("{s:o}", "text", cop_cli_json_text(text->v ? text->v : "", text->n)));
}

static cop_status run(int argc, char **argv) {
    detokenize_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    char *list;
    size_t bytes;
    COP_TRY(cop_cli_prompt(!a.prompt && !a.file ? "-" : a.prompt, a.file, &list, &bytes));
    cop_tokenizer *tok = NULL;
    cop_token_array ids = {.most = SIZE_MAX / 8};
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_status st = cop_cli_parse_ids(&ids, list, bytes);
    if (!st) st = cop_cli_vocabulary(&tok, a.model.model);
    if (!st) st = detokenize(&text, tok, &ids, a.special);
    if (!st) st = print_text(&a, &text);
    cop_array_fini(&text);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
    cop_free(list);
    return st;
}

const cop_command cop_command_detokenize = {
    .name = "detokenize",
    .summary = "token ids to text",
    .usage = "detokenize -m M [-f FILE | -p IDS] [--special] [--json]",
    .options = options,
    .run = run,
};
