// The formats of tool calls, one row each, and how a model's template tells which is its own.
// Sources: the chat templates that the families publish; what a row does not say is the same for all.
// Not here: formats whose calls are not text between tags (OpenAI's harmony, Gemma 4).
#include <string.h>

#include "serve/tools_private.h"

#define JSON_OPEN "{\"name\": \""
#define JSON_MIDDLE "\", \"arguments\": "
#define JSON_CLOSE "}"
#define LFM2_FORM \
    .first = "<|tool_call_start|>[", .open = "", .middle = "(", .close = ")", .next = ", ", .last = "]<|tool_call_end|>", \
    .trigger = "<|tool_call_start|>"

// The first row whose strings are all in the template is the one.
const cop_tool_format cop_tool_formats[] = {
    {.name = "qwen3-coder", .style = COP_CALL_TAGS, .has = {"<function=", "<parameter="},
     .section = "<tool_call>", .section_end = "</tool_call>", .begin = {"<function="}, .separator = ">", .end = "</function>",
     .key = "<parameter=", .key_end = ">", .value_end = "</parameter>", .lines = true,
     .first = "", .open = "<tool_call>\n<function=", .middle = ">\n", .close = "</function>\n</tool_call>", .next = "\n", .last = "",
     .trigger = "<tool_call>"},
    {.name = "seed-oss", .style = COP_CALL_TAGS, .has = {"<seed:tool_call>"},
     .section = "<seed:tool_call>", .section_end = "</seed:tool_call>", .begin = {"<function="}, .separator = ">", .end = "</function>",
     .key = "<parameter=", .key_end = ">", .value_end = "</parameter>",
     .first = "", .open = "<seed:tool_call>\n<function=", .middle = ">\n", .close = "</function>\n</seed:tool_call>", .next = "\n",
     .last = "", .trigger = "<seed:tool_call>"},
    {.name = "minimax-m2", .style = COP_CALL_TAGS, .has = {"minimax:tool_call", "<invoke name="},
     .section = "<minimax:tool_call>", .section_end = "</minimax:tool_call>", .begin = {"<invoke name=\""}, .separator = "\">",
     .end = "</invoke>", .key = "<parameter name=\"", .key_end = "\">", .value_end = "</parameter>",
     .first = "<minimax:tool_call>\n", .open = "<invoke name=\"", .middle = "\">\n", .close = "</invoke>", .next = "\n",
     .last = "\n</minimax:tool_call>", .trigger = "<minimax:tool_call>"},
    {.name = "glm", .style = COP_CALL_TAGS, .has = {"<arg_key>", "<tool_call>"},
     .begin = {"<tool_call>"}, .end = "</tool_call>", .key = "<arg_key>", .key_end = "</arg_key>", .value = "<arg_value>",
     .value_end = "</arg_value>",
     .first = "", .open = "<tool_call>", .middle = "\n", .close = "</tool_call>", .next = "\n", .last = "", .trigger = "<tool_call>"},
    {.name = "functionary", .style = COP_CALL_NAMED, .has = {"<function="},
     .begin = {"<function="}, .separator = ">", .end = "</function>",
     .first = "", .open = "<function=", .middle = ">", .close = "</function>", .next = "", .last = "", .trigger = "<function="},
    {.name = "mistral-args", .style = COP_CALL_NAMED, .has = {"[TOOL_CALLS]", "[ARGS]"},
     .begin = {"[TOOL_CALLS]"}, .separator = "[ARGS]",
     .first = "", .open = "[TOOL_CALLS]", .middle = "[ARGS]", .close = "", .next = "", .last = "", .trigger = "[TOOL_CALLS]"},
    {.name = "mistral", .style = COP_CALL_NAMED, .has = {"[TOOL_CALLS]"},
     .begin = {"[TOOL_CALLS]"}, .separator = "[ARGS]",
     .first = "[TOOL_CALLS][", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]",
     .trigger = "[TOOL_CALLS]"},
    {.name = "deepseek-r1", .style = COP_CALL_NAMED, .has = {"<｜tool▁calls▁begin｜>", "```json"},
     .section = "<｜tool▁calls▁begin｜>", .section_end = "<｜tool▁calls▁end｜>",
     .begin = {"<｜tool▁call▁begin｜>function<｜tool▁sep｜>"}, .separator = "\n```json\n", .end = "```<｜tool▁call▁end｜>",
     .first = "<｜tool▁calls▁begin｜>", .open = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>", .middle = "\n```json\n",
     .close = "\n```<｜tool▁call▁end｜>", .next = "\n", .last = "<｜tool▁calls▁end｜>", .trigger = "<｜tool▁calls▁begin｜>"},
    {.name = "deepseek-v3.1", .style = COP_CALL_NAMED, .has = {"<｜tool▁calls▁begin｜>"},
     .section = "<｜tool▁calls▁begin｜>", .section_end = "<｜tool▁calls▁end｜>",
     .begin = {"<｜tool▁call▁begin｜>"}, .separator = "<｜tool▁sep｜>", .end = "<｜tool▁call▁end｜>",
     .first = "<｜tool▁calls▁begin｜>", .open = "<｜tool▁call▁begin｜>", .middle = "<｜tool▁sep｜>", .close = "<｜tool▁call▁end｜>",
     .next = "", .last = "<｜tool▁calls▁end｜>", .trigger = "<｜tool▁calls▁begin｜>"},
    {.name = "kimi-k2", .style = COP_CALL_NAMED, .has = {"<|tool_calls_section_begin|>"},
     .section = "<|tool_calls_section_begin|>", .section_end = "<|tool_calls_section_end|>",
     .begin = {"<|tool_call_begin|>"}, .separator = "<|tool_call_argument_begin|>",
     .end = "<|tool_call_end|>",
     .first = "<|tool_calls_section_begin|>", .open = "<|tool_call_begin|>functions.", .middle = ":0<|tool_call_argument_begin|>",
     .close = "<|tool_call_end|>", .next = "", .last = "<|tool_calls_section_end|>", .trigger = "<|tool_calls_section_begin|>"},
    {.name = "lfm2", .style = COP_CALL_PYTHON, .has = {"<|tool_call_start|>"},
     .begin = {"<|tool_call_start|>"}, .end = "<|tool_call_end|>",
     LFM2_FORM},
    {.name = "lfm2", .style = COP_CALL_PYTHON, .has = {"<|tool_list_start|>"},
     .begin = {"<|tool_call_start|>"}, .end = "<|tool_call_end|>",
     LFM2_FORM},
    {.name = "lfm2", .style = COP_CALL_PYTHON, .has = {"\"List of tools: [\""},
     .begin = {"<|tool_call_start|>"}, .end = "<|tool_call_end|>",
     LFM2_FORM},
    {.name = "phi4-mini", .style = COP_CALL_JSON, .has = {"<|tool|>"},
     .begin = {"<|tool_call|>", "functools"}, .end = "<|/tool_call|>",
     .first = "<|tool_call|>[", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]<|/tool_call|>",
     .trigger = "<|tool_call|>"},
    {.name = "granite", .style = COP_CALL_JSON, .has = {"<|tool_call|>"},
     .begin = {"<|tool_call|>"},
     .first = "<|tool_call|>[", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]",
     .trigger = "<|tool_call|>"},
    {.name = "nemotron", .style = COP_CALL_JSON, .has = {"<TOOLCALL>"},
     .begin = {"<TOOLCALL>"}, .end = "</TOOLCALL>",
     .first = "<TOOLCALL>[", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]</TOOLCALL>",
     .trigger = "<TOOLCALL>"},
    {.name = "apriel", .style = COP_CALL_JSON, .has = {"<tool_calls>["},
     .begin = {"<tool_calls>"}, .end = "</tool_calls>",
     .first = "<tool_calls>[", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]</tool_calls>",
     .trigger = "<tool_calls>"},
    {.name = "minimax-m1", .style = COP_CALL_JSON, .has = {"<tool_calls>"},
     .begin = {"<tool_calls>"}, .end = "</tool_calls>",
     .first = "<tool_calls>\n", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = "\n",
     .last = "\n</tool_calls>", .trigger = "<tool_calls>"},
    {.name = "command-r7b", .style = COP_CALL_JSON, .has = {"<|START_ACTION|>"},
     .begin = {"<|START_ACTION|>"}, .end = "<|END_ACTION|>",
     .first = "<|START_ACTION|>[\n    ", .open = "{\"tool_call_id\": \"0\", \"tool_name\": \"", .middle = "\", \"parameters\": ",
     .close = "}", .next = ",\n    ", .last = "\n]<|END_ACTION|>", .trigger = "<|START_ACTION|>"},
    {.name = "firefunction", .style = COP_CALL_JSON, .has = {"functools["},
     .begin = {"functools"},
     .first = " functools[", .open = JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE, .next = ", ", .last = "]",
     .trigger = " functools["},
    {.name = "hermes", .style = COP_CALL_JSON, .has = {"<tool_call>"},
     .begin = {"<tool_call>"}, .end = "</tool_call>", .bare = true,
     .first = "", .open = "<tool_call>\n" JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE "\n</tool_call>", .next = "\n",
     .last = "", .trigger = "<tool_call>"},
    {.name = "llama3", .style = COP_CALL_JSON, .has = {"<|start_header_id|>", "\"parameters\": "},
     .begin = {"<|python_tag|>"}, .bare = true,
     .first = "", .open = JSON_OPEN, .middle = "\", \"parameters\": ", .close = "}", .next = "; ", .last = "", .trigger = JSON_OPEN},
    {.name = "generic", .style = COP_CALL_JSON, .has = {""},
     .begin = {"<tool_call>"}, .end = "</tool_call>", .bare = true,
     .first = "", .open = "<tool_call>\n" JSON_OPEN, .middle = JSON_MIDDLE, .close = JSON_CLOSE "\n</tool_call>", .next = "\n",
     .last = "", .trigger = "<tool_call>"},
    {.name = NULL},
};

