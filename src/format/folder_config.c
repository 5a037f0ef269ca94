// config.json to GGUF keys: both published layouts, the defaults of each configuration class, and the few
// sums that GGUF's writers make. What a key means is checked where it is used (model/describe.c).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "format/folder_private.h"

#define MOST_CONFIG ((size_t)4 << 20)

static const cop_json_limits limits = {MOST_CONFIG, 200000, 32};

// A text of the file for a message.
static const char *shown(char out[40], const char *text) {
    snprintf(out, 40, "%s", text);
    for (char *p = out; *p; p++)
        if (*p < 0x20 || *p > 0x7e) *p = '?';
    return out;
}

// ---- values to keys -------------------------------------------------------------------------

static void make_key(const cop_folder_config *c, const char *name, char key[128]) { snprintf(key, 128, "%s.%s", c->arch, name); }

cop_status cop_folder_add_int(cop_folder_config *c, const char *name, int64_t value) {
    char key[128];
    make_key(c, name, key);
    if (value < 0 || value > UINT32_MAX) return cop_fail(COP_ERR_FORMAT, "%s: %lld, need 0 to 4294967295", name, (long long)value);
    return cop_gguf_add_u32(c->keys, key, (uint32_t)value);
}

cop_status cop_folder_add_number(cop_folder_config *c, const char *name, double value) {
    char key[128];
    make_key(c, name, key);
    if (!(fabs(value) < 3e38)) return cop_fail(COP_ERR_FORMAT, "%s: %g, need a finite number in the range of f32", name, value);
    return cop_gguf_add_f32(c->keys, key, (float)value);
}

cop_status cop_folder_copy_int(cop_folder_config *c, const char *name, const char *key) {
    int64_t v;
    if (!cop_json_member(c->values, name)) return COP_OK;
    COP_TRY(cop_json_int(c->values, name, 0, 0, UINT32_MAX, &v));
    return cop_folder_add_int(c, key, v);
}

cop_status cop_folder_copy_number(cop_folder_config *c, const char *name, const char *key) {
    double v;
    if (!cop_json_member(c->values, name)) return COP_OK;
    COP_TRY(cop_json_number(c->values, name, 0, &v));
    return cop_folder_add_number(c, key, v);
}

static cop_status need_int(const cop_folder_config *c, const char *name, int64_t most, int64_t *out) {
    if (!cop_json_member(c->values, name)) return cop_fail(COP_ERR_FORMAT, "%s is missing", name);
    return cop_json_int(c->values, name, 0, 1, most, out);
}

// ---- rope -----------------------------------------------------------------------------------

// A tensor of n values that comes with the configuration; *out is to be filled.
static cop_status add_extra(cop_folder_config *c, const char *name, size_t n, float **out) {
    int i = 0;
    while (i < COP_FOLDER_MOST_EXTRA && c->extra[i].name) i++;
    if (i == COP_FOLDER_MOST_EXTRA) return cop_fail(COP_ERR_LIMIT, "%s: one tensor too many", name);
    *out = cop_alloc_array(n, sizeof **out);
    if (!*out) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", name);
    c->extra[i] = (struct cop_folder_extra){name, *out, n};
    return COP_OK;
}

// The divisors are those that GGUF's writers store.
void cop_folder_llama3(float *divisors, double base, int64_t n_rot, double factor, double low, double high, double original) {
    for (size_t i = 0; i < (size_t)(n_rot / 2); i++) {
        double wave = 2 * 3.14159265358979323846 * cop_pow(base, 2.0 * (double)i / (double)n_rot), s = (original / wave - low) / (high - low);
        double divisor = wave < original / high ? 1 : wave > original / low ? factor : 1 / ((1 - s) / factor + s);
        divisors[i] = (float)divisor;
    }
}

