// Weights: which tensors a model needs, where each goes in one block of memory, and filling it.
//
// The plan (place of every weight) follows from the file alone, so a packed file is the block's bytes
// and nothing else. Matrices are packed tile by tile from the mapping, in the order of their use; the
// source pages of a finished matrix are given back, so memory stays near the packed size.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/model_private.h"

#define PREFETCH_SLACK 8192  // kernels may prefetch behind the last tile

typedef struct item {
    const cop_gguf_tensor *tensor;
    cop_matrix *matrix;    // one of the two
    const float **vector;
    int parts;             // matrices in the tensor, one after another: experts
    int first;             // row (element of a vector) of the tensor where it begins
    size_t offset, bytes;  // in the block
} item;

typedef struct plan {
    const cop_gguf *file;
    item *items;
    size_t n_items, max_items, bytes;
    bool biases, fused;  // COP_W_BIASES, COP_W_FUSED
} plan;

static cop_status place(plan *p, item it) {
    if (p->n_items == p->max_items) return cop_fail(COP_ERR_LIMIT, "more than %zu weights", p->max_items);
    it.offset = p->bytes;
    size_t rounded;
    if (!cop_add_size(it.bytes, 63, &rounded) || !cop_add_size(p->bytes, rounded & ~(size_t)63, &p->bytes))
        return cop_fail(COP_ERR_FORMAT, "weights: size overflows; %s", cop_gguf_name(p->file));
    p->items[p->n_items++] = it;
    return COP_OK;
}

static cop_status missing(const plan *p, const char *name) {
    return cop_fail(COP_ERR_FORMAT, "tensor %s is missing; %s", name, cop_gguf_name(p->file));
}

// Floats, as they are: rows of exactly n elements.
static cop_status want_table(plan *p, const float **out, const char *name, int rows, int n, bool required) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(p->file, name);
    if (!t) return required ? missing(p, name) : COP_OK;
    if (t->dims[0] != (uint64_t)n || t->dims[1] != (uint64_t)rows || t->dims[2] != 1 || t->dims[3] != 1)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu x %llu elements, need %d x %d; %s", name, (unsigned long long)t->dims[1],
                        (unsigned long long)t->dims[0], rows, n, cop_gguf_name(p->file));
    if (t->type != COP_F32 && t->type != COP_F16 && t->type != COP_BF16)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: type %s, must be F32, F16 or BF16; %s", name, cop_dtype_name(t->type),
                        cop_gguf_name(p->file));
    return place(p, (item){.tensor = t, .vector = out, .bytes = (size_t)rows * (size_t)n * sizeof(float)});
}

// Rows (elements) first … first + n - 1 of a tensor that has `of`: what several matrices in one are cut into.
typedef struct slice {
    int first, n, of;
} slice;

static slice whole(int n) { return (slice){0, n, n}; }

// Elements of a float vector; required says whether its absence is an error.
static cop_status want_elements(plan *p, const float **out, const char *name, slice s, bool required) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(p->file, name);
    if (!t) return required ? missing(p, name) : COP_OK;
    if (t->dims[0] != (uint64_t)s.of || t->dims[1] != 1 || t->dims[2] != 1 || t->dims[3] != 1)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu elements, need %d; %s", name, (unsigned long long)t->dims[0], s.of,
                        cop_gguf_name(p->file));
    if (t->type != COP_F32 && t->type != COP_F16 && t->type != COP_BF16)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: type %s, must be F32, F16 or BF16; %s", name, cop_dtype_name(t->type),
                        cop_gguf_name(p->file));
    return place(p, (item){.tensor = t, .vector = out, .first = s.first, .bytes = (size_t)s.n * sizeof(float)});
}

static cop_status want_vector(plan *p, const float **out, const char *name, int n, bool required) {
    return want_elements(p, out, name, whole(n), required);
}

