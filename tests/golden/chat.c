// Chat formatting against jinja2's rendering of the same templates (tools/chat_golden.py).
#include <jansson.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "base/map.h"
#include "text/chat.h"

#define MOST_TEMPLATES 8
#define MOST_MESSAGES 16

typedef struct golden {
    char *text;
    size_t bytes, at;
} golden;

static void open_golden(golden *g) {
    if (cop_file_read("tests/golden/chat.txt", (size_t)1 << 24, &g->text, &g->bytes)) fail_msg("%s", cop_error_text());
    g->at = 0;
}

// The next line of JSON, or NULL.
static json_t *next_line(golden *g) {
    while (g->at < g->bytes) {
        const char *line = g->text + g->at, *end = memchr(line, '\n', g->bytes - g->at);
        size_t n = end ? (size_t)(end - line) : g->bytes - g->at;
        g->at += n + 1;
        if (*line == '#') continue;
        json_t *object = json_loadb(line, n, 0, NULL);
        assert_non_null(object);
        return object;
    }
    return NULL;
}

// A tokenizer that has nothing but a template, and the tokens that gemma is known by.
static cop_tokenizer *with_template(const char *text) {
    static const cop_span tokens[] = {{"<bos>", 5}, {"<start_of_turn>", 15}, {"<end_of_turn>", 13}};
    static const int32_t types[] = {COP_TOKEN_CONTROL, COP_TOKEN_CONTROL, COP_TOKEN_CONTROL};
    static const float scores[3];
    cop_vocab_source source = {.model = "llama", .n_tokens = 3, .tokens = tokens, .types = types, .scores = scores,
                               .bos = 0, .eos = -1, .eot = -1, .unk = -1, .pad = -1,
                               .chat_template = {text, text ? strlen(text) : 0}};
    cop_tokenizer *tok;
    if (cop_tokenizer_new(&tok, &source)) fail_msg("%s", cop_error_text());
    return tok;
}

static void compare(const cop_tokenizer *tok, const json_t *line) {
    cop_chat_message messages[MOST_MESSAGES];
    const json_t *pair, *text = json_object_get(line, "text");
    cop_char_array got = {0};
    size_t i, n = json_array_size(json_object_get(line, "messages"));
    json_array_foreach(json_object_get(line, "messages"), i, pair) {
        messages[i].role = json_string_value(json_array_get(pair, 0));
        messages[i].content = json_string_value(json_array_get(pair, 1));
    }
    cop_status st = cop_chat_render(tok, messages, n, json_is_true(json_object_get(line, "answer")), &got);
    const char *name = json_string_value(json_object_get(line, "name"));
    if (json_is_null(text)) {
        assert_int_equal(st, COP_ERR_ARG);
        assert_int_equal(got.n, 0);
    } else {
        if (st) fail_msg("%s: '%s': %s", name, json_string_value(text), cop_error_text());
        if (got.n != json_string_length(text) || memcmp(got.v, json_string_value(text), got.n))
            fail_msg("%s: '%.*s' instead of '%s'", name, (int)got.n, got.v, json_string_value(text));
    }
    cop_array_fini(&got);
}

static void conversations_render_as_the_template_does(void **state) {
    (void)state;
    golden g;
    json_t *templates[MOST_TEMPLATES], *line;
    cop_tokenizer *toks[MOST_TEMPLATES];
    size_t n = 0, n_compared = 0;
    for (open_golden(&g); (line = next_line(&g)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "name"));
        const char *text = json_string_value(json_object_get(line, "template"));
        if (text) {
            assert_true(n < MOST_TEMPLATES);
            toks[n] = with_template(text);
            templates[n++] = json_incref(line);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if (strcmp(name, json_string_value(json_object_get(templates[i], "name"))) != 0) continue;
            compare(toks[i], line);
            n_compared++;
        }
    }
    assert_true(n_compared >= 200);
    for (size_t i = 0; i < n; i++) {
        cop_tokenizer_free(toks[i]);
        json_decref(templates[i]);
    }
    cop_free(g.text);
}

