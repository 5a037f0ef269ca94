// Opening a model: the table of families, then description, then weights.
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/model_private.h"

const cop_family *const cop_families[] = {
    &cop_family_llama,
    &cop_family_qwen2,
    &cop_family_qwen3,
    &cop_family_qwen3moe,
    &cop_family_gemma2,
    &cop_family_gemma3,
    &cop_family_granite,
    &cop_family_lfm2,
    &cop_family_olmo2,
    &cop_family_smollm3,
    &cop_family_gpt2,
    &cop_family_starcoder,
    &cop_family_starcoder2,
    &cop_family_phi3,
    &cop_family_bert,
    NULL,
};

static cop_status find_family(const cop_gguf *file, const cop_family **out) {
    const char *arch;
    size_t n;
    COP_TRY(cop_gguf_get_text(file, "general.architecture", &arch, &n));
    char known[256] = "";
    for (int i = 0; cop_families[i]; i++) {
        const cop_family *f = cop_families[i];
        if (strlen(f->name) == n && !memcmp(f->name, arch, n)) {
            *out = f;
            return COP_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", f->name);
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "family %.*s is not known here: %s; %s", n > 48 ? 48 : (int)n, arch, known,
                    cop_gguf_name(file));
}

// A layer's place in the cache, which keeps attending and convolving layers apart.
static void number_layers(cop_desc *d) {
    int counts[2] = {0};
    for (int i = 0; i < d->L; i++) d->layers[i].cache = counts[d->layers[i].convolution]++;
}

// Parts of a convolution's input: a whole number of blocks where the width allows it, small enough to share out.
static int state_part(int D) {
    static const int blocks[] = {128, 96, 64, 32};
    for (int i = 0; i < 4; i++)
        if (D % blocks[i] == 0) return blocks[i];
    int part = COP_MAX_STATE_PART;
    while (D % part || part % 2) part--;
    return part;
}

cop_cache_shape cop_model_cache_shape(const cop_model *model, cop_kv_type type) {
    cop_cache_shape shape = model->cache_shape;
    shape.type = type;
    return shape;
}

static cop_cache_shape describe_cache(const cop_desc *d) {
    cop_cache_shape shape = {.n_kv_heads = d->G, .head = d->K, .type = COP_KV_F16};
    for (int i = 0; i < d->L; i++) *(d->layers[i].convolution ? &shape.n_states : &shape.n_layers) += 1;
    if (shape.n_states) {
        shape.state_head = state_part(d->D);
        shape.state_heads = d->D / shape.state_head;
    }
    return shape;
}

static cop_status describe(const cop_gguf *file, const cop_family **family, cop_desc *d) {
    COP_TRY(find_family(file, family));
    d->family = (*family)->name;
    COP_TRY(cop_desc_common(file, d));
    COP_TRY((*family)->describe(file, d));
    cop_status st = cop_desc_check(d);
    if (st) cop_fail_note("%s", cop_gguf_name(file));  // a description has no file
    else number_layers(d);
    return st;
}

cop_status cop_model_describe(const cop_gguf *file, cop_desc *desc) {
    const cop_family *family;
    *desc = (cop_desc){0};
    cop_status st = describe(file, &family, desc);
    if (st) cop_desc_fini(desc);
    return st;
}

void cop_desc_fini(cop_desc *desc) {
    cop_free(desc->layers);
    desc->layers = NULL;
}

static cop_status open_model(cop_model *model, const char *path, const cop_model_options *options) {
    COP_TRY(cop_kernels_best(&model->kernels, options->level));
    COP_TRY(cop_gguf_open(&model->file, path));
    const cop_family *family;
    COP_TRY(describe(model->file, &family, &model->desc));
    model->cache_shape = describe_cache(&model->desc);
    COP_TRY(cop_model_load(model, family, options));
    cop_model_number_linears(model);
    return COP_OK;
}

cop_status cop_model_open(cop_model **out, const char *path, cop_pool *pool, const cop_model_options *options) {
    *out = NULL;
    double start = cop_clock();
    cop_model *model = cop_alloc(sizeof *model);
    if (!model) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    model->pool = pool;
    cop_status st = open_model(model, path, options);
    if (st) {
        cop_model_close(model);
        return st;
    }
    model->load_seconds = cop_clock() - start;
    *out = model;
    return COP_OK;
}

void cop_model_close(cop_model *model) {
    if (!model) return;
    cop_gguf_close(model->file);
    cop_pages_free(model->memory, model->memory_bytes);
    cop_free(model->layers);
    cop_free(model->desc.layers);
    cop_free(model);
}
