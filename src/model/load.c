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
    size_t offset, bytes;  // in the block
} item;

typedef struct plan {
    const cop_gguf *file;
    item *items;
    size_t n_items, max_items, bytes;
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

// Floats, as they are: rows of exactly n elements; required says whether their absence is an error.
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

static cop_status want_vector(plan *p, const float **out, const char *name, int n, bool required) {
    return want_table(p, out, name, 1, n, required);
}

static cop_status want_matrices(plan *p, cop_matrix *out, const char *name, int parts, int rows, int cols) {
    const cop_gguf_tensor *t = cop_gguf_find_tensor(p->file, name);
    if (!t) return missing(p, name);
    if (t->dims[0] != (uint64_t)cols || t->dims[1] != (uint64_t)rows || t->dims[2] != (uint64_t)parts || t->dims[3] != 1)
        return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu x %llu x %llu, need %d x %d x %d; %s", name, (unsigned long long)t->dims[2],
                        (unsigned long long)t->dims[1], (unsigned long long)t->dims[0], parts, rows, cols, cop_gguf_name(p->file));
    size_t tile = cop_pack_tile_bytes(t->type, cols), bytes;
    if (!tile)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: type %s with %d columns cannot be computed here; %s", name,
                        cop_dtype_name(t->type), cols, cop_gguf_name(p->file));
    int n_tiles = (rows + COP_TILE - 1) / COP_TILE;
    if (!cop_mul_size(tile, (size_t)n_tiles, &bytes) || !cop_mul_size(bytes, (size_t)parts, &bytes))
        return cop_fail(COP_ERR_FORMAT, "tensor %s: size overflows", name);
    *out = (cop_matrix){.type = t->type, .rows = rows, .cols = cols, .tile_bytes = tile, .n_tiles = n_tiles};
    return place(p, (item){.tensor = t, .matrix = out, .parts = parts, .bytes = bytes});
}

static cop_status want_matrix(plan *p, cop_matrix *out, const char *name, int rows, int cols) {
    return want_matrices(p, out, name, 1, rows, cols);
}

static cop_status want_linear(plan *p, cop_linear *out, int layer, const char *stem, int rows, int cols, bool bias) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    COP_TRY(want_matrix(p, &out->w, name, rows, cols));
    snprintf(name, sizeof name, "blk.%d.%s.bias", layer, stem);
    return want_vector(p, &out->bias, name, rows, bias);
}

static cop_status want_norm(plan *p, cop_norm *out, int layer, const char *stem, int n, bool required) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    COP_TRY(want_vector(p, &out->w, name, n, required));
    snprintf(name, sizeof name, "blk.%d.%s.bias", layer, stem);
    return want_vector(p, &out->b, name, n, false);
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
    if (d->gated) COP_TRY(want_linear(p, &l->gate, i, "ffn_gate", d->F, d->D, false));
    COP_TRY(want_linear(p, &l->up, i, "ffn_up", d->F, d->D, false));
    return want_linear(p, &l->down, i, "ffn_down", d->D, d->F, false);
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
    COP_TRY(want_linear(p, &l->q, i, "attn_q", d->H * d->K, d->D, bias));
    COP_TRY(want_linear(p, &l->k, i, "attn_k", d->G * d->K, d->D, bias));
    COP_TRY(want_linear(p, &l->v, i, "attn_v", d->G * d->K, d->D, bias));
    if (head_norms) {
        COP_TRY(want_norm(p, &l->q_norm, i, "attn_q_norm", d->wide_qk_norm ? d->H * d->K : d->K, true));
        COP_TRY(want_norm(p, &l->k_norm, i, "attn_k_norm", d->wide_qk_norm ? d->G * d->K : d->K, true));
    }
    return want_linear(p, &l->o, i, "attn_output", d->D, d->H * d->K, false);
}

static cop_status plan_layer(plan *p, const cop_desc *d, unsigned weights, cop_layer *l, int i) {
    bool post = weights & COP_W_POST_NORMS, pre = !(weights & COP_W_NO_PRE_NORMS);
    if (pre) COP_TRY(want_norm(p, &l->attn_norm, i, "attn_norm", d->D, true));
    COP_TRY(d->layers[i].convolution ? plan_convolution(p, d, l, i) : plan_attention(p, d, weights, l, i));
    if (post) COP_TRY(want_norm(p, &l->attn_post_norm, i, "post_attention_norm", d->D, true));
    if (pre) COP_TRY(want_norm(p, &l->mlp_norm, i, "ffn_norm", d->D, true));
    COP_TRY(plan_mlp(p, d, l, i));
    if (post) COP_TRY(want_norm(p, &l->mlp_post_norm, i, "post_ffw_norm", d->D, true));
    return COP_OK;
}

static cop_status plan_model(plan *p, cop_model *m, unsigned weights) {
    cop_desc *d = &m->desc;
    for (int i = 0; i < d->L; i++) COP_TRY(plan_layer(p, d, weights, &m->layers[i], i));
    COP_TRY(want_vector(p, &m->final_norm.w, weights & COP_W_EMBED_NORM_LAST ? "token_embd_norm.weight" : "output_norm.weight", d->D, true));
    COP_TRY(want_vector(p, &m->final_norm.b, "output_norm.bias", d->D, false));
    COP_TRY(want_vector(p, &d->rope[0].divisors, "rope_freqs.weight", d->rope[0].n_rot / 2, false));
    const char *output = cop_gguf_find_tensor(p->file, "output.weight") ? "output.weight" : "token_embd.weight";
    COP_TRY(want_matrix(p, &m->output.w, output, d->V, d->D));
    COP_TRY(want_vector(p, &m->output.bias, "output.bias", d->V, false));
    if (!cop_add_size(p->bytes, PREFETCH_SLACK, &p->bytes)) return cop_fail(COP_ERR_FORMAT, "weights: size overflows");

    m->embedding = cop_gguf_find_tensor(p->file, "token_embd.weight");
    if (m->embedding->dims[0] != (uint64_t)d->D)
        return cop_fail(COP_ERR_FORMAT, "tensor token_embd.weight: rows of %llu, need %d; %s",
                        (unsigned long long)m->embedding->dims[0], d->D, cop_gguf_name(p->file));
    if (!cop_dtype_get(m->embedding->type)->can_compute)
        return cop_fail(COP_ERR_UNSUPPORTED, "tensor token_embd.weight: type %s cannot be computed here; %s",
                        cop_dtype_name(m->embedding->type), cop_gguf_name(p->file));
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
    size_t part_bytes = (size_t)(p->it->tensor->bytes / (uint64_t)p->it->parts), row_bytes = part_bytes / (size_t)m->rows;
    int64_t begin, end;
    while (cop_pool_take(p->pool, (int64_t)p->it->parts * m->n_tiles, 8, &begin, &end))
        for (int64_t i = begin; i < end; i++)
            cop_pack_tile(p->memory + p->it->offset + (size_t)i * m->tile_bytes, m->type,
                          p->data + (size_t)(i / m->n_tiles) * part_bytes, row_bytes, m->rows, m->cols, (int)(i % m->n_tiles));
    return COP_OK;
}

static cop_status pack_item(cop_model *m, const item *it) {
    const uint8_t *data;
    cop_status st = COP_OK;
    COP_TRY(cop_gguf_read(m->file, it->tensor, &data));
    if (it->vector) {
        cop_dequantise((float *)(void *)(m->memory + it->offset), it->tensor->type, data, (int64_t)(it->bytes / sizeof(float)));
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