static cop_status add_llama3(cop_folder_config *c, const json_t *p, double base, int64_t n_rot) {
    double factor, low, high, original;
    COP_TRY(cop_json_number(p, "factor", 8, &factor));
    COP_TRY(cop_json_number(p, "low_freq_factor", 1, &low));
    COP_TRY(cop_json_number(p, "high_freq_factor", 4, &high));
    COP_TRY(cop_json_number(p, "original_max_position_embeddings", 8192, &original));
    if (!(factor > 0 && low > 0 && high > low && original > 0 && base > 0))
        return cop_fail(COP_ERR_FORMAT, "rope scaling llama3: factors %g, %g, %g over %g positions make no sense", factor, low, high, original);
    float *divisors;
    COP_TRY(add_extra(c, "rope_freqs.weight", (size_t)(n_rot / 2), &divisors));
    cop_folder_llama3(divisors, base, n_rot, factor, low, high, original);
    return COP_OK;
}

static cop_status add_factors(cop_folder_config *c, const json_t *p, const char *from, const char *to, int64_t n_rot) {
    const json_t *list = cop_json_member(p, from);
    float *values;
    if (json_array_size(list) != (size_t)(n_rot / 2))
        return cop_fail(COP_ERR_FORMAT, "%s: %zu entries, need %lld", from, json_array_size(list), (long long)(n_rot / 2));
    COP_TRY(add_extra(c, to, (size_t)(n_rot / 2), &values));
    for (size_t i = 0; i < (size_t)(n_rot / 2); i++) {
        double v = json_number_value(json_array_get(list, i));
        if (!(v > 0 && v < 1e30)) return cop_fail(COP_ERR_FORMAT, "%s: entry %zu is no positive number", from, i);
        values[i] = (float)v;
    }
    return COP_OK;
}

// Phi 3: two lists of divisors, for contexts up to the original length and beyond.
static cop_status add_longrope(cop_folder_config *c, const json_t *p, int64_t n_rot) {
    int64_t original;
    COP_TRY(cop_json_int(c->values, "original_max_position_embeddings", 0, 1, 1 << 27, &original));
    COP_TRY(cop_json_int(p, "original_max_position_embeddings", original, 1, 1 << 27, &original));
    COP_TRY(cop_folder_add_int(c, "rope.scaling.original_context_length", original));
    COP_TRY(add_factors(c, p, "short_factor", "rope_factors_short.weight", n_rot));
    COP_TRY(add_factors(c, p, "long_factor", "rope_factors_long.weight", n_rot));
    if (!cop_json_member(p, "attention_factor")) return COP_OK;
    double factor;
    COP_TRY(cop_json_number(p, "attention_factor", 1, &factor));
    return cop_folder_add_number(c, "rope.scaling.attn_factor", factor);
}

// YaRN: a blend of stretched and plain waves. GGUF's factor of the magnitude is beside the usual one.
static cop_status add_yarn(cop_folder_config *c, const json_t *p) {
    int64_t original, positions;
    double factor, fast, slow, attention;
    bool truncate;
    char key[128];
    COP_TRY(cop_json_int(c->values, "max_position_embeddings", 0, 1, 1 << 27, &positions));
    COP_TRY(cop_json_int(p, "original_max_position_embeddings", positions, 1, 1 << 27, &original));
    COP_TRY(cop_json_number(p, "factor", (double)positions / (double)original, &factor));
    COP_TRY(cop_json_number(p, "beta_fast", 32, &fast));
    COP_TRY(cop_json_number(p, "beta_slow", 1, &slow));
    COP_TRY(cop_json_bool(p, "truncate", true, &truncate));
    if (!truncate || cop_json_member(p, "mscale")) return cop_fail(COP_ERR_UNSUPPORTED, "rope scaling yarn: with truncate false, or mscale");
    if (!(factor >= 1 && factor < 1e6)) return cop_fail(COP_ERR_FORMAT, "rope scaling yarn: factor %g, need 1 or more", factor);
    COP_TRY(cop_json_number(p, "attention_factor", 0, &attention));
    make_key(c, "rope.scaling.type", key);
    COP_TRY(cop_gguf_add_text(c->keys, key, "yarn", 4));
    COP_TRY(cop_folder_add_number(c, "rope.scaling.factor", factor));
    COP_TRY(cop_folder_add_int(c, "rope.scaling.original_context_length", original));
    COP_TRY(cop_folder_add_number(c, "rope.scaling.yarn_beta_fast", fast));
    COP_TRY(cop_folder_add_number(c, "rope.scaling.yarn_beta_slow", slow));
    return attention == 0 ? COP_OK : cop_folder_add_number(c, "rope.scaling.attn_factor", attention / (1 + 0.1 * cop_log(factor)));
}

