// What a file's metadata says about the computation, checked value by value.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "model/model_private.h"

void cop_desc_key(const cop_gguf *file, const char *name, char *key) {
    const char *arch;
    size_t n;
    if (cop_gguf_get_text_or(file, "general.architecture", "", &arch, &n)) n = 0;
    snprintf(key, 128, "%.*s.%s", n > 48 ? 48 : (int)n, n ? arch : "", name);
}

cop_status cop_desc_u32(const cop_gguf *file, const char *name, uint32_t *out) {
    char key[128];
    cop_desc_key(file, name, key);
    return cop_gguf_get_u32(file, key, out);
}

cop_status cop_desc_u32_or(const cop_gguf *file, const char *name, uint32_t fallback, uint32_t *out) {
    char key[128];
    cop_desc_key(file, name, key);
    return cop_gguf_get_u32_or(file, key, fallback, out);
}

cop_status cop_desc_f32(const cop_gguf *file, const char *name, float *out) {
    char key[128];
    cop_desc_key(file, name, key);
    return cop_gguf_get_f32(file, key, out);
}

cop_status cop_desc_f32_or(const cop_gguf *file, const char *name, float fallback, float *out) {
    char key[128];
    cop_desc_key(file, name, key);
    return cop_gguf_get_f32_or(file, key, fallback, out);
}

// A count that is later multiplied and cast to int.
static cop_status count(const cop_gguf *file, const char *name, uint32_t most, int *out) {
    uint32_t v;
    COP_TRY(cop_desc_u32(file, name, &v));
    if (v < 1 || v > most) return cop_fail(COP_ERR_FORMAT, "key %s: %u, must be 1 to %u; %s", name, v, most, cop_gguf_name(file));
    *out = (int)v;
    return COP_OK;
}

// One number, or one per layer: 0 where a layer does not attend, and otherwise the same everywhere.
static cop_status read_kv_heads(const cop_gguf *file, const cop_desc *d, uint32_t *out) {
    char key[128];
    cop_gguf_array list;
    cop_desc_key(file, "attention.head_count_kv", key);
    if (cop_gguf_type_of(file, key) != COP_GGUF_ARRAY) return cop_gguf_get_u32_or(file, key, (uint32_t)d->H, out);
    COP_TRY(cop_gguf_get_array(file, key, COP_GGUF_INTS, &list));
    if (list.n != (size_t)d->L)
        return cop_fail(COP_ERR_FORMAT, "key %s: %zu entries for %d layers; %s", key, list.n, d->L, cop_gguf_name(file));
    int64_t g = 0;
    for (size_t i = 0; i < list.n; i++) {
        int64_t v = cop_gguf_int(&list, i);
        if (v && g && v != g)
            return cop_fail(COP_ERR_UNSUPPORTED, "key %s: layers with %lld and with %lld heads; %s", key, (long long)g, (long long)v, cop_gguf_name(file));
        if (v) g = v;
    }
    if (g < 0 || g > d->H) return cop_fail(COP_ERR_FORMAT, "key %s: %lld heads; %s", key, (long long)g, cop_gguf_name(file));
    *out = g ? (uint32_t)g : (uint32_t)d->H;
    return COP_OK;
}

static cop_status read_shape(const cop_gguf *file, cop_desc *d) {
    COP_TRY(count(file, "block_count", COP_MAX_LAYERS, &d->L));
    COP_TRY(count(file, "embedding_length", 1 << 20, &d->D));
    COP_TRY(count(file, "attention.head_count", 1 << 14, &d->H));
    COP_TRY(count(file, "feed_forward_length", 1 << 22, &d->F));
    COP_TRY(count(file, "context_length", 1 << 27, &d->max_positions));
    uint32_t g, k, kv;
    COP_TRY(read_kv_heads(file, d, &g));
    COP_TRY(cop_desc_u32_or(file, "attention.key_length", (uint32_t)(d->D / d->H), &k));
    COP_TRY(cop_desc_u32_or(file, "attention.value_length", k, &kv));
    if (g < 1 || g > (uint32_t)d->H || (uint32_t)d->H % g)
        return cop_fail(COP_ERR_FORMAT, "%u key/value heads for %d heads: must divide them; %s", g, d->H, cop_gguf_name(file));
    if (k != kv)
        return cop_fail(COP_ERR_UNSUPPORTED, "keys of %u and values of %u elements: must be equal; %s", k, kv, cop_gguf_name(file));
    if (k < 2 || k > 512 || k % 2)
        return cop_fail(COP_ERR_UNSUPPORTED, "heads of %u elements: must be even, 2 to 512; %s", k, cop_gguf_name(file));
    d->G = (int)g;
    d->K = (int)k;

    const cop_gguf_tensor *embedding = cop_gguf_find_tensor(file, "token_embd.weight");
    if (!embedding) return cop_fail(COP_ERR_FORMAT, "tensor token_embd.weight is missing; %s", cop_gguf_name(file));
    if (embedding->n_dims != 2 || embedding->dims[1] > 1 << 24)
        return cop_fail(COP_ERR_FORMAT, "tensor token_embd.weight: %d dimensions, %llu rows: not an embedding; %s",
                        embedding->n_dims, (unsigned long long)embedding->dims[1], cop_gguf_name(file));
    d->V = (int)embedding->dims[1];
    return COP_OK;
}

