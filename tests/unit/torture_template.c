// Each allocation of the template interpreter fails once: the status is COP_ERR_NOMEM, the output is as it was, and
// (under a sanitizer, as `make torture` runs it) nothing leaks.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "text/jinja.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rendering_survives_each_failure),
        cmocka_unit_test(parsing_survives_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
