// The vocabulary of a tokenizer as a trie.
#include <string.h>

#include "guide/vocab_trie.h"
#include "text/tokenizer.h"

static const char *piece(const void *user, int32_t token, size_t *bytes) {
    if (cop_tokenizer_is_control(user, token)) return *bytes = 0, "";
    return cop_tokenizer_piece(user, token, false, bytes);
}
static bool is_end(const void *user, int32_t token) { return cop_tokenizer_is_end(user, token); }
static int32_t find(const void *user, const char *text, size_t bytes) { return cop_tokenizer_find(user, text, bytes); }

static int encode(const void *user, const char *text, size_t bytes, int32_t *tokens, int max) {
    cop_token_array out = {.most = max > 0 ? (size_t)max : 0};
    int n = -1;
    if (!cop_tokenizer_encode(user, text, bytes, false, false, &out)) {
        n = (int)out.n;
        if (n) memcpy(tokens, out.v, out.n * sizeof *tokens);
    }
    cop_array_fini(&out);
    return n;
}

cop_status cop_vocab_trie_of(cop_vocab_trie **out, const cop_tokenizer *tok) {
    const cop_vocab_trie_source source = {cop_tokenizer_n_tokens(tok), piece, is_end, find, encode, tok};
    return cop_vocab_trie_new(out, &source);
}
