#ifndef COP_CACHE_PRIVATE_H
#define COP_CACHE_PRIVATE_H

#include "cache/cache.h"

struct cop_cache {
    cop_cache_shape shape;
    size_t kv_bytes;    // keys (or values) of one page, layer and head
    size_t state_bytes; // one part of the states of one page and layer
    size_t states_at;   // in a page: n_layers x n_kv_heads x 2 x kv_bytes
    size_t page_bytes;  // and n_states x state_heads x state_bytes
    size_t pool_bytes;
    uint8_t *pool;      // max_pages pages
    int max_pages, n_free;
    int *free_pages;    // [n_free] stack
    int *refs;          // [max_pages] sequences that hold the page
};

struct cop_seq {
    cop_cache *cache;
    int n_tokens;    // committed
    int max_tokens;
    int n_pages;     // pages held, including those of scratch rows
    int *pages;      // [ceil(max_tokens / COP_PAGE)]
};

/* Take a page with one reference; -1 when none is free. */
int cop_cache_take_page(cop_cache *cache);
void cop_cache_drop_page(cop_cache *cache, int page);

/* Put a page behind the sequence's own, sharing it: n more tokens of it are the sequence's. The sequence ends at a
 * page's end and has room. */
void cop_seq_append_page(cop_seq *seq, int page, int n);

static inline uint8_t *cop_cache_page(const cop_cache *cache, int page) {
    return cache->pool + (size_t)page * cache->page_bytes;
}

#endif
