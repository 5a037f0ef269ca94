// One forward over rows: the description executed. Read cop_model_forward, then forward_layers.
//
// Every worker runs the whole forward and meets the others at barriers. Between two barriers lies
// either a product, whose tiles are taken from a shared counter, or work on single rows. With one or two
// rows the row work is done by the last worker to arrive, inside the barrier: five barriers a layer.
#include <string.h>

#include "model/forward_private.h"

// What is to be done to each row between two products, in this order.
typedef struct row_work {
    const cop_forward *f;
    bool embed;                // start of the forward
    const cop_norm *post;      // x += post(y)
    const cop_norm *behind;    // x = behind(x), order POST
    const float *y;            // where y lies, NULL: ws->y; without post x += y
    int tap_from, tap_to;      // x is now the output of layers tap_from … tap_to-1
    const cop_norm *norm;      // normed = norm(x)
    bool quantise;             // and its panel
    bool final;                // norm is the last one: rows with logits only
    int store_layer;           // heads into the cache; -1: not now
    bool quantise_heads;       // heads -> heads_panel
} row_work;

static void normalise(const cop_model *m, float *y, const float *x, const cop_norm *norm) {
    const cop_desc *d = &m->desc;
    if (!norm->w) memcpy(y, x, (size_t)d->D * sizeof(float));
    else if (d->norm == COP_NORM_RMS) m->kernels.rmsnorm(y, x, norm->w, d->D, d->norm_eps);
    else m->kernels.layernorm(y, x, norm->w, norm->b, d->D, d->norm_eps);
}

static void quantise_row(const cop_model *m, cop_act *panel, const float *x, int cols, int n, int c) {
    int n_blocks = cols / COP_BLOCK;
    size_t first = cop_panel_index(n, n_blocks, 0, c);
    m->kernels.quantise(panel + first, cop_panel_index(n, n_blocks, 1, c) - first, x, n_blocks);
}

static void read_table(float *x, const cop_gguf_tensor *t, int row, int D) {
    cop_dequantise(x, t->type, t->data + t->bytes / t->dims[1] * (uint64_t)row, D);
}

// What else is added to a token's embedding, and the norm of the sum. `spare` has room for a row.
static void finish_embedding(const cop_forward *f, int row, float *x, float *spare) {
    const cop_model *m = f->model;
    const cop_visible *v = &f->ws->visible[row];
    if (m->position_embedding) {
        read_table(spare, m->position_embedding, v->lin + v->n_tail - 1 + m->desc.position_offset, m->desc.D);
        m->kernels.add(x, spare, m->desc.D);
    }
    if (m->type_embedding) {
        read_table(spare, m->type_embedding, 0, m->desc.D);
        m->kernels.add(x, spare, m->desc.D);
    }
    if (m->embed_norm.w) normalise(m, x, x, &m->embed_norm);
}

static void embed_row(const cop_forward *f, int row) {
    const cop_model *m = f->model;
    const cop_desc *d = &m->desc;
    float *x = f->ws->x + (size_t)row * f->ws->x_stride;
    cop_rope_angles(f, row);
    if (f->options.inject) {
        memcpy(x, f->options.inject + (size_t)row * (size_t)d->D, (size_t)d->D * sizeof(float));
        return;
    }
    if (f->rows[row].embedding) {
        memcpy(x, f->rows[row].embedding, (size_t)d->D * sizeof(float));
    } else {
        read_table(x, m->embedding, f->rows[row].token, d->D);
        if (d->embed_scale != 1.0f) m->kernels.scale(x, x, d->embed_scale, d->D);
    }
    finish_embedding(f, row, x, f->ws->normed + (size_t)row * f->ws->x_stride);
}

static void tap_row(const cop_forward *f, int layer, const float *x, int row) {
    for (int i = 0; i < f->options.n_taps; i++)
        if (f->options.taps[i].layer == layer)
            memcpy(f->options.taps[i].out + (size_t)row * (size_t)f->model->desc.D, x, (size_t)f->model->desc.D * sizeof(float));
}

