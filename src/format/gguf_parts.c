// A model in several GGUF files, PREFIX-00001-of-00003.gguf and so on: the first has the keys of the model, all have tensors
// and split.no, split.count. Source: the tools that write them; the format document knows the names only.
// The whole is seen as one file whose tensors lie in several mappings.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/gguf_private.h"

#define ENDING 20  // bytes of "-00001-of-00003.gguf"

static int five_digits(const char *p) {
    int n = 0;
    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        n = 10 * n + (p[i] - '0');
    }
    return n;
}

bool cop_gguf_is_part(const char *name, int *part, int *n_parts, size_t *stem) {
    size_t n = strlen(name);
    if (n < ENDING) return false;
    const char *p = name + n - ENDING;
    if (p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0 || strcmp(p + 15, ".gguf") != 0) return false;
    *part = five_digits(p + 1);
    *n_parts = five_digits(p + 10);
    *stem = n - ENDING;
    return *part >= 1 && *n_parts >= *part;
}

static cop_status read_split(const cop_gguf *g, uint32_t *no, uint32_t *count) {
    COP_TRY(cop_gguf_get_u32_or(g, "split.no", 0, no));
    return cop_gguf_get_u32_or(g, "split.count", 1, count);
}

// The name says which of how many this is, as the keys do.
static cop_status check_first(const cop_gguf *g, uint32_t no, uint32_t count, size_t *stem) {
    int part, n_parts;
    bool named = cop_gguf_is_part(g->name, &part, &n_parts, stem);
    if (count > COP_GGUF_MOST_PARTS) return cop_fail(COP_ERR_LIMIT, "key split.count: %u files, at most %d", count, COP_GGUF_MOST_PARTS);
    if (no >= count) return cop_fail(COP_ERR_FORMAT, "key split.no: %u of %u files, counted from 0", no, count);
    if (!named || (uint32_t)n_parts != count || (uint32_t)part != no + 1)
        return cop_fail(COP_ERR_FORMAT, "part %u of %u: need a name that ends in -%05u-of-%05u.gguf", no + 1, count, no + 1, count);
    if (no) return cop_fail(COP_ERR_ARG, "part %u of %u: name the first, %.*s-00001-of-%05u.gguf", no + 1, count, (int)*stem, g->name, count);
    return COP_OK;
}

static cop_status open_part(cop_gguf *g, size_t stem, uint32_t i, uint32_t count) {
    char path[4096];
    uint32_t no, n;
    int length = snprintf(path, sizeof path, "%.*s-%05u-of-%05u.gguf", (int)stem, g->name, i + 1, count);
    if (length < 0 || (size_t)length >= sizeof path) return cop_fail(COP_ERR_LIMIT, "the path is too long");
    if (access(path, F_OK)) return cop_fail(COP_ERR_NOT_FOUND, "part %u of %u is missing: %s", i + 1, count, path);
    COP_TRY(cop_gguf_open_file(&g->parts[g->n_parts], path));
    const cop_gguf *part = g->parts[g->n_parts++];
    COP_TRY(read_split(part, &no, &n));
    if (no != i || n != count)
        return cop_fail(COP_ERR_FORMAT, "%s: says that it is part %u of %u, need %u of %u", path, no + 1, n, i + 1, count);
    return COP_OK;
}

static cop_status check_tensors(const cop_gguf *g, size_t n) {
    int64_t want;
    COP_TRY(cop_gguf_get_i64_or(g, "split.tensors.count", (int64_t)n, &want));
    if (n > COP_GGUF_MOST_TENSORS) return cop_fail(COP_ERR_LIMIT, "%zu tensors in all parts, at most %d", n, (int)COP_GGUF_MOST_TENSORS);
    if (want != (int64_t)n) return cop_fail(COP_ERR_FORMAT, "key split.tensors.count: %lld, the parts hold %zu", (long long)want, n);
    return COP_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const cop_gguf_tensor *const *)a)->name, (*(const cop_gguf_tensor *const *)b)->name);
}

static cop_status join_tensors(cop_gguf *g) {
    size_t n = g->n_tensors, at = g->n_tensors;
    for (size_t i = 0; i < g->n_parts; i++) n += g->parts[i]->n_tensors;
    COP_TRY(check_tensors(g, n));
    cop_gguf_tensor *all = cop_alloc_array(n, sizeof *all);
    const cop_gguf_tensor **sorted = cop_alloc_array(n, sizeof *sorted);
    if (!all || !sorted) {
        cop_free(all);
        cop_free(sorted);
        return cop_fail(COP_ERR_NOMEM, "cannot allocate %zu tensors", n);
    }
    if (at) memcpy(all, g->tensors, at * sizeof *all);
    for (size_t i = 0; i < g->n_parts; at += g->parts[i++]->n_tensors)
        if (g->parts[i]->n_tensors) memcpy(all + at, g->parts[i]->tensors, g->parts[i]->n_tensors * sizeof *all);
    cop_gguf_free_tensors(g);
    g->tensors = all;
    g->tensors_by_name = sorted;
    g->n_tensors = n;
    for (size_t i = 0; i < n; i++) sorted[i] = &all[i];
    if (n) qsort(sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(sorted[i - 1]->name, sorted[i]->name)) return cop_fail(COP_ERR_FORMAT, "tensor %s: is there twice, need once", sorted[i]->name);
    return COP_OK;
}

static cop_status join_parts(cop_gguf *g) {
    uint32_t no, count;
    size_t stem;
    COP_TRY(read_split(g, &no, &count));
    if (count <= 1) return COP_OK;
    COP_TRY(check_first(g, no, count, &stem));
    g->parts = cop_alloc_array(count - 1, sizeof *g->parts);
    if (!g->parts) return cop_fail(COP_ERR_NOMEM, "cannot allocate %u parts", count);
    for (uint32_t i = 1; i < count; i++) COP_TRY(open_part(g, stem, i, count));
    return join_tensors(g);
}

cop_status cop_gguf_join_parts(cop_gguf *g) {
    cop_status st = join_parts(g);
    if (st) cop_fail_note("%s", g->name);
    return st;
}

void cop_gguf_free_parts(cop_gguf *g) {
    for (size_t i = 0; i < g->n_parts; i++) cop_gguf_close(g->parts[i]);
    cop_free(g->parts);
}

const cop_map *cop_gguf_map_of(const cop_gguf *g, const cop_gguf_tensor *t) {
    for (size_t i = 0; i < g->n_parts; i++) {
        const cop_map *m = &g->parts[i]->map;
        if (t->data >= m->data && t->data < m->data + m->bytes) return m;
    }
    return &g->map;
}
