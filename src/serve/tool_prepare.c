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

static bool has_role(const json_t *message, const char *role) {
    const char *is = json_string_value(json_object_get(message, "role"));
    return is && !strcmp(is, role);
}

static cop_status set_text(json_t *message, const char *key, const char *text) {
    if (json_object_set_new(message, key, json_string(text))) return cop_fail(COP_ERR_NOMEM, "no memory for a message");
    return COP_OK;
}

// Clients send the arguments of earlier calls as JSON texts; templates write them with tojson. They want a content, too.
static cop_status open_arguments(json_t *message) {
    json_t *calls = json_object_get(message, "tool_calls"), *content = json_object_get(message, "content");
    if (json_array_size(calls) && (!content || json_is_null(content))) COP_TRY(set_text(message, "content", ""));
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

static cop_status say(cop_char_array *out, const char *text) {
    size_t n = strlen(text);
    COP_TRY(cop_array_reserve(out, n + 1));
    memcpy(out->v + out->n, text, n);
    out->n += n;
    out->v[out->n] = 0;
    return COP_OK;
}

static cop_status say_json(cop_char_array *out, const json_t *value) {
    COP_TRY(cop_json_put_value(out, value));
    return say(out, "");
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

// Put a text behind the system message, or before the first message where a template knows no system.
static cop_status add_to_system(json_t *messages, const char *template, const char *text) {
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    bool system = role && (!strcmp(role, "system") || !strcmp(role, "developer"));
    bool knows = !strstr(template, "System role not supported");
    if (!system && (knows || !role || strcmp(role, "user"))) {
        if (json_array_insert_new(messages, 0, json_pack("{s:s, s:s}", "role", "system", "content", text)))
            return cop_fail(COP_ERR_NOMEM, "no memory for a message");
        return COP_OK;
    }
    cop_char_array all = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = system ? say_content(&all, first) : say(&all, text);
    if (!st && all.n) st = say(&all, "\n\n");
    if (!st) st = system ? say(&all, text) : say_content(&all, first);
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
        bool result = has_role(message, "tool");
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

// The result of a call among those that follow its message: the one with its id, else the next one without.
static size_t find_result(const json_t *results, const json_t *call) {
    const char *id = json_string_value(json_object_get(call, "id"));
    for (size_t i = 0; i < json_array_size(results); i++) {
        const char *of = json_string_value(json_object_get(json_array_get(results, i), "tool_call_id"));
        if (!of || (id && !strcmp(of, id))) return i;
    }
    return json_array_size(results);
}

// Llama's templates take one call in a message: those of one message become messages, each before its result.
static cop_status part_calls(json_t *messages) {
    json_t *all = json_array();
    bool failed = !all;
    for (size_t i = 0; i < json_array_size(messages) && !failed; i++) {
        json_t *message = json_array_get(messages, i), *results = json_array();
        const json_t *calls = json_object_get(message, "tool_calls");
        size_t n = json_array_size(calls);
        failed = !results || (n < 2 && json_array_append(all, message));
        while (n >= 2 && !failed && has_role(json_array_get(messages, i + 1), "tool")) failed = json_array_append(results, json_array_get(messages, ++i));
        for (size_t k = 0; k < n && n >= 2 && !failed; k++) {
            json_t *one = json_copy(message), *call = json_array_get(calls, k);
            failed = !one || json_object_set_new(one, "tool_calls", json_pack("[O]", call)) ||
                     (k && json_object_set_new(one, "content", json_string(""))) || json_array_append(all, one);
            json_decref(one);
            size_t r = find_result(results, call);
            if (failed || r == json_array_size(results)) continue;
            failed = json_array_append(all, json_array_get(results, r)) || json_array_remove(results, r);
        }
        failed = failed || json_array_extend(all, results);
        json_decref(results);
    }
    failed = failed || json_array_clear(messages) || json_array_extend(messages, all);
    json_decref(all);
    return failed ? cop_fail(COP_ERR_NOMEM, "no memory for messages") : COP_OK;
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
    if (!st && (!role || strcmp(role, "system"))) st = add_to_system(messages, "", "You are a helpful assistant with some tools.");
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
    else if (strstr(template, "single tool-calls")) COP_TRY(part_calls(messages));
    if (!json_array_size(tools)) return COP_OK;
    if (strstr(template, "xml_tools") && json_object_set(conversation, "xml_tools", tools))
        return cop_fail(COP_ERR_NOMEM, "no memory for a conversation");
    if (strstr(template, "'tools' in message")) return give_to_system(conversation, tools);
    if (knows_tools) return COP_OK;
    cop_char_array text = {.most = COP_JINJA_MOST_TEMPLATE * 16};
    cop_status st = describe_tools(&text, tools, format);
    if (!st) st = add_to_system(messages, template, text.v);
    cop_array_fini(&text);
    return st;
}
