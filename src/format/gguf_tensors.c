// The tensor entries of a GGUF file and the place of their data.
// A tensor that is listed has its bytes inside the file and shares none with another.
// Gaps between tensors are allowed (files cut by tools have them), as is anything after the last.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/gguf_private.h"

typedef unsigned long long ull;

// Types of the format's list that have no entry in base/dtype, so that they can be refused by name.
// All but the last were withdrawn from the format.
static const char *unsized_name(uint32_t type) {
    static const struct { uint32_t id; const char *name; } list[] = {
        {4, "Q4_2"},         {5, "Q4_3"},         {31, "Q4_0_4_4"},    {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"},
        {36, "IQ4_NL_4_4"},  {37, "IQ4_NL_4_8"},  {38, "IQ4_NL_8_8"},  {42, "Q2_0"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].id == type) return list[i].name;
    return NULL;
}

cop_status cop_gguf_tensor_bytes(uint32_t type, int n_dims, const uint64_t *dims, uint64_t alignment, uint64_t *bytes,
                                 uint64_t *padded) {
    const cop_dtype_info *info = cop_dtype_get(type);
    if (!info) return cop_fail(COP_ERR_FORMAT, "element type %u is unknown", type);
    if (n_dims < 1 || n_dims > 4) return cop_fail(COP_ERR_FORMAT, "%d dimensions, need 1 to 4", n_dims);
    uint64_t n = 1, size, with_padding;
    for (int i = 0; i < n_dims; i++) {
        if (dims[i] == 0) return cop_fail(COP_ERR_FORMAT, "dimension %d is 0", i);
        if (__builtin_mul_overflow(n, dims[i], &n))
            return cop_fail(COP_ERR_FORMAT, "dimension %d of %llu: the number of elements overflows", i, (ull)dims[i]);
    }
    if (dims[0] % (uint64_t)info->block)
        return cop_fail(COP_ERR_FORMAT, "rows of %llu elements are not whole %s blocks of %d", (ull)dims[0], info->name,
                        info->block);
    COP_TRY(cop_dtype_bytes(type, n, &size));
    if (__builtin_add_overflow(size, alignment - 1, &with_padding))
        return cop_fail(COP_ERR_FORMAT, "%llu bytes: the padded size overflows", (ull)size);
    *bytes = size;
    *padded = with_padding & ~(alignment - 1);
    return COP_OK;
}

static cop_status check_type(const char *name, uint32_t type) {
    if (cop_dtype_get(type)) return COP_OK;
    const char *known = unsized_name(type);
    if (known) return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %u (%s) cannot be read", name, type, known);
    return cop_fail(COP_ERR_FORMAT, "tensor %s: type %u is unknown", name, type);
}

// One entry; t->offset is still relative to the start of the data, which is not known yet.
static cop_status read_entry(const cop_gguf *g, cop_cursor *c, size_t i, cop_gguf_tensor *t) {
    const char *name;
    size_t name_bytes;
    COP_TRY(cop_gguf_read_name(c, "tensor", i, COP_GGUF_NAME_BYTES - 1, &name, &name_bytes));
    memcpy(t->name, name, name_bytes);  // the rest is zero
    uint32_t n_dims = cop_cursor_u32(c);
    if (!c->failed && (n_dims < 1 || n_dims > 4))
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %u dimensions, need 1 to 4", t->name, n_dims);
    t->n_dims = (int)n_dims;
    for (int k = 0; k < 4; k++) t->dims[k] = k < t->n_dims ? cop_cursor_u64(c) : 1;
    uint32_t type = cop_cursor_u32(c);
    t->offset = cop_cursor_u64(c);
    if (c->failed)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: the file ends at byte %zu, inside its entry", t->name, c->bytes);
    COP_TRY(check_type(t->name, type));
    t->type = (cop_dtype)type;
    uint64_t padded;
    cop_status st = cop_gguf_tensor_bytes(type, t->n_dims, t->dims, g->alignment, &t->bytes, &padded);
    if (st) cop_fail_note("tensor %s", t->name);
    return st;
}

// Makes the offset one of the file and checks that the data is in it.
static cop_status place(const cop_gguf *g, cop_gguf_tensor *t) {
    uint64_t begin, end;
    if (t->offset % g->alignment)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: offset %llu, need a multiple of the alignment %u", t->name,
                        (ull)t->offset, g->alignment);
    if (__builtin_add_overflow(g->data_start, t->offset, &begin) || __builtin_add_overflow(begin, t->bytes, &end) ||
        end > g->map.bytes)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu bytes at offset %llu of the data, which begins at byte %llu; "
                        "the file ends at byte %zu", t->name, (ull)t->bytes, (ull)t->offset, (ull)g->data_start, g->map.bytes);
    t->offset = begin;
    t->data = g->map.data + begin;
    return COP_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const cop_gguf_tensor *const *)a)->name, (*(const cop_gguf_tensor *const *)b)->name);
}

