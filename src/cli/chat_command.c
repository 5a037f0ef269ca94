// coppice chat: a conversation with a model.
//
// Answers go to standard output, everything else to standard error. Each turn renders the conversation anew with the
// model's template; the session computes only what differs from before. Ctrl-C ends an answer, not the conversation.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/conversation.h"
#include "cli/line.h"
#include "cli/watch.h"

typedef struct chat_args {
    cop_model_args model;
    cop_draft_args draft;
    cop_watch_args watch;
    cop_sampling_args sampling;
    cop_guide_args guide;
    const char *system, *template;
    int32_t n;
    bool stats;
} chat_args;

static const cop_arg options[] = {
    COP_MODEL_ARGS(chat_args, model),
    COP_CONTEXT_ARGS(chat_args, model),
    {'n', "tokens", COP_ARG_INT, offsetof(chat_args, n), 1, 1 << 22, "N", "tokens of an answer at most; default 1024"},
    {0, "system", COP_ARG_TEXT, offsetof(chat_args, system), 0, 0, "TEXT", "system message"},
    {0, "template", COP_ARG_TEXT, offsetof(chat_args, template), 0, 0, "FILE", "a chat template to use instead of the model's"},
    COP_SAMPLING_ARGS(chat_args, sampling),
    COP_GUIDE_ARGS(chat_args, guide),
    COP_DRAFT_ARGS(chat_args, draft, model),
    COP_WATCH_ARGS(chat_args, watch),
    {0, "stats", COP_ARG_FLAG, offsetof(chat_args, stats), 0, 0, NULL, "speed of each answer on standard error"},
    {0},
};

typedef struct chat {
    const chat_args *args;
    cop_session *session;
    cop_conversation conversation;
    cop_cli_watch *watch;
    cop_cli_line *line;
    COP_ARRAY(char) answer;
    cop_result last;    // of the last answer
    cop_status status;  // of the callback
    bool answered, quit;
} chat;

// ---- answers ----

static int on_text(void *user, const char *text, size_t bytes) {
    chat *c = user;
    c->status = cop_array_reserve(&c->answer, bytes);
    if (!c->status) {
        memcpy(c->answer.v + c->answer.n, text, bytes);
        c->answer.n += bytes;
        c->status = cop_cli_watch_text(c->watch, text, bytes);
    }
    return c->status || cop_cli_interrupted();
}

static bool on_chunk(void *user, int done, int total) {
    (void)user, (void)done, (void)total;
    return !cop_cli_interrupted();
}

static cop_status generate(chat *c, const cop_token_array *tokens) {
    cop_session *s = c->session;
    COP_TRY(cop_session_set_tokens(s, tokens->v, tokens->n));
    double start = cop_clock();
    int computed = cop_session_computed(s);
    cop_status st = cop_session_prefill(s, on_chunk, NULL);
    if (st == COP_ERR_CANCELLED) {
        c->last.finish = COP_FINISH_CANCELLED;
        return COP_OK;
    }
    if (!st) st = cop_cli_watch_begin(c->watch);
    computed = cop_session_computed(s) - computed;
    double seconds = cop_clock() - start;
    if (!st) st = cop_session_generate(s, c->args->n, on_text, c, &c->last);
    c->last.prefill_seconds += seconds;
    c->last.computed_tokens += computed;
    if (!st) st = c->status;
    if (!st) st = cop_cli_watch_end(c->watch);
    return st;
}

static void say_how_it_ended(const chat *c) {
    if (c->last.finish == COP_FINISH_CANCELLED) fprintf(stderr, "(interrupted)\n");
    if (c->last.finish == COP_FINISH_CONTEXT) fprintf(stderr, "(the context of %d tokens is full: the answer is cut)\n", c->session->context);
    if (c->last.finish == COP_FINISH_LENGTH) fprintf(stderr, "(cut after %d tokens; -n allows more)\n", c->last.tokens);
}

// Generate and keep the answer. One that was interrupted before its first letter takes its question back.
static cop_status answer(chat *c, const cop_token_array *tokens) {
    c->answer.n = 0;
    c->status = COP_OK;
    c->last = (cop_result){0};
    COP_TRY(generate(c, tokens));
    COP_TRY(cop_cli_write("\n", 1));
    if (c->last.finish == COP_FINISH_CANCELLED && !c->answer.n) {
        cop_conversation_undo(&c->conversation);
        fprintf(stderr, "(interrupted before the answer; the message is taken back)\n");
        return COP_OK;
    }
    c->answered = true;
    say_how_it_ended(c);
    if (c->args->stats) cop_cli_print_stats(c->session, &c->last);
    return cop_conversation_add(&c->conversation, "assistant", c->answer.v ? c->answer.v : "", c->answer.n);
}

