// /v1/chat/completions: OpenAI's chat form, whole and as a stream of chunks.
#include <string.h>

#include "serve/openai.h"

// ---- whole ----

static json_t *choice_json(const cop_choice *c) {
    const cop_question *q = c->generation->question;
    bool empty = !c->text.n && c->calls.n;
    json_t *message = json_pack("{s:s, s:o}", "role", "assistant", "content", empty ? json_null() : cop_clean_json(c->text.v, c->text.n));
    if (c->reasoning.n) json_object_set_new(message, "reasoning_content", cop_clean_json(c->reasoning.v, c->reasoning.n));
    if (c->calls.n) json_object_set_new(message, "tool_calls", cop_calls_json(c));
    json_t *v = json_pack("{s:i, s:o, s:s}", "index", c->index, "message", message, "finish_reason", cop_finish_word(c));
    json_t *logprobs = q->logprobs < 0 ? json_null() : json_pack("{s:o}", "content", cop_logprobs_json(c, 0, c->tokens.n, false));
    json_object_set_new(v, "logprobs", logprobs);
    return v;
}

static json_t *whole(cop_generation *g) { return cop_openai_whole(g, "chat.completion", choice_json); }

// ---- a stream ----

// Takes delta. Tokens that have come since the last chunk go with it.
static json_t *choice_chunk(cop_generation *g, cop_choice *c, json_t *delta, const char *finish) {
    json_t *logprobs = NULL;
    if (g->question->logprobs >= 0 && c->tokens.n > c->told) {
        logprobs = json_pack("{s:o}", "content", cop_logprobs_json(c, c->told, c->tokens.n, false));
        c->told = c->tokens.n;
    }
    json_t *choice = json_pack("{s:i, s:o, s:o?, s:s?}", "index", c->index, "delta", delta, "logprobs", logprobs, "finish_reason", finish);
    if (choice && !logprobs) json_object_set_new(choice, "logprobs", json_null());
    return cop_openai_chunk(g, "chat.completion.chunk", json_pack("[o]", choice));
}

static cop_status begin(cop_generation *g, cop_char_array *out) {
    for (int i = 0; i < g->n; i++)
        COP_TRY(cop_append_event(out, NULL, choice_chunk(g, &g->choices[i], json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL)));
    return COP_OK;
}

static cop_status piece(cop_generation *g, cop_choice *c, const cop_tool_event *e, cop_char_array *out) {
    json_t *delta = NULL;
    switch (e->kind) {
    case COP_TOOL_CONTENT: delta = json_pack("{s:o}", "content", cop_clean_json(e->text, e->bytes)); break;
    case COP_TOOL_REASONING: delta = json_pack("{s:o}", "reasoning_content", cop_clean_json(e->text, e->bytes)); break;
    case COP_TOOL_CALL:
        delta = json_pack("{s:[{s:i, s:s, s:s, s:{s:s, s:s}}]}", "tool_calls", "index", e->call, "id", e->id, "type", "function", "function",
                          "name", e->text, "arguments", "");
        break;
    case COP_TOOL_ARGUMENTS:
        delta = json_pack("{s:[{s:i, s:{s:o}}]}", "tool_calls", "index", e->call, "function", "arguments", cop_clean_json(e->text, e->bytes));
        break;
    case COP_TOOL_CALL_END: return COP_OK;
    }
    return cop_append_event(out, NULL, choice_chunk(g, c, delta, NULL));
}

static cop_status tree(cop_generation *g, cop_choice *c, const cop_tree_event *t, cop_char_array *out) {
    static const char *const fates[] = {[COP_PRUNED] = "pruned", [COP_REJECTED] = "rejected", [COP_ACCEPTED] = "accepted"};
    json_t *tokens = json_array(), *parents = json_array(), *names = json_array();
    for (int i = 0; i < t->n; i++) {
        json_array_append_new(tokens, cop_piece_json(g->question->served->tokenizer, t->tokens[i]));
        json_array_append_new(parents, json_integer(t->parents[i]));
        json_array_append_new(names, json_string(fates[t->fates[i]]));
    }
    json_t *v = choice_chunk(g, c, json_object(), NULL);
    json_t *told = json_pack("{s:{s:o, s:o, s:o}}", "tree", "tokens", tokens, "parents", parents, "fates", names);
    if (v) json_object_set_new(v, "coppice", told);
    return cop_append_event(out, NULL, v);
}

static cop_status finish(cop_generation *g, cop_choice *c, cop_char_array *out) {
    return cop_openai_finish(choice_chunk(g, c, json_object(), cop_finish_word(c)), c, out);
}

static cop_status end(cop_generation *g, cop_char_array *out) { return cop_openai_end(g, "chat.completion.chunk", out); }

static const cop_form form = {
    .dialect = COP_DIALECT_OPENAI, .prefix = "chatcmpl-", .begin = begin, .piece = piece, .tree = tree, .finish = finish, .end = end, .whole = whole};

void cop_serve_chat(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_chat);
    if (q) cop_answer(x, q, &form);
}