static int compare_offsets(const void *a, const void *b) {
    uint64_t x = (*(const cop_gguf_tensor *const *)a)->offset, y = (*(const cop_gguf_tensor *const *)b)->offset;
    return x < y ? -1 : x > y;
}

// Sorted by offset, each has to end before the next begins.
static cop_status check_overlap(cop_gguf *g) {
    const cop_gguf_tensor **list = g->tensors_by_name;
    qsort(list, g->n_tensors, sizeof *list, compare_offsets);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (list[i]->offset - list[i - 1]->offset < list[i - 1]->bytes)
            return cop_fail(COP_ERR_FORMAT, "tensors %s and %s overlap: %llu bytes, the second begins %llu after the first",
                            list[i - 1]->name, list[i]->name, (ull)list[i - 1]->bytes,
                            (ull)(list[i]->offset - list[i - 1]->offset));
    return COP_OK;
}

// One list serves both orders; it ends sorted by name.
static cop_status sort_tensors(cop_gguf *g) {
    const cop_gguf_tensor **list = cop_alloc_array(g->n_tensors, sizeof *list);
    if (!list) return cop_fail(COP_ERR_NOMEM, "cannot allocate the order of %zu tensors", g->n_tensors);
    g->tensors_by_name = list;
    for (size_t i = 0; i < g->n_tensors; i++) list[i] = &g->tensors[i];
    qsort(list, g->n_tensors, sizeof *list, compare_names);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (strcmp(list[i - 1]->name, list[i]->name) == 0)
            return cop_fail(COP_ERR_FORMAT, "tensor %s: is there twice, need once", list[i]->name);
    COP_TRY(check_overlap(g));
    qsort(list, g->n_tensors, sizeof *list, compare_names);
    return COP_OK;
}

cop_status cop_gguf_read_tensors(cop_gguf *g, cop_cursor *c, uint64_t n) {
    COP_TRY(cop_gguf_check_count(c, "tensors", n, COP_GGUF_LEAST_TENSOR, COP_GGUF_MOST_TENSORS));
    g->tensors = cop_alloc_array((size_t)n, sizeof *g->tensors);
    if (!g->tensors) return cop_fail(COP_ERR_NOMEM, "cannot allocate %llu tensors", (ull)n);
    g->n_tensors = (size_t)n;
    for (size_t i = 0; i < g->n_tensors; i++) COP_TRY(read_entry(g, c, i, &g->tensors[i]));
    g->data_start = ((uint64_t)c->at + g->alignment - 1) & ~((uint64_t)g->alignment - 1);
    for (size_t i = 0; i < g->n_tensors; i++) COP_TRY(place(g, &g->tensors[i]));
    return sort_tensors(g);
}

void cop_gguf_free_tensors(cop_gguf *g) {
    cop_free(g->tensors);
    cop_free(g->tensors_by_name);
}

size_t cop_gguf_n_tensors(const cop_gguf *g) { return g->n_tensors; }

const cop_gguf_tensor *cop_gguf_tensor_at(const cop_gguf *g, size_t i) { return i < g->n_tensors ? &g->tensors[i] : NULL; }

const cop_gguf_tensor *cop_gguf_find_tensor(const cop_gguf *g, const char *name) {
    size_t low = 0, high = g->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, g->tensors_by_name[middle]->name);
        if (order == 0) return g->tensors_by_name[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
