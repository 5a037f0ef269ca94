// /v1/completions: OpenAI's form for texts to continue.
#include <string.h>

#include "serve/openai.h"

// ---- probabilities ----

// Four lists side by side; the offsets are bytes of the text.
static json_t *logprobs_json(const cop_choice *c, size_t from, size_t to) {
    const cop_tokenizer *tok = c->generation->question->served->tokenizer;
    json_t *tokens = json_array(), *own = json_array(), *top = json_array(), *offsets = json_array();
    size_t offset = 0, bytes;
    for (size_t i = 0; i < to; i++) {
        const cop_event_token *t = &c->tokens.v[i];
        cop_tokenizer_piece(tok, t->token, true, &bytes);
        if (i >= from) {
            json_t *best = json_object();
            for (int k = 0; k < t->n_top; k++) {
                json_t *name = cop_piece_json(tok, t->top[k].token);
                if (!json_object_get(best, json_string_value(name)))
                    json_object_set_new(best, json_string_value(name), cop_reals((double)t->top[k].logprob));
                json_decref(name);
            }
            json_array_append_new(tokens, cop_piece_json(tok, t->token));
            json_array_append_new(own, cop_reals((double)t->logprob));
            json_array_append_new(top, best);
            json_array_append_new(offsets, json_integer((json_int_t)offset));
        }
        offset += bytes;
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", own, "top_logprobs", top, "text_offset", offsets);
}

// ---- whole ----

static json_t *choice_json(const cop_choice *c) {
    const cop_question *q = c->generation->question;
    cop_char_array text = {.most = SIZE_MAX / 8};
    const char *prompt = q->texts[c->prompt];
    cop_status st = q->echo ? cop_append(&text, prompt, strlen(prompt)) : COP_OK;
    if (!st) st = cop_append(&text, c->text.v, c->text.n);
    json_t *v = st ? NULL : json_pack("{s:i, s:o, s:o, s:s}", "index", c->index, "text", cop_clean_json(text.v, text.n), "logprobs",
                                      q->logprobs < 0 ? json_null() : logprobs_json(c, 0, c->tokens.n), "finish_reason", cop_finish_word(c));
    cop_array_fini(&text);
    return v;
}

static json_t *whole(cop_generation *g) { return cop_openai_whole(g, "text_completion", choice_json); }

// ---- a stream ----

static json_t *choice_chunk(cop_choice *c, const char *text, size_t bytes, const char *finish) {
    cop_generation *g = c->generation;
    json_t *logprobs = json_null();
    if (g->question->logprobs >= 0 && c->tokens.n > c->told) {
        logprobs = logprobs_json(c, c->told, c->tokens.n);
        c->told = c->tokens.n;
    }
    return cop_openai_chunk(g, "text_completion", json_pack("[{s:i, s:o, s:o, s:s?}]", "index", c->index, "text", cop_clean_json(text, bytes), "logprobs", logprobs,
                              "finish_reason", finish));
}

static cop_status begin(cop_generation *g, cop_char_array *out) {
    for (int i = 0; g->question->echo && i < g->n; i++) {
        const char *prompt = g->question->texts[g->choices[i].prompt];
        COP_TRY(cop_append_event(out, NULL, choice_chunk(&g->choices[i], prompt, strlen(prompt), NULL)));
    }
    return COP_OK;
}

static cop_status piece(cop_generation *g, cop_choice *c, const cop_tool_event *e, cop_char_array *out) {
    (void)g;
    return e->kind == COP_TOOL_CONTENT ? cop_append_event(out, NULL, choice_chunk(c, e->text, e->bytes, NULL)) : COP_OK;
}

static cop_status finish(cop_generation *g, cop_choice *c, cop_char_array *out) {
    (void)g;
    return cop_openai_finish(choice_chunk(c, "", 0, cop_finish_word(c)), c, out);
}

static cop_status end(cop_generation *g, cop_char_array *out) { return cop_openai_end(g, "text_completion", out); }

static const cop_form form = {
    .dialect = COP_DIALECT_OPENAI, .prefix = "cmpl-", .begin = begin, .piece = piece, .finish = finish, .end = end, .whole = whole};

void cop_serve_text(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_text);
    if (q) cop_answer(x, q, &form);
}
