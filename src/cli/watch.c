// Watching a session decode.
//
// Colours: the watcher sees the tokens of a step before their text is shown, and runs a detokeniser of its own beside
// the session's, so it knows how many bytes of the text come from each token. Parts end where characters end.
// Trace: a head, then a JSON line per step; the nodes are those that were proposed, with what became of each.
#include "cli/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/env.h"

#define NOBODY (-1)  // the target's own token

typedef struct part {
    size_t bytes;
    int source;  // drafter, or NOBODY
} part;

struct cop_cli_watch {
    cop_session *session;
    bool colours;
    FILE *trace;
    const char *path;
    cop_detok detok;
    COP_ARRAY(part) parts;  // text that was decided, not yet shown
    size_t shown;           // parts[0 … shown) are
    int colour;             // that the terminal has now, or NOBODY
    int64_t steps, tokens, drafted[COP_MAX_DRAFTERS];
    bool ended;
    cop_status status;      // of the watcher, which cannot fail
    cop_error_record error;
};

static const char *const colour_codes[COP_MAX_DRAFTERS] = {"32", "36", "35", "33", "34", "31", "92", "96"};

// https://no-color.org; CLICOLOR_FORCE asks for colours in a pipe.
static bool wants_colours(void) {
    const char *force = cop_env("CLICOLOR_FORCE"), *term = cop_env("TERM");
    if (cop_env("NO_COLOR")) return false;
    if (force && strcmp(force, "0") != 0) return true;
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

// ---- trace --------------------------------------------------------------------------------------

static cop_status write_line(cop_cli_watch *w, json_t *v) {
    if (!v) return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
    bool failed = json_dumpf(v, w->trace, JSON_COMPACT | JSON_REAL_PRECISION(7)) || fputc('\n', w->trace) == EOF;
    json_decref(v);
    return failed ? cop_fail(COP_ERR_IO, "%s: %s", w->path, strerror(errno)) : COP_OK;
}

static json_t *piece_json(const cop_session *s, int32_t token) {
    size_t bytes;
    const char *piece = cop_tokenizer_piece(s->engine->tokenizer, token, true, &bytes);
    return cop_cli_json_text(piece, bytes);
}

static json_t *node_json(const cop_session *s, const cop_node *n, cop_fate fate) {
    static const char *const fates[] = {"pruned", "rejected", "accepted"};
    json_t *logp = n->logp <= 0 ? json_real((double)n->logp) : json_null();
    const char *source = n->parent < 0 ? NULL : cop_session_source(s, n->source);
    return json_pack("{s:i, s:o, s:i, s:s?, s:o, s:i, s:s}", "token", n->token, "text", piece_json(s, n->token), "parent", n->parent, "source", source,
                     "logp", logp, "bucket", n->bucket, "fate", fates[fate]);
}

static json_t *draft_seconds(const cop_session *s) {
    json_t *all = json_array();
    for (int i = 0; i < s->n_drafters; i++) json_array_append_new(all, json_real(s->report.draft_seconds[i]));
    return all;
}

static json_t *step_json(const cop_cli_watch *w, const cop_tree *tree, const cop_fate *fates, json_t *emitted) {
    const cop_session *s = w->session;
    json_t *nodes = json_array();
    for (int i = 0; i < tree->n_nodes; i++) json_array_append_new(nodes, node_json(s, &tree->nodes[i], fates[i]));
    return json_pack("{s:I, s:o, s:i, s:o, s:f, s:o}", "step", (json_int_t)w->steps, "nodes", nodes, "rows", s->report.n_rows, "draft_seconds",
                     draft_seconds(s), "verify_seconds", s->report.verify_seconds, "emitted", emitted);
}

// The whole prompt as text, control tokens visible.
static json_t *prompt_json(const cop_session *s) {
    COP_ARRAY(char) text = {.most = SIZE_MAX / 8};
    for (int i = 0; i < s->n_tokens; i++) {
        size_t bytes;
        const char *piece = cop_tokenizer_piece(s->engine->tokenizer, s->tokens[i], true, &bytes);
        if (cop_array_reserve(&text, bytes)) break;
        if (bytes) memcpy(text.v + text.n, piece, bytes);
        text.n += bytes;
    }
    json_t *v = cop_cli_json_text(text.v ? text.v : "", text.n);
    cop_array_fini(&text);
    return v;
}

static cop_status write_head(cop_cli_watch *w) {
    const cop_session *s = w->session;
    const char *name = cop_gguf_name(s->engine->model->file), *slash = strrchr(name, '/');
    json_t *drafters = json_array();
    for (int i = 0; i < s->n_drafters; i++) json_array_append_new(drafters, json_string(s->drafters[i].type->name));
    return write_line(w, json_pack("{s:i, s:s, s:o, s:s, s:s, s:i, s:o}", "coppice trace", 1, "model", slash ? slash + 1 : name, "drafters", drafters,
                                   "verify", s->verifier->name, "control", s->controller->name, "prompt_tokens", s->n_tokens, "prompt",
                                   prompt_json(s)));
}

// ---- each step ----------------------------------------------------------------------------------

// The drafter of the i-th emitted token: accepted nodes stand in the order of the path.
static int source_of(const cop_tree *tree, const cop_fate *fates, int i) {
    for (int n = 1; n < tree->n_nodes; n++)
        if (fates[n] == COP_ACCEPTED && tree->nodes[n].depth == i + 1) return tree->nodes[n].source;
    return NOBODY;
}

static cop_status see(cop_cli_watch *w, const cop_tree *tree, const cop_fate *fates) {
    const cop_session *s = w->session;
    json_t *emitted = json_array();
    cop_status st = COP_OK;
    for (int i = 0; !st && i < s->verdict.n_tokens; i++) {
        int source = source_of(tree, fates, i);
        size_t bytes;
        const char *text = cop_detok_push(&w->detok, s->verdict.tokens[i], &bytes);
        json_array_append_new(emitted, json_pack("{s:i, s:o}", "token", s->verdict.tokens[i], "text", cop_cli_json_text(text, bytes)));
        if (w->colours && bytes) st = cop_array_push(&w->parts, ((part){bytes, source}));
        if (source != NOBODY) w->drafted[source]++;
        w->tokens++;
    }
    if (!st && w->trace) st = write_line(w, step_json(w, tree, fates, json_incref(emitted)));
    json_decref(emitted);
    w->steps++;
    return st;
}

static void on_step(void *user, const cop_session *session, const cop_tree *proposed, const cop_fate *fates) {
    cop_cli_watch *w = user;
    (void)session;
    if (w->status) return;
    w->status = see(w, proposed, fates);
    if (w->status) cop_error_get(&w->error);
}

static cop_status failure(const cop_cli_watch *w) {
    if (w->status) cop_error_set(&w->error);
    return w->status;
}

// ---- text ---------------------------------------------------------------------------------------

static cop_status set_colour(cop_cli_watch *w, int source) {
    char code[16];
    if (source == w->colour) return COP_OK;
    w->colour = source;
    int n = snprintf(code, sizeof code, "\033[%sm", source == NOBODY ? "0" : colour_codes[source]);
    return cop_cli_write(code, (size_t)n);
}

cop_status cop_cli_watch_text(cop_cli_watch *w, const char *text, size_t bytes) {
    if (!w) return cop_cli_write(text, bytes);
    COP_TRY(failure(w));
    while (bytes) {
        part *p = w->shown < w->parts.n ? &w->parts.v[w->shown] : NULL;
        size_t n = p && p->bytes < bytes ? p->bytes : bytes;
        COP_TRY(set_colour(w, p ? p->source : NOBODY));
        COP_TRY(cop_cli_write(text, n));
        text += n;
        bytes -= n;
        if (p && !(p->bytes -= n)) w->shown++;
    }
    if (w->shown == w->parts.n) w->parts.n = w->shown = 0;
    return COP_OK;
}

// Which colour is whose, when somebody looks.
static void print_legend(const cop_cli_watch *w) {
    if (!w->colours || !cop_cli_progress_wanted()) return;
    fprintf(stderr, "%lld tokens in %lld forwards", (long long)w->tokens, (long long)w->steps);
    for (int i = 0; i < w->session->n_drafters; i++)
        fprintf(stderr, "; \033[%sm%s\033[0m %lld", colour_codes[i], w->session->drafters[i].type->name, (long long)w->drafted[i]);
    fprintf(stderr, "\n");
}

// ---- life ---------------------------------------------------------------------------------------

cop_status cop_cli_watch_open(cop_cli_watch **out, cop_session *session, const cop_watch_args *args) {
    *out = NULL;
    bool colours = args->show_draft && wants_colours();
    if (!colours && !args->trace) return COP_OK;
    cop_cli_watch *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "watcher: cannot allocate");
    *w = (cop_cli_watch){.session = session, .colours = colours, .path = args->trace, .colour = NOBODY, .parts.most = SIZE_MAX / 64};
    cop_status st = cop_session_watch(session, (cop_watch){on_step, w});
    if (!st && args->trace && !(w->trace = fopen(args->trace, "w"))) st = cop_fail(COP_ERR_IO, "%s: %s", args->trace, strerror(errno));
    if (st) cop_cli_watch_close(w);
    else *out = w;
    return st;
}

cop_status cop_cli_watch_begin(cop_cli_watch *w) {
    if (!w) return COP_OK;
    cop_detok_start(&w->detok, w->session->engine->tokenizer, false, false, true);
    return w->trace ? write_head(w) : COP_OK;
}

cop_status cop_cli_watch_end(cop_cli_watch *w) {
    if (!w) return COP_OK;
    COP_TRY(failure(w));
    COP_TRY(set_colour(w, NOBODY));
    w->ended = true;
    FILE *f = w->trace;
    w->trace = NULL;
    return f && fclose(f) ? cop_fail(COP_ERR_IO, "%s: %s", w->path, strerror(errno)) : COP_OK;
}

void cop_cli_watch_close(cop_cli_watch *w) {
    if (!w) return;
    if (w->colour != NOBODY) fputs("\033[0m", stdout);
    if (w->ended) print_legend(w);
    w->session->watch = (cop_watch){0};
    if (w->trace) fclose(w->trace);
    cop_array_fini(&w->parts);
    cop_free(w);
}
