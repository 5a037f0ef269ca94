#include "surgery/config_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "format/folder.h"

typedef struct writing {
    json_t *o;
    const cop_gguf *file;
    const cop_desc *d;
    bool failed;  // memory
} writing;

typedef struct config_family {
    const char *arch, *model_type, *class;
    const char *act, *act_key, *eps_key;
    bool gpt;                        // the names of GPT-2
    const char *biases, *mlp_biases; // switches that say all or none, or NULL
    void (*more)(writing *w);
} config_family;

// ---- values ---------------------------------------------------------------------------------

static void put(writing *w, const char *key, json_t *value) { w->failed |= json_object_set_new(w->o, key, value) != 0; }
static void put_int(writing *w, const char *key, int64_t v) { put(w, key, json_integer(v)); }
static void put_bool(writing *w, const char *key, bool v) { put(w, key, json_boolean(v)); }
static void put_text(writing *w, const char *key, const char *v) { put(w, key, json_string(v)); }

// The shortest decimal that is this float: 1e-06 and not 9.99999997e-07.
static json_t *number(float v) {
    char text[32];
    double out = (double)v;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        out = strtod(text, NULL);
        if ((float)out == v) break;
    }
    return json_real(out);
}

static void put_number(writing *w, const char *key, float v) { put(w, key, number(v)); }

static bool key_f32(const writing *w, const char *name, float *out) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", w->d->family, name);
    return cop_gguf_has(w->file, key) && !cop_gguf_get_f32(w->file, key, out);
}

static uint32_t key_u32(const writing *w, const char *name, uint32_t fallback) {
    char key[128];
    uint32_t v;
    snprintf(key, sizeof key, "%s.%s", w->d->family, name);
    return cop_gguf_get_u32_or(w->file, key, fallback, &v) ? fallback : v;
}

static bool has_tensor(const writing *w, const char *stem, int layer, const char *rest) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s%s", layer, stem, rest);
    return cop_gguf_find_tensor(w->file, name) != NULL;
}

// ---- windows --------------------------------------------------------------------------------

static int window_of(const cop_desc *d) {
    for (int i = 0; i < d->L; i++)
        if (d->layers[i].window) return d->layers[i].window;
    return 0;
}

static void put_window(writing *w) {
    int window = window_of(w->d);
    put(w, "sliding_window", window ? json_integer(window) : json_null());
}

// Layers from `first` on, but every period-th without (period 0: none). Otherwise each layer is named.
static void put_layer_types(writing *w, int first, int period) {
    const cop_desc *d = w->d;
    bool usual = true;
    json_t *types = json_array();
    for (int i = 0; i < d->L; i++) {
        bool windowed = d->layers[i].window != 0;
        usual &= windowed == (window_of(d) && i >= first && (!period || (i + 1) % period != 0));
        json_array_append_new(types, json_string(windowed ? "sliding_attention" : "full_attention"));
    }
    if (usual) json_decref(types);
    else put(w, "layer_types", types);
}

// ---- the rotation ---------------------------------------------------------------------------

static json_t *factors_of(const writing *w, const char *name) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(w->file, name);
    json_t *list = json_array();
    for (uint64_t i = 0; t && t->type == COP_F32 && i < t->dims[0]; i++) json_array_append_new(list, number(((const float *)(const void *)t->data)[i]));
    return list;
}

static void put_longrope(writing *w) {
    float factor;
    json_t *o = json_pack("{s:s, s:o, s:o}", "type", "longrope", "short_factor", factors_of(w, "rope_factors_short.weight"), "long_factor",
                          factors_of(w, "rope_factors_long.weight"));
    if (o && key_f32(w, "rope.scaling.attn_factor", &factor)) json_object_set_new(o, "attention_factor", number(factor));
    put(w, "rope_scaling", o);
    put_int(w, "original_max_position_embeddings", w->d->rope[0].near);
}

// GGUF's factor of the magnitude is beside the usual one.
static void put_yarn(writing *w) {
    float factor = w->d->rope[0].yarn, beta;
    json_t *o = json_pack("{s:s, s:o, s:I}", "rope_type", "yarn", "factor", number(factor), "original_max_position_embeddings",
                          (json_int_t)key_u32(w, "rope.scaling.original_context_length", 0));
    if (o && key_f32(w, "rope.scaling.yarn_beta_fast", &beta)) json_object_set_new(o, "beta_fast", number(beta));
    if (o && key_f32(w, "rope.scaling.yarn_beta_slow", &beta)) json_object_set_new(o, "beta_slow", number(beta));
    if (o && key_f32(w, "rope.scaling.attn_factor", &beta) && beta != 1)
        json_object_set_new(o, "attention_factor", json_real((double)beta * (1 + 0.1 * cop_log((double)factor))));
    put(w, "rope_scaling", o);
}

