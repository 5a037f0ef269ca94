// Each allocation of the tokenizer readers, and of encoding, fails once: the status is COP_ERR_NOMEM and (under
// a sanitizer, as `make torture` runs it) nothing leaks.  PCRE2 does without compiled patterns, so a failure
// there may go unnoticed.  Not among them: jansson's, which does not survive its own (2.14 reads past a buffer).
#include <stdio.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/vocabularies.h"
#include "base/alloc.h"
#include "text/tokenizer_json.h"
#include "text/vocab_words.h"

#define AROUND                                                                                                        \
    "\"added_tokens\":[{\"id\":6,\"content\":\"<s>\",\"special\":true},{\"id\":7,\"content\":\"Zz\",\"normalized\":true}]," \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{}}]," \
    "\"special_tokens\":{\"<s>\":{\"ids\":[6]}}}"

static const char *const jsons[] = {
    "{" AROUND ",\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s+|\\\\p{Han}\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":true}]},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3,\"\\u0120\":4,\"e\":5},"
    "\"merges\":[\"a b\"]}}",
    "{" AROUND ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAA=\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"},{\"type\":\"BertNormalizer\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\"},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\"},"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"b\",-2],[\"ab\",-2.5],[\"\\u2581\",-3],[\"c\",-4]]}}",
    "{" AROUND ",\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\"},"
    "\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[UNK]\":0,\"a\":1,\"##b\":2,\"##c\":3}}}",
};

static const char text[] = "ab cab e\u0301\u0323 <s> Zz \u4e2d \xFF ab";

typedef cop_status work(const void *what);

static cop_status encode(const cop_tokenizer *tok) {
    cop_token_array ids = {0};
    cop_status st = cop_tokenizer_encode(tok, text, strlen(text), true, true, &ids);
    cop_array_fini(&ids);
    return st;
}

static cop_status read_and_encode(const void *what) {
    const char *json = what, *config = "{\"eos_token\":\"a\",\"chat_template\":\"x\"}";
    cop_tokenizer_files files = {.tokenizer = {json, strlen(json)}, .config = {config, strlen(config)}};
    cop_tokenizer *tok;
    cop_status st = cop_tokenizer_from_json(&tok, &files);
    if (!st) st = encode(tok);
    cop_tokenizer_free(tok);
    return st;
}

static cop_status make_and_encode(const void *what) {
    cop_tokenizer *tok;
    cop_status st = cop_tokenizer_new(&tok, what);
    if (!st) st = encode(tok);
    cop_tokenizer_free(tok);
    return st;
}

static cop_status say_in_words(const void *what) {
    cop_vocab_words *words;
    cop_status st = cop_vocab_words_new(&words, what);
    cop_vocab_words_free(words);
    return st;
}

// Until no allocation fails any more; how many there are.
static long torture(work *do_it, const void *what) {
    for (long n = 1; n < 5000; n++) {
        cop_alloc_fail_at(n);
        cop_status st = do_it(what);
        bool failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (!failed) {
            assert_int_equal(st, COP_OK);
            return n;
        }
        if (st && st != COP_ERR_NOMEM) fail_msg("allocation %ld: %s: %s", n, cop_status_name(st), cop_error_text());
    }
    fail_msg("it never ends");
    return 0;
}

static void tokenizer_json_survives_each_failure(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof jsons / sizeof jsons[0]; i++) assert_in_range(torture(read_and_encode, jsons[i]), 50, 1000);
}

static void the_kinds_of_gguf_survive_each_failure(void **state) {
    (void)state;
    static vocabulary v;
    vocabulary_gpt2(&v);
    torture(make_and_encode, &v.source);
    vocabulary_llama(&v);
    torture(make_and_encode, &v.source);
    v.source.model = "t5";
    torture(make_and_encode, &v.source);
    v.source.model = "bert";
    torture(make_and_encode, &v.source);
}

static void the_words_of_gguf_survive_each_failure(void **state) {
    (void)state;
    static vocabulary v;
    cop_tokenizer *tok;
    vocabulary_gpt2(&v);
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    torture(say_in_words, tok);
    cop_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_json_survives_each_failure),
        cmocka_unit_test(the_kinds_of_gguf_survive_each_failure),
        cmocka_unit_test(the_words_of_gguf_survive_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
