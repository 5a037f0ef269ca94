// coppice template: a conversation to the text, or the tokens, that a model continues.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/vocabulary.h"
#include "text/chat.h"

typedef struct template_args {
    cop_model_args model;
    const char *file, *template, *now;
    bool tokens, answer;
} template_args;

static const cop_arg options[] = {
    COP_VOCABULARY_ARGS(template_args, model),
    {'f', "file", COP_ARG_TEXT, offsetof(template_args, file), 0, 0, "FILE", "the conversation as JSON; - or nothing: standard input"},
    {0, "template", COP_ARG_TEXT, offsetof(template_args, template), 0, 0, "FILE", "a template to use instead of the model's"},
    {0, "answer", COP_ARG_FLAG, offsetof(template_args, answer), 0, 0, NULL, "end with the beginning of an answer, as add_generation_prompt"},
    {0, "tokens", COP_ARG_FLAG, offsetof(template_args, tokens), 0, 0, NULL, "token ids instead of text"},
    {0, "now", COP_ARG_TEXT, offsetof(template_args, now), 0, 0, "DATE", "what dates say, as 2026-07-04 or 2026-07-04T15:09:26; default the clock"},
    {0},
};

static cop_status read_now(const char *text, struct tm *out) {
    *out = (struct tm){.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%d", out);
    if (end && *end) end = strptime(end, "T%H:%M:%S", out);
    if (!end || *end) return cop_fail(COP_ERR_ARG, "--now: '%s', must be as 2026-07-04 or 2026-07-04T15:09:26", text);
    return COP_OK;
}

static cop_status print(const cop_tokenizer *tok, const template_args *a, const cop_char_array *text) {
    cop_token_array ids = {.most = SIZE_MAX / 8};
    cop_status st = COP_OK;
    if (tok && (a->tokens || a->model.json)) st = cop_tokenizer_encode(tok, text->v, text->n, true, true, &ids);
    if (!st && a->model.json) {
        json_t *list = json_array();
        for (size_t i = 0; i < ids.n; i++) json_array_append_new(list, json_integer(ids.v[i]));
        st = cop_cli_print_json(json_pack("{s:o, s:o}", "text", cop_cli_json_text(text->v ? text->v : "", text->n), "tokens", list));
    } else if (!st && a->tokens) {
        for (size_t i = 0; i < ids.n; i++) printf("%s%d", i ? " " : "", ids.v[i]);
        st = cop_cli_write("\n", 1);
    } else if (!st) {
        st = cop_cli_write(text->v, text->n);
    }
    cop_array_fini(&ids);
    return st;
}

static cop_status render(const cop_tokenizer *tok, const template_args *a, const json_t *conversation, cop_char_array *out) {
    struct tm now;
    char *text;
    size_t bytes;
    cop_jinja_options o = cop_jinja_defaults();
    if (a->now) COP_TRY(read_now(a->now, &now));
    if (a->now) o.now = &now;
    if (!a->template) return cop_chat_render_json(tok, conversation, &o, out);
    COP_TRY(cop_file_read(a->template, COP_JINJA_MOST_TEMPLATE, &text, &bytes));
    cop_status st = cop_chat_render_template(tok, text, bytes, conversation, &o, out);
    if (st) cop_fail_note("%s", a->template);
    cop_free(text);
    return st;
}

static cop_status run(int argc, char **argv) {
    template_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (!a.model.model && (!a.template || a.tokens)) return cop_fail(COP_ERR_ARG, "which model? -m NAME, FILE or FOLDER; or --template FILE");
    char *text;
    size_t bytes;
    bool from_file = a.file && strcmp(a.file, "-") != 0;
    COP_TRY(cop_cli_prompt(from_file ? NULL : "-", from_file ? a.file : NULL, &text, &bytes));
    cop_tokenizer *tok = NULL;
    json_t *conversation = NULL;
    cop_char_array out = {.most = SIZE_MAX / 8};
    cop_status st = cop_chat_parse(&conversation, text, bytes);
    if (!st && a.model.model) st = cop_cli_vocabulary(&tok, a.model.model);
    if (!st && a.answer) json_object_set_new(conversation, "add_generation_prompt", json_true());
    if (!st) st = render(tok, &a, conversation, &out);
    if (!st) st = print(tok, &a, &out);
    cop_array_fini(&out);
    json_decref(conversation);
    cop_tokenizer_free(tok);
    cop_free(text);
    return st;
}

const cop_command cop_command_template = {
    .name = "template",
    .summary = "a conversation as JSON to the text that a model continues",
    .usage = "template -m M [-f FILE] [--tokens] [--answer] [--template FILE] [--now DATE] [--json]\n"
             "template --template FILE [-f FILE]",
    .options = options,
    .run = run,
};
