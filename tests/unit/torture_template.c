// Each allocation of the template interpreter fails once: the status is COP_ERR_NOMEM, the output is as it was, and
// (under a sanitizer, as `make torture` runs it) nothing leaks.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "text/chat.h"

#define MOST_ALLOCATIONS 2000

// Memory comes in chunks of 64 KiB, so the values are made large enough that every kind of them needs one.
static const char text[] =
    "{% macro m(a, b='x' * 70000) %}{{ a }}{{ b|upper }}{{ caller() if caller }}{{ varargs }}{% endmacro %}"
    "{% set ns = namespace(l=[], d={}, s='') %}"
    "{% for i in range(3000) %}{% set ns.l = ns.l + [i] if i < 90 else ns.l %}{% set ns.s = ns.s + 'abcdefghijklmnopqrstuvwxyz' %}{% endfor %}"
    "{{ ns.s|length }}{{ m(1, 2, 3) }}{% call m(ns.s) %}{{ ns.s[::-1] }}{% endcall %}"
    "{{ range(9000)|list|sort(reverse=true)|tojson(indent=2) }}{{ range(9000)|map('string')|join(',') }}"
    "{{ (range(9000)|join(' ')).split()|unique|list|length }}{{ '%s' % ns.s }}{{ '{}'.format(ns.s) }}{{ ns.s|replace('a', '<')|e }}"
    "{% set x %}{{ ns.s }}{{ messages|tojson }}{% endset %}{{ x.title() }}{{ [x]|string }}{% filter lower %}{{ x }}{% endfilter %}"
    "{% for k, v in dict(range(9000)|batch(2))|dictsort %}{{ loop.index if loop.last }}{% endfor %}{{ range(9000)|groupby(0)|length if 0 }}"
    "{# a long comment makes the text large #}{% raw %}{{ x }}{% endraw %}";

static cop_status run(const char *v, size_t bytes, const json_t *variables, cop_char_array *out) {
    cop_jinja *t;
    COP_TRY(cop_jinja_parse(&t, v, bytes));
    cop_status st = cop_jinja_render(t, variables, NULL, out);
    cop_jinja_free(t);
    return st;
}

static long torture(const char *v, size_t bytes) {
    json_t *variables = json_loads("{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}", 0, NULL);
    long n = 0;
    for (bool more = true; more && n < MOST_ALLOCATIONS;) {
        cop_char_array out = {0};
        cop_alloc_fail_at(++n);
        cop_status st = run(v, bytes, variables, &out);
        more = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (st != (more ? COP_ERR_NOMEM : COP_OK) || (more && out.n)) fail_msg("allocation %ld: %s, %s", n, cop_status_name(st), st ? cop_error_text() : "");
        cop_array_fini(&out);
    }
    json_decref(variables);
    return n;
}

static void rendering_survives_each_failure(void **state) {
    (void)state;
    assert_in_range(torture(text, sizeof text - 1), 50, MOST_ALLOCATIONS - 1);
}

static void parsing_survives_each_failure(void **state) {
    (void)state;
    static const char part[] = "{% if messages[1:2] is defined and c|default('x' 'y', true) %}{{ {'a': [1, (2,)]} }}{% endif %}text ";
    size_t bytes = 300 * (sizeof part - 1);
    char *all = cop_alloc(bytes);
    for (size_t i = 0; i < 300; i++) memcpy(all + i * (sizeof part - 1), part, sizeof part - 1);
    assert_in_range(torture(all, bytes), 20, MOST_ALLOCATIONS - 1);
    cop_free(all);
}

// ---- the JSON library's allocations, which chat.c must watch as well ----

static long json_countdown;
static bool json_failed;

static void *json_allocate(size_t bytes) {
    if (json_countdown > 0 && --json_countdown == 0) {
        json_failed = true;
        return NULL;
    }
    return cop_alloc(bytes);
}

static void conversations_survive_each_failure_of_the_json_library(void **state) {
    (void)state;
    static const char source[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"thinking\": \"b\", \"x\": null}], \"tools\": []}";
    static const char template[] = "{{ messages|tojson }}{{ tools }}{{ documents }}{{ bos_token }}";
    static const cop_span tokens[] = {{"<bos>", 5}, {"<eos>", 5}};
    static const int32_t types[] = {COP_TOKEN_CONTROL, COP_TOKEN_CONTROL};
    static const float scores[2];
    const cop_vocab_source vocabulary = {.model = "llama", .n_tokens = 2, .tokens = tokens, .types = types, .scores = scores, .bos = 0, .eos = 1,
                                         .eot = -1, .unk = -1, .pad = -1, .chat_template = {template, sizeof template - 1}};
    const cop_chat_message message = {"user", "a\xff"};
    cop_tokenizer *tok;
    assert_int_equal(cop_tokenizer_new(&tok, &vocabulary), COP_OK);
    json_set_alloc_funcs(json_allocate, cop_free);
    static const char expected[] = "[{\"role\": \"user\", \"content\": \"a\", \"thinking\": \"b\", \"reasoning_content\": \"b\"}][]None<bos>"
                                   "[{\"role\": \"user\", \"content\": \"a\xef\xbf\xbd\"}]NoneNone<bos>";
    long n = 0;
    for (bool more = true; more && n < MOST_ALLOCATIONS;) {
        cop_char_array out = {0};
        json_t *conversation = NULL;
        json_countdown = ++n;
        json_failed = false;
        cop_status st = cop_chat_parse(&conversation, source, sizeof source - 1);
        if (!st) st = cop_chat_render_json(tok, conversation, NULL, &out);
        if (!st) st = cop_chat_render(tok, &message, 1, true, &out);
        json_decref(conversation);
        more = json_failed;
        json_countdown = 0;
        bool parsing = st == COP_ERR_FORMAT && !conversation;  // the library calls it a syntax error
        if (st && ((st != COP_ERR_NOMEM && !parsing) || !more)) fail_msg("allocation %ld: %s, %s", n, cop_status_name(st), cop_error_text());
        if (!st && (out.n != sizeof expected - 1 || memcmp(out.v, expected, out.n))) fail_msg("allocation %ld: '%.*s'", n, (int)out.n, out.v);
        cop_array_fini(&out);
    }
    cop_tokenizer_free(tok);
    assert_in_range(n, 40, MOST_ALLOCATIONS - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rendering_survives_each_failure),
        cmocka_unit_test(parsing_survives_each_failure),
        cmocka_unit_test(conversations_survive_each_failure_of_the_json_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