// The file has divisors and not what they were made from: lengths are tried until they come out bit for bit.
static void put_llama3(writing *w, const cop_gguf_tensor *t) {
    const cop_rope_desc *r = &w->d->rope[0];
    const float *want = (const float *)(const void *)t->data;
    int n = r->n_rot / 2;
    float got[256], factor = 1;
    if (t->type != COP_F32 || t->dims[0] != (uint64_t)n || n > 256) return;
    for (int i = 0; i < n; i++) factor = fmaxf(factor, want[i]);
    for (int64_t original = 1 << 18; original >= 16; original /= 2) {
        cop_folder_llama3(got, (double)r->base, r->n_rot, (double)factor, 1, 4, (double)original);
        if (memcmp(got, want, (size_t)n * sizeof *got)) continue;
        put(w, "rope_scaling", json_pack("{s:s, s:o, s:f, s:f, s:I}", "rope_type", "llama3", "factor", number(factor), "low_freq_factor", 1.0,
                                         "high_freq_factor", 4.0, "original_max_position_embeddings", (json_int_t)original));
        return;
    }
}

// So that the part of K, rounded down, is n_rot.
static double rotated_part(int n_rot, int K) {
    char text[32];
    double part = (double)n_rot / K;
    snprintf(text, sizeof text, "%.15g", part);
    return (int)(K * strtod(text, NULL)) == n_rot ? part : part + 1e-9;
}

// The oldest readers know "type" only, those of models with two rotations "rope_type" only.
static void put_rope(writing *w) {
    const cop_rope_desc *r = &w->d->rope[0];
    const cop_gguf_tensor *divisors = cop_gguf_find_tensor(w->file, "rope_freqs.weight");
    float factor;
    put_number(w, "rope_theta", r->base);
    put(w, "rope_scaling", json_null());
    if (r->n_rot != w->d->K) put(w, "partial_rotary_factor", json_real(rotated_part(r->n_rot, w->d->K)));
    if (r->near) put_longrope(w);
    else if (r->yarn > 1) put_yarn(w);
    else if (divisors) put_llama3(w, divisors);
    else if (r->factor != 1 && (key_f32(w, "rope.scaling.factor", &factor) || key_f32(w, "rope.scale_linear", &factor)))
        put(w, "rope_scaling", json_pack("{s:s, s:o}", w->d->n_ropes > 1 ? "rope_type" : "type", "linear", "factor", number(factor)));
}

// ---- families -------------------------------------------------------------------------------

static void llama(writing *w) { put_rope(w); }

static void windowed(writing *w) {
    put_window(w);
    put_rope(w);
}

static void qwen(writing *w) {
    const cop_desc *d = w->d;
    int first = 0;
    while (first < d->L && !d->layers[first].window) first++;
    put_window(w);
    put_bool(w, "use_sliding_window", first < d->L);
    put_int(w, "max_window_layers", first);
    put_layer_types(w, first, 0);
    put_rope(w);
}

static void put_experts(writing *w, const char *n) {
    put_int(w, n, w->d->experts.n);
    put_int(w, "num_experts_per_tok", w->d->experts.used);
}

static void mixtral(writing *w) {
    put_experts(w, "num_local_experts");
    windowed(w);
}

static void qwen3moe(writing *w) {
    const cop_desc *d = w->d;
    json_t *plain = json_array();
    for (int i = 0; i < d->L; i++)
        if (!d->layers[i].experts) json_array_append_new(plain, json_integer(i));
    put(w, "mlp_only_layers", plain);
    put_int(w, "decoder_sparse_step", 1);
    put_int(w, "moe_intermediate_size", d->experts.F);
    put_bool(w, "norm_topk_prob", d->experts.normalise);
    put_experts(w, "num_experts");
    qwen(w);
}

static void smollm3(writing *w) {
    json_t *list = json_array();
    for (int i = 0; i < w->d->L; i++) json_array_append_new(list, json_integer(w->d->layers[i].rope >= 0));
    put(w, "no_rope_layers", list);
    put_int(w, "no_rope_layer_interval", 4);
    put_bool(w, "use_sliding_window", window_of(w->d) != 0);
    windowed(w);
}

