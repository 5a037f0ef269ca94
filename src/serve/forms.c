// What the forms of all families tell alike: usage, timings, probabilities.
#include <math.h>
#include <string.h>

#include "serve/generation.h"

int cop_prompt_tokens(const cop_generation *g, int *cached) {
    int n = 0, reused = 0;
    for (int i = 0; i < g->n; i++) {
        const cop_choice *c = &g->choices[i];
        if (i % g->question->n) continue;  // replies to one prompt count it once
        n += (int)g->question->prompts[c->prompt].n;
        reused += c->stats.cached_tokens;
    }
    if (cached) *cached = reused;
    return n;
}

int cop_written_tokens(const cop_generation *g) {
    int n = 0;
    for (int i = 0; i < g->n; i++) n += g->choices[i].n_tokens;
    return n;
}

// Tokens of the reasoning are not counted apart: its share of the bytes stands for them.
static int reasoning_tokens(const cop_generation *g) {
    double n = 0;
    for (int i = 0; i < g->n; i++) {
        const cop_choice *c = &g->choices[i];
        size_t all = c->text.n + c->reasoning.n;
        for (size_t k = 0; k < c->calls.n; k++) all += c->calls.v[k].arguments.n;
        if (all) n += (double)c->n_tokens * (double)c->reasoning.n / (double)all;
    }
    return (int)n;
}

json_t *cop_usage_json(const cop_generation *g) {
    int cached, prompt = cop_prompt_tokens(g, &cached), written = cop_written_tokens(g);
    int64_t drafted = 0, accepted = 0;
    for (int i = 0; i < g->n; i++) {
        drafted += g->choices[i].stats.drafted;
        accepted += g->choices[i].stats.accepted;
    }
    return json_pack("{s:i, s:i, s:i, s:{s:i}, s:{s:i, s:I, s:I}}", "prompt_tokens", prompt, "completion_tokens", written, "total_tokens",
                     prompt + written, "prompt_tokens_details", "cached_tokens", cached, "completion_tokens_details", "reasoning_tokens",
                     reasoning_tokens(g), "accepted_prediction_tokens", (json_int_t)accepted, "rejected_prediction_tokens",
                     (json_int_t)(drafted - accepted));
}

static double per(double n, double of) { return of > 0 ? n / of : 0; }

json_t *cop_timings_json(const cop_choice *c) {
    const cop_request_stats *s = &c->stats;
    int read = s->prompt_tokens - s->cached_tokens;
    double prompt_ms = s->prefill_seconds * 1e3, written_ms = s->decode_seconds * 1e3;
    json_t *v = json_pack("{s:i, s:i, s:f, s:f, s:f, s:i, s:f, s:f, s:f}", "cache_n", s->cached_tokens, "prompt_n", read, "prompt_ms", prompt_ms,
                          "prompt_per_token_ms", per(prompt_ms, read), "prompt_per_second", per(read, s->prefill_seconds), "predicted_n",
                          s->tokens, "predicted_ms", written_ms, "predicted_per_token_ms", per(written_ms, s->tokens), "predicted_per_second",
                          per(s->tokens, s->decode_seconds));
    if (v && s->drafted) {
        json_object_set_new(v, "draft_n", json_integer((json_int_t)s->drafted));
        json_object_set_new(v, "draft_n_accepted", json_integer((json_int_t)s->accepted));
    }
    return v;
}

json_t *cop_drafting_json(const cop_choice *c) {
    const cop_request_stats *s = &c->stats;
    json_t *depths = json_array();
    int deepest = COP_DEPTHS;
    while (deepest > 0 && !s->by_depth[deepest - 1]) deepest--;
    for (int i = 0; i < deepest; i++) json_array_append_new(depths, json_integer((json_int_t)s->by_depth[i]));
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:o, s:f, s:f}", "slot", s->slot, "steps", (json_int_t)s->steps, "rows", (json_int_t)s->rows,
                     "drafted", (json_int_t)s->drafted, "accepted", (json_int_t)s->accepted, "accepted_by_depth", depths, "queue_ms",
                     s->queue_seconds * 1e3, "draft_ms", s->draft_seconds * 1e3);
}

const char *cop_stop_text(const cop_choice *c) {
    const cop_session_options *s = &c->generation->question->session;
    return c->stop >= 0 && c->stop < s->n_stop ? s->stop[c->stop] : NULL;
}

// ---- tokens ----

json_t *cop_piece_json(const cop_tokenizer *tok, int32_t token) {
    size_t bytes;
    const char *text = cop_tokenizer_piece(tok, token, true, &bytes);
    return cop_clean_json(text, bytes);
}

static json_t *one_logprob(const cop_tokenizer *tok, int32_t token, double logprob, bool with_id) {
    size_t bytes;
    const char *text = cop_tokenizer_piece(tok, token, true, &bytes);
    json_t *list = json_array();
    for (size_t i = 0; i < bytes; i++) json_array_append_new(list, json_integer((unsigned char)text[i]));
    json_t *v = json_object();
    if (with_id) json_object_set_new(v, "id", json_integer(token));
    json_object_set_new(v, "token", cop_clean_json(text, bytes));
    json_object_set_new(v, "bytes", list);
    json_object_set_new(v, "logprob", isfinite(logprob) ? json_real(logprob) : json_real(-9999));
    return v;
}

json_t *cop_logprobs_json(const cop_choice *c, size_t from, size_t to, bool with_ids) {
    const cop_tokenizer *tok = c->generation->question->served->tokenizer;
    json_t *list = json_array();
    for (size_t i = from; i < to; i++) {
        const cop_event_token *t = &c->tokens.v[i];
        json_t *one = one_logprob(tok, t->token, (double)t->logprob, with_ids), *top = json_array();
        for (int k = 0; k < t->n_top; k++) json_array_append_new(top, one_logprob(tok, t->top[k].token, (double)t->top[k].logprob, with_ids));
        json_object_set_new(one, "top_logprobs", top);
        json_array_append_new(list, one);
    }
    return list;
}

json_t *cop_calls_json(const cop_choice *c) {
    json_t *list = json_array();
    for (size_t i = 0; i < c->calls.n; i++) {
        const cop_written_call *k = &c->calls.v[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", k->id, "type", "function", "function", "name", k->name, "arguments",
                                              cop_clean_json(k->arguments.v, k->arguments.n)));
    }
    return list;
}