static cop_status want_rows(plan *p, cop_matrix *out, const char *name, int parts, slice s, int cols) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(p->file, name);
    if (!t) return missing(p, name);
    if (t->dims[0] != (uint64_t)cols || t->dims[1] != (uint64_t)s.of || t->dims[2] != (uint64_t)parts || t->dims[3] != 1)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu x %llu x %llu, need %d x %d x %d; %s", name, (unsigned long long)t->dims[2],
                        (unsigned long long)t->dims[1], (unsigned long long)t->dims[0], parts, s.of, cols, cop_gguf_name(p->file));
    size_t tile = cop_pack_tile_bytes(t->type, cols), bytes;
    if (!tile)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s with %d columns cannot be computed here; %s", name,
                        cop_dtype_name(t->type), cols, cop_gguf_name(p->file));
    int n_tiles = (s.n + COP_TILE - 1) / COP_TILE;
    if (!cop_mul_size(tile, (size_t)n_tiles, &bytes) || !cop_mul_size(bytes, (size_t)parts, &bytes))
        return cop_fail(COP_ERR_FORMAT, "tensor %s: size overflows", name);
    *out = (cop_matrix){.type = t->type, .rows = s.n, .cols = cols, .tile_bytes = tile, .n_tiles = n_tiles};
    return place(p, (item){.tensor = t, .matrix = out, .parts = parts, .first = s.first, .bytes = bytes});
}

static cop_status want_matrices(plan *p, cop_matrix *out, const char *name, int parts, int rows, int cols) {
    return want_rows(p, out, name, parts, whole(rows), cols);
}

static cop_status want_matrix(plan *p, cop_matrix *out, const char *name, int rows, int cols) {
    return want_matrices(p, out, name, 1, rows, cols);
}

static cop_status want_slice(plan *p, cop_linear *out, int layer, const char *stem, slice s, int cols, bool bias) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    COP_TRY(want_rows(p, &out->w, name, 1, s, cols));
    snprintf(name, sizeof name, "blk.%d.%s.bias", layer, stem);
    return want_elements(p, &out->bias, name, s, bias);
}

static cop_status want_linear(plan *p, cop_linear *out, int layer, const char *stem, int rows, int cols, bool bias) {
    return want_slice(p, out, layer, stem, whole(rows), cols, bias);
}

// A matrix of its own, or a slice of the one that holds several.
static cop_status want_part(plan *p, cop_linear *out, int layer, const char *stem, const char *fused, slice s, int cols, bool bias) {
    return want_slice(p, out, layer, fused ? fused : stem, fused ? s : whole(s.n), cols, bias);
}

static bool has(const plan *p, int layer, const char *stem) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    return cop_gguf_find_tensor(p->file, name);
}

static cop_status want_norm(plan *p, cop_norm *out, int layer, const char *stem, int n, bool required) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    COP_TRY(want_vector(p, &out->w, name, n, required));
    snprintf(name, sizeof name, "blk.%d.%s.bias", layer, stem);
    return want_vector(p, &out->b, name, n, required && p->biases);
}

// The experts' matrices are stacked: [E][F][D] and [E][D][F].
static cop_status plan_experts(plan *p, const cop_desc *d, cop_layer *l, int i) {
    const cop_experts_desc *e = &d->experts;
    COP_TRY(want_linear(p, &l->router, i, "ffn_gate_inp", e->n, d->D, false));
    if (l->router.w.type != COP_F32 && l->router.w.type != COP_F16 && l->router.w.type != COP_BF16)
        return cop_fail(COP_ERR_UNSUPPORTED, "layer %d: a router of type %s, must be F32, F16 or BF16; %s", i,
                        cop_dtype_name(l->router.w.type), cop_gguf_name(p->file));
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.ffn_gate_exps.weight", i);
    if (d->gated) COP_TRY(want_matrices(p, &l->gate.w, name, e->n, e->F, d->D));
    snprintf(name, sizeof name, "blk.%d.ffn_up_exps.weight", i);
    COP_TRY(want_matrices(p, &l->up.w, name, e->n, e->F, d->D));
    snprintf(name, sizeof name, "blk.%d.ffn_down_exps.weight", i);
    return want_matrices(p, &l->down.w, name, e->n, d->D, e->F);
}

