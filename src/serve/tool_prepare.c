// Conversations with tools, made what a template expects. Templates differ in what they know: most render tools and
// calls and want arguments as objects; others know nothing of them, and then it is said in words.
#include <string.h>

#include "serve/tools_private.h"

static cop_status check_tool(const json_t *tool, size_t i) {
    const json_t *f = cop_tool_function(tool), *name = json_object_get(f, "name"), *parameters = json_object_get(f, "parameters");
    const char *type = json_string_value(json_object_get(tool, "type"));
    if (!json_is_object(tool)) return cop_fail(COP_ERR_ARG, "tools[%zu]: an object is expected", i);
    if (type && strcmp(type, "function")) return cop_fail(COP_ERR_ARG, "tools[%zu]: type \"%.40s\", only \"function\" is there", i, type);
    if (!json_is_string(name) || !json_string_length(name)) return cop_fail(COP_ERR_ARG, "tools[%zu]: function.name, a text, is missing", i);
    size_t n = strspn(json_string_value(name), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/");
    if (n != json_string_length(name) || n > 128)
        return cop_fail(COP_ERR_ARG, "tools[%zu]: function.name: at most 128 letters, digits and _ - . : / are expected", i);
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return cop_fail(COP_ERR_ARG, "tools[%zu] (%s): function.parameters: a JSON Schema, an object, is expected", i, json_string_value(name));
    return COP_OK;
}

static cop_status check_tools(const json_t *tools) {
    if (tools && !json_is_null(tools) && !json_is_array(tools)) return cop_fail(COP_ERR_ARG, "tools: a list is expected");
    for (size_t i = 0; i < json_array_size(tools); i++) COP_TRY(check_tool(json_array_get(tools, i), i));
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *name = json_string_value(json_object_get(cop_tool_function(json_array_get(tools, i)), "name"));
        if (cop_tool_named(tools, name) != cop_tool_function(json_array_get(tools, i)))
            return cop_fail(COP_ERR_ARG, "tools[%zu]: a second function %s", i, name);
    }
    return COP_OK;
}

// Clients send the arguments of earlier calls as JSON texts; templates write them with tojson.
static cop_status open_arguments(json_t *message) {
    json_t *calls = json_object_get(message, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *call = json_array_get(calls, i), *f = json_object_get(call, "function");
        if (!json_is_object(f)) f = call;
        const json_t *text = json_object_get(f, "arguments");
        if (!json_is_string(text)) continue;
        json_t *object = json_loadb(json_string_value(text), json_string_length(text), 0, NULL);
        if (!object && !json_string_length(text)) object = json_object();
        if (json_is_object(object) && json_object_set(f, "arguments", object)) {
            json_decref(object);
            return cop_fail(COP_ERR_NOMEM, "no memory for a call's arguments");
        }
        json_decref(object);
    }
    return COP_OK;
}

// ---- in words, for templates that know nothing of tools ----

static int say_part(const char *text, size_t bytes, void *out) {
    cop_char_array *a = out;
    if (cop_array_reserve(a, bytes + 1)) return -1;
    memcpy(a->v + a->n, text, bytes);
    a->n += bytes;
    a->v[a->n] = 0;
    return 0;
}

static cop_status say(cop_char_array *out, const char *text) {
    return say_part(text, strlen(text), out) ? cop_array_grow_status() : COP_OK;
}

static cop_status say_json(cop_char_array *out, const json_t *value) {
    if (json_dump_callback(value, say_part, out, JSON_ENCODE_ANY)) return cop_fail(COP_ERR_NOMEM, "no memory for JSON");
    return COP_OK;
}

// One call as the format writes it.
static cop_status say_call(cop_char_array *out, const cop_tool_format *f, const char *name, const char *arguments) {
    const char *parts[] = {f->first, f->open, name, f->middle, arguments, f->close, f->last};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) COP_TRY(say(out, parts[i]));
    return COP_OK;
}

static cop_status describe_tools(cop_char_array *out, const json_t *tools, const cop_tool_format *f) {
    COP_TRY(say(out, "You can call these functions, one JSON object in each line:\n"));
    for (size_t i = 0; i < json_array_size(tools); i++) {
        COP_TRY(say_json(out, cop_tool_function(json_array_get(tools, i))));
        COP_TRY(say(out, "\n"));
    }
    COP_TRY(say(out, "To call a function, write its name and its arguments, a JSON object, exactly in this form:\n"));
    COP_TRY(say_call(out, f, "NAME", "{\"ARGUMENT\": VALUE}"));
    return say(out, "\nThe result comes in the next message. Call a function only when it helps; otherwise answer in words.");
}

static cop_status set_text(json_t *message, const char *key, const char *text) {
    if (json_object_set_new(message, key, json_string(text))) return cop_fail(COP_ERR_NOMEM, "no memory for a message");
    return COP_OK;
}

// The text of a message: a text, or a list of parts of which the texts count.
static cop_status say_content(cop_char_array *out, const json_t *message) {
    const json_t *content = json_object_get(message, "content");
    if (json_is_string(content)) return say(out, json_string_value(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(content, i), "text"));
        if (text) COP_TRY(say(out, text));
    }
    return COP_OK;
}

