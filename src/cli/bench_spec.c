// bench spec: every method beside plain decoding, on prompts of many tasks, in one process on one engine.
//
// For each prompt plain and all methods run one after the other, each in a session of its own, in an order that
// turns from prompt to prompt; what is compared ran within seconds of each other. Times are those of decoding:
// prefill is in none. What a method learns is gone with its session, unless --remember asks for what `run` does.
// Method: Xia et al. 2024 (arXiv:2401.07851), whose file format and tasks these are.
#include "cli/bench_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "text/chat.h"

#define DEFAULT_TOKENS 128

static int n_tokens_of(const cop_bench *b) { return b->args->n ? b->args->n : DEFAULT_TOKENS; }
static int n_rounds_of(const cop_bench *b) { return b->args->rounds ? b->args->rounds : 1; }

// ---- methods ------------------------------------------------------------------------------------

static cop_status add_method(cop_spec *s, const char *text, size_t bytes) {
    const cop_draft_args *d = &s->bench->args->draft;
    if (s->n_methods == COP_SPEC_METHODS) return cop_fail(COP_ERR_ARG, "--methods: more than %d", COP_SPEC_METHODS - 1);
    if (!bytes || bytes >= COP_SPEC_METHOD) return cop_fail(COP_ERR_ARG, "--methods: one of %zu letters, must be 1 to %d", bytes, COP_SPEC_METHOD - 1);
    cop_spec_method *m = &s->methods[s->n_methods];
    *m = (cop_spec_method){.draft = m->parts, .control = d->control, .verify = d->verify};
    memcpy(m->text, text, bytes);
    memcpy(m->parts, text, bytes);
    char *at = strchr(m->parts, '@'), *second = at ? strchr(at + 1, '@') : NULL;
    if (at) *at = 0;
    if (second) *second = 0;
    if (at && at[1]) m->control = at + 1;
    if (second && second[1]) m->verify = second + 1;
    for (int i = 0; i < s->n_methods; i++)
        if (!strcmp(s->methods[i].text, m->text)) return cop_fail(COP_ERR_ARG, "--methods: %s twice", m->text);
    s->n_methods++;
    return COP_OK;
}

// base: a session that has read the prompt already, or NULL.
static cop_status open_session(cop_session **out, const cop_spec *s, const cop_spec_method *m, const cop_session *base) {
    const cop_bench_args *a = s->bench->args;
    cop_session_options o = cop_session_defaults();
    o.context = a->model.context;
    o.cache_type = a->model.cache_type;
    o.temp = (float)a->temp;
    o.seed = a->seed;
    cop_draft_args draft = a->draft;
    COP_TRY(cop_cli_draft_options(&o, &draft));
    o.draft = m->draft;
    o.control = m->control;
    o.verify = m->verify;
    o.remember = a->remember;
    return base ? cop_session_open_beside(out, base, &o) : cop_session_open(out, s->engine, &o);
}

// Opened once before anything is measured: a name or an option that is wrong is said at once.
static cop_status try_method(cop_spec *s, cop_spec_method *m) {
    cop_session *session;
    COP_TRY(open_session(&session, s, m, NULL));
    m->exact = session->verifier->lossless && (s->bench->args->temp <= 0 || session->verifier == cop_verifiers[0]);
    m->n_drafters = session->n_drafters;
    for (int i = 0; i < m->n_drafters; i++) m->names[i] = session->drafters[i].type->name;
    cop_session_close(session);
    return COP_OK;
}

static cop_status leave_out(cop_spec *s, const char *name, const char *reason) {
    json_t *v = json_pack("{s:s, s:o}", "method", name, "reason", cop_cli_json_text(reason, strlen(reason)));
    return json_array_append_new(s->left_out, v) ? cop_fail(COP_ERR_NOMEM, "bench: cannot allocate") : COP_OK;
}

// Every drafter of the table, and auto. One that cannot start here is left out and named.
static cop_status add_all(cop_spec *s) {
    for (int i = 0; cop_drafters[i]; i++) {
        COP_TRY(add_method(s, cop_drafters[i]->name, strlen(cop_drafters[i]->name)));
        if (!try_method(s, &s->methods[s->n_methods - 1])) continue;
        COP_TRY(leave_out(s, cop_drafters[i]->name, cop_error_text()));
        s->n_methods--;
    }
    return add_method(s, "auto", 4);
}