static cop_status plan_mlp(plan *p, const cop_desc *d, cop_layer *l, int i) {
    if (d->layers[i].experts) return plan_experts(p, d, l, i);
    const char *fused = d->gated && p->fused && !has(p, i, "ffn_gate") ? "ffn_up" : NULL;
    if (d->gated) COP_TRY(want_part(p, &l->gate, i, "ffn_gate", fused, (slice){0, d->F, 2 * d->F}, d->D, p->biases));
    COP_TRY(want_part(p, &l->up, i, "ffn_up", fused, (slice){d->F, d->F, 2 * d->F}, d->D, p->biases));
    return want_linear(p, &l->down, i, "ffn_down", d->D, d->F, p->biases);
}

static cop_status plan_qkv(plan *p, const cop_desc *d, bool bias, cop_layer *l, int i) {
    int q = d->H * d->K, kv = d->G * d->K, all = q + 2 * kv;
    const char *fused = p->fused && !has(p, i, "attn_q") ? "attn_qkv" : NULL;
    COP_TRY(want_part(p, &l->q, i, "attn_q", fused, (slice){0, q, all}, d->D, bias));
    COP_TRY(want_part(p, &l->k, i, "attn_k", fused, (slice){q, kv, all}, d->D, bias));
    return want_part(p, &l->v, i, "attn_v", fused, (slice){q + kv, kv, all}, d->D, bias);
}

static cop_status plan_convolution(plan *p, const cop_desc *d, cop_layer *l, int i) {
    char name[COP_GGUF_NAME_BYTES];
    COP_TRY(want_linear(p, &l->conv_in, i, "shortconv.in_proj", 3 * d->D, d->D, false));
    snprintf(name, sizeof name, "blk.%d.shortconv.conv.weight", i);
    COP_TRY(want_table(p, &l->conv, name, d->D, d->taps, true));
    snprintf(name, sizeof name, "blk.%d.shortconv.conv.bias", i);
    COP_TRY(want_vector(p, &l->conv_bias, name, d->D, false));
    return want_linear(p, &l->conv_out, i, "shortconv.out_proj", d->D, d->D, false);
}

static cop_status plan_attention(plan *p, const cop_desc *d, unsigned weights, cop_layer *l, int i) {
    bool bias = weights & COP_W_QKV_BIAS, head_norms = weights & COP_W_QK_NORM;
    COP_TRY(plan_qkv(p, d, bias || p->biases, l, i));
    if (head_norms) {
        COP_TRY(want_norm(p, &l->q_norm, i, "attn_q_norm", d->wide_qk_norm ? d->H * d->K : d->K, true));
        COP_TRY(want_norm(p, &l->k_norm, i, "attn_k_norm", d->wide_qk_norm ? d->G * d->K : d->K, true));
    }
    return want_linear(p, &l->o, i, "attn_output", d->D, d->H * d->K, p->biases);
}

static cop_status plan_layer(plan *p, const cop_desc *d, unsigned weights, cop_layer *l, int i) {
    bool post = weights & COP_W_POST_NORMS, pre = !(weights & COP_W_NO_PRE_NORMS), behind = d->order == COP_ORDER_POST;
    if (pre) COP_TRY(want_norm(p, &l->attn_norm, i, "attn_norm", d->D, true));
    COP_TRY(d->layers[i].convolution ? plan_convolution(p, d, l, i) : plan_attention(p, d, weights, l, i));
    if (post) COP_TRY(want_norm(p, &l->attn_post_norm, i, behind ? "attn_output_norm" : "post_attention_norm", d->D, true));
    if (pre) COP_TRY(want_norm(p, &l->mlp_norm, i, "ffn_norm", d->D, true));
    COP_TRY(plan_mlp(p, d, l, i));
    if (post) COP_TRY(want_norm(p, &l->mlp_post_norm, i, behind ? "layer_output_norm" : "post_ffw_norm", d->D, true));
    return COP_OK;
}

