// Tokens to text, as a stream: whole characters come out, the beginning of one is held back.
// Cost: one pass over the bytes; allocates nothing.
#include "text/text_private.h"
#include "text/utf8.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"  // U+FFFD

void cop_detok_start(cop_detok *d, const cop_tokenizer *tok, bool at_start, bool special, bool clean) {
    d->tok = tok;
    d->special = special;
    d->clean = clean;
    d->at_start = at_start && tok->add_space_prefix;
    d->n_held = 0;
}

// The space that encoding put before a text belongs to its first token that is not control.
static const char *take_piece(cop_detok *d, int32_t id, size_t *bytes) {
    const char *piece = cop_tokenizer_piece(d->tok, id, d->special, bytes);
    if (!d->at_start || id < 0 || id >= d->tok->n || cop_tokenizer_is_control(d->tok, id)) return piece;
    d->at_start = false;
    if (!*bytes || *piece != ' ' || d->tok->type[id] == COP_TOKEN_BYTE) return piece;
    --*bytes;
    return piece + 1;
}

// A stretch that no character begins with: each maximal part that might have become one is replaced.
static size_t put_broken(const cop_detok *d, char *to, const char *from, int n) {
    if (!d->clean) {
        memcpy(to, from, (size_t)n);
        return (size_t)n;
    }
    memcpy(to, REPLACEMENT, 3);
    return 3;
}

const char *cop_detok_push(cop_detok *d, int32_t id, size_t *bytes) {
    char joined[COP_MAX_PIECE + 4];
    size_t more, n, out = 0;
    const char *piece = take_piece(d, id, &more);
    memcpy(joined, d->held, d->n_held);
    memcpy(joined + d->n_held, piece, more);
    n = d->n_held + more;
    d->n_held = 0;
    for (size_t i = 0; i < n;) {
        int prefix, length = cop_utf8_measure((const uint8_t *)joined + i, n - i, &prefix);
        bool begins = (uint8_t)joined[i] >= 0xC2 && (uint8_t)joined[i] <= 0xF4;
        if (length) {
            memcpy(d->out + out, joined + i, (size_t)length);
            out += (size_t)length;
        } else if (begins && i + (size_t)prefix == n) {
            memcpy(d->held, joined + i, (size_t)prefix);
            d->n_held = (uint8_t)prefix;
            length = prefix;
        } else {
            out += put_broken(d, d->out + out, joined + i, prefix);
            length = prefix;
        }
        i += (size_t)length;
    }
    *bytes = out;
    return d->out;
}

const char *cop_detok_flush(cop_detok *d, size_t *bytes) {
    *bytes = d->n_held ? put_broken(d, d->out, d->held, d->n_held) : 0;
    d->n_held = 0;
    return d->out;
}