static cop_status add_to_system(json_t *messages, const char *text) {
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    if (!role || (strcmp(role, "system") && strcmp(role, "developer"))) {
        if (json_array_insert_new(messages, 0, json_pack("{s:s, s:s}", "role", "system", "content", text)))
            return cop_fail(COP_ERR_NOMEM, "no memory for a message");
        return COP_OK;
    }
    cop_char_array all = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = say_content(&all, first);
    if (!st && all.n) st = say(&all, "\n\n");
    if (!st) st = say(&all, text);
    if (!st) st = set_text(first, "content", all.v);
    cop_array_fini(&all);
    return st;
}

static cop_status say_arguments(cop_char_array *out, const cop_tool_format *f, const json_t *arguments) {
    const char *key;
    json_t *value;
    bool first = true;
    if (f->style != COP_CALL_PYTHON) return arguments ? say_json(out, arguments) : say(out, "{}");
    COP_TRY(say(out, ""));
    json_object_foreach((json_t *)arguments, key, value) {
        if (!first) COP_TRY(say(out, ", "));
        COP_TRY(say(out, key));
        COP_TRY(say(out, "="));
        COP_TRY(say_json(out, value));
        first = false;
    }
    return COP_OK;
}

static cop_status say_calls(json_t *message, const cop_tool_format *f, cop_char_array *out) {
    const json_t *calls = json_object_get(message, "tool_calls");
    COP_TRY(say_content(out, message));
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *function = cop_tool_function(json_array_get(calls, i)), *arguments = json_object_get(function, "arguments");
        const char *name = json_string_value(json_object_get(function, "name"));
        if (!name) continue;
        cop_char_array text = {.most = COP_JINJA_MOST_TEMPLATE * 16};
        cop_status st = say_arguments(&text, f, arguments);
        if (!st && out->n) st = say(out, "\n");
        if (!st) st = say_call(out, f, name, text.v);
        cop_array_fini(&text);
        if (st) return st;
    }
    COP_TRY(set_text(message, "content", out->n ? out->v : ""));
    json_object_del(message, "tool_calls");
    return COP_OK;
}

static cop_status say_result(json_t *message, cop_char_array *out) {
    COP_TRY(say(out, "<tool_response>\n"));
    COP_TRY(say_content(out, message));
    COP_TRY(say(out, "\n</tool_response>"));
    COP_TRY(set_text(message, "role", "user"));
    return set_text(message, "content", out->v);
}

// Results that follow one another become one message: many templates want user and assistant in turn.
static cop_status join_results(json_t *messages, size_t i) {
    json_t *before = json_array_get(messages, i - 1), *now = json_array_get(messages, i);
    cop_char_array all = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = say_content(&all, before);
    if (!st) st = say(&all, "\n");
    if (!st) st = say_content(&all, now);
    if (!st) st = set_text(before, "content", all.v);
    if (!st) json_array_remove(messages, i);
    cop_array_fini(&all);
    return st;
}

static cop_status say_messages(json_t *messages, const cop_tool_format *f) {
    bool was_result = false;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        bool result = role && !strcmp(role, "tool");
        cop_char_array text = {.most = COP_JINJA_MOST_TEMPLATE * 16};
        cop_status st = COP_OK;
        if (json_array_size(json_object_get(message, "tool_calls"))) st = say_calls(message, f, &text);
        if (result) st = say_result(message, &text);
        cop_array_fini(&text);
        if (!st && result && was_result) st = join_results(messages, i--);
        if (st) return st;
        was_result = result;
    }
    return COP_OK;
}

// Phi-4-mini's template takes the tools as a text of the system message.
static cop_status give_to_system(json_t *conversation, json_t *tools) {
    json_t *messages = json_object_get(conversation, "messages"), *list = json_array();
    for (size_t i = 0; i < json_array_size(tools); i++)
        json_array_append(list, (json_t *)cop_tool_function(json_array_get(tools, i)));
    cop_char_array text = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = say_json(&text, list);
    json_decref(list);
    const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    if (!st && (!role || strcmp(role, "system"))) st = add_to_system(messages, "You are a helpful assistant with some tools.");
    if (!st) st = set_text(json_array_get(messages, 0), "tools", text.v);
    cop_array_fini(&text);
    return st;
}

cop_status cop_tool_prepare(json_t *conversation, const char *template, const cop_tool_format *format) {
    json_t *messages = json_object_get(conversation, "messages"), *tools = json_object_get(conversation, "tools");
    if (!json_is_array(messages)) return cop_fail(COP_ERR_ARG, "messages: a list is expected");
    COP_TRY(check_tools(tools));
    for (size_t i = 0; i < json_array_size(messages); i++) COP_TRY(open_arguments(json_array_get(messages, i)));
    if (!template) template = "";
    bool knows_calls = strstr(template, "tool_calls") != NULL;
    bool knows_tools = strstr(template, "tools") != NULL;
    if (!knows_calls) COP_TRY(say_messages(messages, format));
    if (!json_array_size(tools)) return COP_OK;
    if (strstr(template, "xml_tools") && json_object_set(conversation, "xml_tools", tools))
        return cop_fail(COP_ERR_NOMEM, "no memory for a conversation");
    if (strstr(template, "'tools' in message")) return give_to_system(conversation, tools);
    if (knows_tools) return COP_OK;
    cop_char_array text = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = describe_tools(&text, tools, format);
    if (!st) st = add_to_system(messages, text.v);
    cop_array_fini(&text);
    return st;
}