static bool fits(const cop_tool_format *f, const char *template) {
    for (size_t i = 0; i < 2 && f->has[i]; i++)
        if (!strstr(template, f->has[i])) return false;
    return true;
}

const cop_tool_format *cop_tool_format_find(const char *template) {
    const cop_tool_format *f = cop_tool_formats;
    while (!fits(f, template ? template : "")) f++;  // the last row fits everything
    return f;
}

const cop_tool_format *cop_tool_format_named(const char *name) {
    for (const cop_tool_format *f = cop_tool_formats; f->name; f++)
        if (!strcmp(f->name, name)) return f;
    return NULL;
}

const char *cop_tool_format_name(const cop_tool_format *format) { return format->name; }

static const cop_reasoning reasonings[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<seed:think>", "</seed:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {NULL, NULL},
};

const cop_reasoning *cop_reasoning_find(const char *template) {
    if (!template) return NULL;
    for (const cop_reasoning *r = reasonings; r->open; r++)
        if (strstr(template, r->close)) return r;
    return NULL;
}

bool cop_reasoning_opened(const cop_reasoning *reasoning, const char *prompt, size_t bytes) {
    if (!reasoning) return false;
    while (bytes && strchr(" \t\r\n", prompt[bytes - 1])) bytes--;
    size_t n = strlen(reasoning->open);
    return bytes >= n && !memcmp(prompt + bytes - n, reasoning->open, n);
}

