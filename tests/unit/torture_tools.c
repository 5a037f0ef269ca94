// Each allocation of the tool parser and of the language of tools fails once: that is a failure or makes no difference, and
// (under a sanitizer, as `make torture` runs it) nothing leaks.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "guide/guide.h"
#include "serve/tools_private.h"

#define MOST_ALLOCATIONS 4000

static json_t *tools;

static void assert_survives(cop_status (*run)(const cop_tool_format *f), const cop_tool_format *f) {
    long n = 0;
    for (bool more = true; more;) {
        assert_true(n < MOST_ALLOCATIONS);
        cop_alloc_fail_at(++n);
        cop_status st = run(f);
        more = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (st != COP_OK && !more) fail_msg("%s, allocation %ld: %s, %s", f->name, n, cop_status_name(st), cop_error_text());
    }
    assert_true(n > 3);
}

static cop_status parse(const cop_tool_format *f) {
    static const char *const texts[] = {
        "x <tool_call>\n{\"arguments\": {\"city\": \"a\"}, \"name\": \"w\"}\n</tool_call>", "<function=w><parameter=city>\nx\n</parameter><parameter=d>\n[1]\n</parameter></function>",
        "<|tool_call_start|>[w(city='x', d=[1])]<|tool_call_end|>", "[TOOL_CALLS]w[ARGS]{\"city\": \"\n\"}",
    };
    cop_tool_parser_options o = {.format = f, .tools = tools};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cop_tool_parser *p;
        COP_TRY(cop_tool_parser_new(&p, &o));
        cop_status st = cop_tool_parser_push(p, texts[i], strlen(texts[i]));
        if (!st) st = cop_tool_parser_finish(p);
        cop_tool_parser_free(p);
        if (st) return st;
    }
    return COP_OK;
}

static void parsing_survives_each_failure(void **state) {
    (void)state;
    static const char *const names[] = {"hermes", "qwen3-coder", "lfm2", "mistral-args"};
    for (size_t i = 0; i < 4; i++) assert_survives(parse, cop_tool_format_named(names[i]));
}

// ---- under a vocabulary of bytes; parameters that are texts, so that no schema is compiled ----

static const char *piece(const void *user, int32_t t, size_t *bytes) {
    static char all[256];
    (void)user;
    all[t] = (char)t;
    *bytes = 1;
    return &all[t];
}
static bool is_end(const void *user, int32_t t) { return (void)user, t == 0; }
static int32_t find(const void *user, const char *text, size_t bytes) { return (void)user, (void)text, (void)bytes, -1; }
static int encode(const void *user, const char *text, size_t bytes, int32_t *to, int max) { return (void)user, (void)text, (void)bytes, (void)to, (void)max, -1; }

static cop_vocab_trie *vocabulary;

static cop_status guide(const cop_tool_format *f) {
    cop_tool_language_options o = {.format = f, .tools = tools, .choice = COP_TOOLS_AUTO, .parallel = true, .reasoning = cop_reasoning_find("</think>")};
    cop_language *l;
    cop_guide *g = NULL, *other = NULL;
    uint64_t bits[4];
    COP_TRY(cop_tool_language(&l, &o));
    cop_status st = cop_guide_new(&g, l, vocabulary);
    if (!st) st = cop_guide_fork(&other, g);
    cop_guide_state s = st ? COP_GUIDE_DEAD : cop_guide_start(other);
    for (const char *c = "a\n<tool_call>\n<function=w>\n<parameter=city>\nx\n</parameter>\n</function>\n</tool_call>"; *c && s != COP_GUIDE_DEAD; c++) {
        cop_guide_mask(other, s, -1, bits);
        s = cop_guide_advance(other, s, (uint8_t)*c);
    }
    if (!st) st = cop_guide_failed(other);
    if (!st && s == COP_GUIDE_DEAD) st = cop_fail(COP_ERR_ARG, "the text died");
    cop_guide_free(other);
    cop_guide_free(g);
    return st;
}

static void languages_survive_each_failure(void **state) {
    (void)state;
    cop_vocab_trie_source source = {256, piece, is_end, find, encode, NULL};
    assert_int_equal(cop_vocab_trie_new(&vocabulary, &source), COP_OK);
    assert_survives(guide, cop_tool_format_named("qwen3-coder"));
    cop_vocab_trie_free(vocabulary);
}

int main(void) {
    tools = json_loads("[{\"name\": \"w\", \"parameters\": {\"properties\": {\"city\": {\"type\": \"string\"}}, \"additionalProperties\": false}}]", 0, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing_survives_each_failure),
        cmocka_unit_test(languages_survive_each_failure),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(tools);
    return failed;
}
