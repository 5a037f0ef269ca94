// The requests of a question: set going, waited for, ended when the client has gone or the server stops.
#include "serve/generation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/structure.h"

#define WAIT 0.1        // seconds between two looks at the client
#define SHORT_WAIT 0.02  // likewise with several replies at once

// ---- pieces ----

static void note_failure(cop_generation *g, cop_status st) {
    if (g->status || !st) return;
    g->status = st;
    snprintf(g->error, sizeof g->error, "%s", cop_error_text());
}

static cop_status begin_call(cop_choice *c, const cop_tool_event *e) {
    cop_written_call call = {.id = cop_text_copy(e->id, strlen(e->id)), .name = cop_text_copy(e->text, e->bytes), .arguments.most = SIZE_MAX / 8};
    cop_status st = call.id && call.name ? cop_array_push(&c->calls, call) : cop_fail(COP_ERR_NOMEM, "call: cannot allocate");
    if (st) {
        cop_free(call.id);
        cop_free(call.name);
    }
    return st;
}

static cop_status keep_piece(cop_choice *c, const cop_tool_event *e) {
    switch (e->kind) {
    case COP_TOOL_CONTENT: return cop_append(&c->text, e->text, e->bytes);
    case COP_TOOL_REASONING: return cop_append(&c->reasoning, e->text, e->bytes);
    case COP_TOOL_CALL: return begin_call(c, e);
    case COP_TOOL_ARGUMENTS: return c->calls.n ? cop_append(&c->calls.v[c->calls.n - 1].arguments, e->text, e->bytes) : COP_OK;
    case COP_TOOL_CALL_END: return COP_OK;
    }
    return COP_OK;
}

static void on_piece(void *user, const cop_tool_event *e) {
    cop_choice *c = user;
    cop_generation *g = c->generation;
    if (g->status) return;
    cop_status st = keep_piece(c, e);
    if (!st && g->out) st = g->form->piece(g, c, e, g->out);
    note_failure(g, st);
}

// ---- starting ----

static cop_status open_parser(cop_generation *g, cop_choice *c) {
    const cop_question *q = g->question;
    const cop_served *s = q->served;
    bool tools = q->tools && q->tool_choice != COP_TOOLS_NONE;
    if (!q->chat || (!tools && (q->structure.kind != COP_FREE_TEXT || !s->reasoning))) return COP_OK;
    const cop_tool_parser_options o = {.format = tools ? s->format : NULL,
                                       .reasoning = s->reasoning,
                                       .reasoning_opened = q->reasoning_opened,
                                       .tools = tools ? q->tools : NULL,
                                       .seed = cop_random(),
                                       .event = on_piece,
                                       .user = c};
    return cop_tool_parser_new(&c->parser, &o);
}

static cop_status start_choice(cop_generation *g, cop_choice *c, int i, cop_guide *guide) {
    const cop_question *q = g->question;
    const cop_token_array *prompt = &q->prompts[(size_t)i / (size_t)q->n];
    *c = (cop_choice){.generation = g, .index = i, .prompt = (size_t)i / (size_t)q->n, .stop = -1, .part = -1};
    c->text.most = c->reasoning.most = c->calls.most = SIZE_MAX / 1024;
    c->tokens.most = SIZE_MAX / 1024;
    COP_TRY(open_parser(g, c));
    cop_request_options o = {.session = q->session,
                             .tokens = prompt->v,
                             .n_tokens = prompt->n,
                             .max_tokens = q->max_tokens,
                             .logprobs = q->logprobs,
                             .ignore_end = q->ignore_end,
                             .slot = q->slot,
                             .show_trees = q->show_trees};
    if (c->parser) {
        o.n_visible = g->server->n_shown;
        memcpy(o.visible, g->server->shown, sizeof o.visible);
    }
    o.session.guide = guide;
    o.session.seed = q->seed + (uint64_t)(i % q->n);
    return cop_request_submit(&c->request, g->server->scheduler, &o);
}

static void free_choice(cop_choice *c) {
    cop_request_free(c->request);
    cop_tool_parser_free(c->parser);
    for (size_t i = 0; i < c->calls.n; i++) {
        cop_free(c->calls.v[i].id);
        cop_free(c->calls.v[i].name);
        cop_array_fini(&c->calls.v[i].arguments);
    }
    cop_array_fini(&c->calls);
    cop_array_fini(&c->tokens);
    cop_array_fini(&c->text);
    cop_array_fini(&c->reasoning);
}

