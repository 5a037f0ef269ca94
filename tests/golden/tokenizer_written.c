// Tokenizers of GGUF files, written as tokenizer.json and read again, give the same ids and the same text: on the recorded
// vocabularies' texts and on hostile ones.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "../support/vocabularies.h"
#include "base/map.h"
#include "model/vocab.h"

#define MOST_FILE ((size_t)64 << 20)

static const char *const texts[] = {
    "", " ", "  ", "   ", "\n", "\t\n \r\n", "a", " a", "a ", "  a  b   c", "Hello, world! 123 4567", "don't WON'T I'LL", "the other 12<|im_end|>x",
    "<s>a</s> b<s>", "<tool_call><tool>  x", "caf\u00e9 cafe\u0301 \u0344", "\u4e2d\u6587\u3042\u30a2\uac00", "\U0001F469\u200D\U0001F469\u200D\U0001F467 \U0001F1E9\U0001F1EA", "\u2581\u2581a \u2581",
    "\u00a0\u1680\u2003\u3000x", "\x01\x02\x7f", "                                                                                x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<unk> <0x41> <pad>", "def f(x):\n        return x ** 2  # \u00fc\n\n\n\n", "\u0915\u094d\u0937\u093f \u0639\u0631\u0628\u064a \u05e2\u05d1\u05e8\u05d9\u05ea", "\ufffd\ufeff\u202e",
};

typedef struct pair {
    const cop_tokenizer *a, *b;
    const char *name;
    int n;
} pair;

static void same_text_back(const pair *p, const cop_token_array *ids) {
    static cop_detok d, e;
    cop_detok_start(&d, p->a, true, false, false);
    cop_detok_start(&e, p->b, true, false, false);
    for (size_t i = 0; i < ids->n; i++) {
        size_t n, m;
        const char *x = cop_detok_push(&d, ids->v[i], &n), *y = cop_detok_push(&e, ids->v[i], &m);
        if (n != m || memcmp(x, y, n)) fail_msg("%s: token %d comes back as '%.*s', need '%.*s'", p->name, ids->v[i], (int)m, y, (int)n, x);
    }
}

static void same_ids(pair *p, const char *text, size_t bytes) {
    for (int how = 0; how < 4; how++) {
        cop_token_array x = {.most = 1 << 24}, y = {.most = 1 << 24};
        if (cop_tokenizer_encode(p->a, text, bytes, how & 1, how & 2, &x)) fail_msg("%s", cop_error_text());
        if (cop_tokenizer_encode(p->b, text, bytes, how & 1, how & 2, &y)) fail_msg("%s", cop_error_text());
        size_t i = 0;
        while (i < x.n && i < y.n && x.v[i] == y.v[i]) i++;
        if (i < x.n || i < y.n)
            fail_msg("%s: '%.*s', special %d %d: token %zu of %zu is %d, need %d of %zu", p->name, bytes > 200 ? 200 : (int)bytes, text, how & 1, how >> 1, i,
                     y.n, i < y.n ? y.v[i] : -1, i < x.n ? x.v[i] : -1, x.n);
        same_text_back(p, &x);
        cop_array_fini(&x);
        cop_array_fini(&y);
        p->n++;
    }
}

static void hostile_texts(pair *p) {
    char path[PLACE_BYTES];
    if (!place_data(path, "hostile-text/blns.json")) return;
    json_t *list = json_load_file(path, 0, NULL), *one;
    size_t i;
    json_array_foreach(list, i, one) same_ids(p, json_string_value(one), json_string_length(one));
    json_decref(list);
}

// UTF-8 lines of the file that was recorded beside the vocabulary.
static void recorded_texts(pair *p, const char *inp) {
    char path[PLACE_BYTES], *text;
    size_t bytes;
    if (!inp || !place_data(path, inp)) return;
    if (cop_file_read(path, MOST_FILE, &text, &bytes)) fail_msg("%s", cop_error_text());
    same_ids(p, text, bytes);
    for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) same_ids(p, at, (size_t)(end - at));
    cop_free(text);
}

