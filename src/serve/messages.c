// Conversations of questions: messages in OpenAI's form, made plain, and rendered by the model's template.
#include <stdio.h>
#include <string.h>

#include "serve/exchange.h"
#include "serve/question.h"

#define MOST_MESSAGES 4096

// ---- messages ----

// The text of one part of a message's content.
static cop_status part_text(const json_t *part, size_t m, size_t i, const char **out, size_t *bytes) {
    const char *type = json_string_value(cop_json_member(part, "type"));
    const json_t *text = json_is_string(part) ? part : cop_json_member(part, "text");
    if (type && !strcmp(type, "refusal")) text = cop_json_member(part, "refusal");
    if (type && strcmp(type, "text") != 0 && strcmp(type, "refusal") != 0 && strcmp(type, "input_text") != 0 && strcmp(type, "output_text") != 0)
        return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: type %.40s is not supported, only text is", m, i, type);
    if (!json_is_string(text)) return cop_fail(COP_ERR_ARG, "messages[%zu].content[%zu]: has no text", m, i);
    *out = json_string_value(text);
    *bytes = json_string_length(text);
    return COP_OK;
}

// Content as one text: templates know no parts.
static cop_status join_content(json_t *message, size_t m) {
    const json_t *content = cop_json_member(message, "content");
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_status st = COP_OK;
    if (!content || json_is_string(content)) return COP_OK;
    if (!json_is_array(content)) return cop_fail(COP_ERR_ARG, "messages[%zu].content: must be a text or a list of parts", m);
    for (size_t i = 0; !st && i < json_array_size(content); i++) {
        const char *piece = "";
        size_t bytes = 0;
        st = part_text(json_array_get(content, i), m, i, &piece, &bytes);
        if (!st) st = cop_append(&text, piece, bytes);
    }
    if (!st && json_object_set_new(message, "content", json_stringn(text.v ? text.v : "", text.n)))
        st = cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
    cop_array_fini(&text);
    return st;
}

static cop_status check_role(json_t *message, size_t m) {
    static const char *const roles[] = {"system", "user", "assistant", "tool", "function", NULL};
    const char *role = json_string_value(json_object_get(message, "role"));
    if (!role) return cop_fail(COP_ERR_ARG, "messages[%zu].role: is missing", m);
    if (!strcmp(role, "developer")) {
        if (json_object_set_new(message, "role", json_string("system"))) return cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
        return COP_OK;
    }
    for (int i = 0; roles[i]; i++)
        if (!strcmp(roles[i], role)) return COP_OK;
    return cop_fail(COP_ERR_ARG, "messages[%zu].role: %.40s, must be system, developer, user, assistant or tool", m, role);
}

static cop_status copy_messages(const json_t *messages, json_t *list) {
    size_t n = json_array_size(messages);
    if (!json_is_array(messages) || !n) return cop_fail(COP_ERR_ARG, "messages: must be a list, not empty");
    if (n > MOST_MESSAGES) return cop_fail(COP_ERR_ARG, "messages: %zu, at most %d", n, MOST_MESSAGES);
    for (size_t m = 0; m < n; m++) {
        if (!json_is_object(json_array_get(messages, m))) return cop_fail(COP_ERR_ARG, "messages[%zu]: must be an object", m);
        json_t *message = json_deep_copy(json_array_get(messages, m));
        if (!message || json_array_append_new(list, message)) return cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
        COP_TRY(check_role(message, m));
        COP_TRY(join_content(message, m));
        const json_t *content = cop_json_member(message, "content");
        if (!content && !cop_json_member(message, "tool_calls") && !cop_json_member(message, "function_call"))
            return cop_fail(COP_ERR_ARG, "messages[%zu].content: is missing", m);
        if (!content && json_object_set_new(message, "content", json_string(""))) return cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
    }
    return COP_OK;
}

// An assistant's text at the end is the beginning of the answer; it leaves the list.
static json_t *take_beginning(json_t *list) {
    size_t n = json_array_size(list);
    json_t *last = json_array_get(list, n - 1), *content = NULL;
    const char *role = json_string_value(json_object_get(last, "role"));
    if (n < 2 || strcmp(role, "assistant") != 0 || cop_json_member(last, "tool_calls")) return NULL;
    content = json_incref(json_object_get(last, "content"));
    json_array_remove(list, n - 1);
    return content;
}

// ---- the text ----

