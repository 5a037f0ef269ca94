// WordPiece: the longest token that the rest of the word begins with, again and again; a word that cannot
// be written so, or that is too long, is one unknown token.
// Source: Schuster and Nakajima 2012; Devlin et al. 2018.
// Cost: O(longest token) look-ups for each token of a word.
#include <string.h>

#include "text/pipeline_private.h"
#include "text/utf8.h"

// The longest token of the form prefix + text[0..n); its id and *taken, or -1.
static int32_t longest(const cop_tokenizer *tok, const char *prefix, const char *text, size_t bytes, size_t *taken) {
    char buffer[COP_MAX_AFFIX + COP_MAX_PIECE];
    size_t n = strlen(prefix), room = tok->longest > n ? tok->longest - n : 0;
    memcpy(buffer, prefix, n);
    size_t most = bytes < room ? bytes : room;
    memcpy(buffer + n, text, most);
    for (size_t length = most; length; length--) {
        if (length < bytes && ((uint8_t)text[length] & 0xC0) == 0x80) continue;  // inside a character
        int32_t id = cop_tokenizer_find(tok, buffer, n + length);
        if (id < 0 || !tok->pipeline->in_model[id]) continue;
        *taken = length;
        return id;
    }
    return -1;
}

static size_t count_characters(const char *text, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((uint8_t)text[i] & 0xC0) != 0x80;
    return n;
}

cop_status cop_wordpiece_piece(const cop_tokenizer *tok, cop_piece_work *w, const char *text, size_t bytes,
                               cop_token_array *out) {
    const cop_pipeline *p = tok->pipeline;
    bool known = bytes <= 4 * p->most_word && count_characters(text, bytes) <= p->most_word;
    w->found.n = 0;
    for (size_t at = 0, n = 0; known && at < bytes; at += n) {
        int32_t id = longest(tok, at ? p->inner : p->first, text + at, bytes - at, &n);
        known = id >= 0;
        if (known) COP_TRY(cop_array_push(&w->found, id));
    }
    if (!known) return tok->unk >= 0 ? cop_array_push(out, tok->unk) : COP_OK;
    for (size_t i = 0; i < w->found.n; i++) COP_TRY(cop_array_push(out, w->found.v[i]));
    return COP_OK;
}