// The pair that turns `turns` times within the length of the first training.
static double pair_of(const cop_rope_desc *r, double turns, double original) {
    return r->n_rot * cop_log(original / (turns * 2 * 3.14159265358979324)) / (2 * cop_log((double)r->base));
}

// Divisors between 1 and the factor by how often a pair turns. Peng et al. 2023 (arXiv:2309.00071).
static cop_status read_yarn(const cop_gguf *file, cop_rope_desc *r) {
    uint32_t original;
    float fast, slow, more;
    COP_TRY(cop_desc_f32(file, "rope.scaling.factor", &r->yarn));
    COP_TRY(cop_desc_u32(file, "rope.scaling.original_context_length", &original));
    COP_TRY(cop_desc_f32_or(file, "rope.scaling.yarn_beta_fast", 32, &fast));
    COP_TRY(cop_desc_f32_or(file, "rope.scaling.yarn_beta_slow", 1, &slow));
    COP_TRY(cop_desc_f32_or(file, "rope.scaling.attn_factor", 1, &more));
    if (!(r->yarn >= 1 && r->yarn < 1e6f && fast > 0 && fast < 1e6f && slow > 0 && slow <= fast && more > 0 && more < 1e3f) || !original ||
        r->base <= 1)
        return cop_fail(COP_ERR_FORMAT, "yarn of %g from %u tokens, betas %g and %g, factor %g, base %g; %s", (double)r->yarn, original,
                        (double)fast, (double)slow, (double)more, (double)r->base, cop_gguf_name(file));
    r->low = (float)fmax(0, floor(pair_of(r, (double)fast, original)));
    r->high = (float)fmin(r->n_rot - 1, ceil(pair_of(r, (double)slow, original)));
    if (r->high < r->low + 0.001f) r->high = r->low + 0.001f;
    r->magnitude = more * (float)(1 + 0.1 * cop_log((double)r->yarn));
    return COP_OK;
}

// Two tables of divisors, and the length that decides between them.
static cop_status read_longrope(const cop_gguf *file, cop_desc *d) {
    cop_rope_desc *r = &d->rope[0];
    COP_TRY(count(file, "rope.scaling.original_context_length", 1 << 27, &r->near));
    double stretch = (double)d->max_positions / r->near;
    float usual = stretch > 1 && r->near > 1 ? (float)sqrt(1 + cop_log(stretch) / cop_log(r->near)) : 1;
    COP_TRY(cop_desc_f32_or(file, "rope.scaling.attn_factor", usual, &r->magnitude));
    if (!(r->magnitude > 0 && r->magnitude < 1e3f))
        return cop_fail(COP_ERR_FORMAT, "rope magnitude %g; %s", (double)r->magnitude, cop_gguf_name(file));
    return COP_OK;
}

static cop_status read_scaling(const cop_gguf *file, cop_desc *d) {
    const char *type;
    size_t n;
    char key[128];
    cop_desc_key(file, "rope.scaling.type", key);
    COP_TRY(cop_gguf_get_text_or(file, key, "none", &type, &n));
    bool tables = cop_gguf_find_tensor(file, "rope_factors_long.weight") || cop_gguf_find_tensor(file, "rope_factors_short.weight");
    if (tables || (n == 8 && !memcmp(type, "longrope", 8))) return read_longrope(file, d);
    if (n == 4 && !memcmp(type, "yarn", 4)) return read_yarn(file, &d->rope[0]);
    float factor;
    COP_TRY(cop_desc_f32_or(file, "rope.scale_linear", 1.0f, &factor));
    if (n == 6 && !memcmp(type, "linear", 6)) COP_TRY(cop_desc_f32_or(file, "rope.scaling.factor", factor, &factor));
    else if (n != 4 || memcmp(type, "none", 4))
        return cop_fail(COP_ERR_UNSUPPORTED, "rope scaling %.*s: linear, longrope and yarn are known here; %s", n > 32 ? 32 : (int)n,
                        type, cop_gguf_name(file));
    if (!(factor > 1e-6f && factor < 1e6f)) return cop_fail(COP_ERR_FORMAT, "rope scaling factor %g; %s", (double)factor, cop_gguf_name(file));
    d->rope[0].factor = 1.0f / factor;
    return COP_OK;
}

