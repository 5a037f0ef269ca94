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
    const char *prompt, *file, *system;
    cop_texts stop;
    int32_t n, top_k, penalty_window;
    double temp, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty;
    uint64_t seed;
    bool raw, chat, stats;
} run_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(run_args, model),
    COP_CONTEXT_ARGS(run_args, model),
    {'p', "prompt", COP_ARG_TEXT, offsetof(run_args, prompt), 0, 0, "TEXT", "the prompt; - reads standard input"},
    {'f', "file", COP_ARG_TEXT, offsetof(run_args, file), 0, 0, "FILE", "the prompt from a file"},
    {'n', "tokens", COP_ARG_INT, offsetof(run_args, n), 0, 1 << 22, "N", "tokens to generate at most; default 256"},
    {0, "raw", COP_ARG_FLAG, offsetof(run_args, raw), 0, 0, NULL, "the prompt is the text to continue (default)"},
    {0, "chat", COP_ARG_FLAG, offsetof(run_args, chat), 0, 0, NULL, "the prompt is a user's message: use the model's chat template"},
    {0, "system", COP_ARG_TEXT, offsetof(run_args, system), 0, 0, "TEXT", "system message (with --chat)"},
    {0, "stop", COP_ARG_TEXTS, offsetof(run_args, stop), 0, 0, "TEXT", "end before this text; may be given several times"},
    {0, "temp", COP_ARG_NUMBER, offsetof(run_args, temp), 0, 100, "T", "temperature; 0, the default, takes the most probable token"},
    {0, "top-k", COP_ARG_INT, offsetof(run_args, top_k), 0, 1 << 24, "K", "keep the K most probable tokens; 0: all"},
    {0, "top-p", COP_ARG_NUMBER, offsetof(run_args, top_p), 0, 1, "P", "keep the smallest set of probability P; 1: all"},
    {0, "min-p", COP_ARG_NUMBER, offsetof(run_args, min_p), 0, 1, "P", "drop tokens below P times the most probable one"},
    {0, "repeat-penalty", COP_ARG_NUMBER, offsetof(run_args, repeat_penalty), 0.01, 100, "X", "divide the logits of seen tokens; 1: off"},
    {0, "frequency-penalty", COP_ARG_NUMBER, offsetof(run_args, frequency_penalty), -100, 100, "X", "subtract per occurrence"},
    {0, "presence-penalty", COP_ARG_NUMBER, offsetof(run_args, presence_penalty), -100, 100, "X", "subtract once from seen tokens"},
    {0, "penalty-window", COP_ARG_INT, offsetof(run_args, penalty_window), 0, 1 << 20, "N", "last tokens that count as seen; default 64"},
    {'s', "seed", COP_ARG_SEED, offsetof(run_args, seed), 0, 0, "S", "same seed, same text; default 0"},
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

static double rate(double n, double seconds) { return seconds > 0 ? n / seconds : 0; }

static cop_status print_json(const cop_session *s, const sink *out, const cop_result *r) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->logits_hash);
    json_t *v = json_pack(
        "{s:o, s:i, s:i, s:s, s:s, s:{s:f, s:f, s:f, s:f, s:f}, s:o}", "text",
        cop_cli_json_text(out->text.v ? out->text.v : "", out->text.n), "tokens", r->tokens, "prompt_tokens", r->prompt_tokens,
        "finish_reason", finish_name(r->finish), "logits_hash", hash, "timings", "prefill_seconds", r->prefill_seconds,
        "prefill_tokens_per_s", rate(r->computed_tokens - 1, r->prefill_seconds), "decode_seconds", r->decode_seconds,
        "decode_tokens_per_s", rate(r->tokens, r->decode_seconds), "load_seconds", s->engine->model->load_seconds, "draft",
        cop_cli_draft_json(s));
    return cop_cli_print_json(v);
}

static void print_stats(const cop_session *s, const cop_result *r) {
    double gbps = rate((double)s->engine->model->step_bytes * (double)r->steps, r->decode_seconds) / 1e9;
    fprintf(stderr, "%d prompt tokens: %.1f tokens/s; %d tokens: %.1f tokens/s, %.1f GB/s of weights (%s, %d threads); logits %016llx\n",
            r->prompt_tokens, rate(r->computed_tokens - 1, r->prefill_seconds), r->tokens, rate(r->tokens, r->decode_seconds), gbps,
            s->engine->model->kernels.level, cop_pool_threads(s->engine->pool), (unsigned long long)r->logits_hash);
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
    if (!st && a->stats) print_stats(s, &r);
    cop_cli_watch_close(out.watch);
    cop_array_fini(&out.text);
    if (!st && r.finish == COP_FINISH_CANCELLED) st = cop_fail(COP_ERR_CANCELLED, "interrupted");
    return st;
}

static cop_status open_session(cop_session **out, cop_engine *engine, const run_args *a) {
    cop_session_options o = cop_session_defaults();
    o.context = a->model.context;
    o.cache_type = a->model.cache_type;
    o.temp = (float)a->temp;
    o.top_k = a->top_k;
    o.top_p = (float)a->top_p;
    o.min_p = (float)a->min_p;
    o.repeat_penalty = (float)a->repeat_penalty;
    o.frequency_penalty = (float)a->frequency_penalty;
    o.presence_penalty = (float)a->presence_penalty;
    o.penalty_window = a->penalty_window;
    o.seed = a->seed;
    o.stop = a->stop.v;
    o.n_stop = a->stop.n;
    cop_cli_draft_options(&o, &a->draft);
    o.hash_logits = a->model.json || a->stats;
    return cop_session_open(out, engine, &o);
}

static cop_status run(int argc, char **argv) {
    run_args a = {.n = 256, .top_p = 1, .repeat_penalty = 1, .penalty_window = 64};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (a.raw && a.chat) return cop_fail(COP_ERR_ARG, "--raw and --chat exclude each other");
    if (a.watch.show_draft && a.model.json) return cop_fail(COP_ERR_ARG, "--show-draft and --json exclude each other");
    if (a.system && !a.chat) return cop_fail(COP_ERR_ARG, "--system needs --chat");
    char *text;
    size_t bytes;
    COP_TRY(cop_cli_prompt(a.prompt, a.file, &text, &bytes));
    cop_engine *engine = NULL;
    cop_session *session = NULL;
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = open_session(&session, engine, &a);
    if (!st) st = generate(session, &a, text, bytes);
    cop_session_close(session);
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
             "    [--show-draft] [--trace FILE]",
    .options = options,
    .run = run,
};
