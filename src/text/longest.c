#include "text/longest.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MOST_BYTES 64  // longer tokens are not looked for

struct cop_longest {
    const cop_tokenizer *tok;
    int32_t *sorted;  // [n] ids by their bytes
    size_t n;
};

static const char *piece_of(const cop_longest *l, int32_t id, size_t *bytes) { return cop_tokenizer_piece(l->tok, id, true, bytes); }

static int order(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    int o = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return o ? o : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int compare(const void *x, const void *y, void *arg) {
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    size_t a_bytes, b_bytes;
    const char *at = piece_of(arg, a, &a_bytes), *bt = piece_of(arg, b, &b_bytes);
    int o = order(at, a_bytes, bt, b_bytes);
    return o ? o : a < b ? -1 : a > b;
}

cop_status cop_longest_new(cop_longest **out, const cop_tokenizer *tok) {
    *out = NULL;
    cop_longest *l = cop_alloc(sizeof *l);
    int32_t *sorted = cop_alloc_array((size_t)cop_tokenizer_n_tokens(tok) + 1, sizeof *sorted);
    if (!l || !sorted) {
        cop_free(l);
        cop_free(sorted);
        return cop_fail(COP_ERR_NOMEM, "vocabulary of %d tokens: cannot allocate", cop_tokenizer_n_tokens(tok));
    }
    *l = (cop_longest){.tok = tok, .sorted = sorted};
    for (int32_t id = 0; id < cop_tokenizer_n_tokens(tok); id++) {
        size_t bytes;
        piece_of(l, id, &bytes);
        if (bytes && bytes <= MOST_BYTES) sorted[l->n++] = id;
    }
    qsort_r(sorted, l->n, sizeof *sorted, compare, l);
    *out = l;
    return COP_OK;
}

void cop_longest_free(cop_longest *l) {
    if (l) cop_free(l->sorted);
    cop_free(l);
}

int32_t cop_longest_next(const cop_longest *l, const char *text, size_t bytes, size_t *used) {
    for (size_t n = bytes < MOST_BYTES ? bytes : MOST_BYTES; n > 0; n--) {
        size_t low = 0, high = l->n;
        while (low < high) {
            size_t middle = low + (high - low) / 2, m;
            const char *t = piece_of(l, l->sorted[middle], &m);
            if (order(t, m, text, n) < 0) low = middle + 1;
            else high = middle;
        }
        if (low == l->n) continue;
        size_t m;
        const char *t = piece_of(l, l->sorted[low], &m);
        if (m != n || memcmp(t, text, n)) continue;
        *used = n;
        return l->sorted[low];
    }
    *used = 0;
    return -1;
}
