// Special tokens in a text: leftmost first, then longest.
// The texts are sorted, so those that begin like the text form a range that narrows byte by byte.
// Cost: one table look-up for a byte that begins no special token, else O(longest * log n).
#include "text/text_private.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) {
    const cop_special *x = a, *y = b;
    size_t least = x->bytes < y->bytes ? x->bytes : y->bytes;
    int order = memcmp(x->text, y->text, least);
    if (order) return order;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_special(const cop_tokenizer *tok, int32_t id) {
    uint8_t type = tok->type[id];
    return (type == COP_TOKEN_CONTROL || type == COP_TOKEN_USER || type == COP_TOKEN_UNKNOWN) &&
           cop_strings_get(&tok->text, id).bytes;
}

// SentencePiece texts are searched after spaces became marks, so the tokens' texts become so too.
static uint32_t prepare(const cop_tokenizer *tok, cop_span text, char *to) {
    uint32_t n = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (tok->is_spm && text.text[i] == ' ') {
            memcpy(to + n, COP_SPACE_MARK, COP_SPACE_MARK_BYTES);
            n += COP_SPACE_MARK_BYTES;
        } else {
            to[n++] = text.text[i];
        }
    }
    return n;
}

static void index_first_bytes(cop_specials *s) {
    size_t i = 0;
    for (int c = 0; c < 256; c++) {
        s->first[c] = (uint32_t)i;
        while (i < s->n && (uint8_t)s->v[i].text[0] == c) i++;
    }
    s->first[256] = (uint32_t)i;
}

cop_status cop_specials_make(cop_specials *s, const cop_special *list, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += list[i].bytes;
    s->v = cop_alloc_array(n, sizeof *s->v);
    s->bytes = cop_alloc(bytes);
    if (!s->v || !s->bytes) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu special tokens", n);
    char *to = s->bytes;
    for (size_t i = 0; i < n; i++) {
        if (!list[i].bytes) continue;
        s->v[s->n] = list[i];
        s->v[s->n++].text = memcpy(to, list[i].text, list[i].bytes);
        to += list[i].bytes;
    }
    qsort(s->v, s->n, sizeof *s->v, compare);
    index_first_bytes(s);
    return COP_OK;
}

cop_status cop_specials_build(cop_tokenizer *tok) {
    size_t n = 0, bytes = 0;
    for (int32_t id = 0; id < tok->n; id++) {
        if (!is_special(tok, id)) continue;
        n++;
        bytes += cop_strings_get(&tok->text, id).bytes * COP_SPACE_MARK_BYTES;
    }
    cop_special *list = cop_alloc_array(n, sizeof *list);
    char *texts = cop_alloc(bytes), *to = texts;
    cop_status st = list && texts ? COP_OK : cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu special tokens", n);
    n = 0;
    for (int32_t id = 0; !st && id < tok->n; id++) {
        if (!is_special(tok, id)) continue;
        uint32_t length = prepare(tok, cop_strings_get(&tok->text, id), to);
        list[n++] = (cop_special){.text = to, .bytes = length, .id = id, .user = tok->type[id] == COP_TOKEN_USER};
        to += length;
    }
    if (!st) st = cop_specials_make(&tok->specials, list, n);
    cop_free(list);
    cop_free(texts);
    return st;
}

void cop_specials_fini(cop_specials *s) {
    cop_free(s->v);
    cop_free(s->bytes);
    *s = (cop_specials){0};
}

// The first of v[lo..hi) whose byte `at` is not below c.  All of them are longer than `at`.
static size_t narrow(const cop_special *v, size_t lo, size_t hi, uint32_t at, int c) {
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((uint8_t)v[mid].text[at] < c) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

const cop_special *cop_specials_find(const cop_specials *s, const char *text, size_t bytes, bool parse_special) {
    const cop_special *best = NULL;
    if (!bytes) return best;
    size_t lo = s->first[(uint8_t)text[0]], hi = s->first[(uint8_t)text[0] + 1];
    for (uint32_t length = 1; lo < hi; length++) {
        bool found = false;
        for (; lo < hi && s->v[lo].bytes == length; lo++) {
            if (found || !(parse_special || s->v[lo].user)) continue;
            best = &s->v[lo];
            found = true;
        }
        if (length >= bytes) break;
        int c = (uint8_t)text[length];
        lo = narrow(s->v, lo, hi, length, c);
        hi = narrow(s->v, lo, hi, length, c + 1);
    }
    return best;
}

int32_t cop_specials_match(const cop_specials *s, const char *text, size_t bytes, bool parse_special,
                           uint32_t *matched) {
    const cop_special *found = cop_specials_find(s, text, bytes, parse_special);
    if (!found) return -1;
    *matched = found->bytes;
    return found->id;
}
