// The fields of OpenAI's responses form, turned into those of its chat form: items to messages, flat tools to nested.
#include <string.h>

#include "serve/exchange.h"
#include "serve/question.h"

static cop_status no_memory(void) { return cop_fail(COP_ERR_NOMEM, "input: cannot allocate"); }

static cop_status append(json_t *list, json_t *value) { return value && !json_array_append_new(list, value) ? COP_OK : no_memory(); }

// ---- items ----

// Calls that follow one another are one message.
static cop_status add_call(const json_t *item, size_t i, json_t *list) {
    const char *id = json_string_value(cop_json_member(item, "call_id")), *name = json_string_value(cop_json_member(item, "name"));
    const char *arguments = json_string_value(cop_json_member(item, "arguments"));
    if (!id || !name || !arguments) return cop_fail(COP_ERR_ARG, "input[%zu]: function_call needs call_id, name and arguments", i);
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id, "type", "function", "function", "name", name, "arguments", arguments);
    json_t *last = json_array_get(list, json_array_size(list) - 1), *calls = cop_json_member(last, "tool_calls");
    if (json_array_size(list) && calls) return append(calls, call);
    return append(list, json_pack("{s:s, s:s, s:[o]}", "role", "assistant", "content", "", "tool_calls", call));
}

static cop_status add_output(const json_t *item, size_t i, json_t *list) {
    const char *id = json_string_value(cop_json_member(item, "call_id"));
    json_t *output = cop_json_member(item, "output");
    if (!id || !output) return cop_fail(COP_ERR_ARG, "input[%zu]: function_call_output needs call_id and output", i);
    return append(list, json_pack("{s:s, s:s, s:O}", "role", "tool", "tool_call_id", id, "content", output));
}

static cop_status add_item(const json_t *item, size_t i, json_t *list) {
    const char *type = json_string_value(cop_json_member(item, "type")), *role = json_string_value(cop_json_member(item, "role"));
    json_t *content = cop_json_member(item, "content");
    if (!json_is_object(item)) return cop_fail(COP_ERR_ARG, "input[%zu]: must be an object", i);
    if (type && !strcmp(type, "function_call")) return add_call(item, i, list);
    if (type && !strcmp(type, "function_call_output")) return add_output(item, i, list);
    if (type && !strcmp(type, "reasoning")) return COP_OK;
    if (type && strcmp(type, "message") != 0) return cop_fail(COP_ERR_ARG, "input[%zu]: type %.40s is not supported", i, type);
    if (!role || !content) return cop_fail(COP_ERR_ARG, "input[%zu]: needs role and content", i);
    return append(list, json_pack("{s:s, s:O}", "role", role, "content", content));
}

static cop_status read_input(cop_question *q, json_t *list) {
    json_t *input = cop_json_member(q->body, "input");
    const char *instructions = NULL;
    COP_TRY(cop_read_text(q, q->body, "instructions", &instructions));
    if (instructions) COP_TRY(append(list, json_pack("{s:s, s:s}", "role", "system", "content", instructions)));
    q->field = "input";
    if (json_is_string(input)) return append(list, json_pack("{s:s, s:O}", "role", "user", "content", input));
    if (!json_is_array(input) || !json_array_size(input)) return cop_fail(COP_ERR_ARG, "input: must be a text or a list of items, not empty");
    for (size_t i = 0; i < json_array_size(input); i++) COP_TRY(add_item(json_array_get(input, i), i, list));
    return COP_OK;
}

// ---- the rest ----

static cop_status read_tools(cop_question *q) {
    const json_t *tools = cop_json_member(q->body, "tools");
    q->field = "tools";
    if (tools && !json_is_array(tools)) return cop_fail(COP_ERR_ARG, "tools: must be a list");
    if (!tools || !json_array_size(tools)) return cop_read_tools(q);
    if (!(q->tools = json_array())) return no_memory();
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *type = json_string_value(cop_json_member(tool, "type")), *name = json_string_value(cop_json_member(tool, "name"));
        if (!type || strcmp(type, "function") != 0) return cop_fail(COP_ERR_ARG, "tools[%zu]: type %.40s, must be function", i, type ? type : "?");
        if (!name) return cop_fail(COP_ERR_ARG, "tools[%zu]: has no name", i);
        COP_TRY(append(q->tools, json_pack("{s:s, s:{s:s, s:O*, s:O*}}", "type", "function", "function", "name", name, "description",
                                           cop_json_member(tool, "description"), "parameters", cop_json_member(tool, "parameters"))));
    }
    return cop_read_tools(q);
}

static cop_status read_format(cop_question *q) {
    const json_t *text = cop_json_member(q->body, "text");
    q->field = "text";
    if (text && !json_is_object(text)) return cop_fail(COP_ERR_ARG, "text: must be an object");
    return cop_response_format(q, cop_json_member(text, "format"));
}

static cop_status read_logprobs(cop_question *q) {
    const json_t *include = cop_json_member(q->body, "include");
    int top = 0;
    COP_TRY(cop_read_int(q, q->body, "top_logprobs", 0, COP_MAX_LOGPROBS, &top));
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *what = json_string_value(json_array_get(include, i));
        if (what && !strcmp(what, "message.output_text.logprobs")) q->logprobs = top;
    }
    return COP_OK;
}

cop_status cop_question_responses(cop_question *q) {
    json_t *b = q->body;
    COP_TRY(cop_question_common(q));
    q->n = 1;
    q->field = "previous_response_id";
    if (cop_json_member(b, "previous_response_id"))
        return cop_fail(COP_ERR_ARG, "previous_response_id: replies are not kept here; send the whole conversation as input");
    COP_TRY(cop_read_int(q, b, "max_output_tokens", 1, 1 << 22, &q->max_tokens));
    COP_TRY(read_format(q));
    COP_TRY(read_logprobs(q));
    COP_TRY(read_tools(q));
    json_t *list = json_array();
    cop_status st = list ? read_input(q, list) : no_memory();
    if (!st) st = cop_question_add_chat(q, list, cop_json_member(b, "chat_template_kwargs"));
    json_decref(list);
    return st;
}