static void granite(writing *w) {
    float divisor = 1;
    put_number(w, "attention_multiplier", w->d->attn_scale);
    put_number(w, "embedding_multiplier", w->d->embed_scale);
    put_number(w, "residual_multiplier", w->d->residual_scale);
    (void)key_f32(w, "logit_scale", &divisor);
    put_number(w, "logits_scaling", divisor);
    put_rope(w);
}

static void olmo3(writing *w) {
    put_window(w);
    put_layer_types(w, 0, 4);
    put_rope(w);
}

static void put_cap(writing *w, const char *key, float cap) { put(w, key, cap != 0 ? number(cap) : json_null()); }

// Scores are scaled by one over the root of it: a whole number where that gives the same float.
static void put_gemma(writing *w) {
    float scale = w->d->attn_scale;
    double scalar = 1 / ((double)scale * (double)scale), whole = floor(scalar + 0.5);
    put(w, "query_pre_attn_scalar", (float)(1 / sqrt(whole)) == scale || 1.0f / sqrtf((float)whole) == scale ? json_integer((json_int_t)whole) : json_real(scalar));
    put_window(w);
    put_cap(w, "final_logit_softcapping", w->d->logit_softcap);
    put_rope(w);
}

static void gemma2(writing *w) {
    put_cap(w, "attn_logit_softcapping", w->d->attn_softcap);
    put_layer_types(w, 0, 2);
    put_gemma(w);
}

static void gemma3(writing *w) {
    const cop_desc *d = w->d;
    int period = 1;
    while (period < d->L && d->layers[period - 1].window) period++;
    if (d->layers[period - 1].window) period = 6;
    put_int(w, "sliding_window_pattern", period);
    put_layer_types(w, 0, period);
    put_number(w, "rope_local_base_freq", d->rope[1].base);
    put_gemma(w);
}

static void bigcode(writing *w) { put_bool(w, "multi_query", true); }

static void starcoder2(writing *w) {
    put_bool(w, "use_bias", true);
    windowed(w);
}

static void phi3(writing *w) {
    put_int(w, "original_max_position_embeddings", w->d->max_positions);
    windowed(w);
}

static void lfm2(writing *w) {
    json_t *full = json_array();
    for (int i = 0; i < w->d->L; i++)
        if (!w->d->layers[i].convolution) json_array_append_new(full, json_integer(i));
    put(w, "full_attn_idxs", full);
    put_int(w, "conv_L_cache", w->d->taps);
    put_bool(w, "conv_bias", has_tensor(w, "shortconv.conv", 0, ".bias") || has_tensor(w, "shortconv.in_proj", 0, ".bias"));
    put_bool(w, "block_auto_adjust_ff_dim", false);
    put_int(w, "block_ff_dim", w->d->F);
    put_rope(w);
}

