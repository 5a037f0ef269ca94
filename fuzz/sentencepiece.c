// Fuzzer of tokenizer.model. Two bytes say how long the file is; behind it stand tokenizer_config.json, a NUL, and a text.
// Whatever the input, ids are in range and a cleaned stream is UTF-8; what the library's own form can say of the
// tokenizer reads back with as many tokens.
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "text/sentencepiece.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MOST_TEXT 512

static void check_text(const cop_tokenizer *tok, const char *text, size_t bytes) {
    static cop_detok d;
    for (int special = 0; special < 2; special++) {
        cop_token_array ids = {.most = 1 << 20};
        if (!cop_tokenizer_encode(tok, text, bytes, true, special, &ids)) {
            must_be_tokens(tok, &ids, &d);
        }
        cop_array_fini(&ids);
    }
}

static void check_json(const cop_tokenizer *tok) {
    json_t *tokenizer, *config;
    cop_tokenizer *again;
    char *t = NULL, *c = NULL;
    cop_tokenizer_files files = {0};
    if (cop_tokenizer_to_json(tok, &tokenizer, &config)) return;
    must(!cop_json_dump(&t, &files.tokenizer.bytes, tokenizer, JSON_COMPACT) && !cop_json_dump(&c, &files.config.bytes, config, JSON_COMPACT));
    files.tokenizer.text = t;
    files.config.text = c;
    if (!cop_tokenizer_from_json(&again, &files)) {
        must(cop_tokenizer_n_tokens(again) <= cop_tokenizer_n_tokens(tok));
        cop_tokenizer_free(again);
    }
    cop_free(t);
    cop_free(c);
    json_decref(tokenizer);
    json_decref(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 2) return 0;
    size_t n = data[0] | (size_t)data[1] << 8, left = bytes - 2;
    if (n > left) n = left;
    const char *file = (const char *)data + 2, *config = file + n, *end = left > n ? memchr(config, 0, left - n) : NULL;
    size_t config_bytes = end ? (size_t)(end - config) : left - n;
    cop_tokenizer_files files = {.sentencepiece = {file, n}};
    if (config_bytes) files.config = (cop_span){config, config_bytes};
    cop_tokenizer *tok;
    if (cop_tokenizer_from_sentencepiece(&tok, &files)) {
        must(*cop_error_text());
        return 0;
    }
    const char *text = end ? end + 1 : file;
    size_t length = end ? left - n - config_bytes - 1 : n;
    check_text(tok, text, length < MOST_TEXT ? length : MOST_TEXT);
    check_json(tok);
    cop_tokenizer_free(tok);
    return 0;
}
