// The fields of Anthropic's form, turned into OpenAI's: blocks to messages, tools to functions.
#include <string.h>

#include "serve/exchange.h"
#include "serve/question.h"

static cop_status no_memory(void) { return cop_fail(COP_ERR_NOMEM, "messages: cannot allocate"); }

static cop_status append(json_t *list, json_t *value) { return value && !json_array_append_new(list, value) ? COP_OK : no_memory(); }

// A text, or a list of blocks that are texts, as one text.
static cop_status join_blocks(const char *what, const json_t *content, cop_char_array *out) {
    if (json_is_string(content)) return cop_append(out, json_string_value(content), json_string_length(content));
    if (!json_is_array(content)) return cop_fail(COP_ERR_ARG, "%s: must be a text or a list of blocks", what);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *block = json_array_get(content, i), *text = cop_json_member(block, "text");
        const char *type = json_string_value(cop_json_member(block, "type"));
        if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
            return cop_fail(COP_ERR_ARG, "%s[%zu]: type %.40s is not supported, only text is", what, i, type ? type : "?");
        COP_TRY(cop_append(out, json_string_value(text), json_string_length(text)));
    }
    return COP_OK;
}

static json_t *text_json(const cop_char_array *text) { return json_stringn(text->v ? text->v : "", text->n); }

static cop_status add_system(const json_t *system, json_t *list) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    if (!system) return COP_OK;
    cop_status st = join_blocks("system", system, &text);
    if (!st && text.n) st = append(list, json_pack("{s:s, s:o}", "role", "system", "content", text_json(&text)));
    cop_array_fini(&text);
    return st;
}

// ---- blocks ----

typedef struct blocks {
    cop_char_array text, thinking;
    json_t *calls;   // OpenAI's
    json_t *list;    // where results go, messages of their own
} blocks;

static cop_status add_call(blocks *b, const json_t *block, size_t m, size_t i) {
    const char *id = json_string_value(cop_json_member(block, "id")), *name = json_string_value(cop_json_member(block, "name"));
    json_t *input = cop_json_member(block, "input");
    if (!id || !name || !json_is_object(input)) return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: tool_use needs id, name and input", m, i);
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_status st = cop_append_json(&text, json_incref(input));
    if (!st) st = append(b->calls, json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name", name, "arguments", text_json(&text)));
    cop_array_fini(&text);
    return st;
}

static cop_status add_result(blocks *b, const json_t *block, size_t m, size_t i) {
    const char *id = json_string_value(cop_json_member(block, "tool_use_id"));
    const json_t *content = cop_json_member(block, "content");
    cop_char_array text = {.most = SIZE_MAX / 8};
    if (!id) return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: tool_result needs tool_use_id", m, i);
    cop_status st = content ? join_blocks("tool_result.content", content, &text) : COP_OK;
    if (!st) st = append(b->list, json_pack("{s:s, s:s, s:o}", "role", "tool", "tool_call_id", id, "content", text_json(&text)));
    cop_array_fini(&text);
    return st;
}

static cop_status add_block(blocks *b, const json_t *block, size_t m, size_t i) {
    const char *type = json_string_value(cop_json_member(block, "type"));
    const json_t *text = cop_json_member(block, "text"), *thinking = cop_json_member(block, "thinking");
    if (!type) return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: has no type", m, i);
    if (!strcmp(type, "text") && json_is_string(text)) return cop_append(&b->text, json_string_value(text), json_string_length(text));
    if (!strcmp(type, "thinking")) return cop_append(&b->thinking, json_string_value(thinking), json_string_length(thinking));
    if (!strcmp(type, "redacted_thinking")) return COP_OK;
    if (!strcmp(type, "tool_use")) return add_call(b, block, m, i);
    if (!strcmp(type, "tool_result")) return add_result(b, block, m, i);
    return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: type %.40s is not supported", m, i, type);
}

static cop_status put_message(blocks *b, const char *role) {
    size_t calls = json_array_size(b->calls);
    if (!b->text.n && !calls && !b->thinking.n && !strcmp(role, "user")) return COP_OK;  // results only
    json_t *message = json_pack("{s:s, s:o}", "role", role, "content", text_json(&b->text));
    cop_status st = append(b->list, message);
    if (!st && calls && json_object_set(message, "tool_calls", b->calls)) st = no_memory();
    if (!st && b->thinking.n && json_object_set_new(message, "reasoning_content", text_json(&b->thinking))) st = no_memory();
    return st;
}

static cop_status add_message(const json_t *message, size_t m, json_t *list) {
    const char *role = json_string_value(cop_json_member(message, "role"));
    const json_t *content = cop_json_member(message, "content");
    if (!role || (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0 && strcmp(role, "system") != 0))
        return cop_fail(COP_ERR_ARG, "messages[%zu].role: must be user or assistant", m);
    if (json_is_string(content)) return append(list, json_pack("{s:s, s:O}", "role", role, "content", content));
    if (!json_is_array(content)) return cop_fail(COP_ERR_ARG, "messages[%zu].content: must be a text or a list of blocks", m);
    blocks b = {.text.most = SIZE_MAX / 8, .thinking.most = SIZE_MAX / 8, .calls = json_array(), .list = list};
    cop_status st = b.calls ? COP_OK : no_memory();
    for (size_t i = 0; !st && i < json_array_size(content); i++) st = add_block(&b, json_array_get(content, i), m, i);
    if (!st) st = put_message(&b, role);
    cop_array_fini(&b.text);
    cop_array_fini(&b.thinking);
    json_decref(b.calls);
    return st;
}

// ---- tools ----

static cop_status read_tools(cop_question *q) {
    const json_t *tools = cop_json_member(q->body, "tools");
    q->field = "tools";
    if (!tools) return COP_OK;
    if (!json_is_array(tools)) return cop_fail(COP_ERR_ARG, "tools: must be a list");
    if (!(q->tools = json_array())) return no_memory();
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *name = json_string_value(cop_json_member(tool, "name"));
        json_t *schema = cop_json_member(tool, "input_schema"), *description = cop_json_member(tool, "description");
        if (!name || !json_is_object(schema)) return cop_fail(COP_ERR_ARG, "tools[%zu]: needs name and input_schema", i);
        COP_TRY(append(q->tools, json_pack("{s:s, s:{s:s, s:O*, s:O}}", "type", "function", "function", "name", name, "description", description,
                                           "parameters", schema)));
    }
    if (!json_array_size(q->tools)) {
        json_decref(q->tools);
        q->tools = NULL;
    }
    return COP_OK;
}

