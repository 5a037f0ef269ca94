// Memory that is freed at once, and bytes that are kept once.
#include <xxhash.h>

#include "guide/schema_private.h"

struct schema_chunk {
    schema_chunk *before;
    size_t bytes;
    uint64_t v[];
};

#define CHUNK ((size_t)1 << 14)

void *cop_schema_take(schema_arena *a, size_t bytes) {
    if (bytes > SCHEMA_MOST_MEMORY) bytes = SCHEMA_MOST_MEMORY;
    bytes = (bytes + 7) & ~(size_t)7;
    if (!a->chunks || a->chunks->bytes - a->used < bytes) {
        size_t most = a->most ? a->most : SCHEMA_MOST_MEMORY;
        size_t grow = a->total / 2 < CHUNK ? CHUNK : a->total / 2 > 64 * CHUNK ? 64 * CHUNK : a->total / 2;
        size_t want = bytes > grow ? bytes : grow;
        if (want > most - (a->total < most ? a->total : most)) {
            cop_fail(COP_ERR_LIMIT, "schema: needs more than %zu MB", most >> 20);
            return NULL;
        }
        schema_chunk *c = cop_alloc(sizeof *c + want);
        if (!c) {
            cop_fail(COP_ERR_NOMEM, "schema: cannot allocate %zu bytes", want);
            return NULL;
        }
        *c = (schema_chunk){a->chunks, want};
        a->chunks = c;
        a->used = 0;
        a->total += want;
    }
    void *p = (char *)a->chunks->v + a->used;
    a->used += bytes;
    return p;
}

void cop_schema_arena_fini(schema_arena *a) {
    while (a->chunks) {
        schema_chunk *c = a->chunks;
        a->chunks = c->before;
        cop_free(c);
    }
    a->used = a->total = 0;
}

static cop_status grow_slots(schema_pool *p) {
    uint32_t n = p->n_slots ? p->n_slots * 2 : 64;
    uint32_t *slots = cop_alloc_array(n, sizeof *slots);
    if (!slots) return cop_fail(COP_ERR_NOMEM, "schema: cannot allocate %u slots", n);
    for (uint32_t i = 0; i < p->blobs.n; i++) {
        uint32_t at = p->blobs.v[i].hash & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = i + 1;
    }
    cop_free(p->slots);
    p->slots = slots;
    p->n_slots = n;
    return COP_OK;
}

uint32_t cop_schema_intern(schema_pool *p, const void *v, size_t bytes) {
    uint32_t hash = (uint32_t)XXH3_64bits(v, bytes);
    if (p->blobs.n * 2 >= p->n_slots && grow_slots(p)) return 0;
    uint32_t at = hash & (p->n_slots - 1);
    for (; p->slots[at]; at = (at + 1) & (p->n_slots - 1)) {
        const schema_blob *b = pool_at(p, p->slots[at]);
        if (b->hash == hash && b->bytes == bytes && !memcmp(b->v, v, bytes)) return p->slots[at];
    }
    void *copy = cop_schema_take(p->mem, bytes + 1);  // a text has its zero
    if (!copy) return 0;
    memcpy(copy, v, bytes);
    if (!p->blobs.most) p->blobs.most = UINT32_MAX / 4;
    if (cop_array_push(&p->blobs, ((schema_blob){copy, (uint32_t)bytes, hash}))) return 0;
    return p->slots[at] = (uint32_t)p->blobs.n;
}

void cop_schema_pool_fini(schema_pool *p) {
    cop_array_fini(&p->blobs);
    cop_free(p->slots);
    *p = (schema_pool){.mem = p->mem};
}