static cop_status plan_head(plan *p, cop_model *m, unsigned weights) {
    const cop_desc *d = &m->desc;
    const char *norm = weights & COP_W_EMBED_NORM_LAST ? "token_embd_norm.weight" : "output_norm.weight";
    COP_TRY(want_vector(p, &m->final_norm.w, norm, d->D, true));
    COP_TRY(want_vector(p, &m->final_norm.b, "output_norm.bias", d->D, p->biases));
    const char *output = cop_gguf_find_tensor(p->file, "output.weight") ? "output.weight" : "token_embd.weight";
    COP_TRY(want_matrix(p, &m->output.w, output, d->V, d->D));
    return want_vector(p, &m->output.bias, "output.bias", d->V, false);
}

// A table of which rows are read as they are needed; *n gets their number.
static cop_status find_table(const plan *p, const cop_gguf_tensor **out, const char *name, int D, int *n) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(p->file, name);
    if (!t) return missing(p, name);
    if (t->dims[0] != (uint64_t)D || t->dims[1] > INT32_MAX || t->dims[2] != 1 || t->dims[3] != 1)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: rows of %llu, need %d; %s", name, (unsigned long long)t->dims[0], D,
                        cop_gguf_name(p->file));
    if (!cop_dtype_get(t->type)->can_compute || !t->data)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: rows of type %s cannot be read here; %s", name, cop_dtype_name(t->type),
                        cop_gguf_name(p->file));
    *n = (int)t->dims[1];
    *out = t;
    return COP_OK;
}

// Angles are divided by rope_freqs (llama 3), or by one of the two tables of longrope.
static cop_status plan_rope(plan *p, cop_desc *d) {
    cop_rope_desc *r = &d->rope[0];
    COP_TRY(want_vector(p, &r->divisors, r->near ? "rope_factors_short.weight" : "rope_freqs.weight", r->n_rot / 2, r->near));
    return r->near ? want_vector(p, &r->far_divisors, "rope_factors_long.weight", r->n_rot / 2, true) : COP_OK;
}

static cop_status plan_input(plan *p, cop_model *m, unsigned weights) {
    cop_desc *d = &m->desc;
    int n;
    COP_TRY(find_table(p, &m->embedding, "token_embd.weight", d->D, &n));
    if (d->positions == COP_POSITION_LEARNED) {
        COP_TRY(find_table(p, &m->position_embedding, "position_embd.weight", d->D, &n));
        if (n <= d->position_offset)
            return cop_fail(COP_ERR_FORMAT, "tensor position_embd.weight: %d rows, the first %d are not positions; %s", n,
                            d->position_offset, cop_gguf_name(p->file));
        if (d->max_positions > n - d->position_offset) d->max_positions = n - d->position_offset;
    }
    if (!(weights & COP_W_ENCODER)) return COP_OK;
    if (cop_gguf_find_tensor(p->file, "token_types.weight"))
        COP_TRY(find_table(p, &m->type_embedding, "token_types.weight", d->D, &n));
    COP_TRY(want_vector(p, &m->embed_norm.w, "token_embd_norm.weight", d->D, true));
    return want_vector(p, &m->embed_norm.b, "token_embd_norm.bias", d->D, true);
}

static cop_status plan_model(plan *p, cop_model *m, unsigned weights) {
    cop_desc *d = &m->desc;
    p->biases = weights & COP_W_BIASES;
    p->fused = weights & COP_W_FUSED;
    for (int i = 0; i < d->L; i++) COP_TRY(plan_layer(p, d, weights, &m->layers[i], i));
    if (!(weights & COP_W_ENCODER)) COP_TRY(plan_head(p, m, weights));
    if (d->n_ropes) COP_TRY(plan_rope(p, d));
    COP_TRY(plan_input(p, m, weights));
    if (!cop_add_size(p->bytes, PREFETCH_SLACK, &p->bytes)) return cop_fail(COP_ERR_FORMAT, "weights: size overflows");
    return COP_OK;
}

typedef struct packing {
    cop_pool *pool;
    const item *it;
    const uint8_t *data;  // of the tensor
    uint8_t *memory;
} packing;