static void final_row(const cop_forward *f, const row_work *w, int row, const float *x) {
    cop_workspace *ws = f->ws;
    int i = ws->logit_of[row];
    float *normed = i >= 0 ? ws->finals + (size_t)i * ws->x_stride : ws->normed + (size_t)row * ws->x_stride;
    normalise(f->model, normed, x, w->norm);
    tap_row(f, f->model->desc.L, normed, row);
    if (i >= 0 && w->quantise) quantise_row(f->model, ws->panel, normed, f->model->desc.D, f->n_logits, i);
}

static void do_row(const row_work *w, int row) {
    const cop_forward *f = w->f;
    const cop_model *m = f->model;
    cop_workspace *ws = f->ws;
    const cop_desc *d = &m->desc;
    float *x = ws->x + (size_t)row * ws->x_stride, *normed = ws->normed + (size_t)row * ws->x_stride;
    if (w->embed) embed_row(f, row);
    const float *y = (w->y ? w->y : ws->y) + (size_t)row * ws->y_stride;
    if (w->post) {
        normalise(m, normed, y, w->post);
        m->kernels.axpy(x, normed, d->residual_scale, d->D);
    } else if (w->y) {
        m->kernels.axpy(x, y, d->residual_scale, d->D);
    }
    if (w->behind) normalise(m, x, x, w->behind);
    for (int layer = w->tap_from; layer < w->tap_to; layer++) tap_row(f, layer, x, row);
    if (w->final) {
        if (ws->logit_of[row] >= 0 || f->options.n_taps) final_row(f, w, row, x);
    } else if (w->norm) {
        normalise(m, normed, x, w->norm);
        if (w->quantise) quantise_row(m, ws->panel, normed, d->D, f->n_rows, row);
    }
    if (w->store_layer >= 0) cop_attention_store(f, w->store_layer, row);
    if (w->quantise_heads) quantise_row(m, ws->heads_panel, ws->heads + (size_t)row * ws->heads_stride, d->H * d->K, f->n_rows, row);
}

static void do_all_rows(void *arg) {
    const row_work *w = arg;
    for (int row = 0; row < w->f->n_rows; row++) do_row(w, row);
}

// A barrier, the row work, a barrier; one barrier when rows are few.
static void row_stage(row_work *w) {
    cop_pool *pool = w->f->model->pool;
    if (w->f->n_rows <= COP_SERIAL_ROWS) {
        cop_pool_barrier(pool, do_all_rows, w);
        return;
    }
    int64_t begin, end;
    cop_pool_barrier(pool, NULL, NULL);
    while (cop_pool_take(pool, w->f->n_rows, 1, &begin, &end))
        for (int64_t row = begin; row < end; row++) do_row(w, (int)row);
    cop_pool_barrier(pool, NULL, NULL);
}

// ---- products ---------------------------------------------------------------------------------

void cop_product_tile(const cop_model *m, const cop_linear *l, int tile, const cop_input *in, float *y, size_t y_stride) {
    const cop_matrix *w = &l->w;
    const void *x = cop_is_quantised(l) ? (const void *)in->panel : (const void *)in->rows;
    m->kernels.product[w->type](y, y_stride, w->data + (size_t)tile * w->tile_bytes, w->cols, x, in->stride, in->n);
    if (in->adapted) cop_adapt_tile(in->adapted, l, tile, y, y_stride);
    if (!l->bias) return;
    int first = tile * COP_TILE, n = w->rows - first < COP_TILE ? w->rows - first : COP_TILE;
    for (int c = 0; c < in->n; c++) m->kernels.add(y + (size_t)c * y_stride, l->bias + first, n);
}

int64_t cop_grain(const cop_model *m, int n_tiles) {
    int64_t g = n_tiles / (cop_pool_threads(m->pool) * 12);
    return g < 1 ? 1 : g;
}

// Tile t of the three together.
static void qkv_tile(const cop_model *m, const cop_layer *l, int tile, const cop_input *in, const cop_workspace *ws) {
    const cop_linear *parts[3] = {&l->q, &l->k, &l->v};
    const size_t offsets[3] = {0, ws->k_offset, ws->v_offset};
    int part = 0;
    for (; tile >= parts[part]->w.n_tiles; part++) tile -= parts[part]->w.n_tiles;
    cop_product_tile(m, parts[part], tile, in, ws->qkv + offsets[part] + tile * COP_TILE, ws->qkv_stride);
}