// Does a comma stand before a further option of the same method? Options have a '=' before anything else.
static bool is_option(const char *text) {
    size_t n = strcspn(text, ",:+@=");
    return n && text[n] == '=';
}

static cop_status add_list(cop_spec *s, const char *text) {
    while (*text) {
        size_t n = strcspn(text, ",");
        while (text[n] && is_option(text + n + 1)) n += 1 + strcspn(text + n + 1, ",");
        bool all = n == 3 && !memcmp(text, "all", 3);
        COP_TRY(all ? add_all(s) : add_method(s, text, n));
        text += n + (text[n] == ',');
    }
    return COP_OK;
}

static cop_status choose_methods(cop_spec *s) {
    const cop_bench_args *a = s->bench->args;
    s->methods[0] = (cop_spec_method){.text = "plain", .draft = "none"};
    s->n_methods = 1;
    COP_TRY(try_method(s, &s->methods[0]));
    for (int i = 0; i < a->methods.n; i++) COP_TRY(add_list(s, a->methods.v[i]));
    if (!a->methods.n) COP_TRY(add_list(s, a->draft.draft ? a->draft.draft : "auto"));
    for (int i = 1; i < s->n_methods; i++) {
        cop_status st = try_method(s, &s->methods[i]);
        if (st) {
            cop_fail_note("method %s", s->methods[i].text);
            return st;
        }
    }
    return s->n_methods > 1 ? COP_OK : cop_fail(COP_ERR_ARG, "--methods: an empty list");
}

// ---- one prompt ---------------------------------------------------------------------------------

typedef struct dialogue {
    const cop_spec *s;
    const cop_prompt *prompt;
    char *answers[COP_SPEC_TURNS];   // of this method
    cop_char_array text;             // the answer that comes, or what is rendered
    cop_status status;
} dialogue;

static int on_text(void *user, const char *text, size_t bytes) {
    dialogue *d = user;
    d->status = cop_array_reserve(&d->text, bytes);
    if (d->status) return 1;
    if (bytes) memcpy(d->text.v + d->text.n, text, bytes);
    d->text.n += bytes;
    return cop_cli_interrupted();
}

static cop_status put(cop_char_array *out, const char *text) {
    size_t n = strlen(text);
    COP_TRY(cop_array_reserve(out, n + 1));
    memcpy(out->v + out->n, text, n + 1);
    out->n += n;
    return COP_OK;
}

static bool is_chat(const dialogue *d) { return d->prompt->chat && !d->s->bench->args->raw; }

// The conversation up to what the user says in `turn`.
static cop_status render(dialogue *d, int turn) {
    cop_chat_message messages[2 * COP_SPEC_TURNS];
    size_t n = 0;
    d->text.n = 0;
    for (int i = 0; i <= turn; i++) {
        messages[n++] = (cop_chat_message){"user", d->prompt->turns[i]};
        if (i < turn) messages[n++] = (cop_chat_message){"assistant", d->answers[i]};
    }
    if (is_chat(d)) return cop_chat_render(d->s->engine->tokenizer, messages, n, true, &d->text);
    for (size_t i = 0; i < n; i++) {
        if (i) COP_TRY(put(&d->text, "\n"));
        COP_TRY(put(&d->text, messages[i].content));
    }
    return COP_OK;
}

static cop_status say(dialogue *d, cop_session *session, int turn) {
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    COP_TRY(render(d, turn));
    cop_status st = cop_tokenizer_encode(d->s->engine->tokenizer, d->text.v, d->text.n, true, is_chat(d), &tokens);
    int most = session->context - n_tokens_of(d->s->bench);
    if (!st && most < (int64_t)tokens.n) st = cop_fail(COP_ERR_LIMIT, "prompt of %zu tokens, at most %d", tokens.n, most);
    if (!st) st = cop_session_set_tokens(session, tokens.v, tokens.n);
    cop_array_fini(&tokens);
    return st;
}

// What a turn did: the counts of the session since `had`.
static cop_step_stats counts_since(const cop_step_stats *now, const cop_step_stats *had) {
    cop_step_stats d = *now;
    d.steps -= had->steps;
    d.rows -= had->rows;
    d.proposed -= had->proposed;
    d.drafted -= had->drafted;
    d.accepted -= had->accepted;
    d.off_steps -= had->off_steps;
    for (int i = 0; i < COP_DEPTHS; i++) d.by_depth[i] -= had->by_depth[i];
    d.draft_seconds -= had->draft_seconds;
    d.verify_seconds -= had->verify_seconds;
    return d;
}