static cop_status read_rope(const cop_gguf *file, cop_desc *d) {
    cop_rope_desc *r = &d->rope[0];
    uint32_t n_rot;
    COP_TRY(cop_desc_u32_or(file, "rope.dimension_count", (uint32_t)d->K, &n_rot));
    COP_TRY(cop_desc_f32_or(file, "rope.freq_base", 10000.0f, &r->base));
    if (n_rot < 2 || n_rot > (uint32_t)d->K || n_rot % 2)
        return cop_fail(COP_ERR_FORMAT, "rope over %u of %d elements: must be even and not more; %s", n_rot, d->K,
                        cop_gguf_name(file));
    if (!(r->base > 1e-3f && r->base < 1e15f)) return cop_fail(COP_ERR_FORMAT, "rope base %g; %s", (double)r->base, cop_gguf_name(file));
    r->factor = r->magnitude = 1.0f;
    r->n_rot = (int)n_rot;
    r->half_split = true;
    return read_scaling(file, d);
}

static cop_status read_epsilon(const cop_gguf *file, cop_desc *d, const char *name) {
    COP_TRY(cop_desc_f32_or(file, name, 1e-5f, &d->norm_eps));
    if (!(d->norm_eps >= 0 && d->norm_eps < 1)) return cop_fail(COP_ERR_FORMAT, "norm epsilon %g; %s", (double)d->norm_eps, cop_gguf_name(file));
    return COP_OK;
}

cop_status cop_desc_gpt(const cop_gguf *file, cop_desc *d) {
    d->norm = COP_NORM_LAYER;
    d->act = COP_ACT_GELU_TANH;
    d->gated = false;
    return read_epsilon(file, d, "attention.layer_norm_epsilon");
}

void cop_desc_plain_rope(cop_desc *d) {
    const cop_rope_desc *r = &d->rope[0];
    d->rope[1] = (cop_rope_desc){.base = r->base, .factor = 1, .magnitude = 1, .n_rot = r->n_rot, .half_split = r->half_split};
    d->n_ropes = 2;
}

void cop_desc_learned_positions(cop_desc *d) {
    d->positions = COP_POSITION_LEARNED;
    d->n_ropes = 0;
    for (int i = 0; i < d->L; i++) d->layers[i].rope = -1;
}

cop_status cop_desc_common(const cop_gguf *file, cop_desc *d) {
    COP_TRY(read_shape(file, d));
    COP_TRY(read_rope(file, d));
    COP_TRY(read_epsilon(file, d, "attention.layer_norm_rms_epsilon"));
    d->layers = cop_alloc_array((size_t)d->L, sizeof *d->layers);
    if (!d->layers) return cop_fail(COP_ERR_NOMEM, "%d layers: cannot allocate", d->L);
    d->norm = COP_NORM_RMS;
    d->order = COP_ORDER_PRE;
    d->act = COP_ACT_SILU;
    d->gated = true;
    d->positions = COP_POSITION_ROPE;
    d->n_ropes = 1;
    d->embed_scale = d->residual_scale = d->logit_scale = 1.0f;
    COP_TRY(cop_desc_f32_or(file, "attention.scale", 0.0f, &d->attn_scale));
    if (d->attn_scale == 0.0f) d->attn_scale = 1.0f / sqrtf((float)d->K);
    return COP_OK;
}

cop_status cop_desc_pattern(const cop_gguf *file, const cop_desc *d, const char *name, uint32_t period, bool *set) {
    char key[128];
    cop_gguf_array list = {0};
    cop_desc_key(file, name, key);
    if (cop_gguf_type_of(file, key) == COP_GGUF_ARRAY) COP_TRY(cop_gguf_get_array(file, key, COP_GGUF_INTS, &list));
    else COP_TRY(cop_gguf_get_u32_or(file, key, period, &period));
    if (list.n && list.n != (size_t)d->L)
        return cop_fail(COP_ERR_FORMAT, "key %s: %zu entries for %d layers; %s", key, list.n, d->L, cop_gguf_name(file));
    for (int i = 0; i < d->L; i++) set[i] = list.n ? cop_gguf_int(&list, (size_t)i) != 0 : !period || (uint32_t)(i + 1) % period;
    return COP_OK;
}