static const config_family families[] = {
    {"llama", "llama", "LlamaForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", "mlp_bias", llama},
    {"llama", "mistral", "MistralForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, NULL, NULL, windowed},
    {"llama", "mixtral", "MixtralForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, NULL, NULL, mixtral},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, NULL, NULL, qwen},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", NULL, qwen},
    {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", NULL, qwen3moe},
    {"smollm3", "smollm3", "SmolLM3ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", "mlp_bias", smollm3},
    {"granite", "granite", "GraniteForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", "mlp_bias", granite},
    {"olmo2", "olmo2", "Olmo2ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", NULL, llama},
    {"olmo2", "olmo3", "Olmo3ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, "attention_bias", NULL, olmo3},
    {"gemma2", "gemma2", "Gemma2ForCausalLM", "gelu_pytorch_tanh", "hidden_activation", "rms_norm_eps", false, "attention_bias", NULL, gemma2},
    {"gemma3", "gemma3_text", "Gemma3ForCausalLM", "gelu_pytorch_tanh", "hidden_activation", "rms_norm_eps", false, "attention_bias", NULL, gemma3},
    {"gpt2", "gpt2", "GPT2LMHeadModel", "gelu_new", "activation_function", "layer_norm_epsilon", true, NULL, NULL, NULL},
    {"starcoder", "gpt_bigcode", "GPTBigCodeForCausalLM", "gelu_pytorch_tanh", "activation_function", "layer_norm_epsilon", true, NULL, NULL, bigcode},
    {"starcoder2", "starcoder2", "Starcoder2ForCausalLM", "gelu_pytorch_tanh", "hidden_act", "norm_epsilon", false, NULL, NULL, starcoder2},
    {"phi3", "phi3", "Phi3ForCausalLM", "silu", "hidden_act", "rms_norm_eps", false, NULL, NULL, phi3},
    {"lfm2", "lfm2", "Lfm2ForCausalLM", NULL, NULL, "norm_eps", false, NULL, NULL, lfm2},
};
#define N_FAMILIES (sizeof families / sizeof *families)

cop_status cop_config_type(const cop_desc *d, const char **model_type) {
    char known[256] = "";
    const char *type = NULL;
    if (!strcmp(d->family, "llama")) type = d->experts.n ? "mixtral" : window_of(d) ? "mistral" : "llama";
    if (!strcmp(d->family, "olmo2")) type = window_of(d) ? "olmo3" : "olmo2";
    for (size_t i = 0; i < N_FAMILIES; i++) {
        size_t used = strlen(known);
        if (!strcmp(families[i].arch, d->family)) {
            *model_type = type ? type : families[i].model_type;
            return COP_OK;
        }
        if (!i || strcmp(families[i].arch, families[i - 1].arch) != 0)
            snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", families[i].arch);
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "family %s: no folder is made of it, but of %s", d->family, known);
}

// ---- the whole ------------------------------------------------------------------------------

static void put_shape(writing *w, bool gpt) {
    const cop_desc *d = w->d;
    put_int(w, gpt ? "n_embd" : "hidden_size", d->D);
    put_int(w, gpt ? "n_inner" : "intermediate_size", d->F);
    put_int(w, gpt ? "n_layer" : "num_hidden_layers", d->L);
    put_int(w, gpt ? "n_head" : "num_attention_heads", d->H);
    put_int(w, gpt ? "n_positions" : "max_position_embeddings", d->max_positions);
    put_int(w, "vocab_size", d->V);
    if (gpt) return;
    put_int(w, "num_key_value_heads", d->G);
    put_int(w, "head_dim", d->K);
}

// A switch of a configuration means all of these biases in all layers; 0: none has one.
static cop_status put_biases(writing *w, const char *key, const char *const *stems, int n_stems) {
    int n = 0;
    for (int i = 0; i < w->d->L; i++)
        for (int k = 0; k < n_stems; k++) n += has_tensor(w, stems[k], i, ".bias");
    if (n && n != w->d->L * n_stems)
        return cop_fail(COP_ERR_UNSUPPORTED, "biases of some of the matrices %s ... %s: %s of config.json means all or none", stems[0], stems[n_stems - 1], key);
    put_bool(w, key, n);
    return COP_OK;
}

// null where there is none: missing means a number of the configuration class.
static void put_token(writing *w, const char *key, const char *gguf) {
    uint32_t id;
    bool there = cop_gguf_has(w->file, gguf) && !cop_gguf_get_u32(w->file, gguf, &id);
    put(w, key, there ? json_integer(id) : json_null());
}

static void put_tokens(writing *w) {
    put_token(w, "bos_token_id", "tokenizer.ggml.bos_token_id");
    put_token(w, "eos_token_id", "tokenizer.ggml.eos_token_id");
    put_token(w, "pad_token_id", "tokenizer.ggml.padding_token_id");
}

static cop_status fill(writing *w, const config_family *f, cop_dtype type) {
    static const char *const names[COP_N_DTYPES] = {[COP_F32] = "float32", [COP_F16] = "float16", [COP_BF16] = "bfloat16"};
    static const char *const attention[] = {"attn_q", "attn_k", "attn_v", "attn_output"}, *const mlp[] = {"ffn_gate", "ffn_up", "ffn_down"};
    put(w, "architectures", json_pack("[s]", f->class));
    put_text(w, "model_type", f->model_type);
    put_shape(w, f->gpt);
    if (f->act) put_text(w, f->act_key, f->act);
    put_number(w, f->eps_key, w->d->norm_eps);
    put_bool(w, !strcmp(f->model_type, "lfm2") ? "tie_embedding" : "tie_word_embeddings", !cop_gguf_find_tensor(w->file, "output.weight"));
    if (f->biases) COP_TRY(put_biases(w, f->biases, attention, 4));
    if (f->mlp_biases) COP_TRY(put_biases(w, f->mlp_biases, mlp, 3));
    if (f->more) f->more(w);
    put_tokens(w);
    put_text(w, "torch_dtype", names[type]);
    return w->failed ? cop_fail(COP_ERR_NOMEM, "config.json: cannot allocate") : COP_OK;
}

cop_status cop_config_make(json_t **out, const cop_gguf *file, const cop_desc *desc, const char *model_type, cop_dtype type) {
    const config_family *f = families;
    while (strcmp(f->model_type, model_type) != 0) f++;
    writing w = {.o = json_object(), .file = file, .d = desc};
    cop_status st = w.o ? fill(&w, f, type) : cop_fail(COP_ERR_NOMEM, "config.json: cannot allocate");
    if (st) json_decref(w.o);
    *out = st ? NULL : w.o;
    return st;
}

// The token that ends a turn stands beside the one that ends a text.
cop_status cop_config_generation(json_t **out, const cop_gguf *file) {
    uint32_t eos, eot;
    writing w = {.o = json_object(), .file = file};
    put(&w, "_from_model_config", json_true());
    put_tokens(&w);
    if (cop_gguf_has(file, "tokenizer.ggml.eos_token_id") && cop_gguf_has(file, "tokenizer.ggml.eot_token_id") &&
        !cop_gguf_get_u32(file, "tokenizer.ggml.eos_token_id", &eos) && !cop_gguf_get_u32(file, "tokenizer.ggml.eot_token_id", &eot) && eos != eot)
        put(&w, "eos_token_id", json_pack("[I, I]", (json_int_t)eos, (json_int_t)eot));
    if (w.failed || !w.o) {
        json_decref(w.o);
        *out = NULL;
        return cop_fail(COP_ERR_NOMEM, "generation_config.json: cannot allocate");
    }
    *out = w.o;
    return COP_OK;
}

// ---- does it say the same -------------------------------------------------------------------

static cop_status differs(const char *what) {
    return cop_fail(COP_ERR_UNSUPPORTED, "%s: config.json of this family has no place for what the file says", what);
}

static bool same_rope(const cop_rope_desc *a, const cop_rope_desc *b) {
    return a->base == b->base && a->factor == b->factor && a->near == b->near && a->yarn == b->yarn && a->low == b->low && a->high == b->high &&
           a->magnitude == b->magnitude && a->n_rot == b->n_rot && a->half_split == b->half_split;
}

static cop_status compare_layers(const cop_desc *a, const cop_desc *b) {
    for (int i = 0; i < a->L; i++) {
        const cop_layer_desc *x = &a->layers[i], *y = &b->layers[i];
        if (x->window != y->window) return differs("attention.sliding_window");
        if (x->rope != y->rope) return differs("rope.pattern");
        if (x->mask != y->mask || x->convolution != y->convolution || x->experts != y->experts) return differs("the kinds of layers");
    }
    return COP_OK;
}

cop_status cop_config_compare(const cop_desc *a, const cop_desc *b) {
    if (a->L != b->L || a->D != b->D || a->H != b->H || a->G != b->G || a->K != b->K || a->F != b->F || a->V != b->V) return differs("the shape");
    if (a->max_positions != b->max_positions) return differs("context_length");
    if (a->norm != b->norm || a->norm_eps != b->norm_eps || a->order != b->order || a->act != b->act || a->gated != b->gated) return differs("norms and activations");
    if (a->positions != b->positions || a->position_offset != b->position_offset || a->n_ropes != b->n_ropes) return differs("the kind of positions");
    for (int i = 0; i < a->n_ropes; i++)
        if (!same_rope(&a->rope[i], &b->rope[i])) return differs("rope");
    if (a->embed_scale != b->embed_scale) return differs("embedding_scale");
    if (a->attn_scale != b->attn_scale) return differs("attention.scale");
    if (a->residual_scale != b->residual_scale) return differs("residual_scale");
    if (a->logit_scale != b->logit_scale) return differs("logit_scale");
    if (a->attn_softcap != b->attn_softcap || a->logit_softcap != b->logit_softcap) return differs("softcapping");
    if (a->experts.n != b->experts.n || a->experts.used != b->experts.used || (a->experts.n && a->experts.F != b->experts.F) ||
        a->experts.normalise != b->experts.normalise || a->experts.scale != b->experts.scale)
        return differs("experts");
    if (a->taps != b->taps) return differs("shortconv.l_cache");
    return compare_layers(a, b);
}
