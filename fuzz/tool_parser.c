// Fuzzer of the parser of tool calls. The first byte chooses format and reasoning, the second how the text is cut. What
// comes out must not depend on the cuts, complete arguments are one JSON object, content is part of the text, in its
// order, and a text without calls and reasoning comes out whole.
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "serve/tools_private.h"
#include "text/utf8.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

typedef struct heard {
    cop_char_array all, content, arguments;
    cop_tool_event_kind last;
    bool open;
    int calls, reasoning;
} heard;

static void add(cop_char_array *to, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) must(!cop_array_push(to, text[i]));
}

static void check_object(const cop_char_array *a) {
    must(a->n && cop_json_is_value(a->v, a->n) && a->v[0] == '{');
}

static void on_event(void *user, const cop_tool_event *e) {
    heard *h = user;
    if (e->kind != h->last || e->kind == COP_TOOL_CALL) add(&h->all, (char[]){'\n', (char)('0' + e->kind)}, 2);
    h->last = e->kind;
    switch (e->kind) {
    case COP_TOOL_CALL:
        must(!h->open && e->call == h->calls && strlen(e->id) == 9 && e->bytes && strlen(e->text) == e->bytes);
        h->open = true;
        h->calls++;
        h->arguments.n = 0;
        break;
    case COP_TOOL_CALL_END:
        must(h->open);
        h->open = false;
        if (e->complete) check_object(&h->arguments);
        add(&h->all, e->complete ? "+" : "-", 1);
        return;
    case COP_TOOL_ARGUMENTS: must(h->open); add(&h->arguments, e->text, e->bytes); break;
    case COP_TOOL_CONTENT: must(!h->open); add(&h->content, e->text, e->bytes); break;
    default: must(!h->open); h->reasoning++;
    }
    must(e->bytes && !e->text[e->bytes]);
    add(&h->all, e->text, e->bytes);
}

static void parse(const cop_tool_parser_options *options, const char *text, size_t bytes, size_t piece, heard *h) {
    cop_tool_parser_options o = *options;
    *h = (heard){.last = COP_TOOL_CONTENT};
    o.event = on_event;
    o.user = h;
    cop_tool_parser *p;
    must(!cop_tool_parser_new(&p, &o));
    for (size_t i = 0; i < bytes;) {
        size_t n = 0;
        while (n < piece && i + n < bytes) n += (size_t)cop_utf8_length(text + i + n, bytes - i - n);
        must(!cop_tool_parser_push(p, text + i, n));
        i += n;
    }
    must(!cop_tool_parser_finish(p));
    must(!h->open && cop_tool_parser_calls(p) == h->calls);
    cop_tool_parser_free(p);
}

static void check_content(const heard *h, const char *text, size_t bytes) {
    size_t at = 0;
    for (size_t i = 0; i < h->content.n; i++) {
        while (at < bytes && text[at] != h->content.v[i]) at++;
        must(at++ < bytes);
    }
    if (!h->calls && !h->reasoning) must(h->content.n <= bytes);
}

static void forget(heard *h) {
    cop_array_fini(&h->all);
    cop_array_fini(&h->content);
    cop_array_fini(&h->arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2) return 0;
    int n_formats = 0;
    while (cop_tool_formats[n_formats].name) n_formats++;
    const char *text = (const char *)data + 2;
    bytes -= 2;
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(text + i, bytes - i);
        if (!n) return 0;
        i += (size_t)n;
    }
    json_t *tools = json_pack("[{s:{s:s,s:{s:{s:{s:s},s:{s:s}}}}}]", "function", "name", "f", "parameters", "properties", "a", "type",
                              "string", "b", "type", "integer");
    cop_tool_parser_options o = {.format = &cop_tool_formats[data[0] % n_formats], .tools = tools};
    if (data[0] / n_formats % 2) o.reasoning = cop_reasoning_find("</think>");
    o.reasoning_opened = data[0] / n_formats % 4 == 3;
    heard whole, cut;
    parse(&o, text, bytes, bytes ? bytes : 1, &whole);
    parse(&o, text, bytes, 1 + data[1] % 16, &cut);
    must(whole.all.n == cut.all.n && (!cut.all.n || !memcmp(whole.all.v, cut.all.v, cut.all.n)));
    check_content(&whole, text, bytes);
    if (!o.reasoning && !whole.calls && o.format->section == NULL) must(whole.content.n == bytes);
    forget(&whole);
    forget(&cut);
    json_decref(tools);
    return 0;
}
