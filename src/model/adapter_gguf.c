// LoRA adapters in GGUF files: general.type adapter, adapter.type lora, adapter.lora.alpha, and for each matrix NAME of
// the model the tensors NAME.weight.lora_a [rank][in] and NAME.weight.lora_b [out][rank], in the model file's own order
// of rows. Source: the convention of llama.cpp's converter of adapters.
#include <math.h>
#include <string.h>

#include "model/adapter_private.h"

static cop_status want_text(const cop_gguf *g, const char *key, const char *want) {
    const char *text;
    size_t n;
    COP_TRY(cop_gguf_get_text(g, key, &text, &n));
    if (n != strlen(want) || memcmp(text, want, n))
        return cop_fail(COP_ERR_FORMAT, "key %s: %s, need %s; %s", key, cop_print_text(text, n).text, want, cop_gguf_name(g));
    return COP_OK;
}

static cop_status check_keys(const cop_adapter_plan *p, const cop_gguf *g, float *alpha) {
    const char *arch;
    size_t n;
    COP_TRY(want_text(g, "general.type", "adapter"));
    COP_TRY(want_text(g, "adapter.type", "lora"));
    COP_TRY(cop_gguf_get_text(p->model->file, "general.architecture", &arch, &n));
    char mine[64] = {0};
    memcpy(mine, arch, n < sizeof mine - 1 ? n : sizeof mine - 1);
    COP_TRY(want_text(g, "general.architecture", mine));
    if (cop_gguf_has(g, "adapter.alora.invocation_tokens"))
        return cop_fail(COP_ERR_UNSUPPORTED, "an adapter that invocation tokens switch on cannot be computed here; %s", p->file);
    return cop_gguf_get_f32(g, "adapter.lora.alpha", alpha);
}

static cop_status add_tensor(cop_adapter_plan *p, const cop_gguf_tensor *t, float alpha) {
    size_t n = strlen(t->name);
    bool is_a = n > 14 && !strcmp(t->name + n - 14, ".weight.lora_a"), is_b = n > 14 && !strcmp(t->name + n - 14, ".weight.lora_b");
    cop_lora_target to = {0};
    if (is_a || is_b) to = cop_adapter_find_gguf(p->model, t->name, n - 14);
    if (!to.n) return cop_fail(COP_ERR_FORMAT, "tensor %s: not half of an adapter for a matrix that this model has; %s", t->name, p->file);
    if (t->dims[2] != 1 || t->dims[3] != 1) return cop_fail(COP_ERR_FORMAT, "tensor %s: %d dimensions, must be 2; %s", t->name, t->n_dims, p->file);
    if (!cop_dtype_get(t->type)->can_compute)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s cannot be computed here; %s", t->name, cop_dtype_name(t->type), p->file);
    cop_status st = cop_adapter_add(p, &to, is_b, &(cop_lora_side){t->name, t->type, t->data, t->dims[1], t->dims[0]},
                                    &(cop_lora_pair){.alpha = (double)alpha});
    if (st) cop_fail_note("%s", p->file);
    return st;
}

// An alpha of 0 stands for a scale of 1.
static void plain_scales(cop_adapter_plan *p) {
    for (int i = 0; i < p->model->n_linears; i++) p->pairs[i].alpha = p->pairs[i].a.name ? (double)p->pairs[i].a.rows : 0;
}

cop_status cop_adapter_read_gguf(cop_adapter **out, cop_adapter_plan *p, const cop_gguf *g) {
    float alpha;
    COP_TRY(check_keys(p, g, &alpha));
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) COP_TRY(add_tensor(p, cop_gguf_tensor_at(g, i), alpha));
    if (alpha == 0) plain_scales(p);
    return cop_adapter_build(out, p);
}
