// /v1/responses: OpenAI's form of items. A stream numbers its events and tells every item twice: as it grows, and whole.
#include <stdio.h>
#include <string.h>

#include "serve/generation.h"

enum { REASONING_ITEM = 1, MESSAGE_ITEM, CALL_ITEM };

static void item_id(char id[80], const cop_generation *g, int kind, int part) {
    static const char *const prefixes[] = {"", "rs_", "msg_", "fc_"};
    snprintf(id, 80, "%s%s_%d", prefixes[kind], g->id + 5, part);
}

static json_t *usage_json(const cop_generation *g) {
    json_t *usage = cop_usage_json(g), *details = json_object_get(json_object_get(usage, "completion_tokens_details"), "reasoning_tokens");
    int cached, prompt = cop_prompt_tokens(g, &cached), written = cop_written_tokens(g);
    json_t *v = json_pack("{s:i, s:{s:i}, s:i, s:{s:O}, s:i}", "input_tokens", prompt, "input_tokens_details", "cached_tokens", cached, "output_tokens",
                          written, "output_tokens_details", "reasoning_tokens", details, "total_tokens", prompt + written);
    json_decref(usage);
    return v;
}

// ---- items ----

static json_t *text_part(const cop_choice *c, size_t from, bool with_logprobs) {
    json_t *logprobs = with_logprobs ? cop_logprobs_json(c, 0, c->tokens.n, false) : json_array();
    return json_pack("{s:s, s:o, s:[], s:o}", "type", "output_text", "text", cop_clean_json(c->text.n ? c->text.v + from : "", c->text.n - from),
                     "annotations", "logprobs", logprobs);
}

static json_t *message_item(const cop_choice *c, int part, size_t from, const char *status, bool with_content) {
    char id[80];
    item_id(id, c->generation, MESSAGE_ITEM, part);
    bool logprobs = c->generation->question->logprobs >= 0;
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", id, "type", "message", "status", status, "role", "assistant", "content",
                     with_content ? json_pack("[o]", text_part(c, from, logprobs)) : json_array());
}

static json_t *reasoning_item(const cop_choice *c, int part, const char *status, bool with_content) {
    char id[80];
    item_id(id, c->generation, REASONING_ITEM, part);
    json_t *content = with_content ? json_pack("[{s:s, s:o}]", "type", "reasoning_text", "text", cop_clean_json(c->reasoning.v, c->reasoning.n)) : json_array();
    return json_pack("{s:s, s:s, s:s, s:[], s:o}", "id", id, "type", "reasoning", "status", status, "summary", "content", content);
}

static json_t *call_item(const cop_choice *c, int part, size_t i, const char *status) {
    const cop_written_call *k = &c->calls.v[i];
    char id[80];
    item_id(id, c->generation, CALL_ITEM, part);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", id, "type", "function_call", "status", status, "call_id", k->id, "name", k->name,
                     "arguments", cop_clean_json(k->arguments.v, k->arguments.n));
}

static json_t *output_json(const cop_choice *c) {
    json_t *list = json_array();
    int part = 0;
    if (c->reasoning.n) json_array_append_new(list, reasoning_item(c, part++, "completed", true));
    if (c->text.n || !c->calls.n) json_array_append_new(list, message_item(c, part++, 0, "completed", true));
    for (size_t i = 0; i < c->calls.n; i++) json_array_append_new(list, call_item(c, part++, i, "completed"));
    return list;
}

// ---- the response ----

static json_t *copy_or(const cop_question *q, const char *key, json_t *fallback) {
    json_t *v = json_object_get(q->body, key);
    if (!v) return fallback;
    json_decref(fallback);
    return json_incref(v);
}