static cop_status add_scaling(cop_folder_config *c, const json_t *p, double base, int64_t n_rot) {
    const char *type, *older;
    char text[40];
    double factor;
    COP_TRY(cop_json_text(p, "type", "default", &older));
    COP_TRY(cop_json_text(p, "rope_type", older, &type));
    if (!strcmp(type, "default") || !strcmp(type, "mrope")) return COP_OK;  // mrope: text alone turns as ever
    if (!strcmp(type, "llama3")) return add_llama3(c, p, base, n_rot);
    if (!strcmp(type, "yarn")) return add_yarn(c, p);
    if (!strcmp(type, "longrope") || !strcmp(type, "su")) return add_longrope(c, p, n_rot);
    if (strcmp(type, "linear"))
        return cop_fail(COP_ERR_UNSUPPORTED, "rope scaling %s is not known here: default, linear, llama3, longrope, yarn", shown(text, type));
    COP_TRY(cop_json_number(p, "factor", 1, &factor));
    char key[128];
    make_key(c, "rope.scaling.type", key);
    COP_TRY(cop_gguf_add_text(c->keys, key, "linear", 6));
    return cop_folder_add_number(c, "rope.scaling.factor", factor);
}

// rope_parameters (newest) holds base and scaling, for all layers or per layer type; before, the base was
// rope_theta and the scaling rope_scaling.
static const json_t *rope_object(const cop_folder_config *c, const char *type) {
    const json_t *all = cop_json_member(c->values, "rope_parameters");
    if (!json_is_object(all)) return NULL;
    const json_t *one = type ? cop_json_member(all, type) : NULL;
    return json_is_object(one) ? one : all;
}

cop_status cop_folder_add_rope(cop_folder_config *c, const char *type) {
    const json_t *p = rope_object(c, type), *scaling = p ? p : cop_json_member(c->values, "rope_scaling");
    double base, part;
    COP_TRY(cop_json_number(c->values, "rope_theta", 10000, &base));
    COP_TRY(cop_json_number(p, "rope_theta", base, &base));
    COP_TRY(cop_json_number(c->values, "partial_rotary_factor", 1, &part));
    COP_TRY(cop_json_number(p, "partial_rotary_factor", part, &part));
    if (!(part > 0 && part <= 1)) return cop_fail(COP_ERR_FORMAT, "partial_rotary_factor: %g, need more than 0, at most 1", part);
    if (!(base > 0 && base < 1e30)) return cop_fail(COP_ERR_FORMAT, "rope_theta: %g, need a positive number", base);
    if (scaling && !json_is_object(scaling)) return cop_fail(COP_ERR_FORMAT, "rope_scaling must be an object");
    int64_t n_rot = (int64_t)((double)c->K * part);
    COP_TRY(cop_folder_add_int(c, "rope.dimension_count", n_rot));
    COP_TRY(cop_folder_add_number(c, "rope.freq_base", base));
    return scaling ? add_scaling(c, scaling, base, n_rot) : COP_OK;
}

// ---- windows --------------------------------------------------------------------------------

