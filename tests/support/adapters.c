#ifndef COP_MINI_CMOCKA
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "format/gguf_write.h"
#include "support/adapters.h"
#include "support/weights.h"

static void must(cop_status st) {
    if (st) fail_msg("%s (%s)", cop_error_text(), cop_error_place());
}

// The data is kept until the file is written.
typedef struct data {
    float *blocks[4096];
    int n;
    test_rng rng;
    cop_gguf_writer *w;
    int rank;
} data;

static void add_side(data *d, const char *name, const char *side, int rows, int cols, float size) {
    char full[96];
    float *x = cop_alloc_array((size_t)rows * (size_t)cols, sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < rows * cols; i++) x[i] = size * test_uniform(&d->rng);
    snprintf(full, sizeof full, "%s.weight.%s", name, side);
    must(cop_gguf_add_tensor(d->w, full, COP_F32, 2, (const uint64_t[]){(uint64_t)cols, (uint64_t)rows}, x));
    assert_true(d->n < 4096);
    d->blocks[d->n++] = x;
}

static void add(data *d, int layer, const char *stem, const cop_linear *l) {
    char name[64];
    if (!l->number) return;
    if (layer < 0) snprintf(name, sizeof name, "%s", stem);
    else snprintf(name, sizeof name, "blk.%d.%s", layer, stem);
    add_side(d, name, "lora_a", d->rank, l->w.cols, 0.2f);
    add_side(d, name, "lora_b", l->w.rows, d->rank, 0.3f);
}

static void add_layer(data *d, int i, const cop_layer *l, unsigned sites) {
    if (sites & COP_TEST_ATTENTION) {
        add(d, i, "attn_q", &l->q);
        add(d, i, "attn_k", &l->k);
        add(d, i, "attn_v", &l->v);
        add(d, i, "attn_output", &l->o);
    }
    if (sites & COP_TEST_MLP) {
        add(d, i, "ffn_gate", &l->gate);
        add(d, i, "ffn_up", &l->up);
        add(d, i, "ffn_down", &l->down);
    }
    if (sites & COP_TEST_CONVOLUTION) {
        add(d, i, "shortconv.in_proj", &l->conv_in);
        add(d, i, "shortconv.out_proj", &l->conv_out);
    }
}

cop_adapter *cop_test_adapter(const cop_model *model, uint64_t seed, int rank, unsigned sites) {
    data d = {.rng = test_seed(seed), .rank = rank};
    const char *arch;
    size_t n;
    cop_adapter *a;
    must(cop_gguf_writer_new(&d.w, 0));
    must(cop_gguf_get_text(model->file, "general.architecture", &arch, &n));
    must(cop_gguf_add_text(d.w, "general.architecture", arch, n));
    must(cop_gguf_add_text(d.w, "general.type", "adapter", 7));
    must(cop_gguf_add_text(d.w, "adapter.type", "lora", 4));
    must(cop_gguf_add_f32(d.w, "adapter.lora.alpha", 8));
    for (int i = 0; i < model->desc.L; i++) add_layer(&d, i, &model->layers[i], sites);
    if (sites & COP_TEST_OUTPUT) add(&d, -1, "output", &model->output);
    char path[] = "/tmp/coppice-adapter-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    must(cop_gguf_writer_save(d.w, path));
    must(cop_adapter_open(&a, model, path));
    unlink(path);
    cop_gguf_writer_free(d.w);
    for (int i = 0; i < d.n; i++) cop_free(d.blocks[i]);
    return a;
}
#else
typedef int cop_no_adapters_here;
#endif