// What only a watcher sees of a turn.
typedef struct seen {
    cop_spec_turn *turn;
    double first;  // seconds of drafting in the first step; below 0: it has not been
} seen;

static void on_step(void *user, const cop_session *session, const cop_tree *proposed, const cop_fate *fates) {
    seen *s = user;
    for (int i = 1; i < proposed->n_nodes; i++) {
        s->turn->proposed_by[proposed->nodes[i].source]++;
        s->turn->accepted_by[proposed->nodes[i].source] += fates[i] == COP_ACCEPTED;
    }
    if (s->first >= 0) return;
    s->first = 0;
    for (int i = 0; i < session->n_drafters; i++) s->first += session->report.draft_seconds[i];
}

// What the first step's drafting took beyond that of the others was reading the prompt.
static void take_reading_out(cop_spec_turn *t, double first) {
    double others = (double)(t->stats.steps - t->stats.off_steps - 1), usual = others > 0 ? (t->stats.draft_seconds - first) / others : 0;
    t->reading_seconds = first > usual ? first - usual : 0;
    t->seconds -= t->reading_seconds;
    t->stats.draft_seconds -= t->reading_seconds;
}

static cop_status answer(dialogue *d, cop_session *session, int turn, cop_spec_turn *out) {
    cop_result r;
    cop_step_stats had = session->stats;
    seen s = {out, -1};
    *out = (cop_spec_turn){.equal = true};
    d->text.n = 0;
    COP_TRY(cop_session_watch(session, (cop_watch){on_step, &s}));
    COP_TRY(cop_session_generate(session, n_tokens_of(d->s->bench), on_text, d, &r));
    if (d->status) return d->status;
    if (r.finish == COP_FINISH_CANCELLED) return cop_fail(COP_ERR_CANCELLED, "interrupted");
    out->stats = counts_since(&session->stats, &had);
    out->tokens = r.tokens;
    out->seconds = r.decode_seconds;
    take_reading_out(out, s.first);
    d->answers[turn] = cop_text_copy(d->text.v ? d->text.v : "", d->text.n);
    return d->answers[turn] ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
}

// The tokens that were generated, for the comparison with plain's.
typedef struct texts {
    int32_t *v[COP_SPEC_METHODS][COP_SPEC_TURNS];
    size_t n[COP_SPEC_METHODS][COP_SPEC_TURNS];
    cop_token_array asked[COP_SPEC_TURNS];  // of plain
} texts;

static cop_status keep_text(texts *t, const cop_session *session, int method, int turn) {
    size_t n = (size_t)(session->n_tokens - session->n_prompt);
    t->v[method][turn] = cop_alloc_array(n, sizeof *t->v[method][turn]);
    if (!t->v[method][turn]) return cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    memcpy(t->v[method][turn], session->tokens + session->n_prompt, n * sizeof *session->tokens);
    t->n[method][turn] = n;
    if (method) return COP_OK;
    cop_token_array *asked = &t->asked[turn];
    asked->most = SIZE_MAX / 8;
    COP_TRY(cop_array_reserve(asked, (size_t)session->n_prompt));
    memcpy(asked->v, session->tokens, (size_t)session->n_prompt * sizeof *asked->v);
    asked->n = (size_t)session->n_prompt;
    return COP_OK;
}

static void free_texts(texts *t) {
    for (int m = 0; m < COP_SPEC_METHODS; m++)
        for (int i = 0; i < COP_SPEC_TURNS; i++) cop_free(t->v[m][i]);
    for (int i = 0; i < COP_SPEC_TURNS; i++) cop_array_fini(&t->asked[i]);
    memset(t, 0, sizeof *t);
}

// The whole conversation with one method, in a session of its own, which begins where `base` is.
static cop_status converse(const cop_spec *s, const cop_prompt *prompt, int method, const cop_session *base, texts *t, cop_spec_turn *out) {
    cop_session *session;
    dialogue d = {.s = s, .prompt = prompt, .text.most = SIZE_MAX / 8};
    COP_TRY(open_session(&session, s, &s->methods[method], base));
    cop_status st = COP_OK;
    for (int turn = 0; !st && turn < prompt->n_turns; turn++) {
        if (turn) st = say(&d, session, turn);
        if (!st) st = answer(&d, session, turn, &out[turn]);
        if (!st) st = keep_text(t, session, method, turn);
    }
    cop_session_close(session);
    for (int i = 0; i < COP_SPEC_TURNS; i++) cop_free(d.answers[i]);
    cop_array_fini(&d.text);
    return st;
}