static void free_generation(cop_generation *g) {
    if (!g) return;
    for (int i = 0; i < g->n; i++)
        if (g->choices[i].request) cop_request_cancel(g->choices[i].request);
    for (int i = 0; i < g->n; i++) free_choice(&g->choices[i]);
    if (g->status) cop_guide_forget(g->server, g->guide);
    cop_guide_give_back(g->server, g->guide);
    cop_free(g->choices);
    cop_question_free(g->question);
    cop_free(g);
}

// Takes the question.
static cop_status start(cop_generation **out, cop_exchange *x, cop_question *q, const cop_form *form) {
    cop_generation *g = cop_alloc(sizeof *g);
    int n = (int)q->n_prompts * q->n;
    cop_choice *choices = g ? cop_alloc_array((size_t)n, sizeof *choices) : NULL;
    if (!choices) {
        cop_free(g);
        cop_question_free(q);
        return cop_fail(COP_ERR_NOMEM, "reply: cannot allocate");
    }
    *g = (cop_generation){.server = x->server, .form = form, .question = q, .choices = choices, .gone = x->gone, .connection = x->connection};
    g->created = time(NULL);
    cop_make_id(g->id, form->prefix);
    cop_status st = cop_check_drafting(x->server, q);
    if (!st) st = cop_guide_for(&g->guide, x->server, q);
    for (int i = 0; i < n && !st; i++) {
        st = start_choice(g, &g->choices[i], i, cop_kept_guide_get(g->guide));
        g->n = i + 1;
    }
    *out = g;
    if (!st) return COP_OK;
    cop_error_record record;
    cop_error_get(&record);
    free_generation(g);
    cop_error_set(&record);
    return st;
}

// ---- going on ----

static cop_status keep_tokens(cop_choice *c, const cop_event *e) {
    const cop_question *q = c->generation->question;
    c->n_tokens += e->n_tokens;
    if (q->logprobs < 0 && !q->tell_tokens) return COP_OK;
    for (int i = 0; i < e->n_tokens; i++) COP_TRY(cop_array_push(&c->tokens, e->tokens[i]));
    return COP_OK;
}

static cop_status take_text(cop_choice *c, const cop_event *e) {
    if (c->parser) return cop_tool_parser_push(c->parser, e->text, e->bytes);
    const cop_tool_event piece = {.kind = COP_TOOL_CONTENT, .text = e->text, .bytes = e->bytes};
    on_piece(c, &piece);
    return COP_OK;
}

static void end_choice(cop_generation *g, cop_choice *c, const cop_event *e) {
    c->finish = e->finish;
    c->stop = e->stop;
    c->stats = cop_request_get_stats(c->request);
    if (e->status && !g->status) {
        g->status = e->status;
        snprintf(g->error, sizeof g->error, "%s", e->error ? e->error : "the request failed");
    }
    if (c->parser) note_failure(g, cop_tool_parser_finish(c->parser));
    cop_request_free(c->request);
    c->request = NULL;
    g->n_ended++;
    if (!g->status && g->out) note_failure(g, g->form->finish(g, c, g->out));
}

static void tell_trees(cop_generation *g, cop_choice *c, const cop_event *e) {
    for (int i = 0; i < e->n_trees && g->out && g->form->tree && !g->status; i++) note_failure(g, g->form->tree(g, c, &e->trees[i], g->out));
}

static void take_event(cop_generation *g, cop_choice *c, const cop_event *e) {
    note_failure(g, keep_tokens(c, e));
    tell_trees(g, c, e);
    if (!g->status && e->bytes) note_failure(g, take_text(c, e));
    if (e->done) end_choice(g, c, e);
}

