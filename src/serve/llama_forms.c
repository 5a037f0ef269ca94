// /completion and /infill: llama-server's own form. A stream has no [DONE]: its last event says "stop": true.
#include <string.h>

#include "serve/generation.h"

static const char *stop_type(const cop_choice *c) {
    if (c->request) return "none";
    if (c->finish != COP_FINISH_STOP) return "limit";
    return cop_stop_text(c) ? "word" : "eos";
}

static json_t *settings_json(const cop_choice *c) {
    const cop_question *q = c->generation->question;
    const cop_session_options *o = &q->session;
    json_t *stops = json_array();
    for (int i = 0; i < o->n_stop; i++) json_array_append_new(stops, json_string(o->stop[i]));
    return json_pack("{s:I, s:f, s:i, s:f, s:f, s:f, s:i, s:f, s:f, s:f, s:o, s:i, s:b, s:b, s:i, s:s?}", "seed",
                     (json_int_t)((q->seed + (uint64_t)(c->index % q->n)) & INT64_MAX), "temperature", (double)o->temp, "top_k", o->top_k, "top_p",
                     (double)o->top_p, "min_p", (double)o->min_p, "typical_p", (double)o->typical_p, "repeat_last_n", o->penalty_window,
                     "repeat_penalty", (double)o->repeat_penalty, "presence_penalty", (double)o->presence_penalty, "frequency_penalty",
                     (double)o->frequency_penalty, "stop", stops, "n_predict", q->max_tokens, "ignore_eos", q->ignore_end, "stream", q->stream,
                     "n_probs", q->logprobs < 0 ? 0 : q->logprobs, "draft", o->draft);
}

static json_t *tokens_json(const cop_choice *c, size_t from) {
    json_t *list = json_array();
    for (size_t i = from; c->generation->question->tell_tokens && i < c->tokens.n; i++)
        json_array_append_new(list, json_integer(c->tokens.v[i].token));
    return list;
}

// What comes at the end, over the text and tokens that belong to it.
static json_t *last_json(cop_choice *c, json_t *content, json_t *tokens) {
    cop_generation *g = c->generation;
    const cop_question *q = g->question;
    const char *word = cop_stop_text(c), *prompt = q->texts[c->prompt];
    json_t *v = json_pack("{s:i, s:o, s:o, s:i, s:b, s:s, s:i, s:i, s:o, s:o, s:b, s:b, s:s, s:s, s:i, s:o, s:o}", "index", c->index, "content", content,
                          "tokens", tokens, "id_slot", c->stats.slot, "stop", 1, "model", g->server->name, "tokens_predicted", c->n_tokens,
                          "tokens_evaluated", (int)q->prompts[c->prompt].n, "generation_settings", settings_json(c), "prompt",
                          cop_clean_json(prompt, strlen(prompt)), "has_new_line", c->text.n && memchr(c->text.v, '\n', c->text.n) != NULL, "truncated",
                          c->finish == COP_FINISH_CONTEXT, "stop_type", stop_type(c), "stopping_word", word ? word : "", "tokens_cached",
                          c->stats.cached_tokens, "timings", cop_timings_json(c), "coppice", cop_drafting_json(c));
    return v;
}

static json_t *choice_json(cop_choice *c) {
    json_t *v = last_json(c, cop_clean_json(c->text.v, c->text.n), tokens_json(c, 0));
    if (v && c->generation->question->logprobs >= 0) json_object_set_new(v, "completion_probabilities", cop_logprobs_json(c, 0, c->tokens.n, true));
    return v;
}

// One object for one reply, else a list of them.
static json_t *whole(cop_generation *g) {
    if (g->n == 1) return choice_json(&g->choices[0]);
    json_t *list = json_array();
    for (int i = 0; i < g->n; i++) json_array_append_new(list, choice_json(&g->choices[i]));
    return list;
}

static cop_status piece(cop_generation *g, cop_choice *c, const cop_tool_event *e, cop_char_array *out) {
    if (e->kind != COP_TOOL_CONTENT) return COP_OK;
    json_t *v = json_pack("{s:i, s:o, s:o, s:b, s:i, s:i, s:i}", "index", c->index, "content", cop_clean_json(e->text, e->bytes), "tokens",
                          tokens_json(c, c->told), "stop", 0, "id_slot", g->question->slot, "tokens_predicted", c->n_tokens, "tokens_evaluated",
                          (int)g->question->prompts[c->prompt].n);
    if (v && g->question->logprobs >= 0)
        json_object_set_new(v, "completion_probabilities", cop_logprobs_json(c, c->told, c->tokens.n, true));
    c->told = c->tokens.n;
    return cop_append_event(out, NULL, v);
}

static cop_status finish(cop_generation *g, cop_choice *c, cop_char_array *out) {
    json_t *v = last_json(c, json_string(""), tokens_json(c, c->told));
    if (v && g->question->logprobs >= 0 && c->told < c->tokens.n)
        json_object_set_new(v, "completion_probabilities", cop_logprobs_json(c, c->told, c->tokens.n, true));
    c->told = c->tokens.n;
    return cop_append_event(out, NULL, v);
}

static cop_status end(cop_generation *g, cop_char_array *out) {
    (void)g, (void)out;
    return COP_OK;
}

static const cop_form form = {
    .dialect = COP_DIALECT_LLAMA, .prefix = "cmpl-", .piece = piece, .finish = finish, .end = end, .whole = whole};

void cop_serve_completion(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_completion);
    if (q) cop_answer(x, q, &form);
}

void cop_serve_infill(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_infill);
    if (q) cop_answer(x, q, &form);
}
