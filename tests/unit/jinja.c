// The ceilings and the messages of the template interpreter.  What templates mean: tests/golden/jinja.c.
#include <string.h>
#include <time.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "text/jinja.h"

static cop_status render(const char *text, size_t bytes, const char *variables, const cop_jinja_options *options, cop_char_array *out) {
    cop_jinja *t;
    json_t *json = json_loads(variables, 0, NULL);
    assert_non_null(json);
    cop_status st = cop_jinja_parse(&t, text, bytes);
    if (!st) st = cop_jinja_render(t, json, options, out);
    cop_jinja_free(t);
    json_decref(json);
    return st;
}

static void assert_fails(const char *text, cop_status status, const char *message) {
    cop_char_array out = {0};
    cop_status st = render(text, strlen(text), "{\"x\": [1, 2], \"s\": \"text\"}", NULL, &out);
    if (st != status || !strstr(cop_error_text(), message))
        fail_msg("%.80s: %s, '%s' instead of '%s'", text, cop_status_name(st), st ? cop_error_text() : "", message);
    if (strchr(cop_error_text(), '\n')) fail_msg("%.80s: a message of several lines", text);
    assert_int_equal(out.n, 0);
    cop_array_fini(&out);
}

static void messages_name_the_line_and_what_is_wrong_there(void **state) {
    (void)state;
    assert_fails("a\n{{ x +\n }}", COP_ERR_FORMAT, "line 3: expected an expression, found }}");
    assert_fails("{% if x %}\n\n", COP_ERR_FORMAT, "line 1: {% if %} is not closed");
    assert_fails("\n\n{% frob %}", COP_ERR_FORMAT, "line 3: unknown or misplaced tag 'frob'");
    assert_fails("{{ x|frob }}", COP_ERR_FORMAT, "line 1: no filter named 'frob'");
    assert_fails("{{ x is frob }}", COP_ERR_FORMAT, "no test named 'frob'");
    assert_fails("\n{{ 'abc }}", COP_ERR_FORMAT, "line 2: a text that begins here has no closing quote");
    assert_fails("{{ (1 }}", COP_ERR_FORMAT, "unexpected '}', expected ')'");
    assert_fails("\n{{ y.z }}", COP_ERR_ARG, "line 2: 'y' is undefined");
    assert_fails("{{ x.y.z }}", COP_ERR_ARG, "list has no attribute 'y'");
    assert_fails("{{ x[9].z }}", COP_ERR_ARG, "list has no element 9");
    assert_fails("{{ 1 + 'a' }}", COP_ERR_ARG, "+ between int and str has no meaning");
    assert_fails("{{ raise_exception('two\nlines') }}", COP_ERR_ARG, "the template refuses: two lines");
    assert_fails("\xff", COP_ERR_FORMAT, "line 1: the template is not UTF-8");
}

static void there_is_no_way_out_of_the_given_values(void **state) {
    (void)state;
    assert_fails("{{ ''.__class__.__mro__[1].__subclasses__() }}", COP_ERR_ARG, "access to '__class__' of str is not allowed");
    assert_fails("{{ x.__init__.__globals__ }}", COP_ERR_ARG, "access to '__init__' of list is not allowed");
    assert_fails("{{ x|attr('__class__')|attr('__base__') }}", COP_ERR_ARG, "access to '__class__'");
    assert_fails("{{ namespace.__init__.__globals__ }}", COP_ERR_ARG, "access to '__init__' of function is not allowed");
    assert_fails("{{ '{0.__class__.__mro__}'.format(s) }}", COP_ERR_ARG, "access to '__class__'");
    assert_fails("{{ self.__init__.__globals__ }}", COP_ERR_ARG, "not allowed");
    assert_fails("{{ x.append(1) }}", COP_ERR_ARG, "access to 'append' of list is not allowed");
    assert_fails("{% include '/etc/passwd' %}", COP_ERR_UNSUPPORTED, "{% include %} is not supported");
    assert_fails("{% import 'os' as os %}", COP_ERR_UNSUPPORTED, "{% import %} is not supported");
    assert_fails("{{ lipsum.__globals__['os'] }}", COP_ERR_ARG, "not allowed");
    assert_fails("{{ open('/etc/passwd') }}", COP_ERR_ARG, "'open' is undefined");
}

