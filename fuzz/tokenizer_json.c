// Fuzzer of tokenizer.json.  The input is the file, and behind a NUL a text; without one the file's own bytes
// are the text.  Whatever the input, ids are in range, a cleaned stream is UTF-8, and what can be said in the
// words of GGUF gives the same ids when it is read back.
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_json.h"
#include "text/vocab_words.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MOST_TEXT 512

// Both may refuse the text, for what its pattern costs.
static void check_words(const cop_tokenizer *tok, const char *text, size_t bytes, const cop_token_array *ids) {
    cop_vocab_words *words;
    cop_tokenizer *again;
    cop_token_array got = {.most = 1 << 20};
    if (cop_vocab_words_new(&words, tok)) return;
    cop_status st = cop_tokenizer_new(&again, &words->source);
    must(!st);
    if (!cop_tokenizer_encode(again, text, bytes, true, true, &got))
        must(got.n == ids->n && (!got.n || !memcmp(got.v, ids->v, got.n * sizeof *got.v)));
    cop_array_fini(&got);
    cop_tokenizer_free(again);
    cop_vocab_words_free(words);
}

static void check_text(const cop_tokenizer *tok, const char *text, size_t bytes) {
    static cop_detok d;
    for (int special = 0; special < 2; special++) {
        cop_token_array ids = {.most = 1 << 20};
        if (!cop_tokenizer_encode(tok, text, bytes, true, special, &ids)) {
            must_be_tokens(tok, &ids, &d);
            if (special) check_words(tok, text, bytes, &ids);
        }
        cop_array_fini(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *json = (const char *)data, *end = bytes ? memchr(json, 0, bytes) : NULL;
    size_t n = end ? (size_t)(end - json) : bytes;
    cop_tokenizer_files files = {.tokenizer = {json, n}, .config = {json, n}};
    cop_tokenizer *tok;
    if (cop_tokenizer_from_json(&tok, &files)) return 0;
    const char *text = end ? end + 1 : json;
    size_t length = end ? bytes - n - 1 : n;
    check_text(tok, text, length < MOST_TEXT ? length : MOST_TEXT);
    cop_tokenizer_free(tok);
    return 0;
}