static void write_and_read(const cop_tokenizer *tok, const char *name, const char *inp) {
    json_t *tokenizer, *config;
    cop_tokenizer *again;
    if (cop_tokenizer_to_json(tok, &tokenizer, &config)) fail_msg("%s: %s", name, cop_error_text());
    char *t = json_dumps(tokenizer, JSON_INDENT(1)), *c = json_dumps(config, 0);
    const cop_tokenizer_files files = {.tokenizer = {t, strlen(t)}, .config = {c, strlen(c)}};
    if (cop_tokenizer_from_json(&again, &files)) fail_msg("%s: %s", name, cop_error_text());
    assert_int_equal(cop_tokenizer_bos(tok), cop_tokenizer_bos(again));
    assert_int_equal(cop_tokenizer_eos(tok), cop_tokenizer_eos(again));
    pair p = {tok, again, name, 0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) same_ids(&p, texts[i], strlen(texts[i]));
    hostile_texts(&p);
    recorded_texts(&p, inp);
    print_message("%s: %d encodings are the same\n", name, p.n);
    cop_tokenizer_free(again);
    free(t);
    free(c);
    json_decref(tokenizer);
    json_decref(config);
}

static void write_and_read_file(const char *path, const char *inp) {
    cop_gguf *file;
    cop_tokenizer *tok;
    if (cop_gguf_open(&file, path)) fail_msg("%s", cop_error_text());
    if (cop_vocab_open(&tok, file)) fail_msg("%s", cop_error_text());
    write_and_read(tok, path, inp);
    cop_tokenizer_free(tok);
    cop_gguf_close(file);
}

static void the_recorded_vocabularies_come_back(void **state) {
    (void)state;
    static const char *const names[] = {"gpt-2", "starcoder", "deepseek-coder", "llama-spm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PLACE_BYTES], part[128], inp[140];
        snprintf(part, sizeof part, "tokenizers/ggml-vocab-%s.gguf", names[i]);
        snprintf(inp, sizeof inp, "%s.inp", part);
        if (!place_data(path, part)) {
            print_message("skipped: data set tokenizers is absent\n");
            skip();
        }
        write_and_read_file(path, inp);
    }
}

static void the_tiny_models_come_back(void **state) {
    (void)state;
    static const char *const names[] = {"tiny-llama-a", "tiny-qwen2-a", "tiny-roberta"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "tests/data/%s.gguf", names[i]);
        write_and_read_file(path, NULL);
    }
}

static void the_named_models_come_back(void **state) {
    (void)state;
    static const char *const names[] = {"smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b"};
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PLACE_BYTES];
        if (!place_model(path, names[i])) continue;
        write_and_read_file(path, NULL);
        n++;
    }
    if (!n) {
        print_message("skipped: no named model is there\n");
        skip();
    }
}

static void user_tokens_of_spaces_come_back(void **state) {
    (void)state;
    static vocabulary v;
    cop_tokenizer *tok;
    vocabulary_llama(&v);
    v.source.add_space_prefix = false;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    write_and_read(tok, "user tokens", NULL);
    cop_tokenizer_free(tok);
}

static void what_has_no_form_is_refused_by_name(void **state) {
    (void)state;
    static vocabulary v;
    cop_tokenizer *tok;
    json_t *a, *b;
    vocabulary_llama(&v);
    v.source.add_space_prefix = true;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    assert_int_equal(cop_tokenizer_to_json(tok, &a, &b), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "a space before the text beside user-defined tokens"));
    cop_tokenizer_free(tok);
    cop_gguf *file;
    assert_int_equal(cop_gguf_open(&file, "tests/data/tiny-llama-b.gguf"), COP_OK);
    assert_int_equal(cop_vocab_open(&tok, file), COP_OK);
    assert_int_equal(cop_tokenizer_to_json(tok, &a, &b), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "a character that is no token"));
    cop_tokenizer_free(tok);
    cop_gguf_close(file);
    vocabulary_gpt2(&v);
    v.source.pre = "default";
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    assert_int_equal(cop_tokenizer_to_json(tok, &a, &b), COP_ERR_UNSUPPORTED);
    assert_non_null(strstr(cop_error_text(), "\"default\" has no published form"));
    cop_tokenizer_free(tok);
    assert_null(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recorded_vocabularies_come_back), cmocka_unit_test(the_tiny_models_come_back),
        cmocka_unit_test(the_named_models_come_back),          cmocka_unit_test(user_tokens_of_spaces_come_back),
        cmocka_unit_test(what_has_no_form_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