static cop_status add_extras(json_t *conversation, const json_t *extras) {
    const char *key;
    json_t *value;
    if (extras && !json_is_object(extras)) return cop_fail(COP_ERR_ARG, "chat_template_kwargs: must be an object");
    json_object_foreach((json_t *)extras, key, value)
        if (strcmp(key, "messages") != 0 && strcmp(key, "tools") != 0 && json_object_set(conversation, key, value))
            return cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
    return COP_OK;
}

static cop_status render(cop_question *q, json_t *conversation, cop_char_array *out) {
    const cop_served *s = q->served;
    if (!s->chat_template) return cop_fail(COP_ERR_UNSUPPORTED, "the model has no chat template: use /v1/completions");
    COP_TRY(cop_tool_prepare(conversation, s->chat_template, s->format));
    if (s->template) return cop_chat_render_template(s->tokenizer, s->template, s->template_bytes, conversation, NULL, out);
    return cop_chat_render_json(s->tokenizer, conversation, NULL, out);
}

cop_status cop_chat_text(cop_question *q, const json_t *messages, const json_t *extras, cop_char_array *out) {
    bool with_tools = q->tools && json_array_size(q->tools) && q->tool_choice != COP_TOOLS_NONE;
    json_t *list = json_array(), *beginning = NULL;
    json_t *conversation = json_pack("{s:O, s:b}", "messages", list, "add_generation_prompt", 1);
    cop_status st = list && conversation ? COP_OK : cop_fail(COP_ERR_NOMEM, "messages: cannot allocate");
    q->field = "messages";
    if (!st) st = copy_messages(messages, list);
    if (!st) beginning = take_beginning(list);
    if (!st && with_tools && json_object_set(conversation, "tools", q->tools)) st = cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    if (!st) st = add_extras(conversation, extras);
    if (!st) st = render(q, conversation, out);
    if (!st && beginning) st = cop_append(out, json_string_value(beginning), json_string_length(beginning));
    json_decref(beginning);
    json_decref(conversation);
    json_decref(list);
    return st;
}

cop_status cop_question_add_chat(cop_question *q, const json_t *messages, const json_t *extras) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_status st = cop_chat_text(q, messages, extras, &text);
    q->chat = true;
    if (!st) q->reasoning_opened = cop_reasoning_opened(q->served->reasoning, text.v ? text.v : "", text.n);
    if (!st) st = cop_question_add_text(q, text.v ? text.v : "", text.n);
    cop_array_fini(&text);
    return st;
}

// ---- tools ----

static cop_status read_choice(cop_question *q) {
    const json_t *v = cop_json_member(q->body, "tool_choice");
    const char *word = json_string_value(v);
    q->field = "tool_choice";
    if (!v) return COP_OK;
    if (json_is_object(v)) {
        const json_t *function = cop_json_member(v, "function");
        word = json_string_value(cop_json_member(function ? function : v, "name"));
        if (!word) return cop_fail(COP_ERR_ARG, "tool_choice: has no name of a function");
        q->tool_choice = COP_TOOLS_REQUIRED;
        q->tool_only = word;
        for (size_t i = 0; i < json_array_size(q->tools); i++) {
            const char *name = json_string_value(cop_json_member(cop_json_member(json_array_get(q->tools, i), "function"), "name"));
            if (name && !strcmp(name, word)) return COP_OK;
        }
        return cop_fail(COP_ERR_ARG, "tool_choice: no tool is called %.64s", word);
    }
    if (word && !strcmp(word, "auto")) q->tool_choice = COP_TOOLS_AUTO;
    else if (word && !strcmp(word, "none")) q->tool_choice = COP_TOOLS_NONE;
    else if (word && (!strcmp(word, "required") || !strcmp(word, "any"))) q->tool_choice = COP_TOOLS_REQUIRED;
    else return cop_fail(COP_ERR_ARG, "tool_choice: must be auto, none, required or one function");
    if (q->tool_choice == COP_TOOLS_REQUIRED && !json_array_size(q->tools)) return cop_fail(COP_ERR_ARG, "tool_choice: required without tools");
    return COP_OK;
}

cop_status cop_read_tools(cop_question *q) {
    bool parallel;
    q->field = "tools";
    if (!q->tools) {
        json_t *tools = cop_json_member(q->body, "tools");
        if (tools && !json_is_array(tools)) return cop_fail(COP_ERR_ARG, "tools: must be a list");
        if (tools && json_array_size(tools)) q->tools = json_incref(tools);
    }
    COP_TRY(read_choice(q));
    parallel = q->tool_choice != COP_TOOLS_REQUIRED;  // small models do not find an end where nothing but calls may come
    COP_TRY(cop_read_bool(q, q->body, "parallel_tool_calls", &parallel));
    q->one_call = !parallel;
    return COP_OK;
}
