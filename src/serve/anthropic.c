// /v1/messages: Anthropic's form. A reply is a list of blocks; a stream opens and closes them one after another.
#include <string.h>

#include "serve/generation.h"

enum { THINKING_BLOCK = 1, TEXT_BLOCK, CALL_BLOCK };

static const char *stop_reason(const cop_choice *c) {
    if (c->finish != COP_FINISH_STOP) return "max_tokens";
    if (c->calls.n) return "tool_use";
    return cop_stop_text(c) ? "stop_sequence" : "end_turn";
}

static json_t *usage_json(const cop_generation *g) {
    int cached, prompt = cop_prompt_tokens(g, &cached);
    return json_pack("{s:i, s:i, s:i, s:i}", "input_tokens", prompt - cached, "cache_creation_input_tokens", 0, "cache_read_input_tokens", cached,
                     "output_tokens", cop_written_tokens(g));
}

// ---- whole ----

static json_t *input_json(const cop_written_call *call) {
    const cop_json_limits limits = {.bytes = call->arguments.n, .values = (size_t)1 << 18, .depth = 64};
    json_t *v = NULL;
    if (call->arguments.n && !cop_json_parse(&v, call->arguments.v, call->arguments.n, &limits)) return v;
    return json_object();
}

static json_t *content_json(const cop_choice *c) {
    json_t *list = json_array();
    if (c->reasoning.n)
        json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "type", "thinking", "thinking", cop_clean_json(c->reasoning.v, c->reasoning.n),
                                              "signature", ""));
    if (c->text.n) json_array_append_new(list, json_pack("{s:s, s:o}", "type", "text", "text", cop_clean_json(c->text.v, c->text.n)));
    for (size_t i = 0; i < c->calls.n; i++) {
        const cop_written_call *k = &c->calls.v[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id", k->id, "name", k->name, "input", input_json(k)));
    }
    return list;
}

static json_t *message_json(const cop_generation *g, json_t *content, const char *reason, const char *sequence) {
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:o}", "id", g->id, "type", "message", "role", "assistant", "model", g->server->name,
                     "content", content, "stop_reason", reason, "stop_sequence", sequence, "usage", usage_json(g));
}

static json_t *whole(cop_generation *g) {
    const cop_choice *c = &g->choices[0];
    json_t *v = message_json(g, content_json(c), stop_reason(c), cop_stop_text(c));
    if (v) json_object_set_new(v, "coppice", cop_drafting_json(c));
    return v;
}

// ---- a stream ----

static cop_status begin(cop_generation *g, cop_char_array *out) {
    COP_TRY(cop_append_event(out, "message_start", json_pack("{s:s, s:o}", "type", "message_start", "message", message_json(g, json_array(), NULL, NULL))));
    return cop_append_event(out, "ping", json_pack("{s:s}", "type", "ping"));
}

static cop_status close_block(cop_choice *c, cop_char_array *out) {
    if (!c->open) return COP_OK;
    c->open = false;
    return cop_append_event(out, "content_block_stop", json_pack("{s:s, s:i}", "type", "content_block_stop", "index", c->part));
}

// Takes block.
static cop_status open_block(cop_choice *c, int kind, json_t *block, cop_char_array *out) {
    cop_status st = close_block(c, out);
    c->open = true;
    c->kind = kind;
    c->part++;
    json_t *v = json_pack("{s:s, s:i, s:o}", "type", "content_block_start", "index", c->part, "content_block", block);
    if (!st) return cop_append_event(out, "content_block_start", v);
    json_decref(v);
    return st;
}

// Takes delta.
static cop_status tell_delta(cop_choice *c, json_t *delta, cop_char_array *out) {
    return cop_append_event(out, "content_block_delta", json_pack("{s:s, s:i, s:o}", "type", "content_block_delta", "index", c->part, "delta", delta));
}

static cop_status piece(cop_generation *g, cop_choice *c, const cop_tool_event *e, cop_char_array *out) {
    (void)g;
    switch (e->kind) {
    case COP_TOOL_CONTENT:
        if (!c->open || c->kind != TEXT_BLOCK) COP_TRY(open_block(c, TEXT_BLOCK, json_pack("{s:s, s:s}", "type", "text", "text", ""), out));
        return tell_delta(c, json_pack("{s:s, s:o}", "type", "text_delta", "text", cop_clean_json(e->text, e->bytes)), out);
    case COP_TOOL_REASONING:
        if (!c->open || c->kind != THINKING_BLOCK)
            COP_TRY(open_block(c, THINKING_BLOCK, json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", "", "signature", ""), out));
        return tell_delta(c, json_pack("{s:s, s:o}", "type", "thinking_delta", "thinking", cop_clean_json(e->text, e->bytes)), out);
    case COP_TOOL_CALL:
        return open_block(c, CALL_BLOCK, json_pack("{s:s, s:s, s:s, s:{}}", "type", "tool_use", "id", e->id, "name", e->text, "input"), out);
    case COP_TOOL_ARGUMENTS:
        return tell_delta(c, json_pack("{s:s, s:o}", "type", "input_json_delta", "partial_json", cop_clean_json(e->text, e->bytes)), out);
    case COP_TOOL_CALL_END: return close_block(c, out);
    }
    return COP_OK;
}

static cop_status finish(cop_generation *g, cop_choice *c, cop_char_array *out) {
    COP_TRY(close_block(c, out));
    json_t *delta = json_pack("{s:s, s:s?}", "stop_reason", stop_reason(c), "stop_sequence", cop_stop_text(c));
    json_t *v = json_pack("{s:s, s:o, s:o, s:o}", "type", "message_delta", "delta", delta, "usage", usage_json(g), "coppice", cop_drafting_json(c));
    return cop_append_event(out, "message_delta", v);
}

static cop_status end(cop_generation *g, cop_char_array *out) {
    (void)g;
    return cop_append_event(out, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

static const cop_form form = {
    .dialect = COP_DIALECT_ANTHROPIC, .prefix = "msg_", .begin = begin, .piece = piece, .finish = finish, .end = end, .whole = whole};

// max_tokens is required, as there.
static cop_status read_message(cop_question *q) {
    q->field = "max_tokens";
    if (!cop_json_member(q->body, "max_tokens")) return cop_fail(COP_ERR_ARG, "max_tokens: is missing");
    return cop_question_messages(q);
}

void cop_serve_messages(cop_exchange *x) {
    cop_question *q = cop_read_question(x, read_message);
    if (q) cop_answer(x, q, &form);
}

void cop_serve_count_tokens(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_messages);
    if (!q) return;
    cop_reply_json(x, 200, json_pack("{s:i}", "input_tokens", (int)q->prompts[0].n));
    cop_question_free(q);
}