static void project_qkv(const cop_forward *f, const cop_layer *l) {
    cop_workspace *ws = f->ws;
    cop_input in = {ws->panel, ws->normed, ws->x_stride, f->n_rows, NULL};
    cop_adapted adapted = {f, {&l->q, &l->k, &l->v}, 3, false};
    in.adapted = cop_adapt(&adapted, &in);
    int n_tiles = l->q.w.n_tiles + l->k.w.n_tiles + l->v.w.n_tiles;
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, n_tiles, cop_grain(f->model, n_tiles), &begin, &end))
        for (int64_t t = begin; t < end; t++) qkv_tile(f->model, l, (int)t, &in, ws);
}

// y = l(in), added to x at once, or left in ws->y when a norm stands behind it.
static void project_out(const cop_forward *f, int worker, const cop_linear *l, cop_input *in, bool to_y) {
    cop_workspace *ws = f->ws;
    const cop_model *m = f->model;
    cop_adapted adapted = {f, {l}, 1, false};
    in->adapted = cop_adapt(&adapted, in);
    float *tiles = ws->workers[worker].tiles;
    int64_t begin, end;
    while (cop_pool_take(m->pool, l->w.n_tiles, cop_grain(m, l->w.n_tiles), &begin, &end))
        for (int64_t t = begin; t < end; t++) {
            size_t first = (size_t)t * COP_TILE;
            if (to_y) {
                cop_product_tile(m, l, (int)t, in, ws->y + first, ws->y_stride);
                continue;
            }
            cop_product_tile(m, l, (int)t, in, tiles, COP_TILE);
            for (int c = 0; c < in->n; c++)  // rows beyond the matrix are zeros, and x has room for them
                m->kernels.axpy(ws->x + (size_t)c * ws->x_stride + first, tiles + (size_t)c * COP_TILE, m->desc.residual_scale, COP_TILE);
        }
}

void cop_mlp_block(const cop_forward *f, int worker, const cop_layer *l, int block, const cop_input *in, const cop_mlp_part *p) {
    cop_workspace *ws = f->ws;
    const cop_model *m = f->model;
    float *gate = ws->workers[worker].tiles, *up = gate + (size_t)ws->max_rows * 2 * COP_TILE;
    if (!m->desc.gated) gate = up;
    int n = p->F - block * COP_BLOCK < COP_BLOCK ? p->F - block * COP_BLOCK : COP_BLOCK, first = p->first_tile + 2 * block;
    for (int t = 0; t * COP_TILE < n; t++) {
        cop_product_tile(m, &l->up, first + t, in, up + t * COP_TILE, COP_BLOCK);
        if (m->desc.gated) cop_product_tile(m, &l->gate, first + t, in, gate + t * COP_TILE, COP_BLOCK);
    }
    bool blocks = cop_is_quantised(&l->down);
    for (int c = 0; c < in->n; c++) {
        float *g = gate + (size_t)c * COP_BLOCK;
        m->kernels.activate[m->desc.act](g, g, m->desc.gated ? up + (size_t)c * COP_BLOCK : NULL, n);
        if (blocks) m->kernels.quantise(p->panel + cop_panel_index(in->n, p->F / COP_BLOCK, block, c), 1, g, 1);
        if (!blocks || f->n_runs) memcpy(p->rows + (size_t)c * ws->mlp_stride + block * COP_BLOCK, g, (size_t)n * sizeof(float));
    }
}

static void mlp_hidden(const cop_forward *f, int worker, const cop_layer *l) {
    cop_input in = {f->ws->panel, f->ws->normed, f->ws->x_stride, f->n_rows, NULL};
    cop_adapted adapted = {f, {&l->up, &l->gate}, f->model->desc.gated ? 2 : 1, false};
    in.adapted = cop_adapt(&adapted, &in);
    const cop_mlp_part all = {f->model->desc.F, 0, f->ws->mlp_panel, f->ws->mlp};
    int n_blocks = (all.F + COP_BLOCK - 1) / COP_BLOCK;
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, n_blocks, cop_grain(f->model, n_blocks), &begin, &end))
        for (int64_t b = begin; b < end; b++) cop_mlp_block(f, worker, l, (int)b, &in, &all);
}