// Takes output.
static json_t *response_json(const cop_generation *g, const char *status, json_t *output, bool ended) {
    const cop_question *q = g->question;
    const cop_choice *c = &g->choices[0];
    bool cut = ended && c->finish != COP_FINISH_STOP;
    json_t *v = json_pack("{s:s, s:s, s:I, s:s, s:n, s:o, s:s, s:o, s:f, s:f, s:b, s:o}", "id", g->id, "object", "response", "created_at",
                          (json_int_t)g->created, "status", cut && !strcmp(status, "completed") ? "incomplete" : status, "error",
                          "incomplete_details", cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null(), "model", g->server->name,
                          "output", output, "temperature", (double)q->session.temp, "top_p", (double)q->session.top_p, "parallel_tool_calls",
                          !q->one_call, "usage", ended ? usage_json(g) : json_null());
    if (!v) return NULL;
    json_object_set_new(v, "instructions", copy_or(q, "instructions", json_null()));
    json_object_set_new(v, "max_output_tokens", copy_or(q, "max_output_tokens", json_null()));
    json_object_set_new(v, "metadata", copy_or(q, "metadata", json_object()));
    json_object_set_new(v, "tools", copy_or(q, "tools", json_array()));
    json_object_set_new(v, "tool_choice", copy_or(q, "tool_choice", json_string("auto")));
    json_object_set_new(v, "text", copy_or(q, "text", json_pack("{s:{s:s}}", "format", "type", "text")));
    json_object_set_new(v, "reasoning", copy_or(q, "reasoning", json_pack("{s:n, s:n}", "effort", "summary")));
    json_object_set_new(v, "previous_response_id", json_null());
    json_object_set_new(v, "store", json_false());
    json_object_set_new(v, "truncation", json_string("disabled"));
    if (ended) json_object_set_new(v, "coppice", cop_drafting_json(c));
    return v;
}

static json_t *whole(cop_generation *g) { return response_json(g, "completed", output_json(&g->choices[0]), true); }

// ---- a stream ----

// Takes the value, which gets its type and number.
static cop_status tell(cop_generation *g, const char *type, json_t *v, cop_char_array *out) {
    if (v) json_object_set_new(v, "type", json_string(type));
    if (v) json_object_set_new(v, "sequence_number", json_integer((json_int_t)g->sequence++));
    return cop_append_event(out, type, v);
}

static cop_status begin(cop_generation *g, cop_char_array *out) {
    COP_TRY(tell(g, "response.created", json_pack("{s:o}", "response", response_json(g, "in_progress", json_array(), false)), out));
    return tell(g, "response.in_progress", json_pack("{s:o}", "response", response_json(g, "in_progress", json_array(), false)), out);
}

static cop_status close_message(cop_generation *g, cop_choice *c, const char *id, cop_char_array *out) {
    bool logprobs = g->question->logprobs >= 0;
    json_t *part = text_part(c, c->part_start, logprobs);
    cop_status st = tell(g, "response.output_text.done", json_pack("{s:s, s:i, s:i, s:O, s:O}", "item_id", id, "output_index", c->part, "content_index", 0,
                         "text", json_object_get(part, "text"), "logprobs", json_object_get(part, "logprobs")), out);
    if (!st) st = tell(g, "response.content_part.done", json_pack("{s:s, s:i, s:i, s:O}", "item_id", id, "output_index", c->part, "content_index", 0, "part", part), out);
    json_decref(part);
    if (st) return st;
    return tell(g, "response.output_item.done",
                json_pack("{s:i, s:o}", "output_index", c->part, "item", message_item(c, c->part, c->part_start, "completed", true)), out);
}

static cop_status close_reasoning(cop_generation *g, cop_choice *c, const char *id, cop_char_array *out) {
    COP_TRY(tell(g, "response.reasoning_text.done", json_pack("{s:s, s:i, s:i, s:o}", "item_id", id, "output_index", c->part, "content_index", 0, "text",
                 cop_clean_json(c->reasoning.v, c->reasoning.n)), out));
    return tell(g, "response.output_item.done", json_pack("{s:i, s:o}", "output_index", c->part, "item", reasoning_item(c, c->part, "completed", true)), out);
}

static cop_status close_call(cop_generation *g, cop_choice *c, const char *id, cop_char_array *out) {
    const cop_written_call *k = &c->calls.v[c->calls.n - 1];
    COP_TRY(tell(g, "response.function_call_arguments.done", json_pack("{s:s, s:i, s:s, s:o}", "item_id", id, "output_index", c->part, "name", k->name,
                 "arguments", cop_clean_json(k->arguments.v, k->arguments.n)), out));
    return tell(g, "response.output_item.done", json_pack("{s:i, s:o}", "output_index", c->part, "item", call_item(c, c->part, c->calls.n - 1, "completed")), out);
}

static cop_status close_item(cop_generation *g, cop_choice *c, cop_char_array *out) {
    char id[80];
    if (!c->open) return COP_OK;
    c->open = false;
    item_id(id, g, c->kind, c->part);
    if (c->kind == MESSAGE_ITEM) return close_message(g, c, id, out);
    return c->kind == REASONING_ITEM ? close_reasoning(g, c, id, out) : close_call(g, c, id, out);
}