cop_status cop_folder_add_window(cop_folder_config *c, int64_t window, int64_t first, int64_t period) {
    const json_t *types = cop_json_member(c->values, "layer_types");
    uint8_t pattern[COP_FOLDER_MOST_LAYERS];
    bool any = false, all = true;
    if (window <= 0) return COP_OK;
    if (types && json_array_size(types) != (size_t)c->L)
        return cop_fail(COP_ERR_FORMAT, "layer_types: %zu entries for %lld layers", json_array_size(types), (long long)c->L);
    for (int64_t i = 0; i < c->L; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        if (types && !type) return cop_fail(COP_ERR_FORMAT, "layer_types must hold texts");
        pattern[i] = types ? !strcmp(type, "sliding_attention") : i >= first && (!period || (i + 1) % period);
        any |= pattern[i];
        all &= pattern[i];
    }
    if (!any) return COP_OK;
    COP_TRY(cop_folder_add_int(c, "attention.sliding_window", window));
    char key[128];
    make_key(c, "attention.sliding_window_pattern", key);
    return all && !period ? COP_OK : cop_gguf_add_array(c->keys, key, COP_GGUF_BOOL, pattern, (size_t)c->L);
}

// ---- what families share --------------------------------------------------------------------

static cop_status add_shape(cop_folder_config *c, bool own_kv_heads) {
    int64_t F, positions;
    COP_TRY(need_int(c, "num_hidden_layers", COP_FOLDER_MOST_LAYERS, &c->L));
    COP_TRY(need_int(c, "hidden_size", 1 << 20, &c->D));
    COP_TRY(need_int(c, "num_attention_heads", 1 << 14, &c->H));
    COP_TRY(cop_json_int(c->values, "num_key_value_heads", c->H, 1, c->H, &c->G));
    COP_TRY(cop_json_int(c->values, "head_dim", c->D / c->H, 1, 1 << 14, &c->K));
    COP_TRY(cop_json_int(c->values, "intermediate_size", 4 * c->D, 1, 1 << 24, &F));
    COP_TRY(need_int(c, "max_position_embeddings", 1 << 27, &positions));
    if (!c->K) return cop_fail(COP_ERR_FORMAT, "%lld heads for a width of %lld", (long long)c->H, (long long)c->D);
    COP_TRY(cop_folder_add_int(c, "context_length", positions));
    COP_TRY(cop_folder_add_int(c, "embedding_length", c->D));
    COP_TRY(cop_folder_add_int(c, "block_count", c->L));
    COP_TRY(cop_folder_add_int(c, "feed_forward_length", F));
    COP_TRY(cop_folder_add_int(c, "attention.head_count", c->H));
    if (!own_kv_heads) COP_TRY(cop_folder_add_int(c, "attention.head_count_kv", c->G));
    COP_TRY(cop_folder_add_int(c, "attention.key_length", c->K));
    COP_TRY(cop_folder_add_int(c, "attention.value_length", c->K));
    COP_TRY(cop_folder_copy_int(c, "vocab_size", "vocab_size"));
    COP_TRY(cop_folder_copy_number(c, "rms_norm_eps", "attention.layer_norm_rms_epsilon"));
    return cop_folder_copy_number(c, "layer_norm_eps", "attention.layer_norm_epsilon");
}

// One name out of a list that is separated by spaces.
static bool is_listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; n && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (!p[n] || p[n] == ' ')) return true;
    return false;
}

static cop_status check_computable(const cop_folder_config *c, const cop_folder_family *family) {
    const char *act, *method;
    char text[40];
    const json_t *quantised = cop_json_member(c->values, "quantization_config");
    if (quantised) {
        COP_TRY(cop_json_text(quantised, "quant_method", "unknown", &method));
        return cop_fail(COP_ERR_UNSUPPORTED, "quantization_config: weights quantised by %s, need F32, F16 or BF16", shown(text, method));
    }
    COP_TRY(cop_json_text(c->values, "hidden_act", family->acts, &act));
    COP_TRY(cop_json_text(c->values, "hidden_activation", act, &act));
    if (act != family->acts && !is_listed(family->acts, act))
        return cop_fail(COP_ERR_UNSUPPORTED, "activation %s: %s computes %s", shown(text, act), family->model_type, family->acts);
    return COP_OK;
}

// ---- special tokens -------------------------------------------------------------------------

