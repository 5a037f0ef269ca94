// The pool of pages and the counts of who holds them.
#include <string.h>

#include "base/alloc.h"
#include "cache/cache_private.h"

static const char *const type_names[COP_N_KV_TYPES] = {
    [COP_KV_F16] = "f16", [COP_KV_BF16] = "bf16", [COP_KV_Q8_0] = "q8_0", [COP_KV_F32] = "f32"};

const char *cop_kv_type_name(cop_kv_type type) { return type_names[type]; }

cop_status cop_kv_type_parse(cop_kv_type *out, const char *text) {
    for (int i = 0; i < COP_N_KV_TYPES; i++) {
        if (strcmp(text, type_names[i])) continue;
        *out = (cop_kv_type)i;
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "cache type %s: must be f16, bf16, q8_0 or f32", text);
}

static cop_status check_shape(const cop_cache_shape *s, int max_pages) {
    if (s->n_layers < 0 || s->n_states < 0 || s->n_layers + s->n_states < 1 || s->n_kv_heads < 1 || s->head < 2 || s->head % 2)
        return cop_fail(COP_ERR_ARG, "cache: %d layers, %d heads of %d: not a shape", s->n_layers, s->n_kv_heads, s->head);
    if (s->n_states && (s->state_heads < 1 || s->state_head < 2 || s->state_head % 2))
        return cop_fail(COP_ERR_ARG, "cache: %d state layers, %d parts of %d: not a shape", s->n_states, s->state_heads, s->state_head);
    if (s->type == COP_KV_Q8_0 && (s->head % COP_BLOCK || (s->n_states && s->state_head % COP_BLOCK)))
        return cop_fail(COP_ERR_UNSUPPORTED, "cache type q8_0: heads of %d, must be a multiple of %d", s->head, COP_BLOCK);
    if (max_pages < 1) return cop_fail(COP_ERR_ARG, "cache: %d pages, must be at least 1", max_pages);
    return COP_OK;
}

cop_status cop_cache_new(cop_cache **out, const cop_cache_shape *shape, int max_pages) {
    *out = NULL;
    COP_TRY(check_shape(shape, max_pages));
    cop_cache *cache = cop_alloc(sizeof *cache);
    if (!cache) return cop_fail(COP_ERR_NOMEM, "cache: cannot allocate");
    cache->shape = *shape;
    cache->max_pages = max_pages;
    cache->kv_bytes = cop_kv_page_bytes(shape->type, shape->head);
    if (shape->n_states) cache->state_bytes = cop_kv_page_bytes(shape->type, shape->state_head);
    size_t heads, parts, state_bytes;
    cop_status st = COP_OK;
    if (!cop_mul_size((size_t)shape->n_layers * 2, (size_t)shape->n_kv_heads, &heads) ||
        !cop_mul_size(heads, cache->kv_bytes, &cache->states_at) ||
        !cop_mul_size((size_t)shape->n_states, (size_t)shape->state_heads, &parts) ||
        !cop_mul_size(parts, cache->state_bytes, &state_bytes) ||
        !cop_add_size(cache->states_at, state_bytes, &cache->page_bytes) ||
        !cop_mul_size(cache->page_bytes, (size_t)max_pages, &cache->pool_bytes))
        st = cop_fail(COP_ERR_LIMIT, "cache: %d pages: size overflows", max_pages);
    if (!st) {
        cache->pool = cop_pages_alloc(cache->pool_bytes);
        cache->free_pages = cop_alloc_array((size_t)max_pages, sizeof(int));
        cache->refs = cop_alloc_array((size_t)max_pages, sizeof(int));
        if (!cache->pool || !cache->free_pages || !cache->refs)
            st = cop_fail(COP_ERR_NOMEM, "cache: cannot reserve %zu bytes for %d tokens", cache->pool_bytes,
                          max_pages * COP_PAGE);
    }
    if (st) {
        cop_cache_free(cache);
        return st;
    }
    for (int i = 0; i < max_pages; i++) cache->free_pages[cache->n_free++] = max_pages - 1 - i;
    *out = cache;
    return COP_OK;
}

void cop_cache_free(cop_cache *cache) {
    if (!cache) return;
    cop_pages_free(cache->pool, cache->pool_bytes);
    cop_free(cache->free_pages);
    cop_free(cache->refs);
    cop_free(cache);
}

const cop_cache_shape *cop_cache_get_shape(const cop_cache *cache) { return &cache->shape; }
int cop_cache_pages_free(const cop_cache *cache) { return cache->n_free; }
size_t cop_cache_page_bytes(const cop_cache *cache) { return cache->page_bytes; }

int cop_cache_take_page(cop_cache *cache) {
    if (!cache->n_free) return -1;
    int page = cache->free_pages[--cache->n_free];
    cache->refs[page] = 1;
    return page;
}

void cop_cache_drop_page(cop_cache *cache, int page) {
    if (--cache->refs[page] == 0) cache->free_pages[cache->n_free++] = page;
}
