// The merge loop of BPE: a heap, four children a node, of candidate pairs over a linked list of symbols.
// A heap entry is only (rank, left symbol); whether the pair is still there is asked again when it
// comes up, so nothing has to be taken out of the middle of the heap.
// Cost: O(n log n) for n symbols, 32 bytes a symbol and 8 a candidate.
#include "text/text_private.h"

#include <string.h>

void cop_merge_reset(cop_merge_work *w) {
    w->symbols.n = 0;
    w->heap.n = 0;
}

void cop_merge_fini(cop_merge_work *w) {
    cop_array_fini(&w->symbols);
    cop_array_fini(&w->heap);
}

cop_status cop_merge_add(cop_merge_work *w, uint32_t start, uint32_t bytes, int32_t id, bool frozen) {
    if (w->symbols.n >= INT32_MAX) return cop_fail(COP_ERR_LIMIT, "text: more than %d symbols", INT32_MAX);
    int32_t at = (int32_t)w->symbols.n;
    cop_symbol symbol = {.start = start, .bytes = bytes, .prev = at - 1, .next = -1, .id = id, .frozen = frozen};
    COP_TRY(cop_array_push(&w->symbols, symbol));
    if (at) w->symbols.v[at - 1].next = at;
    return COP_OK;
}

static cop_status heap_push(cop_merge_work *w, uint64_t key) {
    COP_TRY(cop_array_reserve(&w->heap, 1));
    size_t i = w->heap.n++;
    uint64_t *h = w->heap.v;
    while (i && h[(i - 1) / 4] > key) {
        h[i] = h[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    h[i] = key;
    return COP_OK;
}

static uint64_t heap_pop(cop_merge_work *w) {
    uint64_t *h = w->heap.v, top = h[0], last = h[--w->heap.n];
    size_t n = w->heap.n, i = 0;
    for (size_t child; (child = 4 * i + 1) < n; i = child) {
        size_t end = child + 4 < n ? child + 4 : n;
        for (size_t c = child + 1; c < end; c++) child = h[c] < h[child] ? c : child;
        if (h[child] >= last) break;
        h[i] = h[child];
    }
    if (n) h[i] = last;
    return top;
}

static bool ask(const cop_merge_work *w, int32_t left, cop_pair_fn *pair, const void *arg, uint32_t *rank,
                int32_t *id) {
    const cop_symbol *s = w->symbols.v;
    int32_t right = s[left].next;
    if (right < 0 || s[left].frozen || s[right].frozen) return false;
    return pair(arg, &s[left], &s[right], rank, id);
}

static cop_status propose(cop_merge_work *w, int32_t left, cop_pair_fn *pair, const void *arg) {
    uint32_t rank;
    int32_t id;
    if (left < 0 || !ask(w, left, pair, arg, &rank, &id)) return COP_OK;
    return heap_push(w, (uint64_t)rank << 32 | (uint32_t)left);
}

// The right symbol joins the left and, without a neighbour, never merges again.
static void join(cop_merge_work *w, int32_t left, int32_t id) {
    cop_symbol *s = w->symbols.v, *l = &s[left], *r = &s[l->next];
    l->bytes += r->bytes;
    l->id = id;
    l->next = r->next;
    r->next = -1;
    if (l->next >= 0) s[l->next].prev = left;
}

cop_status cop_merge_run(cop_merge_work *w, cop_pair_fn *pair, const void *arg) {
    for (size_t i = 0; i + 1 < w->symbols.n; i++) COP_TRY(propose(w, (int32_t)i, pair, arg));
    while (w->heap.n) {
        uint64_t key = heap_pop(w);
        int32_t left = (int32_t)(uint32_t)key, id;
        uint32_t rank;
        if (!ask(w, left, pair, arg, &rank, &id) || rank != key >> 32) continue;
        join(w, left, id);
        COP_TRY(propose(w, w->symbols.v[left].prev, pair, arg));
        COP_TRY(propose(w, left, pair, arg));
    }
    return COP_OK;
}