static void every_template_ends(void **state) {
    (void)state;
    static const struct { const char *text, *message; } cases[] = {
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "more than"},
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% if a > b %}{% endif %}{% endfor %}{% endfor %}", "more than"},
        {"{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "KiB of memory"},
        {"{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "KiB of memory"},
        {"{% set ns = namespace(l=[1]) %}{% for a in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "KiB of memory"},
        {"{{ 'a' * 1000000000000 }}", "line 1"},
        {"{{ [1] * 1000000000000 }}", "line 1"},
        {"{{ '' * 1000000000000 }}{{ [] * 1000000000000 }}{{ 1 // 0 }}", "division by zero"},
        {"{% for a in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 100 }}{% endfor %}", "line 1"},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "more than 150 macros inside one another"},
        {"{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "macros inside one another"},
        {"{% for i in [[]] recursive %}{{ loop([[]]) }}{% endfor %}", "macros inside one another"},
        {"{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(100) }}", "chat template, line 1: more than"},
        {"{% set ns = namespace(a=1) %}{% set ns.x = ns %}{{ ns }}", "nested too deeply"},
        {"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", "nested too deeply"},
        {"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}", "nested too deeply"},
        {"{% set ns = namespace(l=[], m=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}", "nested too deeply"},
        {"{% set ns = namespace(l=1) %}{% for i in range(5000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}", "nested too deeply"},
        {"{{ range(1000000000) }}", "range: more than 100000 numbers"},
        {"{{ range(-9223372036854775807, 9223372036854775807) }}", "range: more than"},
        {"{{ 9223372036854775807 + 1 }}", "an integer beyond 64 bits"},
        {"{{ 3 ** 100 }}", "an integer beyond 64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}{{ 99999999999999999999 }}", "integer beyond 64 bits"},
        {"{{ '{:99999999}'.format(1) }}", "a width of more than"},
        {"{{ '%99999999d' % 1 }}", "a width of more than"},
        {"{{ s|indent(100000000) }}", "a width of more than 1000"},
        {"{{ x|tojson(indent=100000000) }}", "indent of more than 1000"},
        {"{{ s|center(100000000000) }}", "line 1"},
        {"{{ s.ljust(100000000000) }}", "line 1"},
        {"{{ x|slice(100000000)|list }}", "line 1"},
        {"{{ x|batch(100000000000, 'x')|list }}", "line 1"},
        {"{% set t = s * 1000000 %}{% for i in range(100000) %}{{ t|replace('t', 'x')|length }}{% endfor %}", "chat template"},
        {"{% set t = 'a' * 10000000 %}{% for i in range(100000) %}{% if 'b' in t %}{% endif %}{% endfor %}", "more than"},
        {"{% set t = 'a' * 10000000 %}{% for i in range(100000) %}{% if t == 'b' ~ t %}{% endif %}{% endfor %}", "chat template"},
        {"{% set t = '\u00e9' * 1000000 %}{% for i in range(100000) %}{% set q = t[999999] %}{% endfor %}", "more than"},
        {"{% set t = 'a' * 1000000 %}{% for i in range(100000) %}{% set q = t.rsplit('b', 1) %}{% endfor %}", "chat template"},
        {"{% set t = (' ' * 1000000) %}{% for i in range(100000) %}{% set q = t.strip() %}{% endfor %}", "chat template"},
        {"{% set l = range(100000)|list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}", "more than"},
        {"{{ strftime_now('%c' * 1000) }}", "strftime_now: a format of"},
    };
    cop_jinja_options o = cop_jinja_defaults();
    o.max_steps /= 50;
    o.max_memory /= 8;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cop_char_array out = {0};
        clock_t start = clock();
        cop_status st = render(cases[i].text, strlen(cases[i].text), "{\"x\": [1, 2], \"s\": \"text\"}", &o, &out);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (!st || !strstr(cop_error_text(), cases[i].message))
            fail_msg("%s: %s, '%s' instead of '%s'", cases[i].text, cop_status_name(st), st ? cop_error_text() : "", cases[i].message);
        if (seconds > 20) fail_msg("%s: took %.1f s", cases[i].text, seconds);  // a tenth without a sanitizer
        assert_int_equal(out.n, 0);
        cop_array_fini(&out);
    }
}

static void ceilings_are_the_callers(void **state) {
    (void)state;
    cop_jinja_options o = cop_jinja_defaults();
    cop_char_array out = {0};
    static const char text[] = "{% for i in range(1000) %}abcdefghij{% endfor %}";
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_OK);
    assert_int_equal(out.n, 10000);
    o.max_output = 9999;
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "more than 9999 bytes of output"));
    o.max_output = 10000;
    o.max_steps = 1500;
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_ERR_LIMIT);
    o.max_steps = 20000;
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_OK);
    o.max_memory = 65535;
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_ERR_LIMIT);
    assert_int_equal(out.n, 20000);
    cop_array_fini(&out);
}

// n times `open`, then `middle`, then n times `close`.
static char *nested(const char *open, const char *middle, const char *close, size_t n, size_t *bytes) {
    size_t a = strlen(open), b = strlen(middle), c = strlen(close), at = 0;
    char *text = cop_alloc(n * (a + c) + b + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++, at += a) memcpy(text + at, open, a);
    memcpy(text + at, middle, b);
    at += b;
    for (size_t i = 0; i < n; i++, at += c) memcpy(text + at, close, c);
    *bytes = at;
    return text;
}

