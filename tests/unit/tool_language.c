// The language of answers with tools: what each choice lets a model write, and that the parser reads whatever it lets.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "serve/tools_private.h"

static const char tools_text[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"w\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\":"
    " \"string\"}, \"days\": {\"type\": \"integer\"}, \"unit\": {\"enum\": [\"C\", \"F\"]}}, \"required\": [\"city\", \"days\"],"
    " \"additionalProperties\": false}}}, {\"type\": \"function\", \"function\": {\"name\": \"now\", \"parameters\": {\"type\": \"object\","
    " \"properties\": {}, \"additionalProperties\": false}}}]";

static json_t *tools;

static cop_language *make(const char *format, cop_tool_choice choice, const char *only, bool parallel, const char *think, bool opened) {
    cop_tool_language_options o = {.format = cop_tool_format_named(format), .tools = tools, .choice = choice, .only = only, .parallel = parallel,
                                   .reasoning = think ? cop_reasoning_find(think) : NULL, .reasoning_opened = opened};
    cop_language *l = NULL;
    assert_non_null(o.format);
    if (cop_tool_language(&l, &o)) fail_msg("%s: %s", format, cop_error_text());
    return l;
}

static cop_guide_state go(cop_language *l, const char *text) {
    cop_guide_state s = l->type->start(l);
    for (; *text && s != COP_GUIDE_DEAD; text++) s = l->type->step(l, s, (uint8_t)*text);
    return s;
}

// '+': in the language; '.': the beginning of such a text; '-': neither.
static void assert_is(cop_language *l, const char *text, char want) {
    cop_guide_state s = go(l, text);
    char got = s == COP_GUIDE_DEAD ? '-' : l->type->accepting(l, s) ? '+' : '.';
    if (got != want) fail_msg("%s: %c instead of %c", text, got, want);
}

#define HERMES(name, arguments) "<tool_call>\n{\"name\": \"" name "\", \"arguments\": " arguments "}\n</tool_call>"
#define W HERMES("w", "{\"city\":\"Paris\",\"days\":3}")

static void auto_leaves_text_free_and_constrains_calls(void **state) {
    (void)state;
    cop_language *l = make("hermes", COP_TOOLS_AUTO, NULL, true, NULL, false);
    assert_is(l, "", '+');
    assert_is(l, "It rains. <tool", '+');
    assert_is(l, "It rains. <tool_call>", '.');
    assert_is(l, "It rains. <tool_call>x", '-');
    assert_is(l, W, '+');
    assert_is(l, "Let me see.\n" W "\n" HERMES("now", "{}"), '+');
    assert_is(l, W " Done.", '+');
    assert_is(l, HERMES("other", "{}"), '-');
    assert_is(l, "<tool_call>\n{\"name\": \"w\", \"arguments\": {\"city\":3", '-');
    assert_is(l, HERMES("w", "{\"city\":\"x\"}"), '-');
    l->type->close(l);
    l = make("hermes", COP_TOOLS_AUTO, NULL, false, NULL, false);
    assert_is(l, W " Done.", '+');
    assert_is(l, W "\n<tool_call>", '-');
    l->type->close(l);
}

static void none_forbids_calls_and_nothing_else(void **state) {
    (void)state;
    cop_language *l = make("hermes", COP_TOOLS_NONE, NULL, true, NULL, false);
    assert_is(l, "a <tool_call", '+');
    assert_is(l, "a <tool_call>", '-');
    assert_is(l, "{\"name\": 3}", '+');
    l->type->close(l);
    l = make("llama3", COP_TOOLS_NONE, NULL, true, NULL, false);
    assert_is(l, "{\"name\": \"", '-');
    assert_is(l, "{\"a\": \"", '+');
    assert_is(l, "x {\"name\": \"", '+');
    assert_is(l, "x <|python_tag|>", '-');
    l->type->close(l);
}

static void required_is_a_call_from_the_first_byte(void **state) {
    (void)state;
    cop_language *l = make("hermes", COP_TOOLS_REQUIRED, NULL, true, NULL, false);
    assert_is(l, "", '.');
    assert_is(l, "I", '-');
    assert_is(l, W, '+');
    assert_is(l, W "\n" W "\n" HERMES("now", "{}"), '+');
    assert_is(l, W "x", '-');
    l->type->close(l);
    l = make("hermes", COP_TOOLS_REQUIRED, "now", true, NULL, false);
    assert_is(l, HERMES("now", "{}"), '+');
    assert_is(l, "<tool_call>\n{\"name\": \"w", '-');
    assert_is(l, HERMES("now", "{}") "\n", '-');
    l->type->close(l);
    cop_tool_language_options o = {.format = cop_tool_format_named("hermes"), .tools = tools, .choice = COP_TOOLS_REQUIRED, .only = "no"};
    assert_int_equal(cop_tool_language(&l, &o), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "tool_choice: no tool no");
}

static void reasoning_comes_before_the_call(void **state) {
    (void)state;
    cop_language *l = make("hermes", COP_TOOLS_REQUIRED, NULL, false, "</think>", true);
    assert_is(l, "Hm, <tool_call>?", '.');
    assert_is(l, "Hm.</think>", '.');
    assert_is(l, "Hm.</think>\n\n" W, '+');
    assert_is(l, "Hm.</think>x", '-');
    l->type->close(l);
    l = make("hermes", COP_TOOLS_REQUIRED, NULL, false, "</think>", false);
    assert_is(l, W, '+');
    assert_is(l, "<think>Hm.</think>\n" W, '+');
    l->type->close(l);
    l = make("hermes", COP_TOOLS_AUTO, NULL, false, "</think>", true);
    assert_is(l, "Hm, <tool_call>?</think>\n\nNo.", '+');
    assert_is(l, "Hm.</think>\n" W, '+');
    assert_is(l, "Hm.</think>\n<tool_call>x", '-');
    l->type->close(l);
    l = make("hermes", COP_TOOLS_AUTO, NULL, false, "</think>", false);
    assert_is(l, "<think>Hm, <tool_call>?</think>No.", '+');
    l->type->close(l);
}

static void parameters_between_tags_keep_their_types(void **state) {
    (void)state;
    cop_language *l = make("qwen3-coder", COP_TOOLS_AUTO, NULL, true, NULL, false);
#define CITY "<parameter=city>\nParis < x\n</parameter>\n"
    assert_is(l, "<tool_call>\n<function=w>\n" CITY "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>", '+');
    assert_is(l, "<tool_call>\n<function=w>\n" CITY "<parameter=days>\n3\n</parameter>\n<parameter=unit>\nC\n</parameter>\n</function>\n</tool_call>", '+');
    assert_is(l, "<tool_call>\n<function=w>\n" CITY "<parameter=days>\nx", '-');
    assert_is(l, "<tool_call>\n<function=w>\n" CITY "</function>", '-');
    assert_is(l, "<tool_call>\n<function=w>\n<parameter=days>", '-');
    assert_is(l, "<tool_call>\n<function=w>\n" CITY "<parameter=days>\n3\n</parameter>\n<parameter=unit>\nK", '-');
    assert_is(l, "<tool_call>\n<function=now>\n</function>\n</tool_call>", '+');
    assert_is(l, "x <function=", '-');
    l->type->close(l);
    l = make("lfm2", COP_TOOLS_AUTO, NULL, true, NULL, false);
    assert_is(l, "<|tool_call_start|>[w(city=\"Paris\", days=3), now()]<|tool_call_end|>", '+');
    assert_is(l, "<|tool_call_start|>[w(days=3", '-');
    l->type->close(l);
}

static void a_bare_call_is_one_where_the_text_begins(void **state) {
    (void)state;
    cop_language *l = make("llama3", COP_TOOLS_AUTO, NULL, true, NULL, false);
    assert_is(l, "{\"name\": \"w\", \"parameters\": {\"city\":\"x\",\"days\":3}}", '+');
    assert_is(l, "{\"name\": \"x", '-');
    assert_is(l, "{\"a\": 3}", '+');
    assert_is(l, "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", '+');
    assert_is(l, "x {\"name\": \"x\"}", '+');
    l->type->close(l);
}

static void tags_that_are_control_tokens_are_those_tokens(void **state) {
    (void)state;
    static const cop_span tokens[] = {{"a", 1}, {"[TOOL_CALLS]", 12}, {"[ARGS]", 6}, {"<think>", 7}, {"<end>", 5}};
    static const int32_t types[] = {COP_TOKEN_NORMAL, COP_TOKEN_CONTROL, COP_TOKEN_CONTROL, COP_TOKEN_USER, COP_TOKEN_CONTROL};
    cop_vocab_source source = {.model = "gpt2", .n_tokens = 5, .tokens = tokens, .types = types, .bos = -1, .eos = 4, .eot = -1, .unk = -1, .pad = -1};
    cop_tokenizer *tok;
    if (cop_tokenizer_new(&tok, &source)) fail_msg("%s", cop_error_text());
    int32_t ids[COP_TOOL_MOST_TOKENS];
    const cop_tool_format *f = cop_tool_format_named("mistral-args");
    assert_int_equal(cop_tool_tokens(f, cop_reasoning_find("</think>"), tok, ids, COP_TOOL_MOST_TOKENS), 2);  // <think> is text anyway
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    cop_tool_language_options o = {.format = f, .tools = tools, .choice = COP_TOOLS_REQUIRED, .only = "now", .tok = tok};
    cop_language *l;
    assert_int_equal(cop_tool_language(&l, &o), COP_OK);
    cop_guide_state s = l->type->start(l);
    assert_int_equal(l->type->step(l, s, '['), COP_GUIDE_DEAD);
    static const int32_t call[] = {COP_GUIDE_TOKEN + 1, 'n', 'o', 'w', COP_GUIDE_TOKEN + 2, '{', '}'};
    for (size_t i = 0; i < sizeof call / sizeof *call; i++) assert_int_not_equal(s = l->type->step(l, s, call[i]), COP_GUIDE_DEAD);
    assert_true(l->type->accepting(l, s));
    l->type->close(l);
    cop_tokenizer_free(tok);
}

// ---- what a model under the language can write, the parser reads ----

typedef struct heard {
    int complete, broken;
    size_t content;
} heard;

static void on_event(void *user, const cop_tool_event *e) {
    heard *h = user;
    if (e->kind == COP_TOOL_CALL_END && e->complete) h->complete++;
    if (e->kind == COP_TOOL_CALL_END && !e->complete) h->broken++;
    if (e->kind == COP_TOOL_CONTENT) h->content += e->bytes;
}

// Random bytes for a while, then the shortest way to an end.
static size_t write_text(cop_language *l, uint32_t *random, char *text, size_t most) {
    cop_guide_state s = l->type->start(l);
    size_t n = 0;
    for (int steps = 0; n + 1 < most; steps++) {
        int32_t here = l->type->distance(l, s), found = -1;
        if (here == 0 && (steps > 60 || *random % 7 == 0)) break;
        int first = (int)((*random = *random * 1664525 + 1013904223) >> 16) % 95;
        for (int i = 0; i < 96 + 128 && found < 0; i++) {
            int32_t c = i < 95 ? ' ' + (first + i) % 95 : i == 95 ? '\n' : i + 32;
            cop_guide_state next = l->type->step(l, s, c);
            if (next == COP_GUIDE_DEAD || (steps > 60 && l->type->distance(l, next) >= here)) continue;
            if (l->type->distance(l, next) == COP_GUIDE_FAR) continue;
            found = c;
        }
        if (found < 0) break;
        s = l->type->step(l, s, found);
        text[n++] = (char)found;
    }
    text[n] = 0;
    if (!l->type->accepting(l, s)) fail_msg("no end: %s", text);
    return n;
}

static void the_parser_reads_whatever_the_language_lets(void **state) {
    (void)state;
    uint32_t random = 7;
    for (const cop_tool_format *f = cop_tool_formats; f->name; f++)
        for (int i = 0; i < 40; i++) {
            cop_language *l = make(f->name, COP_TOOLS_REQUIRED, NULL, i % 2, NULL, false);
            char text[4096];
            size_t n = write_text(l, &random, text, sizeof text);
            heard h = {0};
            cop_tool_parser_options o = {.format = f, .tools = tools, .event = on_event, .user = &h};
            cop_tool_parser *p;
            assert_int_equal(cop_tool_parser_new(&p, &o), COP_OK);
            assert_int_equal(cop_tool_parser_push(p, text, n), COP_OK);
            assert_int_equal(cop_tool_parser_finish(p), COP_OK);
            if (!h.complete || h.broken || h.content) fail_msg("%s: %d calls, %d broken, %zu bytes of content: %s", f->name, h.complete, h.broken, h.content, text);
            cop_tool_parser_free(p);
            l->type->close(l);
        }
}

static void a_schema_that_cannot_be_kept_names_its_tool(void **state) {
    (void)state;
    json_t *bad = json_loads("[{\"name\": \"a\"}, {\"name\": \"b\", \"parameters\": {\"type\": 7}}]", 0, NULL);
    cop_tool_language_options o = {.format = cop_tool_format_named("hermes"), .tools = bad, .choice = COP_TOOLS_AUTO};
    cop_language *l;
    assert_int_not_equal(cop_tool_language(&l, &o), COP_OK);
    assert_non_null(strstr(cop_error_text(), "tools[1] (b)"));
    json_decref(bad);
}

int main(void) {
    tools = json_loads(tools_text, 0, NULL);
    assert_non_null(tools);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_leaves_text_free_and_constrains_calls),
        cmocka_unit_test(none_forbids_calls_and_nothing_else),
        cmocka_unit_test(required_is_a_call_from_the_first_byte),
        cmocka_unit_test(reasoning_comes_before_the_call),
        cmocka_unit_test(parameters_between_tags_keep_their_types),
        cmocka_unit_test(a_bare_call_is_one_where_the_text_begins),
        cmocka_unit_test(tags_that_are_control_tokens_are_those_tokens),
        cmocka_unit_test(the_parser_reads_whatever_the_language_lets),
        cmocka_unit_test(a_schema_that_cannot_be_kept_names_its_tool),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(tools);
    return failed;
}
