// What fuzzers share: a broken promise, and what every tokenizer promises of the tokens of a text.
#ifndef FUZZ_PROMISES_H
#define FUZZ_PROMISES_H

#include "text/tokenizer.h"
#include "text/utf8.h"

// A broken promise ends the run where the sanitizers do.
static inline void must(int promise) {
    if (!promise) __builtin_trap();
}

// Ids are in range, and a cleaned stream of them is UTF-8 at every turn. d: what it is streamed with.
static inline void must_be_tokens(const cop_tokenizer *tok, const cop_token_array *ids, cop_detok *d) {
    for (size_t i = 0; i < ids->n; i++) must(ids->v[i] >= 0 && ids->v[i] < cop_tokenizer_n_tokens(tok));
    cop_detok_start(d, tok, true, true, true);
    for (size_t i = 0, n; i <= ids->n; i++) {
        const char *out = i < ids->n ? cop_detok_push(d, ids->v[i], &n) : cop_detok_flush(d, &n);
        for (size_t at = 0; at < n;) {
            int length = cop_utf8_length(out + at, n - at);
            must(length > 0);
            at += (size_t)length;
        }
    }
}

#endif