static void project_logits(const cop_forward *f) {
    cop_workspace *ws = f->ws;
    const cop_model *m = f->model;
    const cop_desc *d = &m->desc;
    cop_input in = {ws->panel, ws->finals, ws->x_stride, f->n_logits, NULL};
    cop_adapted adapted = {f, {&m->output}, 1, true};
    in.adapted = cop_adapt(&adapted, &in);
    int64_t begin, end;
    while (cop_pool_take(m->pool, m->output.w.n_tiles, cop_grain(m, m->output.w.n_tiles), &begin, &end))
        for (int64_t t = begin; t < end; t++) {
            float *y = ws->logits + (size_t)t * COP_TILE;
            cop_product_tile(m, &m->output, (int)t, &in, y, ws->logit_stride);
            for (int c = 0; c < in.n; c++) {
                float *row = y + (size_t)c * ws->logit_stride;
                if (d->logit_scale != 1.0f) m->kernels.scale(row, row, d->logit_scale, COP_TILE);
                if (d->logit_softcap > 0) m->kernels.softcap(row, d->logit_softcap, COP_TILE);
            }
        }
}

// ---- layers -----------------------------------------------------------------------------------

static row_work nothing(const cop_forward *f) { return (row_work){.f = f, .store_layer = -1}; }

// A norm behind a sublayer: of its output alone, which then waits in ws->y, or of the sum.
static bool norm_of_output(const cop_forward *f, const cop_norm *norm) { return norm->w && f->model->desc.order != COP_ORDER_POST; }

static row_work after_sublayer(const cop_forward *f, const cop_norm *norm) {
    row_work w = nothing(f);
    if (!norm->w) return w;
    *(norm_of_output(f, norm) ? &w.post : &w.behind) = norm;
    return w;
}

static void attention_sublayer(const cop_forward *f, int worker, int layer, row_work *pending) {
    const cop_layer *l = &f->model->layers[layer];
    cop_workspace *ws = f->ws;
    pending->norm = &l->attn_norm;
    pending->quantise = cop_is_quantised(&l->q) || cop_is_quantised(&l->k) || cop_is_quantised(&l->v);
    row_stage(pending);
    project_qkv(f, l);

    row_work store = nothing(f);
    store.store_layer = layer;
    row_stage(&store);
    cop_attention(f, worker, layer);
    if (cop_is_quantised(&l->o) && !cop_heads_are_blocks(f, layer)) {
        row_work heads = nothing(f);
        heads.quantise_heads = true;
        row_stage(&heads);
    } else {
        cop_pool_barrier(f->model->pool, NULL, NULL);
    }
    cop_input in = {ws->heads_panel, ws->heads, ws->heads_stride, f->n_rows, NULL};
    project_out(f, worker, &l->o, &in, norm_of_output(f, &l->attn_post_norm));
    *pending = after_sublayer(f, &l->attn_post_norm);
}

static void project_conv(const cop_forward *f, const cop_linear *l) {
    cop_workspace *ws = f->ws;
    cop_input in = {ws->panel, ws->normed, ws->x_stride, f->n_rows, NULL};
    cop_adapted adapted = {f, {l}, 1, false};
    in.adapted = cop_adapt(&adapted, &in);
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, l->w.n_tiles, cop_grain(f->model, l->w.n_tiles), &begin, &end))
        for (int64_t t = begin; t < end; t++) cop_product_tile(f->model, l, (int)t, &in, ws->qkv + t * COP_TILE, ws->qkv_stride);
}

static void convolution_sublayer(const cop_forward *f, int worker, int layer, row_work *pending) {
    const cop_layer *l = &f->model->layers[layer];
    cop_workspace *ws = f->ws;
    pending->norm = &l->attn_norm;
    pending->quantise = cop_is_quantised(&l->conv_in);
    row_stage(pending);
    project_conv(f, &l->conv_in);
    cop_pool_barrier(f->model->pool, NULL, NULL);
    cop_convolution(f, worker, layer);
    cop_pool_barrier(f->model->pool, NULL, NULL);
    cop_input in = {ws->heads_panel, ws->heads, ws->heads_stride, f->n_rows, NULL};
    project_out(f, worker, &l->conv_out, &in, norm_of_output(f, &l->attn_post_norm));
    *pending = after_sublayer(f, &l->attn_post_norm);
}

