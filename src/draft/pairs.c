#include "draft/pairs.h"

#include "base/alloc.h"

#define WAYS 4

cop_status cop_pairs_init(cop_pairs *p, int n) {
    *p = (cop_pairs){.n = (n + WAYS - 1) / WAYS * WAYS};
    p->key = cop_alloc_array((size_t)p->n, sizeof *p->key);
    p->used = cop_alloc_array((size_t)p->n, sizeof *p->used);
    if (p->key && p->used) return COP_OK;
    cop_pairs_fini(p);
    return cop_fail(COP_ERR_NOMEM, "cannot allocate for %d pairs of tokens", n);
}

void cop_pairs_fini(cop_pairs *p) {
    cop_free(p->key);
    cop_free(p->used);
    *p = (cop_pairs){0};
}

static uint64_t key_of(int32_t before, int32_t token) { return ((uint64_t)(uint32_t)before + 1) << 32 | (uint32_t)token; }

static int set_of(const cop_pairs *p, uint64_t key) {
    key *= 0x9e3779b97f4a7c15u;
    return (int)((key >> 32) % (uint64_t)(p->n / WAYS)) * WAYS;
}

int cop_pairs_find(const cop_pairs *p, int32_t before, int32_t token) {
    if (!p->n || before < 0 || token < 0) return -1;
    uint64_t key = key_of(before, token);
    int at = set_of(p, key);
    for (int i = at; i < at + WAYS; i++)
        if (p->key[i] == key) return i;
    return -1;
}

int cop_pairs_claim(cop_pairs *p, int32_t before, int32_t token, bool *fresh) {
    *fresh = false;
    if (!p->n || before < 0 || token < 0) return -1;
    int row = cop_pairs_find(p, before, token);
    if (row < 0) {
        uint64_t key = key_of(before, token);
        int at = set_of(p, key);
        row = at;
        for (int i = at + 1; i < at + WAYS; i++)
            if (p->now - p->used[i] > p->now - p->used[row]) row = i;
        p->key[row] = key;
        *fresh = true;
    }
    p->used[row] = ++p->now;
    return row;
}