// A session that has read the prompt's first turn: read once, shared by all methods.
static cop_status read_prompt(cop_session **base, const cop_spec *s, const cop_prompt *prompt) {
    dialogue d = {.s = s, .prompt = prompt, .text.most = SIZE_MAX / 8};
    COP_TRY(open_session(base, s, &s->methods[0], NULL));
    cop_status st = say(&d, *base, 0);
    if (!st) st = cop_session_prefill(*base, NULL, NULL);
    cop_array_fini(&d.text);
    return st;
}

static bool is_same(const texts *t, int method, int turn) {
    size_t n = t->n[0][turn];
    return t->n[method][turn] == n && !memcmp(t->v[0][turn], t->v[method][turn], n * sizeof(int32_t));
}

// Of two rounds the faster one's figures; unequal once is unequal.
static void merge(cop_spec_turn *best, const cop_spec_turn *now, bool first) {
    bool equal = now->equal && (first || best->equal);
    if (first || now->seconds < best->seconds) *best = *now;
    best->equal = equal;
}

typedef struct progress {
    double start;
    int64_t done, to_do;  // conversations
} progress;

static void show_progress(const cop_spec *s, progress *p, const cop_prompt *prompt, int method) {
    char what[200];
    double elapsed = cop_clock() - p->start, left = p->done ? elapsed / (double)p->done * (double)(p->to_do - p->done) : 0;
    int minutes = (int)(left / 60);
    snprintf(what, sizeof what, "%.40s, %.60s, %d:%02d left", s->prompts.tasks[prompt->task], s->methods[method].text, minutes, (int)left % 60);
    cop_cli_progress(what, p->to_do ? 0.999 * (double)p->done / (double)p->to_do : 0);
    p->done++;
}

// All methods, in an order that begins elsewhere each time.
static cop_status measure_round(const cop_spec *s, size_t index, int round, const cop_session *base, progress *p, texts *t, cop_spec_turn *results) {
    const cop_prompt *prompt = &s->prompts.list.v[index];
    cop_spec_turn now[COP_SPEC_METHODS][COP_SPEC_TURNS] = {0};
    for (int i = 0; i < s->n_methods; i++) {
        int m = (int)((index + (size_t)round + (size_t)i) % (size_t)s->n_methods);
        show_progress(s, p, prompt, m);
        COP_TRY(converse(s, prompt, m, base, t, now[m]));
        if (cop_cli_interrupted()) return cop_fail(COP_ERR_CANCELLED, "interrupted");
    }
    for (int m = 0; m < s->n_methods; m++)
        for (int turn = 0; turn < prompt->n_turns; turn++) {
            now[m][turn].equal = is_same(t, m, turn);
            merge(&results[m * prompt->n_turns + turn], &now[m][turn], round == 0);
        }
    return COP_OK;
}

// COP_ERR_LIMIT: the prompt is longer than the context.
static cop_status measure_prompt(cop_spec *s, size_t index, progress *p, texts *t) {
    cop_spec_turn *results = cop_spec_results_new(s, index);
    cop_session *base = NULL;
    cop_status st = results ? read_prompt(&base, s, &s->prompts.list.v[index]) : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    for (int round = 0; !st && round < n_rounds_of(s->bench); round++) {
        free_texts(t);
        st = measure_round(s, index, round, base, p, t, results);
    }
    cop_session_close(base);
    if (st) cop_free(results);
    else s->results[index] = results;
    if (st && st != COP_ERR_LIMIT) return st;
    s->n_skipped += st == COP_ERR_LIMIT;
    return cop_spec_keep(s, index, s->results[index], t->asked);
}

// ---- all prompts --------------------------------------------------------------------------------

cop_spec_turn *cop_spec_results_new(const cop_spec *s, size_t prompt) {
    return cop_alloc_array((size_t)(s->n_methods * s->prompts.list.v[prompt].n_turns), sizeof(cop_spec_turn));
}

