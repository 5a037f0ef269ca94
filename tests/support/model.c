#ifndef COP_MINI_CMOCKA
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "format/registry.h"
#include "support/model.h"

static void must(cop_status st) {
    if (st) fail_msg("%s (%s)", cop_error_text(), cop_error_place());
}

void cop_test_open(cop_test_model *t, const char *path, int threads, const char *level, cop_kv_type type, int n_pages, int max_rows) {
    *t = (cop_test_model){0};
    must(cop_pool_new(&t->pool, threads));
    const cop_model_options options = {.level = level};
    must(cop_model_open(&t->model, path, t->pool, &options));
    const cop_cache_shape shape = cop_model_cache_shape(t->model, type);
    must(cop_cache_new(&t->cache, &shape, n_pages));
    must(cop_workspace_new(&t->ws, t->model, max_rows, max_rows, n_pages * COP_PAGE));
}

void cop_test_close(cop_test_model *t) {
    cop_workspace_free(t->ws);
    cop_cache_free(t->cache);
    cop_model_close(t->model);
    cop_pool_free(t->pool);
}

void cop_test_chain(cop_test_model *t, cop_seq *seq, const int32_t *tokens, int n, int chunk, float *out) {
    size_t V = (size_t)t->model->desc.V;
    for (int at = 0; at < n;) {
        cop_row rows[256];
        int m = n - at < chunk ? n - at : chunk;
        for (int i = 0; i < m; i++) rows[i] = (cop_row){.seq = seq, .token = tokens[at + i], .parent = i - 1, .want_logits = out};
        must(cop_seq_reserve(seq, m));
        must(cop_model_forward(t->model, t->ws, rows, m, NULL));
        for (int i = 0; out && i < m; i++) memcpy(out + (size_t)(at + i) * V, cop_workspace_logits(t->ws, i), V * sizeof(float));
        cop_seq_commit(seq, NULL, m);
        at += m;
    }
}

bool cop_test_named_model(char *path, size_t bytes, const char *name) {
    char folder[COP_PATH_MAX];
    if (cop_registry_folder(folder)) return false;
    int n = snprintf(path, bytes, "%s/%s.gguf", folder, name);
    return n > 0 && (size_t)n < bytes && !access(path, R_OK);
}

int cop_test_levels(const char *names[4]) {
    static const char *const all[] = {"scalar", "avx2", "avx512", "neon"};
    int n = 0;
    for (int i = 0; i < 4; i++) {
        cop_kernels k;
        if (!cop_kernels_best(&k, all[i])) names[n++] = all[i];
    }
    return n;
}
#else
typedef int cop_nothing_to_see_here;
#endif