cop_status cop_desc_windows(const cop_gguf *file, cop_desc *d, uint32_t window, uint32_t period) {
    COP_TRY(cop_desc_u32_or(file, "attention.sliding_window", window, &window));
    if (window > 1 << 30) return cop_fail(COP_ERR_FORMAT, "sliding window of %u tokens; %s", window, cop_gguf_name(file));
    bool windowed[COP_MAX_LAYERS];
    COP_TRY(cop_desc_pattern(file, d, "attention.sliding_window_pattern", period, windowed));
    for (int i = 0; i < d->L; i++) d->layers[i].window = windowed[i] ? (int)window : 0;
    return COP_OK;
}

static cop_status read_experts(const cop_gguf *file, cop_experts_desc *e, int width) {
    char key[128];
    uint32_t used, f, shared, gating;
    COP_TRY(cop_desc_u32(file, "expert_used_count", &used));
    COP_TRY(cop_desc_u32_or(file, "expert_feed_forward_length", (uint32_t)width, &f));
    COP_TRY(cop_desc_u32_or(file, "expert_shared_count", 0, &shared));
    COP_TRY(cop_desc_u32_or(file, "expert_gating_func", 1, &gating));
    COP_TRY(cop_desc_f32_or(file, "expert_weights_scale", 1.0f, &e->scale));
    cop_desc_key(file, "expert_weights_norm", key);
    COP_TRY(cop_gguf_get_bool_or(file, key, true, &e->normalise));
    if (used < 1 || used > (uint32_t)e->n)
        return cop_fail(COP_ERR_FORMAT, "%u of %d experts in use: must be 1 to all; %s", used, e->n, cop_gguf_name(file));
    if (f < 1 || f > 1 << 22) return cop_fail(COP_ERR_FORMAT, "experts %u wide: must be 1 to %d; %s", f, 1 << 22, cop_gguf_name(file));
    if (shared || gating != 1)
        return cop_fail(COP_ERR_UNSUPPORTED, "%u shared experts, gating function %u: only routed ones by softmax (1) are known here; %s",
                        shared, gating, cop_gguf_name(file));
    if (!isfinite(e->scale)) return cop_fail(COP_ERR_FORMAT, "expert weights scaled by %g; %s", (double)e->scale, cop_gguf_name(file));
    e->used = (int)used;
    e->F = (int)f;
    return COP_OK;
}

cop_status cop_desc_experts(const cop_gguf *file, cop_desc *d, int width) {
    uint32_t n;
    COP_TRY(cop_desc_u32_or(file, "expert_count", 0, &n));
    if (n > COP_MAX_EXPERTS) return cop_fail(COP_ERR_FORMAT, "%u experts: at most %d; %s", n, COP_MAX_EXPERTS, cop_gguf_name(file));
    if (!n) return COP_OK;
    d->experts.n = (int)n;
    COP_TRY(read_experts(file, &d->experts, width));
    for (int i = 0; i < d->L; i++) {
        char name[COP_GGUF_NAME_BYTES];
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", i);
        d->layers[i].experts = cop_gguf_find_tensor(file, name) != NULL;
    }
    return COP_OK;
}

static bool sensible(const cop_desc *d) {
    return d->attn_scale > 0 && d->attn_scale < 1e6f && isfinite(d->embed_scale) && isfinite(d->residual_scale) &&
           isfinite(d->logit_scale) && d->attn_softcap >= 0 && isfinite(d->attn_softcap) && d->logit_softcap >= 0 &&
           isfinite(d->logit_softcap);
}

cop_status cop_desc_check(const cop_desc *d) {
    if (d->order == COP_ORDER_PARALLEL || d->positions == COP_POSITION_BIAS)
        return cop_fail(COP_ERR_UNSUPPORTED, "family %s: this block order or kind of positions is not there yet", d->family);
    if (!sensible(d)) return cop_fail(COP_ERR_FORMAT, "family %s: a scale is not a sensible number", d->family);
    for (int i = 0; i < d->L; i++) {
        const cop_layer_desc *l = &d->layers[i];
        if (l->window < 0 || l->rope >= d->n_ropes) return cop_fail(COP_ERR_FORMAT, "layer %d: window %d, rope %d", i, l->window, l->rope);
    }
    return COP_OK;
}
