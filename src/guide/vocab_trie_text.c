// The vocabulary of a tokenizer as a trie.
#include <string.h>

#include "base/alloc.h"
#include "guide/vocab_trie.h"
#include "text/tokenizer.h"

static const char *piece(const void *user, int32_t token, size_t *bytes) {
    if (cop_tokenizer_is_control(user, token)) return *bytes = 0, "";
    return cop_tokenizer_piece(user, token, false, bytes);
}
static bool is_end(const void *user, int32_t token) { return cop_tokenizer_is_end(user, token); }
static int32_t find(const void *user, const char *text, size_t bytes) { return cop_tokenizer_find(user, text, bytes); }

// The tokens of a text behind "\n", where they begin: a tokenizer that puts a space before each text has put it before that.
static size_t skip_line_end(const cop_tokenizer *tok, const cop_token_array *all) {
    char spelt[3];
    for (size_t i = 0, n = 0; i < all->n; i++) {
        size_t bytes;
        const char *p = cop_tokenizer_piece(tok, all->v[i], false, &bytes);
        if (n + bytes > 2) break;
        memcpy(spelt + n, p, bytes);
        n += bytes;
        if (n && spelt[n - 1] == '\n' && (n == 1 || spelt[0] == ' ')) return i + 1;
    }
    return all->n;
}

static int encode(const void *user, const char *text, size_t bytes, int32_t *tokens, int max) {
    const cop_tokenizer *tok = user;
    bool behind = cop_tokenizer_adds_space(tok);
    cop_token_array out = {.most = max > 0 ? (size_t)max + 2 : 0};
    char *line = behind ? cop_alloc(bytes + 1) : NULL;
    int n = -1;
    if (behind && !line) return n;
    if (behind) {
        line[0] = '\n';
        memcpy(line + 1, text, bytes);
    }
    if (!cop_tokenizer_encode(tok, behind ? line : text, bytes + behind, false, false, &out)) {
        size_t from = behind ? skip_line_end(tok, &out) : 0;
        if (out.n - from <= (size_t)(max > 0 ? max : 0)) n = (int)(out.n - from);
        if (n > 0) memcpy(tokens, out.v + from, (size_t)n * sizeof *tokens);
    }
    cop_free(line);
    cop_array_fini(&out);
    return n;
}

cop_status cop_vocab_trie_of(cop_vocab_trie **out, const cop_tokenizer *tok) {
    const cop_vocab_trie_source source = {cop_tokenizer_n_tokens(tok), piece, is_end, find, encode, tok};
    return cop_vocab_trie_new(out, &source);
}
