// A mixture of experts: a float router, the best experts of each row, and their sum.
//
// Rows that share an expert share the read of its weights: its rows are gathered into a panel of their own and pass
// through each tile together. A row's result does not depend on that: a product's column has the same bits in any
// company, and a row adds its experts in ascending order, whoever else they serve.
// Shazeer et al. 2017 (arXiv:1701.06538); Jiang et al. 2024 (arXiv:2401.04088).
//
// Cost beside the products: N x E x used comparisons, and a copy of each row's input per expert.
#include <string.h>

#include "model/forward_private.h"

static void score_rows(const cop_forward *f, const cop_layer *l) {
    const cop_routing *r = &f->ws->routing;
    const cop_input in = {NULL, f->ws->normed, f->ws->x_stride, f->n_rows, NULL};
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, l->router.w.n_tiles, 1, &begin, &end))
        for (int64_t t = begin; t < end; t++)
            cop_product_tile(f->model, &l->router, (int)t, &in, r->scores + t * COP_TILE, r->score_stride);
}

// The `used` most probable experts of a row, the lower number where two are equal; a chosen one becomes -1.
static void choose(const cop_forward *f, int row) {
    const cop_experts_desc *e = &f->model->desc.experts;
    const cop_routing *r = &f->ws->routing;
    float *p = r->scores + (size_t)row * r->score_stride, sum = f->model->kernels.softmax(p, e->n), total = 0;
    int *chosen = r->chosen + row * e->used;
    float *shares = r->shares + row * e->used;
    for (int k = 0; k < e->used; k++) {
        int best = -1, at = k;
        for (int i = 0; i < e->n; i++)
            if (!(p[i] < 0) && (best < 0 || p[i] > p[best])) best = i;
        float share = p[best] / sum;
        p[best] = -1;
        total += share;
        for (; at && chosen[at - 1] > best; at--) {
            chosen[at] = chosen[at - 1];
            shares[at] = shares[at - 1];
        }
        chosen[at] = best;
        shares[at] = share;
    }
    float scale = e->normalise ? e->scale / total : e->scale;
    for (int k = 0; k < e->used; k++) shares[k] *= scale;
}

// Columns of each expert, by counting.
static void group(void *arg) {
    const cop_forward *f = arg;
    const cop_experts_desc *e = &f->model->desc.experts;
    cop_routing *r = &f->ws->routing;
    int n = f->n_rows * e->used;
    memset(r->first, 0, ((size_t)e->n + 1) * sizeof(int));
    for (int i = 0; i < n; i++) r->first[r->chosen[i] + 1]++;
    int n_active = 0;
    for (int i = 0; i < e->n; i++) {
        if (r->first[i + 1]) r->active[n_active++] = i;
        r->first[i + 1] += r->first[i];
    }
    r->n_active = n_active;
    for (int i = 0; i < n; i++) {
        int column = r->first[r->chosen[i]]++;
        r->column_rows[column] = i / e->used;
        r->column_shares[column] = r->shares[i];
    }
    for (int i = e->n; i > 0; i--) r->first[i] = r->first[i - 1];
    r->first[0] = 0;
}

static int count(const cop_routing *r, int expert) { return r->first[expert + 1] - r->first[expert]; }

// One expert's rows into its own panel; all rows in order are there already.
static void gather(const cop_forward *f, const cop_layer *l, int expert) {
    const cop_routing *r = &f->ws->routing;
    const cop_workspace *ws = f->ws;
    int n = count(r, expert), first = r->first[expert], n_blocks = f->model->desc.D / COP_BLOCK;
    bool gate = f->model->desc.gated, panel = cop_is_quantised(&l->up) || (gate && cop_is_quantised(&l->gate));
    bool floats = !cop_is_quantised(&l->up) || (gate && !cop_is_quantised(&l->gate));
    if (n == f->n_rows) return;
    cop_act *to = r->panel + (size_t)first * (size_t)n_blocks;
    for (int c = 0; c < n; c++) {
        int row = r->column_rows[first + c];
        for (int b = 0; panel && b < n_blocks; b++)
            to[cop_panel_index(n, n_blocks, b, c)] = ws->panel[cop_panel_index(f->n_rows, n_blocks, b, row)];
        if (floats)
            memcpy(r->rows + (size_t)(first + c) * ws->x_stride, ws->normed + (size_t)row * ws->x_stride, ws->x_stride * sizeof(float));
    }
}