// One event of one choice, waiting at most `seconds`. True: something came.
static bool next_event(cop_generation *g, double seconds) {
    cop_event e;
    cop_choice *first = NULL;
    for (int i = 0; i < g->n; i++) {
        cop_choice *c = &g->choices[i];
        if (!c->request) continue;
        if (!first) first = c;
        if (g->n - g->n_ended == 1) break;
        if (cop_request_next(c->request, 0, &e)) continue;
        take_event(g, c, &e);
        return true;
    }
    if (!first) return false;
    cop_status st = cop_request_next(first->request, g->n - g->n_ended > 1 ? SHORT_WAIT : seconds, &e);
    if (st == COP_ERR_NOT_FOUND) return false;
    if (st) note_failure(g, st);
    else take_event(g, first, &e);
    return true;
}

static bool must_end(const cop_generation *g) {
    return (g->gone && g->gone(g->connection)) || atomic_load(&g->server->cut);
}

// ---- a stream ----

static cop_status tell_failure(cop_generation *g, cop_char_array *out) {
    if (g->form->failed) return g->form->failed(g, out);
    const char *name = g->form->dialect == COP_DIALECT_ANTHROPIC ? "error" : NULL;
    return cop_append_event(out, name, cop_error_json(g->form->dialect, cop_http_code(g->status), NULL, g->error));
}

static cop_status pull(void *state, cop_char_array *out, bool *ended) {
    cop_generation *g = state;
    size_t before = out->n;
    g->out = out;
    *ended = false;
    if (!g->begun && g->form->begin) note_failure(g, g->form->begin(g, out));
    g->begun = true;
    while (!g->status && g->n_ended < g->n && out->n == before) {
        if (!next_event(g, WAIT) && must_end(g)) return cop_fail(COP_ERR_CANCELLED, "the client has gone");
    }
    // what is there already goes out with it
    for (int more = 0; more < 64 && !g->status && g->n_ended < g->n && next_event(g, 0); more++) continue;
    if (!g->status && g->n_ended < g->n) return COP_OK;
    *ended = true;
    if (!g->status) note_failure(g, g->form->end(g, out));
    return g->status ? tell_failure(g, out) : COP_OK;
}

static void close_stream(void *state) { free_generation(state); }

static const cop_stream_type stream_type = {.pull = pull, .close = close_stream};

// ---- a whole reply ----

static void wait_for_all(cop_exchange *x, cop_generation *g) {
    while (!g->status && g->n_ended < g->n) {
        if (next_event(g, WAIT) || !must_end(g)) continue;
        cop_reply_error(x, 503, NULL, atomic_load(&g->server->cut) ? "the server stops" : "the client has gone");
        return;
    }
    if (g->status) {
        cop_reply_error(x, cop_http_code(g->status), NULL, "%s", g->error);
        return;
    }
    cop_reply_json(x, 200, g->form->whole(g));
}

// A queue that is full: when it is worth trying again.
static void reply_full(cop_exchange *x) {
    cop_scheduler_info info;
    cop_scheduler_get_info(x->server->scheduler, &info);
    double wait = ceil(info.wait_seconds);
    x->retry_after = wait < 1 ? 1 : wait > 600 ? 600 : (int)wait;
    cop_reply_error(x, 429, NULL, "%s", cop_error_text());
}

void cop_answer(cop_exchange *x, cop_question *question, const cop_form *form) {
    cop_generation *g;
    bool stream = question->stream;
    x->dialect = form->dialect;
    if (!x->server->scheduler) {
        cop_question_free(question);
        cop_reply_error(x, 501, NULL, "this model only embeds texts: use /v1/embeddings");
        return;
    }
    cop_status st = start(&g, x, question, form);
    if (st == COP_ERR_LIMIT) {
        reply_full(x);
    } else if (st) {
        cop_reply_failure(x, st, NULL);
    } else if (stream) {
        x->code = 200;
        x->type = COP_TEXT_EVENTS;
        x->stream = &stream_type;
        x->stream_state = g;
    } else {
        wait_for_all(x, g);
        free_generation(g);
    }
}

cop_question *cop_read_question(cop_exchange *x, cop_status (*read)(cop_question *q)) {
    cop_question *q;
    cop_status st = cop_question_new(&q, &x->server->served, x->body, x->body_bytes, x->server->options.max_body);
    if (st) {
        cop_reply_failure(x, st, NULL);
        return NULL;
    }
    q->field = NULL;
    st = read(q);
    if (!st) return q;
    cop_reply_failure(x, st, q->field);
    cop_question_free(q);
    return NULL;
}