static cop_status pack_worker(void *arg, int worker) {
    (void)worker;
    const packing *p = arg;
    const cop_matrix *m = p->it->matrix;
    const cop_gguf_tensor *t = p->it->tensor;
    size_t part_bytes = (size_t)(t->bytes / (uint64_t)p->it->parts), row_bytes = part_bytes / (size_t)t->dims[1];
    int64_t begin, end;
    while (cop_pool_take(p->pool, (int64_t)p->it->parts * m->n_tiles, 8, &begin, &end))
        for (int64_t i = begin; i < end; i++)
            cop_pack_tile(p->memory + p->it->offset + (size_t)i * m->tile_bytes, m->type,
                          p->data + (size_t)(i / m->n_tiles) * part_bytes + (size_t)p->it->first * row_bytes, row_bytes, m->rows, m->cols,
                          (int)(i % m->n_tiles));
    return COP_OK;
}

static cop_status pack_item(cop_model *m, const item *it) {
    const uint8_t *data;
    cop_status st = COP_OK;
    COP_TRY(cop_gguf_read(m->file, it->tensor, &data));
    if (it->vector) {
        const uint8_t *from = data + (size_t)it->first * (it->tensor->type == COP_F32 ? 4 : 2);
        cop_dequantise((float *)(void *)(m->memory + it->offset), it->tensor->type, from, (int64_t)(it->bytes / sizeof(float)));
    } else {
        packing job = {m->pool, it, data, m->memory};
        st = cop_pool_run(m->pool, pack_worker, &job);
    }
    cop_gguf_release(m->file, it->tensor, data);
    return st;
}

static cop_status pack_all(cop_model *m, const plan *p, const cop_model_options *options) {
    size_t done = 0;
    for (size_t i = 0; i < p->n_items; i++) {
        const item *it = &p->items[i];
        COP_TRY(pack_item(m, it));
        done += it->bytes;
        if (options->progress) options->progress(options->user, (double)done / (double)p->bytes);
    }
    return COP_OK;
}

static void point_at(cop_model *m, const plan *p) {
    for (size_t i = 0; i < p->n_items; i++) {
        const item *it = &p->items[i];
        if (it->matrix) it->matrix->data = m->memory + it->offset;
        else *it->vector = (const float *)(const void *)(m->memory + it->offset);
        m->step_bytes += it->parts > 1 ? it->bytes / (size_t)it->parts * (size_t)m->desc.experts.used : it->bytes;
    }
}

static cop_status fill(cop_model *m, const plan *p, const cop_model_options *options) {
    m->memory = cop_pages_alloc(p->bytes);
    if (!m->memory) return cop_fail(COP_ERR_NOMEM, "weights: cannot allocate %zu bytes; %s", p->bytes, cop_gguf_name(m->file));
    m->memory_bytes = p->bytes;
    cop_status packed = COP_ERR_NOT_FOUND;
    if (options->packed_folder) packed = cop_packed_load(m->file, options->packed_folder, m->pool, m->memory, p->bytes);
    if (packed == COP_OK) {
        m->from_packed = true;
    } else {
        if (packed != COP_ERR_NOT_FOUND) memset(m->memory, 0, p->bytes);  // what a damaged one left in the gaps
        COP_TRY(pack_all(m, p, options));
        if (options->packed_folder) (void)cop_packed_save(m->file, options->packed_folder, m->memory, p->bytes);
    }
    point_at(m, p);
    return COP_OK;
}

cop_status cop_model_load(cop_model *m, const cop_family *family, const cop_model_options *options) {
    size_t max_items = (size_t)m->desc.L * 28 + 8;
    plan p = {.file = m->file, .max_items = max_items, .items = cop_alloc_array(max_items, sizeof(item))};
    m->layers = cop_alloc_array((size_t)m->desc.L, sizeof *m->layers);
    cop_status st = COP_OK;
    if (!p.items || !m->layers) st = cop_fail(COP_ERR_NOMEM, "%d layers: cannot allocate", m->desc.L);
    if (!st) st = plan_model(&p, m, family->weights);
    if (!st) st = fill(m, &p, options);
    cop_free(p.items);
    return st;
}