static void mlp_sublayer(const cop_forward *f, int worker, int layer, row_work *pending) {
    const cop_layer *l = &f->model->layers[layer];
    cop_workspace *ws = f->ws;
    pending->norm = &l->mlp_norm;
    pending->quantise = cop_is_quantised(&l->up) || cop_is_quantised(&l->gate);
    row_stage(pending);
    bool post = norm_of_output(f, &l->mlp_post_norm);
    if (f->model->desc.layers[layer].experts) {
        cop_experts(f, worker, layer, post);
    } else {
        mlp_hidden(f, worker, l);
        cop_pool_barrier(f->model->pool, NULL, NULL);
        cop_input in = {ws->mlp_panel, ws->mlp, ws->mlp_stride, f->n_rows, NULL};
        project_out(f, worker, &l->down, &in, post);
    }
    *pending = after_sublayer(f, &l->mlp_post_norm);
}

// ---- groups of layers whose attention reads one input ---------------------------------------------
//
// EasySpec, Wu et al. 2025 (arXiv:2502.02493), for draft models: the attention of `group` neighbouring layers is
// computed from the state before the first of them, so one phase holds the work of all; then the results are added
// and the feed-forwards run in order. Approximate: keys and values computed so must not be committed.

// The forward as seen by one layer of the group: own buffers between input and output.
typedef struct lanes {
    cop_forward f[COP_MOST_GROUP];
    int n;
} lanes;

// The same row work for every lane, as one phase.
static void lane_rows(const lanes *all, const row_work *works) {
    const cop_forward *f = &all->f[0];
    int64_t begin, end;
    cop_pool_barrier(f->model->pool, NULL, NULL);
    while (cop_pool_take(f->model->pool, (int64_t)all->n * f->n_rows, 1, &begin, &end))
        for (int64_t i = begin; i < end; i++) do_row(&works[i / f->n_rows], (int)(i % f->n_rows));
    cop_pool_barrier(f->model->pool, NULL, NULL);
}

static int qkv_tiles(const cop_layer *l) { return l->q.w.n_tiles + l->k.w.n_tiles + l->v.w.n_tiles; }

static void lane_products(const lanes *all, int first, bool out) {
    const cop_model *m = all->f[0].model;
    const cop_layer *layers = &m->layers[first];
    int n_tiles = 0;
    for (int k = 0; k < all->n; k++) n_tiles += out ? layers[k].o.w.n_tiles : qkv_tiles(&layers[k]);
    int64_t begin, end;
    while (cop_pool_take(m->pool, n_tiles, cop_grain(m, n_tiles), &begin, &end))
        for (int64_t t = begin; t < end; t++) {
            int k = 0, tile = (int)t;
            for (int n; tile >= (n = out ? layers[k].o.w.n_tiles : qkv_tiles(&layers[k])); k++) tile -= n;
            const cop_workspace *ws = all->f[k].ws;
            if (out) {
                const cop_input in = {ws->heads_panel, ws->heads, ws->heads_stride, all->f[k].n_rows, NULL};
                cop_product_tile(m, &layers[k].o, tile, &in, ws->y + (size_t)tile * COP_TILE, ws->y_stride);
            } else {
                const cop_input in = {ws->panel, ws->normed, ws->x_stride, all->f[k].n_rows, NULL};
                qkv_tile(m, &layers[k], tile, &in, ws);
            }
        }
}

static void attention_group(const cop_forward *f, int worker, int first, int n, row_work *pending) {
    const cop_layer *layers = &f->model->layers[first];
    lanes all = {.n = n};
    row_work works[COP_MOST_GROUP] = {{0}};
    row_stage(pending);
    for (int k = 0; k < n; k++) {
        all.f[k] = *f;
        all.f[k].ws = &f->ws->lanes[k];
        works[k] = nothing(&all.f[k]);
        works[k].norm = &layers[k].attn_norm;
        works[k].quantise = cop_is_quantised(&layers[k].q) || cop_is_quantised(&layers[k].k) || cop_is_quantised(&layers[k].v);
    }
    lane_rows(&all, works);
    lane_products(&all, first, false);
    for (int k = 0; k < n; k++) {
        works[k] = nothing(&all.f[k]);
        works[k].store_layer = first + k;
    }
    lane_rows(&all, works);
    cop_attention_group(all.f, n, worker, first);
    for (int k = 0; k < n; k++) {
        works[k] = nothing(&all.f[k]);
        works[k].quantise_heads = cop_is_quantised(&layers[k].o) && !cop_heads_are_blocks(f, first + k);
    }
    lane_rows(&all, works);
    lane_products(&all, first, true);
}

