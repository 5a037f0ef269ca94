// Sequences: reserve, commit, truncate, share.
#include <string.h>

#include "base/alloc.h"
#include "cache/cache_private.h"

static int pages_for(int n_tokens) { return (n_tokens + COP_PAGE - 1) / COP_PAGE; }

cop_status cop_seq_new(cop_seq **out, cop_cache *cache, int max_tokens) {
    *out = NULL;
    if (max_tokens < 1) return cop_fail(COP_ERR_ARG, "context of %d tokens, must be at least 1", max_tokens);
    cop_seq *seq = cop_alloc(sizeof *seq);
    int *pages = cop_alloc_array((size_t)pages_for(max_tokens), sizeof(int));
    if (!seq || !pages) {
        cop_free(seq);
        cop_free(pages);
        return cop_fail(COP_ERR_NOMEM, "sequence of %d tokens: cannot allocate", max_tokens);
    }
    *seq = (cop_seq){.cache = cache, .max_tokens = max_tokens, .pages = pages};
    *out = seq;
    return COP_OK;
}

void cop_seq_free(cop_seq *seq) {
    if (!seq) return;
    cop_seq_truncate(seq, 0);
    cop_free(seq->pages);
    cop_free(seq);
}

cop_cache *cop_seq_cache(const cop_seq *seq) { return seq->cache; }
bool cop_seq_covers(const cop_seq *seq, int n_slots) { return n_slots <= seq->n_pages * COP_PAGE; }
int cop_seq_length(const cop_seq *seq) { return seq->n_tokens; }
int cop_seq_capacity(const cop_seq *seq) { return seq->max_tokens; }

static void drop_pages(cop_seq *seq, int n_keep) {
    while (seq->n_pages > n_keep) cop_cache_drop_page(seq->cache, seq->pages[--seq->n_pages]);
}

// The only page that can be both shared and written is the one that holds slot n.
static cop_status own_last_page(cop_seq *seq) {
    cop_cache *cache = seq->cache;
    int i = seq->n_tokens / COP_PAGE;
    if (i >= seq->n_pages || cache->refs[seq->pages[i]] == 1) return COP_OK;
    int copy = cop_cache_take_page(cache);
    if (copy < 0) return cop_fail(COP_ERR_LIMIT, "cache is full: all %d pages are in use", cache->max_pages);
    memcpy(cop_cache_page(cache, copy), cop_cache_page(cache, seq->pages[i]), cache->page_bytes);
    cop_cache_drop_page(cache, seq->pages[i]);
    seq->pages[i] = copy;
    return COP_OK;
}

cop_status cop_seq_reserve(cop_seq *seq, int n_rows) {
    if (n_rows < 0 || n_rows > seq->max_tokens - seq->n_tokens)
        return cop_fail(COP_ERR_LIMIT, "context is full: %d tokens and %d more, at most %d", seq->n_tokens, n_rows,
                        seq->max_tokens);
    int had = seq->n_pages, need = pages_for(seq->n_tokens + n_rows);
    if (need - had > seq->cache->n_free)
        return cop_fail(COP_ERR_LIMIT, "cache is full: %d more pages needed, %d of %d free", need - had, seq->cache->n_free,
                        seq->cache->max_pages);
    if (n_rows) COP_TRY(own_last_page(seq));
    while (seq->n_pages < need) {
        int page = cop_cache_take_page(seq->cache);
        if (page < 0) {
            drop_pages(seq, had);
            return cop_fail(COP_ERR_LIMIT, "cache is full: all %d pages are in use", seq->cache->max_pages);
        }
        seq->pages[seq->n_pages++] = page;
    }
    return COP_OK;
}

static void move_row(cop_seq *seq, int to, int from) {
    const cop_cache *c = seq->cache;
    for (int layer = 0; layer < c->shape.n_layers; layer++)
        for (int g = 0; g < c->shape.n_kv_heads; g++) {
            cop_kv_copy_key(c->shape.type, cop_seq_keys(seq, layer, g, to / COP_PAGE), to % COP_PAGE,
                            cop_seq_keys(seq, layer, g, from / COP_PAGE), from % COP_PAGE, c->shape.head);
            cop_kv_copy_value(c->shape.type, cop_seq_values(seq, layer, g, to / COP_PAGE), to % COP_PAGE,
                              cop_seq_values(seq, layer, g, from / COP_PAGE), from % COP_PAGE, c->shape.head);
        }
    for (int layer = 0; layer < c->shape.n_states; layer++)
        for (int p = 0; p < c->shape.state_heads; p++)
            cop_kv_copy_value(c->shape.type, cop_seq_states(seq, layer, p, to / COP_PAGE), to % COP_PAGE,
                              cop_seq_states(seq, layer, p, from / COP_PAGE), from % COP_PAGE, c->shape.state_head);
}

void cop_seq_commit(cop_seq *seq, const int *path, int n_path) {
    // path[i] >= i because rows are numbered parents first, so no row is overwritten before it moves.
    for (int i = 0; path && i < n_path; i++)
        if (path[i] != i) move_row(seq, seq->n_tokens + i, seq->n_tokens + path[i]);
    seq->n_tokens += n_path;
    drop_pages(seq, pages_for(seq->n_tokens));
}

void cop_seq_truncate(cop_seq *seq, int n_tokens) {
    seq->n_tokens = n_tokens;
    drop_pages(seq, pages_for(n_tokens));
}

cop_status cop_seq_share(cop_seq *to, const cop_seq *from, int n_tokens) {
    if (to->cache != from->cache || n_tokens < 0 || n_tokens > from->n_tokens)
        return cop_fail(COP_ERR_ARG, "share: %d tokens of a sequence of %d", n_tokens, from->n_tokens);
    if (n_tokens > to->max_tokens)
        return cop_fail(COP_ERR_LIMIT, "context is full: %d tokens to share, at most %d", n_tokens, to->max_tokens);
    int n_pages = pages_for(n_tokens);
    for (int i = 0; i < n_pages; i++) to->cache->refs[from->pages[i]]++;  // before the drop: `to` may be `from`
    drop_pages(to, 0);
    for (int i = 0; i < n_pages; i++) to->pages[to->n_pages++] = from->pages[i];
    to->n_tokens = n_tokens;
    return COP_OK;
}

void cop_seq_append_page(cop_seq *seq, int page, int n) {
    seq->cache->refs[page]++;
    seq->pages[seq->n_pages++] = page;
    seq->n_tokens += n;
}

static uint8_t *at(const cop_seq *seq, int layer, int kv_head, int page, int values) {
    const cop_cache *c = seq->cache;
    size_t i = ((size_t)layer * (size_t)c->shape.n_kv_heads + (size_t)kv_head) * 2 + (size_t)values;
    return cop_cache_page(c, seq->pages[page]) + i * c->kv_bytes;
}

uint8_t *cop_seq_states(const cop_seq *seq, int layer, int part, int page) {
    const cop_cache *c = seq->cache;
    return cop_cache_page(c, seq->pages[page]) + c->states_at +
           ((size_t)layer * (size_t)c->shape.state_heads + (size_t)part) * c->state_bytes;
}

uint8_t *cop_seq_keys(const cop_seq *seq, int layer, int kv_head, int page) { return at(seq, layer, kv_head, page, 0); }
uint8_t *cop_seq_values(const cop_seq *seq, int layer, int kv_head, int page) { return at(seq, layer, kv_head, page, 1); }