static cop_status measure_all(cop_spec *s, const bool *done) {
    progress p = {.start = cop_clock()};
    int64_t each = (int64_t)s->n_methods * n_rounds_of(s->bench);
    texts *t = cop_alloc(sizeof *t);
    cop_status st = t ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    for (size_t i = 0; i < s->prompts.list.n; i++) p.to_do += done[i] ? 0 : each;
    for (size_t i = 0; !st && i < s->prompts.list.n; i++) {
        if (done[i]) continue;
        int64_t had = p.done;
        st = measure_prompt(s, i, &p, t);
        p.done = had + each;
        free_texts(t);
    }
    cop_free(t);
    return st;
}

// Which prompts need nothing more: those in the state file.
static cop_status measure_rest(cop_spec *s) {
    const cop_bench_args *a = s->bench->args;
    s->results = cop_alloc_array(s->prompts.list.n, sizeof *s->results);
    bool *done = cop_alloc_array(s->prompts.list.n, sizeof *done);
    cop_status st = s->results && done ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    if (!st && a->resume) st = cop_spec_resume(s, a->resume, done);
    if (!st) st = measure_all(s, done);
    cop_cli_progress("", 1);
    if (st == COP_ERR_CANCELLED && a->resume) st = cop_fail(COP_ERR_CANCELLED, "interrupted; the same command goes on from %s", a->resume);
    cop_free(done);
    return st;
}

// ---- what comes out -----------------------------------------------------------------------------

static cop_status plot(const cop_spec *s) {
    char cpu[128], title[200], subtitle[300];
    const cop_bench_args *a = s->bench->args;
    const char *slash = strrchr(a->model.model, '/');
    cop_cpu_name(cpu, sizeof cpu);
    snprintf(title, sizeof title, "%.80s: tokens per second, as multiples of plain decoding", slash ? slash + 1 : a->model.model);
    snprintf(subtitle, sizeof subtitle, "%.80s, level %s, %d threads; %d tokens a turn, temperature %g; %zu prompts", cpu, s->bench->kernels.level,
             cop_pool_threads(s->bench->pool), n_tokens_of(s->bench), a->temp, s->prompts.list.n - (size_t)s->n_skipped);
    return cop_spec_plot(a->svg, s->bench->rows, title, subtitle);
}

static cop_status add_facts(cop_spec *s) {
    const cop_bench_args *a = s->bench->args;
    s->bench->facts = json_pack("{s:s, s:s?, s:i, s:i, s:f, s:I, s:s, s:i, s:O}", "model", a->model.model, "draft_model", a->model.draft_model,
                                "tokens_a_turn", n_tokens_of(s->bench), "rounds", n_rounds_of(s->bench), "temp", a->temp, "seed",
                                (json_int_t)a->seed, "learning", a->remember ? "kept on this machine" : "fresh for every prompt", "skipped",
                                s->n_skipped, "left_out", s->left_out);
    return s->bench->facts ? COP_OK : cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
}

// What is only written at the end can be written: said before hours of measuring.
static cop_status check_writable(const char *path) {
    FILE *f = fopen(path, "a");
    if (!f) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    return COP_OK;
}

static cop_status run(cop_spec *s) {
    const cop_bench_args *a = s->bench->args;
    if (a->svg) COP_TRY(check_writable(a->svg));
    for (int i = 0; i < a->data.n; i++) COP_TRY(cop_prompts_read(&s->prompts, a->data.v[i]));
    cop_prompts_limit(&s->prompts, a->limit, a->total);
    COP_TRY(choose_methods(s));
    COP_TRY(measure_rest(s));
    if ((size_t)s->n_skipped == s->prompts.list.n) return cop_fail(COP_ERR_LIMIT, "every prompt is longer than the context allows (--ctx)");
    s->bench->n_different = cop_spec_rows(s);
    s->bench->table = cop_spec_table;
    COP_TRY(add_facts(s));
    return a->svg ? plot(s) : COP_OK;
}

cop_status cop_bench_spec(cop_bench *b, cop_engine *engine) {
    if (!b->args->data.n) return cop_fail(COP_ERR_ARG, "which prompts? --data [NAME=]FILE");
    cop_spec *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "bench: cannot allocate");
    *s = (cop_spec){.bench = b, .engine = engine, .left_out = json_array()};
    cop_status st = run(s);
    if (s->state && fclose(s->state) && !st) st = cop_fail(COP_ERR_IO, "%s: cannot write", b->args->resume);
    for (size_t i = 0; s->results && i < s->prompts.list.n; i++) cop_free(s->results[i]);
    cop_free(s->results);
    cop_prompts_fini(&s->prompts);
    json_decref(s->left_out);
    cop_free(s);
    return st;
}