// May the attention of layers first … first + n - 1 share an input: not the outer layers, nor what is no attention.
static bool is_group(const cop_forward *f, int first, int n) {
    const cop_forward_options *o = &f->options;
    if (f->model->desc.order != COP_ORDER_PRE || n < 2 || n > f->ws->n_lanes || first < 1 || first + n > f->model->desc.L - 1 || first + n > o->end_layer || f->n_runs) return false;
    for (int i = first; i < first + n; i++)
        if (cop_bit(o->skip_attention, i) || f->model->desc.layers[i].convolution) return false;
    return true;
}

static cop_status forward_layers(void *arg, int worker) {
    const cop_forward *f = arg;
    const cop_forward_options *o = &f->options;
    row_work pending = nothing(f);
    pending.embed = true;
    pending.tap_from = o->first_layer - 1;
    pending.tap_to = o->first_layer;
    for (int layer = o->first_layer, group_end = 0; layer < o->end_layer; layer++) {
        if (layer >= group_end && is_group(f, layer, o->group)) {
            attention_group(f, worker, layer, o->group, &pending);
            group_end = layer + o->group;
        }
        if (layer < group_end) {
            const cop_workspace *lane = &f->ws->lanes[layer - (group_end - o->group)];
            if (layer > group_end - o->group) row_stage(&pending);  // what the feed-forward before it left
            pending = nothing(f);
            pending.y = lane->y;
            pending.post = f->model->layers[layer].attn_post_norm.w ? &f->model->layers[layer].attn_post_norm : NULL;
        } else if (!cop_bit(o->skip_attention, layer))
            (f->model->desc.layers[layer].convolution ? convolution_sublayer : attention_sublayer)(f, worker, layer, &pending);
        if (!cop_bit(o->skip_mlp, layer)) mlp_sublayer(f, worker, layer, &pending);
        if (pending.tap_from == pending.tap_to) pending.tap_from = layer;
        pending.tap_to = layer + 1;
    }
    pending.final = true;
    pending.norm = &f->model->final_norm;
    pending.quantise = cop_is_quantised(&f->model->output);
    row_stage(&pending);
    if (f->n_logits) project_logits(f);
    return COP_OK;
}

// ---- the plan of a forward --------------------------------------------------------------------

static cop_status check_row(const cop_forward *f, int i) {
    const cop_row *r = &f->rows[i];
    const cop_desc *d = &f->model->desc;
    if (!r->embedding && !f->options.inject && (r->token < 0 || r->token >= d->V))
        return cop_fail(COP_ERR_ARG, "token %d: the vocabulary has 0 to %d", r->token, d->V - 1);
    if (r->want_logits && !f->model->output.w.data)
        return cop_fail(COP_ERR_UNSUPPORTED, "family %s has hidden states and no logits", d->family);
    if (r->parent >= i || r->parent < -1 || (r->parent >= 0 && f->rows[r->parent].seq != r->seq))
        return cop_fail(COP_ERR_ARG, "row %d: its parent %d is not a row before it of the same sequence", i, r->parent);
    return COP_OK;
}

static bool same_shape(const cop_cache_shape *a, const cop_cache_shape *b) {
    return a->n_layers == b->n_layers && a->n_kv_heads == b->n_kv_heads && a->head == b->head && a->n_states == b->n_states &&
           a->state_heads == b->state_heads && a->state_head == b->state_head;
}

static cop_status plan_groups(cop_forward *f) {
    cop_workspace *ws = f->ws;
    for (int i = 0; i < f->n_rows; i++) {
        COP_TRY(check_row(f, i));
        if (!f->n_groups || ws->groups[f->n_groups - 1].seq != f->rows[i].seq)
            ws->groups[f->n_groups++] = (cop_row_group){.seq = f->rows[i].seq, .first = i, .base = cop_seq_length(f->rows[i].seq)};
        cop_row_group *g = &ws->groups[f->n_groups - 1];
        g->n_rows++;
        const cop_cache_shape *shape = cop_cache_get_shape(cop_seq_cache(g->seq));
        if (!same_shape(shape, &f->model->cache_shape))
            return cop_fail(COP_ERR_ARG, "row %d: its cache is of another model", i);
        if (g->base + g->n_rows > ws->max_tokens || !cop_seq_covers(g->seq, g->base + g->n_rows))
            return cop_fail(COP_ERR_LIMIT, "row %d: slot %d is beyond the context of %d or was not reserved", i,
                            g->base + g->n_rows - 1, ws->max_tokens);
        ws->logit_of[i] = f->rows[i].want_logits && i >= f->options.computed ? f->n_logits++ : -1;
    }
    if (f->n_logits > ws->max_logits)
        return cop_fail(COP_ERR_ARG, "%d rows want logits, the workspace holds %d", f->n_logits, ws->max_logits);
    return COP_OK;
}

