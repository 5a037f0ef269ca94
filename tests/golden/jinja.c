// The template interpreter and the variables of conversations against jinja2 and the transformers library:
// published templates on conversations with tools, reasoning, dates, and one small template per point of the
// language (tools/chat_golden.py).
#include <jansson.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/map.h"
#include "text/chat.h"

#define MOST_CONVERSATIONS 32

static const struct tm still = {.tm_year = 126, .tm_mon = 6, .tm_mday = 4, .tm_hour = 15, .tm_min = 9, .tm_sec = 26, .tm_wday = 6, .tm_yday = 184};

typedef struct golden {
    char *text;
    size_t bytes, at;
} golden;

static void open_golden(golden *g) {
    if (cop_file_read("tests/golden/jinja.txt", (size_t)1 << 24, &g->text, &g->bytes)) fail_msg("%s", cop_error_text());
    g->at = 0;
}

// The next line of JSON, or NULL.
static json_t *next_line(golden *g) {
    while (g->at < g->bytes) {
        const char *line = g->text + g->at, *end = memchr(line, '\n', g->bytes - g->at);
        size_t n = end ? (size_t)(end - line) : g->bytes - g->at;
        g->at += n + 1;
        if (*line == '#') continue;
        json_t *object = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        return object;
    }
    return NULL;
}

// want: the text, or null where jinja2 refuses. Complaints are counted, so that one run shows them all.
static int judge(const char *name, cop_status st, const cop_char_array *got, const json_t *want) {
    if (json_is_null(want)) {
        if (st == COP_ERR_FORMAT || st == COP_ERR_ARG || st == COP_ERR_LIMIT) return 0;
        print_message("%s: rendered as '%.*s', jinja2 refuses (%s)\n", name, (int)got->n, got->v, st ? cop_error_text() : "");
        return 1;
    }
    if (st) {
        print_message("%s: %s; instead of '%.300s'\n", name, cop_error_text(), json_string_value(want));
        return 1;
    }
    if (got->n == json_string_length(want) && (!got->n || !memcmp(got->v, json_string_value(want), got->n))) return 0;
    size_t same = 0;
    while (same < got->n && same < json_string_length(want) && got->v[same] == json_string_value(want)[same]) same++;
    print_message("%s: from byte %zu '%.*s' instead of '%.200s'\n", name, same, (int)(got->n - same > 200 ? 200 : got->n - same), got->v + same,
                  json_string_value(want) + same);
    return 1;
}

static void each_point_of_the_language_is_as_in_jinja2(void **state) {
    (void)state;
    golden g;
    json_t *line, *variables = NULL;
    cop_jinja_options options = cop_jinja_defaults();
    options.now = &still;
    int n = 0, wrong = 0;
    for (open_golden(&g); (line = next_line(&g)); json_decref(line)) {
        const json_t *snippet = json_object_get(line, "snippet");
        if (json_object_get(line, "variables")) variables = json_incref(json_object_get(line, "variables"));
        if (!snippet) continue;
        cop_jinja *t;
        cop_char_array got = {0};
        cop_status st = cop_jinja_parse(&t, json_string_value(snippet), json_string_length(snippet));
        if (!st) st = cop_jinja_render(t, variables, &options, &got);
        wrong += judge(json_string_value(snippet), st, &got, json_object_get(line, "text"));
        cop_jinja_free(t);
        cop_array_fini(&got);
        n++;
    }
    json_decref(variables);
    cop_free(g.text);
    assert_true(n >= 250);
    assert_int_equal(wrong, 0);
}

// A vocabulary of nothing but the tokens that templates ask for.
static cop_tokenizer *with_template(const char *text) {
    static const cop_span tokens[] = {{"<bos>", 5}, {"<eos>", 5}};
    static const int32_t types[] = {COP_TOKEN_CONTROL, COP_TOKEN_CONTROL};
    static const float scores[2];
    cop_vocab_source source = {.model = "llama", .n_tokens = 2, .tokens = tokens, .types = types, .scores = scores, .bos = 0, .eos = 1,
                               .eot = -1, .unk = -1, .pad = -1, .chat_template = {text, text ? strlen(text) : 0}};
    cop_tokenizer *tok;
    if (cop_tokenizer_new(&tok, &source)) fail_msg("%s", cop_error_text());
    return tok;
}

static void published_templates_render_as_with_jinja2(void **state) {
    (void)state;
    golden g;
    json_t *line, *conversations[MOST_CONVERSATIONS], *want;
    size_t n_conversations = 0, n_templates = 0, i;
    int wrong = 0, rendered = 0;
    cop_jinja_options options = cop_jinja_defaults();
    options.now = &still;
    for (open_golden(&g); (line = next_line(&g)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "name"));
        json_t *conversation = json_object_get(line, "conversation");
        if (conversation) conversations[n_conversations++] = json_incref(conversation);
        if (!name) continue;
        cop_tokenizer *tok = with_template(json_string_value(json_object_get(line, "template")));
        json_array_foreach(json_object_get(line, "texts"), i, want) {
            cop_char_array got = {0};
            cop_status st = cop_chat_render_json(tok, conversations[i], &options, &got);
            wrong += judge(name, st, &got, want);
            rendered += json_is_string(want);
            cop_array_fini(&got);
        }
        cop_tokenizer_free(tok);
        n_templates++;
    }
    for (i = 0; i < n_conversations; i++) json_decref(conversations[i]);
    cop_free(g.text);
    assert_true(n_templates >= 28 && rendered >= 250);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_point_of_the_language_is_as_in_jinja2),
        cmocka_unit_test(published_templates_render_as_with_jinja2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