static cop_status open_item(cop_generation *g, cop_choice *c, int kind, cop_char_array *out) {
    char id[80];
    json_t *item;
    c->open = true;
    c->kind = kind;
    c->part++;
    item_id(id, g, kind, c->part);
    if (kind == MESSAGE_ITEM) item = message_item(c, c->part, 0, "in_progress", false);
    else if (kind == REASONING_ITEM) item = reasoning_item(c, c->part, "in_progress", false);
    else item = call_item(c, c->part, c->calls.n - 1, "in_progress");
    COP_TRY(tell(g, "response.output_item.added", json_pack("{s:i, s:o}", "output_index", c->part, "item", item), out));
    if (kind != MESSAGE_ITEM) return COP_OK;
    json_t *part = json_pack("{s:s, s:s, s:[], s:[]}", "type", "output_text", "text", "", "annotations", "logprobs");
    return tell(g, "response.content_part.added", json_pack("{s:s, s:i, s:i, s:o}", "item_id", id, "output_index", c->part, "content_index", 0, "part", part), out);
}

static cop_status need_item(cop_generation *g, cop_choice *c, int kind, size_t start, cop_char_array *out) {
    if (c->open && c->kind == kind) return COP_OK;
    c->text.n -= kind == MESSAGE_ITEM ? start : 0;  // the piece is already in the text, and belongs to the new item
    cop_status st = close_item(g, c, out);
    c->part_start = c->text.n;
    c->text.n += kind == MESSAGE_ITEM ? start : 0;
    return st ? st : open_item(g, c, kind, out);
}

static cop_status piece(cop_generation *g, cop_choice *c, const cop_tool_event *e, cop_char_array *out) {
    char id[80];
    json_t *logprobs;
    switch (e->kind) {
    case COP_TOOL_CONTENT:
        COP_TRY(need_item(g, c, MESSAGE_ITEM, e->bytes, out));
        item_id(id, g, MESSAGE_ITEM, c->part);
        logprobs = g->question->logprobs < 0 ? json_array() : cop_logprobs_json(c, c->told, c->tokens.n, false);
        c->told = c->tokens.n;
        return tell(g, "response.output_text.delta", json_pack("{s:s, s:i, s:i, s:o, s:o}", "item_id", id, "output_index", c->part, "content_index", 0,
                    "delta", cop_clean_json(e->text, e->bytes), "logprobs", logprobs), out);
    case COP_TOOL_REASONING:
        COP_TRY(need_item(g, c, REASONING_ITEM, 0, out));
        item_id(id, g, REASONING_ITEM, c->part);
        return tell(g, "response.reasoning_text.delta", json_pack("{s:s, s:i, s:i, s:o}", "item_id", id, "output_index", c->part, "content_index", 0,
                    "delta", cop_clean_json(e->text, e->bytes)), out);
    case COP_TOOL_CALL:
        COP_TRY(close_item(g, c, out));
        return open_item(g, c, CALL_ITEM, out);
    case COP_TOOL_ARGUMENTS:
        item_id(id, g, CALL_ITEM, c->part);
        return tell(g, "response.function_call_arguments.delta", json_pack("{s:s, s:i, s:o}", "item_id", id, "output_index", c->part, "delta",
                    cop_clean_json(e->text, e->bytes)), out);
    case COP_TOOL_CALL_END: return close_item(g, c, out);
    }
    return COP_OK;
}

static cop_status finish(cop_generation *g, cop_choice *c, cop_char_array *out) {
    if (c->part < 0) COP_TRY(open_item(g, c, MESSAGE_ITEM, out));
    return close_item(g, c, out);
}

static cop_status end(cop_generation *g, cop_char_array *out) {
    const char *type = g->choices[0].finish == COP_FINISH_STOP ? "response.completed" : "response.incomplete";
    return tell(g, type, json_pack("{s:o}", "response", response_json(g, "completed", output_json(&g->choices[0]), true)), out);
}

static cop_status failed(cop_generation *g, cop_char_array *out) {
    json_t *v = response_json(g, "failed", json_array(), false);
    if (v) json_object_set_new(v, "error", json_pack("{s:s, s:o}", "code", "server_error", "message", cop_clean_json(g->error, strlen(g->error))));
    return tell(g, "response.failed", json_pack("{s:o}", "response", v), out);
}

static const cop_form form = {.dialect = COP_DIALECT_OPENAI,
                              .prefix = "resp_",
                              .begin = begin,
                              .piece = piece,
                              .finish = finish,
                              .end = end,
                              .failed = failed,
                              .whole = whole};

void cop_serve_responses(cop_exchange *x) {
    cop_question *q = cop_read_question(x, cop_question_responses);
    if (q) cop_answer(x, q, &form);
}