// A message that the template refuses or that does not fit is no reason to end.
static cop_status turn(chat *c, const char *text) {
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    size_t context = (size_t)c->session->context, hidden, reserve = context / 4 < (size_t)c->args->n ? context / 4 : (size_t)c->args->n;
    COP_TRY(cop_conversation_add(&c->conversation, "user", text, strlen(text)));
    cop_status st = cop_conversation_fit(&c->conversation, c->session->engine->tokenizer, context - reserve, &tokens, &hidden);
    bool refused = st == COP_ERR_ARG || st == COP_ERR_LIMIT;
    if (!st && hidden) fprintf(stderr, "(the context of %zu tokens is full: the oldest %zu messages are dropped)\n", context, hidden);
    if (!st) st = answer(c, &tokens);
    else cop_conversation_undo(&c->conversation);
    cop_array_fini(&tokens);
    if (refused && cop_cli_line_edits(c->line)) {
        fprintf(stderr, "(%s)\n", cop_error_text());
        return COP_OK;
    }
    return st;
}

// ---- commands ----

static cop_status help(chat *c, const char *rest);

static cop_status save(chat *c, const char *rest) {
    if (!*rest) return cop_fail(COP_ERR_ARG, "/save FILE");
    COP_TRY(cop_conversation_save(&c->conversation, rest));
    fprintf(stderr, "(%zu messages saved)\n", json_array_size(c->conversation.messages) + (c->conversation.system != NULL));
    return COP_OK;
}

static cop_status load(chat *c, const char *rest) {
    if (!*rest) return cop_fail(COP_ERR_ARG, "/load FILE");
    COP_TRY(cop_conversation_load(&c->conversation, rest));
    fprintf(stderr, "(%zu messages loaded)\n", json_array_size(c->conversation.messages) + (c->conversation.system != NULL));
    return COP_OK;
}

static cop_status set_system(chat *c, const char *rest) {
    COP_TRY(cop_conversation_set_system(&c->conversation, rest));
    fprintf(stderr, *rest ? "(the system message is set)\n" : "(no system message)\n");
    return COP_OK;
}

static cop_status undo(chat *c, const char *rest) {
    (void)rest;
    fprintf(stderr, "(%zu messages taken back)\n", cop_conversation_undo(&c->conversation));
    return COP_OK;
}

static cop_status clear(chat *c, const char *rest) {
    (void)rest;
    cop_conversation_clear(&c->conversation);
    fprintf(stderr, "(a new conversation)\n");
    return COP_OK;
}

static cop_status stats(chat *c, const char *rest) {
    (void)rest;
    if (c->answered) cop_cli_print_stats(c->session, &c->last);
    else fprintf(stderr, "(no answer yet)\n");
    size_t n;
    cop_session_tokens(c->session, &n);
    fprintf(stderr, "context: %zu of %d tokens, %zu messages, %zu of them dropped\n", n, c->session->context,
            json_array_size(c->conversation.messages), c->conversation.hidden);
    return COP_OK;
}

static cop_status quit(chat *c, const char *rest) {
    (void)rest;
    c->quit = true;
    return COP_OK;
}

static const struct { const char *name, *value, *help; cop_status (*run)(chat *, const char *); } commands[] = {
    {"/help", "", "these commands", help},
    {"/save", " FILE", "write the conversation as JSON", save},
    {"/load", " FILE", "continue a conversation from such a file", load},
    {"/system", " TEXT", "set the system message; without TEXT remove it", set_system},
    {"/undo", "", "take back the last message and its answer", undo},
    {"/clear", "", "begin anew, with the same system message", clear},
    {"/stats", "", "speed of the last answer, use of the context", stats},
    {"/quit", "", "end; also Ctrl-D", quit},
};

static cop_status help(chat *c, const char *rest) {
    (void)c, (void)rest;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char left[32];
        snprintf(left, sizeof left, "%s%s", commands[i].name, commands[i].value);
        fprintf(stderr, "  %-16s%s\n", left, commands[i].help);
    }
    fprintf(stderr, "  //...           a message that begins with /\n"
                    "A \\ at the end of a line, or \"\"\" around several, makes a longer message. Ctrl-C ends an answer.\n");
    return COP_OK;
}