// The control tokens that are spelt in `text`.
static int find_tokens(const cop_tokenizer *tok, const char *text, int32_t *tokens, int n, int max) {
    size_t bytes = text ? strlen(text) : 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '<' && text[i] != '[') continue;
        for (size_t end = bytes; end > i + 1; end--) {
            int32_t id = cop_tokenizer_find(tok, text + i, end - i);
            if (id < 0 || !cop_tokenizer_is_control(tok, id)) continue;
            int k = 0;
            while (k < n && tokens[k] != id) k++;
            if (k == n && n < max) tokens[n++] = id;
            break;
        }
    }
    return n;
}

int cop_tool_tokens(const cop_tool_format *format, const cop_reasoning *reasoning, const cop_tokenizer *tok, int32_t *tokens,
                    int max) {
    int n = 0;
    if (reasoning) {
        n = find_tokens(tok, reasoning->open, tokens, n, max);
        n = find_tokens(tok, reasoning->close, tokens, n, max);
    }
    if (!format) return n;
    const char *tags[] = {format->section, format->section_end, format->begin[0], format->begin[1], format->begin[2], format->end,
                          format->separator, format->key, format->key_end, format->value, format->value_end,
                          format->separator && !strcmp(format->separator, "[ARGS]") ? "[CALL_ID]" : NULL};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) n = find_tokens(tok, tags[i], tokens, n, max);
    return n;
}

const json_t *cop_tool_function(const json_t *tool) {
    const json_t *f = json_object_get(tool, "function");
    return json_is_object(f) ? f : tool;
}

const json_t *cop_tool_named(const json_t *tools, const char *name) {
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *f = cop_tool_function(json_array_get(tools, i));
        const char *text = json_string_value(json_object_get(f, "name"));
        if (text && !strcmp(text, name)) return f;
    }
    return NULL;
}

static bool is_text_type(const json_t *type) {
    const char *text = json_string_value(type);
    return text && (!strcmp(text, "string") || !strcmp(text, "str") || !strcmp(text, "text"));
}

bool cop_tool_is_text(const json_t *tools, const char *function, const char *key) {
    const json_t *parameters = json_object_get(cop_tool_named(tools, function), "parameters");
    const json_t *schema = json_object_get(json_object_get(parameters, "properties"), key);
    const json_t *values = json_object_get(schema, "enum");
    if (is_text_type(json_object_get(schema, "type"))) return true;
    for (size_t i = 0; i < json_array_size(values); i++)
        if (!json_is_string(json_array_get(values, i))) return false;
    return json_array_size(values) > 0;
}