static void gemma_without_a_template_is_known_by_its_tokens(void **state) {
    (void)state;
    golden g;
    json_t *line;
    const char *form;
    cop_tokenizer *tok = with_template(NULL);
    assert_non_null(cop_chat_template(tok, &form));
    assert_string_equal(form, "gemma");
    for (open_golden(&g); (line = next_line(&g)); json_decref(line))
        if (!strcmp(json_string_value(json_object_get(line, "name")), "gemma") && json_object_get(line, "messages"))
            compare(tok, line);
    cop_free(g.text);
    cop_tokenizer_free(tok);
}

static void a_broken_template_is_refused_with_its_line(void **state) {
    (void)state;
    cop_tokenizer *tok = with_template("{{ bos_token }}\n\n{% for m in messages %}{{ m.content }");
    const char *form;
    const cop_chat_message message = {"user", "x"};
    cop_char_array got = {0};
    assert_non_null(cop_chat_template(tok, &form));
    assert_string_equal(form, "template");
    assert_int_equal(cop_chat_render(tok, &message, 1, true, &got), COP_ERR_FORMAT);
    assert_non_null(strstr(cop_error_text(), "line 3"));
    assert_int_equal(got.n, 0);
    cop_array_fini(&got);
    cop_tokenizer_free(tok);
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **state) {
    (void)state;
    cop_tokenizer *tok = with_template("{{ messages[0].content }}|{{ messages[0].content|length }}");
    const cop_chat_message message = {"user", "a\xff\xc3z"};
    cop_char_array got = {0};
    assert_int_equal(cop_chat_render(tok, &message, 1, true, &got), COP_OK);
    assert_int_equal(got.n, 10);
    assert_memory_equal(got.v, "a\xef\xbf\xbd\xef\xbf\xbdz|4", 10);
    cop_array_fini(&got);
    cop_tokenizer_free(tok);
}

static void wrong_conversations_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"[]", "{}", "{\"messages\": {}}", "{\"messages\": [1]}", "{\"messages\": [{\"content\": \"x\"}]}"};
    cop_tokenizer *tok = with_template("{{ messages|length }}");
    cop_char_array got = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *conversation = json_loads(texts[i], 0, NULL);
        assert_int_equal(cop_chat_render_json(tok, conversation, NULL, &got), COP_ERR_ARG);
        json_decref(conversation);
    }
    assert_int_equal(got.n, 0);
    cop_array_fini(&got);
    cop_tokenizer_free(tok);
}

static void members_of_messages_that_are_null_count_as_absent(void **state) {
    (void)state;
    static const char text[] = "{{ messages[0].a is defined }}{{ messages[0].b is defined }}{{ tools is none }}{{ c is none }}"
                               "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}";
    json_t *conversation = json_loads("{\"messages\": [{\"role\": \"user\", \"a\": null, \"b\": 1, \"reasoning\": \"r\"}], \"c\": null}", 0, NULL);
    cop_tokenizer *tok = with_template(text);
    cop_char_array got = {0};
    assert_int_equal(cop_chat_render_json(tok, conversation, NULL, &got), COP_OK);
    assert_int_equal(got.n, 19);
    assert_memory_equal(got.v, "FalseTrueTrueTruerr", 19);
    cop_array_fini(&got);
    cop_tokenizer_free(tok);
    json_decref(conversation);
}

static void wrong_messages_are_refused(void **state) {
    (void)state;
    cop_tokenizer *tok = with_template(NULL);
    const cop_chat_message message = {"wizard", "x"};
    cop_char_array got = {0};
    assert_int_equal(cop_chat_render(tok, &message, 0, true, &got), COP_ERR_ARG);
    assert_int_equal(cop_chat_render(tok, &message, 1, true, &got), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "take turns"));
    assert_int_equal(got.n, 0);
    cop_array_fini(&got);
    cop_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_render_as_the_template_does),
        cmocka_unit_test(gemma_without_a_template_is_known_by_its_tokens),
        cmocka_unit_test(a_broken_template_is_refused_with_its_line),
        cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(wrong_conversations_are_refused),
        cmocka_unit_test(members_of_messages_that_are_null_count_as_absent),
        cmocka_unit_test(wrong_messages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