// A row sees its parent's slots and its own. While the path has been one slot after the other it is
// part of the straight prefix; after the first jump the slots are listed.
static void plan_visible(const cop_forward *f, const cop_row_group *g, int i) {
    cop_workspace *ws = f->ws;
    int slot = g->base + (i - g->first), parent = f->rows[i].parent;
    cop_visible v = parent < 0 ? (cop_visible){.lin = g->base} : ws->visible[parent];
    int *tail = ws->tails + (size_t)i * (size_t)ws->max_rows;
    if (v.n_tail == 0 && v.lin == slot) {
        v.lin++;
    } else {
        memcpy(tail, v.tail ? v.tail : tail, (size_t)v.n_tail * sizeof(int));
        tail[v.n_tail++] = slot;
        v.tail = tail;
    }
    ws->visible[i] = v;
}

// From here on rows are those behind the computed ones.
static void leave_out_computed(cop_forward *f) {
    cop_workspace *ws = f->ws;
    int n = f->options.computed;
    if (!n) return;
    f->rows += n;
    f->n_rows -= n;
    ws->groups[0].n_rows -= n;
    ws->groups[0].base += n;
    memmove(ws->visible, ws->visible + n, (size_t)f->n_rows * sizeof *ws->visible);
    memmove(ws->logit_of, ws->logit_of + n, (size_t)f->n_rows * sizeof *ws->logit_of);
}

static cop_status check_positions(const cop_forward *f) {
    for (int i = 0; i < f->n_rows; i++) {
        const cop_visible *v = &f->ws->visible[i];
        if (v->lin + v->n_tail > f->model->desc.max_positions)
            return cop_fail(COP_ERR_LIMIT, "position %d: the model has %d", v->lin + v->n_tail - 1, f->model->desc.max_positions);
    }
    return COP_OK;
}

static cop_status plan(cop_forward *f) {
    const cop_desc *d = &f->model->desc;
    cop_forward_options *o = &f->options;
    if (f->n_rows < 1 || f->n_rows > f->ws->max_rows)
        return cop_fail(COP_ERR_ARG, "forward of %d rows: must be 1 to %d", f->n_rows, f->ws->max_rows);
    if (o->first_layer == 0 && o->end_layer == 0) o->end_layer = d->L;
    if (o->first_layer < 0 || o->first_layer > o->end_layer || o->end_layer > d->L)
        return cop_fail(COP_ERR_ARG, "layers %d to %d: the model has %d", o->first_layer, o->end_layer, d->L);
    COP_TRY(plan_groups(f));
    COP_TRY(cop_plan_adapters(f));
    if (o->computed < 0 || o->computed >= f->n_rows || (o->computed && f->n_groups > 1))
        return cop_fail(COP_ERR_ARG, "forward of %d rows, %d of them computed: must be fewer, of one sequence", f->n_rows, o->computed);
    for (int g = 0; g < f->n_groups; g++)
        for (int i = 0; i < f->ws->groups[g].n_rows; i++) plan_visible(f, &f->ws->groups[g], f->ws->groups[g].first + i);
    if (d->positions == COP_POSITION_LEARNED) COP_TRY(check_positions(f));
    leave_out_computed(f);
    return COP_OK;
}

cop_status cop_model_forward(const cop_model *model, cop_workspace *ws, const cop_row *rows, int n_rows,
                             const cop_forward_options *options) {
    cop_forward f = {.model = model, .ws = ws, .rows = rows, .n_rows = n_rows};
    if (options) f.options = *options;
    COP_TRY(plan(&f));
    return cop_pool_run(model->pool, forward_layers, &f);
}
