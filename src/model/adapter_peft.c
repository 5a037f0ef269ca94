// LoRA adapters as the library PEFT saves them: adapter_config.json and adapter_model.safetensors.
//
// Tensors are called base_model.model.[model.]layers.N.SITE.lora_A.weight (GPT-2: transformer.h.N) (.lora_A.NAME.weight in some versions). Rows of
// B are in the order of the published weights; where the model's file has q and k in interleaved rotary pairs, they are
// put into that order. Variants that are not y += scale B (A x) with alpha / r or alpha / sqrt(r) are refused by name.
#include <stdio.h>
#include <string.h>

#include "model/adapter_private.h"

typedef struct config {
    double alpha;
    bool root_rank;
    const json_t *alphas;  // alpha_pattern, or NULL
} config;

static cop_status refuse_true(const json_t *v, const char *key) {
    bool on;
    COP_TRY(cop_json_bool(v, key, false, &on));
    return on ? cop_fail(COP_ERR_UNSUPPORTED, "%s is not known here", key) : COP_OK;
}

static bool is_empty(const json_t *v) { return !v || (json_is_array(v) && !json_array_size(v)) || (json_is_object(v) && !json_object_size(v)); }

static cop_status check_config(const json_t *v, config *c) {
    const char *type, *bias;
    COP_TRY(cop_json_text(v, "peft_type", "", &type));
    if (strcmp(type, "LORA")) return cop_fail(COP_ERR_UNSUPPORTED, "peft_type %s: only LORA is known here", cop_print_text(type, strlen(type)).text);
    COP_TRY(cop_json_text(v, "bias", "none", &bias));
    if (strcmp(bias, "none")) return cop_fail(COP_ERR_UNSUPPORTED, "bias %s: only none is known here", cop_print_text(bias, strlen(bias)).text);
    COP_TRY(refuse_true(v, "use_dora"));
    COP_TRY(refuse_true(v, "lora_bias"));
    static const char *const lists[] = {"modules_to_save", "layer_replication", "trainable_token_indices", "target_parameters"};
    for (int i = 0; i < 4; i++)
        if (!is_empty(cop_json_member(v, lists[i]))) return cop_fail(COP_ERR_UNSUPPORTED, "%s is not known here", lists[i]);
    COP_TRY(cop_json_bool(v, "use_rslora", false, &c->root_rank));
    COP_TRY(cop_json_number(v, "lora_alpha", 8, &c->alpha));
    c->alphas = cop_json_member(v, "alpha_pattern");
    if (c->alphas && !json_is_object(c->alphas)) return cop_fail(COP_ERR_FORMAT, "alpha_pattern is not an object");
    return COP_OK;
}

// The first entry of alpha_pattern that is the end of the module's path; patterns proper are refused.
static cop_status alpha_of(const config *c, const char *module, size_t n, double *out) {
    const char *key;
    json_t *value;
    bool found = false;
    *out = c->alpha;
    json_object_foreach((json_t *)c->alphas, key, value) {
        size_t m = strlen(key);
        if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] || !json_is_number(value))
            return cop_fail(COP_ERR_UNSUPPORTED, "alpha_pattern: only names of modules and numbers are known here");
        if (found || !m || m > n || memcmp(module + n - m, key, m) || (m < n && module[n - m - 1] != '.')) continue;
        *out = json_number_value(value);
        found = true;
    }
    return COP_OK;
}

// base_model.model.[model.]MODULE.lora_A[.NAME].weight: MODULE and which side. False for anything else.
static bool split_name(const char *name, const char **module, size_t *n, bool *is_b) {
    static const char head[] = "base_model.model.", tail[] = ".weight";
    if (strncmp(name, head, sizeof head - 1)) return false;
    name += sizeof head - 1;
    if (!strncmp(name, "model.", 6)) name += 6;
    else if (!strncmp(name, "transformer.", 12)) name += 12;
    const char *a = strstr(name, ".lora_A."), *b = strstr(name, ".lora_B."), *at = a ? a : b;
    if (!at || (a && b)) return false;
    const char *rest = at + 7;  // ".weight" or ".NAME.weight"
    size_t bytes = strlen(rest);
    if (bytes < sizeof tail - 1) return false;
    const char *end = rest + bytes - (sizeof tail - 1);
    if (strcmp(end, tail) || (end > rest && strchr(rest + 1, '.') != end)) return false;
    *module = name;
    *n = (size_t)(at - name);
    *is_b = b;
    return true;
}

static cop_status add_tensor(cop_adapter_plan *p, const cop_safetensors_tensor *t, const config *c) {
    const char *module = NULL;
    size_t n = 0;
    bool is_b = false;
    cop_lora_target to = {0};
    if (split_name(t->name, &module, &n, &is_b)) to = cop_adapter_find_peft(p->model, module, n);
    if (!to.n) return cop_fail(COP_ERR_FORMAT, "tensor %.120s: not half of an adapter for a matrix that this model has", t->name);
    if (t->n_dims != 2) return cop_fail(COP_ERR_FORMAT, "tensor %.120s: %d dimensions, must be 2", t->name, t->n_dims);
    if (t->type == COP_N_DTYPES) return cop_fail(COP_ERR_UNSUPPORTED, "tensor %.120s: type %s, must be F32, F16 or BF16", t->name, t->type_name);
    cop_lora_pair like = {.root_rank = c->root_rank};
    COP_TRY(alpha_of(c, module, n, &like.alpha));
    const cop_desc *d = &p->model->desc;
    bool qk = n > 6 && (!memcmp(module + n - 6, "q_proj", 6) || !memcmp(module + n - 6, "k_proj", 6));
    like.permute = qk && d->positions == COP_POSITION_ROPE && !d->rope[0].half_split;
    return cop_adapter_add(p, &to, is_b, &(cop_lora_side){t->name, t->type, t->data, t->dims[0], t->dims[1]}, &like);
}

cop_status cop_adapter_from_peft(cop_adapter **out, cop_adapter_plan *p, const json_t *v, const cop_safetensors *s) {
    config c = {0};
    cop_status st = check_config(v, &c);
    if (st) cop_fail_note("adapter_config.json of %s", cop_safetensors_name(s));
    p->file = cop_safetensors_name(s);
    for (size_t i = 0; !st && i < cop_safetensors_n_tensors(s); i++) {
        st = add_tensor(p, cop_safetensors_tensor_at(s, i), &c);
        if (st) cop_fail_note("%s", p->file);
    }
    return st ? st : cop_adapter_build(out, p);
}

cop_status cop_adapter_read_peft(cop_adapter **out, cop_adapter_plan *p, const char *folder) {
    static const cop_json_limits limits = {.bytes = 1 << 20, .values = 1 << 16, .depth = 16};
    char path[4096];
    json_t *v;
    cop_safetensors *s = NULL;
    int n = snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    if (n < 0 || (size_t)n + 16 >= sizeof path) return cop_fail(COP_ERR_ARG, "%.200s: path is too long", folder);
    COP_TRY(cop_json_read(&v, path, &limits));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    cop_status st = cop_safetensors_open(&s, path);
    if (!st) st = cop_adapter_from_peft(out, p, v, s);
    cop_safetensors_close(s);
    json_decref(v);
    return st;
}