static void nesting_is_bounded(void **state) {
    (void)state;
    static const struct { const char *before, *open, *middle, *close, *after; } cases[] = {
        {"", "{% if 1 %}", "x", "{% endif %}", ""}, {"", "{% for a in [1] %}", "x", "{% endfor %}", ""}, {"", "{{ (", "1", ") }}", ""},
        {"", "(", "1", ")", ""}, {"", "[", "1", "]", ""}, {"", "{1:", "1", "}", ""}, {"", "-", "1", "", ""}, {"", "not ", "1", "", ""},
        {"", "1 if 1 else ", "1", "", ""}, {"", "x[", "1", "]", ""}, {"", "x(", "1", ")", ""}, {"", "x|default(", "1", ")", ""},
        {"", "", "1", "+1", ""}, {"", "", "1", "**1", ""}, {"", "", "x", ".a", ""}, {"", "", "x", "|e", ""}, {"", "", "1", " is odd", ""},
        {"", "", "1", "()", ""}, {"", "", "1", " if 1", ""}, {"", "", "x", "[0]", ""}, {"", "{% macro m() %}", "", "{% endmacro %}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes, n;
        char *inner = nested(cases[i].open, cases[i].middle, cases[i].close, 3000, &n), *text = inner;
        bytes = n;
        if (cases[i].open[0] != '{' || cases[i].open[1] == '1') {  // an expression: inside {{ }}
            text = cop_alloc(n + 6);
            memcpy(text, "{{ ", 3);
            memcpy(text + 3, inner, n);
            memcpy(text + 3 + n, " }}", 3);
            bytes = n + 6;
            cop_free(inner);
        }
        cop_jinja *t;
        cop_status st = cop_jinja_parse(&t, text, bytes);
        if (st != COP_ERR_FORMAT) fail_msg("%s%s%s: %s", cases[i].open, cases[i].middle, cases[i].close, cop_status_name(st));
        cop_free(text);
    }
}

static void long_templates_are_linear_and_too_long_ones_refused(void **state) {
    (void)state;
    static const char *const parts[] = {"{", "{{", "{%", "{#", "%}", "}}", "{{1}}", "{% if 1 %}{% endif %}", "{# #}", "\n  ", "{%   ", "'", "{{ '\\", "{% raw %}", "{{ 1,"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t bytes;
        cop_jinja *t;
        char *text = nested(parts[i], "", "", (COP_JINJA_MOST_TEMPLATE >> 3) / strlen(parts[i]), &bytes);
        clock_t start = clock();
        cop_status st = cop_jinja_parse(&t, text, bytes);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds > 10) fail_msg("%s: %.1f s, %s", parts[i], seconds, cop_status_name(st));
        cop_jinja_free(t);
        cop_free(text);
    }
    size_t bytes;
    cop_jinja *t;
    char *text = nested("a", "", "", COP_JINJA_MOST_TEMPLATE + 1, &bytes);
    assert_int_equal(cop_jinja_parse(&t, text, bytes), COP_ERR_LIMIT);
    assert_null(t);
    cop_free(text);
}

static void deep_variables_are_refused(void **state) {
    (void)state;
    size_t bytes;
    char *text = nested("[", "1", "]", 1000, &bytes);
    json_t *deep = json_loadb(text, bytes, 0, NULL), *variables = json_pack("{s:o}", "x", deep);
    cop_jinja *t;
    cop_char_array out = {0};
    assert_int_equal(cop_jinja_parse(&t, "{{ x }}", 7), COP_OK);
    assert_int_equal(cop_jinja_render(t, variables, NULL, &out), COP_ERR_LIMIT);
    assert_non_null(strstr(cop_error_text(), "the variables are nested too deeply, at most 200"));
    cop_jinja_free(t);
    cop_array_fini(&out);
    json_decref(variables);
    cop_free(text);
}

static void growing_a_text_in_a_loop_costs_what_it_says(void **state) {
    (void)state;
    static const char text[] = "{% set ns = namespace(a='', b='') %}{% for i in range(20000) %}{% set ns.a = ns.a + '0123456789' %}"
                               "{% set ns.b = ns.b ~ 'x' %}{% endfor %}{{ ns.a|length }} {{ ns.b|length }}";
    cop_jinja_options o = cop_jinja_defaults();
    cop_char_array out = {0};
    o.max_memory = (size_t)16 << 20;  // copied each time it would be 2 GB
    assert_int_equal(render(text, sizeof text - 1, "{}", &o, &out), COP_OK);
    assert_memory_equal(out.v, "200000 20000", 12);
    cop_array_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_name_the_line_and_what_is_wrong_there),
        cmocka_unit_test(there_is_no_way_out_of_the_given_values),
        cmocka_unit_test(every_template_ends),
        cmocka_unit_test(ceilings_are_the_callers),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(long_templates_are_linear_and_too_long_ones_refused),
        cmocka_unit_test(deep_variables_are_refused),
        cmocka_unit_test(growing_a_text_in_a_loop_costs_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
