// Adapters that sessions have in force: FILE[:SCALE], read once per engine and kept while a session uses them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/session.h"
#include "format/registry.h"

struct cop_loaded_adapter {
    cop_adapter *adapter;
    char *path;
    int users;
    cop_loaded_adapter *next;
};

// "FILE:SCALE" when a number follows the last colon, else "FILE" with scale 1.
static cop_status split(const char *spec, size_t *path_bytes, float *scale) {
    const char *colon = strrchr(spec, ':');
    char *end = NULL;
    *path_bytes = strlen(spec);
    *scale = 1;
    double v = colon && colon[1] ? strtod(colon + 1, &end) : 1;
    if (end && !*end) {
        *path_bytes = (size_t)(colon - spec);
        *scale = (float)v;
    }
    if (!*path_bytes) return cop_fail(COP_ERR_ARG, "adapter %.200s: no file before the scale", spec);
    if (!(fabsf(*scale) <= COP_MOST_LORA_SCALE)) return cop_fail(COP_ERR_ARG, "adapter %.200s: scale %g, must be -%g to %g", spec, v, COP_MOST_LORA_SCALE, COP_MOST_LORA_SCALE);
    return COP_OK;
}

static cop_status load(cop_engine *e, const char *path, cop_loaded_adapter **out) {
    cop_loaded_adapter *l = cop_alloc(sizeof *l);
    if (!l || !(l->path = cop_text_copy(path, strlen(path)))) {
        cop_free(l);
        return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    }
    cop_status st = cop_adapter_open(&l->adapter, e->model, path);
    if (st) {
        cop_free(l->path);
        cop_free(l);
        return st;
    }
    l->next = e->adapters;
    *out = e->adapters = l;
    return COP_OK;
}

// With the engine's lock taken.
static cop_status take(cop_engine *e, const char *spec, cop_adapter_set *set) {
    char path[COP_PATH_MAX];
    size_t n;
    float scale;
    COP_TRY(split(spec, &n, &scale));
    if (n >= sizeof path) return cop_fail(COP_ERR_ARG, "adapter %.200s: path is too long", spec);
    memcpy(path, spec, n);
    path[n] = 0;
    cop_loaded_adapter *l = e->adapters;
    while (l && strcmp(l->path, path)) l = l->next;
    if (!l) COP_TRY(load(e, path, &l));
    l->users++;
    set->adapters[set->n] = l->adapter;
    set->scales[set->n++] = scale;
    return COP_OK;
}

cop_status cop_engine_take_adapters(cop_engine *e, const char *const *specs, int n, cop_adapter_set *set) {
    *set = (cop_adapter_set){0};
    if (n < 0 || n > COP_MAX_ADAPTERS) return cop_fail(COP_ERR_ARG, "%d adapters, at most %d", n, COP_MAX_ADAPTERS);
    cop_status st = COP_OK;
    cop_lock_take(e->lock);
    for (int i = 0; i < n && !st; i++) st = take(e, specs[i], set);
    cop_lock_give(e->lock);
    if (st) cop_engine_give_adapters(e, set);
    return st;
}

void cop_engine_share_adapters(cop_engine *e, const cop_adapter_set *from, cop_adapter_set *set) {
    cop_lock_take(e->lock);
    *set = *from;
    for (int i = 0; i < set->n; i++)
        for (cop_loaded_adapter *l = e->adapters; l; l = l->next) l->users += l->adapter == set->adapters[i];
    cop_lock_give(e->lock);
}

void cop_engine_give_adapters(cop_engine *e, cop_adapter_set *set) {
    if (!set->n) return;
    cop_lock_take(e->lock);
    for (int i = 0; i < set->n; i++) {
        cop_loaded_adapter **at = &e->adapters;
        while ((*at)->adapter != set->adapters[i]) at = &(*at)->next;
        cop_loaded_adapter *l = *at;
        if (--l->users) continue;
        *at = l->next;
        cop_adapter_close(l->adapter);
        cop_free(l->path);
        cop_free(l);
    }
    set->n = 0;
    cop_lock_give(e->lock);
}