static cop_status command(chat *c, const char *text) {
    size_t n = strcspn(text, " \n");
    const char *rest = text + n + strspn(text + n, " \n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strlen(commands[i].name) == n && !memcmp(commands[i].name, text, n)) return commands[i].run(c, rest);
    return cop_fail(COP_ERR_ARG, "no command %.*s; /help lists them", n > 40 ? 40 : (int)n, text);
}

// ---- the conversation ----

// A command's failure is said and the conversation goes on, on a terminal.
static cop_status take_line(chat *c, const char *text) {
    if (!text[strspn(text, " \t\n")]) return COP_OK;
    if (text[0] != '/' || text[1] == '/') return turn(c, text[0] == '/' ? text + 1 : text);
    cop_status st = command(c, text);
    if (!st || !cop_cli_line_edits(c->line)) return st;
    fprintf(stderr, "(%s)\n", cop_error_text());
    return COP_OK;
}

static cop_status converse(chat *c) {
    bool interrupted, twice = false;
    const char *text;
    if (cop_cli_line_edits(c->line)) fprintf(stderr, "/help lists the commands\n");
    while (!c->quit) {
        COP_TRY(cop_cli_line_read(c->line, &text, &interrupted));
        if (!text || (interrupted && twice)) break;
        if (interrupted && !twice) fprintf(stderr, "(Ctrl-C again, Ctrl-D or /quit ends)\n");
        twice = interrupted;
        cop_cli_catch_interrupts();  // from here on Ctrl-C ends what is being done; reading puts that back
        if (!interrupted) COP_TRY(take_line(c, text));
    }
    if (!c->quit && cop_cli_line_edits(c->line)) fprintf(stderr, "\n");
    return COP_OK;
}

static cop_status open_session(cop_session **out, cop_engine *engine, const chat_args *a) {
    cop_session_options o = cop_session_defaults();
    o.context = a->model.context;
    o.cache_type = a->model.cache_type;
    cop_cli_sampling_options(&o, &a->sampling);
    cop_draft_args draft = a->draft;
    COP_TRY(cop_cli_draft_options(&o, &draft));
    COP_TRY(cop_cli_guide_open(&o.guide, engine, &a->guide));
    cop_status st = cop_session_open(out, engine, &o);
    cop_guide_close(o.guide);
    return st;
}

static cop_status open_chat(chat *c, cop_engine *engine, const char *template) {
    COP_TRY(cop_conversation_init(&c->conversation));
    c->conversation.template = template;
    if (c->args->system) COP_TRY(cop_conversation_set_system(&c->conversation, c->args->system));
    if (!template && !cop_chat_template(engine->tokenizer, NULL))
        return cop_fail(COP_ERR_UNSUPPORTED, "the model has no chat template; give one with --template FILE");
    COP_TRY(open_session(&c->session, engine, c->args));
    COP_TRY(cop_cli_watch_open(&c->watch, c->session, &c->args->watch));
    return cop_cli_line_open(&c->line);
}

static cop_status run(int argc, char **argv) {
    chat_args a = {.n = 1024, .sampling = cop_cli_sampling_defaults()};
    chat c = {.args = &a, .answer.most = SIZE_MAX / 8};
    cop_engine *engine = NULL;
    char *template = NULL;
    size_t bytes;
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (a.model.json) return cop_fail(COP_ERR_ARG, "--json: chat has no such output; /save writes the conversation as JSON");
    if (a.template) COP_TRY(cop_file_read(a.template, COP_JINJA_MOST_TEMPLATE, &template, &bytes));
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = open_chat(&c, engine, template);
    if (!st) st = converse(&c);
    cop_cli_line_close(c.line);
    cop_cli_watch_close(c.watch);
    cop_array_fini(&c.answer);
    cop_conversation_fini(&c.conversation);
    cop_session_close(c.session);
    cop_engine_close(engine);
    cop_free(template);
    return st;
}

const cop_command cop_command_chat = {
    .name = "chat",
    .summary = "a conversation with a model",
    .usage = "chat -m M [--system TEXT] [-n N] [--temp T] [--seed S] [-t THREADS] [--ctx N] [--draft NAMES]\n"
             "    [--draft-model M] [--template FILE] [--stats] [--show-draft]",
    .options = options,
    .run = run,
};