static cop_status read_choice(cop_question *q) {
    json_t *choice = cop_json_member(q->body, "tool_choice");
    const char *type = json_string_value(cop_json_member(choice, "type"));
    q->field = "tool_choice";
    if (!choice) return COP_OK;
    if (!type) return cop_fail(COP_ERR_ARG, "tool_choice: has no type");
    q->one_call = strcmp(type, "any") == 0 || strcmp(type, "tool") == 0;
    COP_TRY(cop_read_bool(q, choice, "disable_parallel_tool_use", &q->one_call));
    q->field = "tool_choice";
    if (!strcmp(type, "none")) q->tool_choice = COP_TOOLS_NONE;
    else if (!strcmp(type, "any") || !strcmp(type, "tool")) q->tool_choice = COP_TOOLS_REQUIRED;
    else if (strcmp(type, "auto") != 0) return cop_fail(COP_ERR_ARG, "tool_choice: type %.40s, must be auto, any, tool or none", type);
    if (!strcmp(type, "tool")) q->tool_only = json_string_value(cop_json_member(choice, "name"));
    if (!strcmp(type, "tool") && !q->tool_only) return cop_fail(COP_ERR_ARG, "tool_choice: has no name");
    if (q->tool_choice == COP_TOOLS_REQUIRED && !q->tools) return cop_fail(COP_ERR_ARG, "tool_choice: %s without tools", type);
    return COP_OK;
}

// Thinking that is switched on or off, for templates that can.
static json_t *thinking_json(const cop_question *q) {
    const char *type = json_string_value(cop_json_member(cop_json_member(q->body, "thinking"), "type"));
    return type ? json_pack("{s:b}", "enable_thinking", !strcmp(type, "enabled") || !strcmp(type, "adaptive")) : NULL;
}

cop_status cop_question_messages(cop_question *q) {
    json_t *b = q->body, *messages = cop_json_member(b, "messages");
    COP_TRY(cop_question_common(q));
    COP_TRY(cop_read_stop(q, "stop_sequences"));
    q->n = 1;
    COP_TRY(read_tools(q));
    COP_TRY(read_choice(q));
    q->field = "messages";
    if (!json_is_array(messages) || !json_array_size(messages)) return cop_fail(COP_ERR_ARG, "messages: must be a list, not empty");
    json_t *list = json_array(), *extras = thinking_json(q);
    cop_status st = list ? add_system(cop_json_member(b, "system"), list) : no_memory();
    for (size_t m = 0; !st && m < json_array_size(messages); m++) st = add_message(json_array_get(messages, m), m, list);
    if (!st) st = cop_question_add_chat(q, list, extras);
    json_decref(list);
    json_decref(extras);
    return st;
}