static cop_status add_token(cop_folder_config *c, const json_t *config, const json_t *generation, const char *name, const char *key) {
    const json_t *v = cop_json_member(generation, name);
    if (!v) v = cop_json_member(config, name);
    if (json_is_array(v)) v = json_array_get(v, 0);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX) return COP_OK;
    return cop_gguf_add_u32(c->keys, key, (uint32_t)json_integer_value(v));
}

static cop_status add_tokens(cop_folder_config *c, const json_t *config, const json_t *generation) {
    COP_TRY(add_token(c, config, generation, "bos_token_id", "tokenizer.ggml.bos_token_id"));
    COP_TRY(add_token(c, config, generation, "eos_token_id", "tokenizer.ggml.eos_token_id"));
    return add_token(c, config, generation, "pad_token_id", "tokenizer.ggml.padding_token_id");
}

// ---- the whole ------------------------------------------------------------------------------

static cop_status find_family(const json_t *config, const cop_folder_family **out) {
    const char *type;
    char known[400] = "";
    COP_TRY(cop_json_text(config, "model_type", NULL, &type));
    if (!type) return cop_fail(COP_ERR_FORMAT, "model_type is missing");
    for (const cop_folder_family *f = cop_folder_families; f->model_type; f++) {
        if (!strcmp(f->model_type, type)) {
            *out = f;
            return COP_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", f->model_type);
    }
    char text[40];
    return cop_fail(COP_ERR_UNSUPPORTED, "model_type %s is not known here: %s", shown(text, type), known);
}

// The values that count: text_config of a multimodal file, under the common names, over the defaults.
static cop_status merge(cop_folder_config *c, const cop_folder_family *family, json_t *config) {
    json_t *text = cop_json_member(config, "text_config"), *defaults;
    c->values = json_incref(json_is_object(text) ? text : config);
    for (const char *const *name = family->renames; name && *name; name += 2) {
        json_t *v = json_object_get(c->values, name[0]);
        if (v && json_object_set(c->values, name[1], v)) return cop_fail(COP_ERR_NOMEM, "configuration: cannot allocate");
    }
    COP_TRY(cop_json_parse(&defaults, family->defaults, strlen(family->defaults), &limits));
    int failed = json_object_update_missing(c->values, defaults);
    json_decref(defaults);
    return failed ? cop_fail(COP_ERR_NOMEM, "configuration: cannot allocate") : COP_OK;
}

static cop_status add_keys(cop_folder_config *c, const cop_folder_family *family, json_t *config, const json_t *generation) {
    COP_TRY(merge(c, family, config));
    bool tied;
    COP_TRY(cop_json_bool(c->values, "tie_word_embeddings", false, &tied));
    COP_TRY(cop_json_bool(config, "tie_word_embeddings", tied, &c->tied));  // of a multimodal file: outside
    c->arch = family->arch;
    COP_TRY(check_computable(c, family));
    COP_TRY(cop_gguf_add_text(c->keys, "general.architecture", c->arch, strlen(c->arch)));
    if (family->prepare) COP_TRY(family->prepare(c));
    COP_TRY(add_shape(c, family->own_kv_heads));
    if (family->keys) COP_TRY(family->keys(c));
    return add_tokens(c, config, generation);
}

cop_status cop_folder_read_config(cop_folder_config *c, const cop_folder_family **family, const char *config, size_t config_bytes,
                                  const char *generation, size_t generation_bytes) {
    json_t *root = NULL, *more = NULL;
    cop_status st = cop_json_parse(&root, config, config_bytes, &limits);
    if (!st && generation) {
        st = cop_json_parse(&more, generation, generation_bytes, &limits);
        if (st) cop_fail_note("generation_config.json");
    }
    if (!st) st = find_family(root, family);
    if (!st) st = add_keys(c, *family, root, more);
    json_decref(root);
    json_decref(more);
    return st;
}

void cop_folder_config_fini(cop_folder_config *c) {
    json_decref(c->values);
    for (int i = 0; i < COP_FOLDER_MOST_EXTRA; i++) cop_free(c->extra[i].v);
    cop_gguf_writer_free(c->keys);
    *c = (cop_folder_config){0};
}
