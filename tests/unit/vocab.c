// Tokenizers of GGUF files: keys that are missing, of another kind, or do not fit one another.
#include <string.h>

#include "../support/gguf_raw.h"
#include "../support/mini_cmocka.h"
#include "model/vocab.h"

static raw_file f;

static void key_text(const char *key, const char *text) {
    raw_key(&f, key, COP_GGUF_TEXT);
    raw_text(&f, text);
}

static void key_texts(const char *key, const char *const *texts, size_t n) {
    raw_array(&f, key, COP_GGUF_TEXT, n);
    for (size_t i = 0; i < n; i++) raw_text(&f, texts[i]);
}

static void key_numbers(const char *key, uint32_t type, size_t n, uint32_t value) {
    raw_array(&f, key, type, n);
    for (size_t i = 0; i < n; i++) raw_u32(&f, value);
}

static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "aa"};

static cop_status open_vocab(cop_tokenizer **tok) {
    cop_gguf *file;
    if (raw_open(&file, &f)) fail_msg("%s", cop_error_text());
    cop_status st = cop_vocab_open(tok, file);
    cop_gguf_close(file);
    return st;
}

static void assert_fails(cop_status want, const char *part) {
    cop_tokenizer *tok;
    cop_status st = open_vocab(&tok);
    assert_null(tok);
    if (st != want || !strstr(cop_error_text(), part))
        fail_msg("wanted %s with '%s', got %s: %s", cop_status_name(want), part, cop_status_name(st), cop_error_text());
}

static void a_file_without_a_vocabulary_is_refused_by_key(void **state) {
    (void)state;
    raw_header(&f, 0, 0);
    assert_fails(COP_ERR_FORMAT, "tokenizer.ggml.model");
    raw_header(&f, 0, 1);
    key_text("tokenizer.ggml.model", "llama");
    assert_fails(COP_ERR_FORMAT, "tokenizer.ggml.tokens");
    raw_header(&f, 0, 1);
    key_text("tokenizer.ggml.model", "a name that is longer than any name of a kind of tokenizer may ever be");
    assert_fails(COP_ERR_FORMAT, "a name below");
}

static void lists_of_another_length_are_refused(void **state) {
    (void)state;
    raw_header(&f, 0, 3);
    key_text("tokenizer.ggml.model", "llama");
    key_texts("tokenizer.ggml.tokens", tokens, 5);
    key_numbers("tokenizer.ggml.scores", COP_GGUF_F32, 4, 0);
    assert_fails(COP_ERR_FORMAT, "tokenizer.ggml.scores: 4 elements, there are 5");
    raw_header(&f, 0, 4);
    key_text("tokenizer.ggml.model", "llama");
    key_texts("tokenizer.ggml.tokens", tokens, 5);
    key_numbers("tokenizer.ggml.scores", COP_GGUF_F32, 5, 0);
    key_numbers("tokenizer.ggml.token_type", COP_GGUF_I32, 6, 1);
    assert_fails(COP_ERR_FORMAT, "tokenizer.ggml.token_type: 6 elements");
}

static void values_that_do_not_fit_are_refused(void **state) {
    (void)state;
    raw_header(&f, 0, 4);
    key_text("tokenizer.ggml.model", "llama");
    key_texts("tokenizer.ggml.tokens", tokens, 5);
    key_numbers("tokenizer.ggml.scores", COP_GGUF_F32, 5, 0);
    key_numbers("tokenizer.ggml.token_type", COP_GGUF_U32, 5, 0xFFFFFFFF);
    assert_fails(COP_ERR_FORMAT, "token 0: type");
    raw_header(&f, 0, 4);
    key_text("tokenizer.ggml.model", "llama");
    key_texts("tokenizer.ggml.tokens", tokens, 5);
    key_numbers("tokenizer.ggml.scores", COP_GGUF_F32, 5, 0);
    raw_key_u32(&f, "tokenizer.ggml.eos_token_id", 5);
    assert_fails(COP_ERR_FORMAT, "eos token: id 5, the vocabulary has 5");
}

static void a_small_file_tokenises(void **state) {
    (void)state;
    cop_tokenizer *tok;
    cop_token_array ids = {0};
    raw_header(&f, 0, 4);
    key_text("tokenizer.ggml.model", "llama");
    key_texts("tokenizer.ggml.tokens", tokens, 5);
    key_numbers("tokenizer.ggml.scores", COP_GGUF_F32, 5, 0);
    key_text("tokenizer.chat_template", "{{ x }}");
    if (open_vocab(&tok)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_tokenizer_bos(tok), 1);  // of the llama kind without saying so
    assert_string_equal(cop_tokenizer_template(tok), "{{ x }}");
    assert_int_equal(cop_tokenizer_encode(tok, "aaa", 3, true, false, &ids), COP_OK);
    const int32_t want[] = {1, 0, 4, 3};  // bos, unk for the space, aa, a
    assert_int_equal(ids.n, 4);
    assert_memory_equal(ids.v, want, sizeof want);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_a_vocabulary_is_refused_by_key),
        cmocka_unit_test(lists_of_another_length_are_refused),
        cmocka_unit_test(values_that_do_not_fit_are_refused),
        cmocka_unit_test(a_small_file_tokenises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
