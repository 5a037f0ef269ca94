// coppice run: generate text from a prompt.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "cli/cli.h"
#include "cli/watch.h"
#include "text/chat.h"

typedef struct run_args {
    cop_model_args model;
    cop_draft_args draft;
    cop_watch_args watch;
    cop_sampling_args sampling;
    cop_guide_args guide;
    const char *prompt, *file, *system;
    int32_t n;
    bool raw, chat, stats;
} run_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(run_args, model),
    COP_CONTEXT_ARGS(run_args, model),
    COP_LORA_ARG(run_args, model),
    {'p', "prompt", COP_ARG_TEXT, offsetof(run_args, prompt), 0, 0, "TEXT", "the prompt; - reads standard input"},
    {'f', "file", COP_ARG_TEXT, offsetof(run_args, file), 0, 0, "FILE", "the prompt from a file"},
    {'n', "tokens", COP_ARG_INT, offsetof(run_args, n), 0, 1 << 22, "N", "tokens to generate at most; default 256"},
    {0, "raw", COP_ARG_FLAG, offsetof(run_args, raw), 0, 0, NULL, "the prompt is the text to continue (default)"},
    {0, "chat", COP_ARG_FLAG, offsetof(run_args, chat), 0, 0, NULL, "the prompt is a user's message: use the model's chat template"},
    {0, "system", COP_ARG_TEXT, offsetof(run_args, system), 0, 0, "TEXT", "system message (with --chat)"},
    COP_SAMPLING_ARGS(run_args, sampling),
    COP_GUIDE_ARGS(run_args, guide),
    COP_DRAFT_ARGS(run_args, draft, model),
    COP_WATCH_ARGS(run_args, watch),
    {0, "stats", COP_ARG_FLAG, offsetof(run_args, stats), 0, 0, NULL, "speed and hash of the logits on standard error"},
    {0},
};

typedef struct sink {
    bool json;
    COP_ARRAY(char) text;
    cop_cli_watch *watch;
    cop_status status;
} sink;

static int on_text(void *user, const char *text, size_t bytes) {
    sink *s = user;
    if (!s->json) {
        s->status = cop_cli_watch_text(s->watch, text, bytes);
    } else if (!(s->status = cop_array_reserve(&s->text, bytes))) {
        memcpy(s->text.v + s->text.n, text, bytes);
        s->text.n += bytes;
    }
    return s->status || cop_cli_interrupted();
}

static cop_status add_prompt(cop_session *s, const run_args *a, const char *text, size_t bytes) {
    if (!a->chat) return cop_session_add_text(s, text, bytes, 0);
    cop_chat_message messages[2];
    size_t n = 0;
    if (a->system) messages[n++] = (cop_chat_message){"system", a->system};
    messages[n++] = (cop_chat_message){"user", text};
    cop_char_array chat = {.most = SIZE_MAX / 8};
    cop_status st = cop_chat_render(s->engine->tokenizer, messages, n, true, &chat);
    if (!st) st = cop_session_add_text(s, chat.v, chat.n, 1);
    cop_array_fini(&chat);
    return st;
}

static const char *finish_name(cop_finish f) {
    static const char *const names[] = {"length", "stop", "context", "cancelled"};
    return names[f];
}

static cop_status print_json(const cop_session *s, const sink *out, const cop_result *r) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->logits_hash);
    json_t *v = json_pack(
        "{s:o, s:i, s:i, s:s, s:s, s:{s:f, s:f, s:f, s:f, s:f}, s:o}", "text",
        cop_cli_json_text(out->text.v ? out->text.v : "", out->text.n), "tokens", r->tokens, "prompt_tokens", r->prompt_tokens,
        "finish_reason", finish_name(r->finish), "logits_hash", hash, "timings", "prefill_seconds", r->prefill_seconds,
        "prefill_tokens_per_s", cop_cli_rate(r->computed_tokens - 1, r->prefill_seconds), "decode_seconds", r->decode_seconds,
        "decode_tokens_per_s", cop_cli_rate(r->tokens, r->decode_seconds), "load_seconds", s->engine->model->load_seconds, "draft",
        cop_cli_draft_json(s));
    return cop_cli_print_json(v);
}

static cop_status generate(cop_session *s, const run_args *a, const char *text, size_t bytes) {
    COP_TRY(add_prompt(s, a, text, bytes));
    sink out = {.json = a->model.json, .text.most = SIZE_MAX / 8};
    cop_result r;
    COP_TRY(cop_cli_watch_open(&out.watch, s, &a->watch));
    cop_cli_catch_interrupts();
    cop_status st = cop_cli_watch_begin(out.watch);
    if (!st) st = cop_session_generate(s, a->n, on_text, &out, &r);
    if (!st) st = out.status;
    if (!st) st = cop_cli_watch_end(out.watch);
    if (!st && a->model.json) st = print_json(s, &out, &r);
    else if (!st) st = cop_cli_write("\n", 1);
    if (!st && a->stats) cop_cli_print_stats(s, &r);
    cop_cli_watch_close(out.watch);
    cop_array_fini(&out.text);
    if (!st && r.finish == COP_FINISH_CANCELLED) st = cop_fail(COP_ERR_CANCELLED, "interrupted");
    return st;
}

static cop_status open_session(cop_session **out, cop_engine *engine, run_args *a, cop_guide *guide) {
    cop_session_options o = cop_session_defaults();
    o.context = a->model.context;
    o.cache_type = a->model.cache_type;
    cop_cli_sampling_options(&o, &a->sampling);
    COP_TRY(cop_cli_draft_options(&o, &a->draft));
    o.lora = a->model.lora.v;
    o.n_lora = a->model.lora.n;
    o.hash_logits = a->model.json || a->stats;
    o.guide = guide;
    return cop_session_open(out, engine, &o);
}

static cop_status run(int argc, char **argv) {
    run_args a = {.n = 256, .sampling = cop_cli_sampling_defaults()};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (a.raw && a.chat) return cop_fail(COP_ERR_ARG, "--raw and --chat exclude each other");
    if (a.watch.show_draft && a.model.json) return cop_fail(COP_ERR_ARG, "--show-draft and --json exclude each other");
    if (a.system && !a.chat) return cop_fail(COP_ERR_ARG, "--system needs --chat");
    char *text;
    size_t bytes;
    COP_TRY(cop_cli_prompt(a.prompt, a.file, &text, &bytes));
    cop_engine *engine = NULL;
    cop_session *session = NULL;
    cop_guide *guide = NULL;
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = cop_cli_guide_open(&guide, engine, &a.guide);
    if (!st) st = open_session(&session, engine, &a, guide);
    if (!st) st = generate(session, &a, text, bytes);
    cop_session_close(session);
    cop_guide_close(guide);
    cop_engine_close(engine);
    cop_free(text);
    return st;
}

const cop_command cop_command_run = {
    .name = "run",
    .summary = "generate text from a prompt",
    .usage = "run -m M (-p TEXT | -f FILE | -p -) [-n N] [--temp T] [--seed S] [-t THREADS] [--raw | --chat]\n"
             "    [--system TEXT] [--stop TEXT] [--ctx N] [--json]\n"
             "    [--draft NAMES] [--draft-model M] [--verify NAME] [--control NAME] [--verbose]\n"
             "    [--json-schema FILE | --grammar FILE | --regex TEXT | --choice A|B] [--show-draft] [--trace FILE]",
    .options = options,
    .run = run,
};
