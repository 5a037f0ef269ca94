// The pieces of a vocabulary as a tree by bytes, laid out breadth first: the children of a node are
// neighbours, sorted by byte.  Built from the sorted pieces: a node is a range of them.
// Cost: 12 bytes a node, at most one node for each byte of the vocabulary; a step is a binary search.
#include <stdlib.h>
#include <string.h>

#include "text/pipeline_private.h"

typedef struct piece {
    cop_span span;
    int32_t id;
} piece;

typedef struct range {
    uint32_t lo, hi, depth;
} range;

static int compare(const void *a, const void *b) {
    const piece *x = a, *y = b;
    size_t least = x->span.bytes < y->span.bytes ? x->span.bytes : y->span.bytes;
    int order = memcmp(x->span.text, y->span.text, least);
    if (order) return order;
    if (x->span.bytes != y->span.bytes) return x->span.bytes < y->span.bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

// Nodes that the pieces need: the root, and what each adds to the one before it.
static size_t count_nodes(const piece *v, size_t n) {
    size_t nodes = 1;
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        while (i && same < v[i].span.bytes && same < v[i - 1].span.bytes && v[i].span.text[same] == v[i - 1].span.text[same])
            same++;
        nodes += v[i].span.bytes - same;
    }
    return nodes;
}

static void fill(cop_trie *t, const piece *v, range *ranges) {
    t->n = 1;
    for (size_t node = 0; node < t->n; node++) {
        range r = ranges[node];
        cop_trie_node *self = &t->nodes[node];
        self->id = -1;
        self->first = (uint32_t)t->n;
        if (r.lo < r.hi && v[r.lo].span.bytes == r.depth) self->id = v[r.lo].id;  // the first id keeps the text
        while (r.lo < r.hi && v[r.lo].span.bytes == r.depth) r.lo++;
        while (r.lo < r.hi) {
            uint32_t end = r.lo;
            uint8_t byte = (uint8_t)v[r.lo].span.text[r.depth];
            while (end < r.hi && (uint8_t)v[end].span.text[r.depth] == byte) end++;
            t->nodes[t->n].byte = byte;
            ranges[t->n++] = (range){r.lo, end, r.depth + 1};
            self->n++;
            r.lo = end;
        }
    }
}

cop_status cop_trie_build(cop_trie *t, const cop_tokenizer *tok, const bool *in) {
    piece *v = cop_alloc_array((size_t)tok->n, sizeof *v);
    if (!v) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    size_t n = 0;
    for (int32_t id = 0; id < tok->n; id++) {
        cop_span span = cop_strings_get(&tok->text, id);
        if (in[id] && span.bytes) v[n++] = (piece){span, id};
    }
    qsort(v, n, sizeof *v, compare);
    size_t nodes = count_nodes(v, n);
    range *ranges = cop_alloc_array(nodes, sizeof *ranges);
    t->nodes = cop_alloc_array(nodes, sizeof *t->nodes);
    cop_status st = COP_OK;
    if (!ranges || !t->nodes) {
        st = cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu nodes", nodes);
    } else {
        ranges[0] = (range){0, (uint32_t)n, 0};
        fill(t, v, ranges);
    }
    cop_free(ranges);
    cop_free(v);
    return st;
}

void cop_trie_fini(cop_trie *t) {
    cop_free(t->nodes);
    *t = (cop_trie){0};
}

uint32_t cop_trie_step(const cop_trie *t, uint32_t node, uint8_t byte) {
    uint32_t lo = t->nodes[node].first, hi = lo + t->nodes[node].n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->nodes[mid].byte == byte) return mid;
        if (t->nodes[mid].byte < byte) lo = mid + 1;
        else hi = mid;
    }
    return 0;
}