static cop_input expert_input(const cop_forward *f, int expert) {
    const cop_routing *r = &f->ws->routing;
    int n = count(r, expert);
    size_t first = (size_t)r->first[expert], n_blocks = (size_t)f->model->desc.D / COP_BLOCK;
    if (n == f->n_rows) return (cop_input){f->ws->panel, f->ws->normed, f->ws->x_stride, n, NULL};
    return (cop_input){r->panel + first * n_blocks, r->rows + first * f->ws->x_stride, f->ws->x_stride, n, NULL};
}

typedef struct routing_job {
    const cop_forward *f;
    const cop_layer *l;
} routing_job;

static void route_all(void *arg) {
    const routing_job *j = arg;
    for (int row = 0; row < j->f->n_rows; row++) choose(j->f, row);
    group((void *)j->f);
    for (int i = 0; i < j->f->ws->routing.n_active; i++) gather(j->f, j->l, j->f->ws->routing.active[i]);
}

// From the router's scores to gathered inputs; few rows are done inside one barrier.
static void route(const cop_forward *f, const cop_layer *l) {
    routing_job job = {f, l};
    cop_pool *pool = f->model->pool;
    if (f->n_rows <= COP_SERIAL_ROWS) {
        cop_pool_barrier(pool, route_all, &job);
        return;
    }
    int64_t begin, end;
    cop_pool_barrier(pool, NULL, NULL);
    while (cop_pool_take(pool, f->n_rows, 1, &begin, &end))
        for (int64_t row = begin; row < end; row++) choose(f, (int)row);
    cop_pool_barrier(pool, group, (void *)f);
    while (cop_pool_take(pool, f->ws->routing.n_active, 1, &begin, &end))
        for (int64_t i = begin; i < end; i++) gather(f, l, f->ws->routing.active[i]);
    cop_pool_barrier(pool, NULL, NULL);
}

static void hidden(const cop_forward *f, int worker, const cop_layer *l) {
    const cop_routing *r = &f->ws->routing;
    int F = f->model->desc.experts.F, n_blocks = (F + COP_BLOCK - 1) / COP_BLOCK, n = r->n_active * n_blocks;
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, n, cop_grain(f->model, n), &begin, &end))
        for (int64_t i = begin; i < end; i++) {
            int expert = r->active[i / n_blocks];
            size_t first = (size_t)r->first[expert];
            const cop_input in = expert_input(f, expert);
            const cop_mlp_part part = {F, expert * l->up.w.n_tiles, r->mlp_panel + first * (size_t)(F / COP_BLOCK),
                                       r->mlp + first * f->ws->mlp_stride};
            cop_mlp_block(f, worker, l, (int)(i % n_blocks), &in, &part);
        }
}

// A run of tiles of one expert's down product, each row's part weighted and added where it belongs.
static void add_expert(const cop_forward *f, int worker, const cop_layer *l, int expert, int begin, int end, float *out, size_t stride) {
    const cop_routing *r = &f->ws->routing;
    const cop_model *m = f->model;
    float *tiles = f->ws->workers[worker].tiles;
    size_t first = (size_t)r->first[expert];
    const cop_input in = {r->mlp_panel + first * (size_t)(m->desc.experts.F / COP_BLOCK), r->mlp + first * f->ws->mlp_stride,
                          f->ws->mlp_stride, count(r, expert), NULL};
    for (int t = begin; t < end; t++) {
        cop_product_tile(m, &l->down, expert * l->down.w.n_tiles + t, &in, tiles, COP_TILE);
        for (int c = 0; c < in.n; c++)
            m->kernels.axpy(out + (size_t)r->column_rows[first + (size_t)c] * stride + t * COP_TILE, tiles + (size_t)c * COP_TILE,
                            r->column_shares[first + (size_t)c] * (out == f->ws->y ? 1.0f : m->desc.residual_scale), COP_TILE);
    }
}

void cop_experts(const cop_forward *f, int worker, int layer, bool to_y) {
    const cop_layer *l = &f->model->layers[layer];
    cop_workspace *ws = f->ws;
    cop_pool *pool = f->model->pool;
    score_rows(f, l);
    route(f, l);
    hidden(f, worker, l);
    cop_pool_barrier(pool, NULL, NULL);
    float *out = to_y ? ws->y : ws->x;
    size_t stride = to_y ? ws->y_stride : ws->x_stride;
    int64_t begin, end;
    while (cop_pool_take(pool, l->down.w.n_tiles, cop_grain(f->model, l->down.w.n_tiles), &begin, &end)) {
        for (int c = 0; to_y && c < f->n_rows; c++)
            memset(out + (size_t)c * stride + begin * COP_TILE, 0, (size_t)(end - begin) * COP_TILE * sizeof(float));
        for (int i = 0; i < ws->routing.n_active; i++)
            add_expert(f, worker, l, ws->routing.active[i], (int)begin, (int)end, out, stride);
    }
}
