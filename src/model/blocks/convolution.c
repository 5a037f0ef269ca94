// The short gated convolution of lfm2: y = C * (sum over the last taps of w * (B * x)), channel by channel.
//
// B * x of every token stands in the cache, in its slot, like a value: a row reads those of its own last positions
// through the list of slots that it sees, its own included, so it has the bits of its path whatever was computed
// together, and commit, rollback, sharing and saving need nothing of their own. The elements are the cache's type
// (f16: 2 D bytes a token and layer). A work item is one part of the channels, for all rows, parents before children.
// Not in forward options: full_mask, a convolution is causal.
#include <string.h>

#include "model/forward_private.h"

typedef struct part {
    const cop_forward *f;
    const cop_layer *l;
    int layer, number, first, n;  // state layer, part, its first channel and their number
} part;

static void store(const part *p, const cop_row_group *g, int row, const float *bcx) {
    float input[COP_MAX_STATE_PART];
    const float *b = bcx + p->first, *x = bcx + 2 * p->f->model->desc.D + p->first;
    int slot = g->base + (row - g->first);
    for (int i = 0; i < p->n; i++) input[i] = b[i] * x[i];
    p->f->model->kernels.store_value[cop_cache_get_shape(cop_seq_cache(g->seq))->type](
        cop_seq_states(g->seq, p->layer, p->number, slot / COP_PAGE), slot % COP_PAGE, input, p->n);
}

// What stands in a slot, as floats: mixed into zeros with weight 1.
static void load(const part *p, const cop_row_group *g, int slot, float *out) {
    static const float one = 1;
    memset(out, 0, (size_t)p->n * sizeof *out);
    p->f->model->kernels.mix[cop_cache_get_shape(cop_seq_cache(g->seq))->type](
        out, 0, &one, 0, 1, cop_seq_states(g->seq, p->layer, p->number, slot / COP_PAGE), slot % COP_PAGE, 1, p->n);
}

static void convolve(const part *p, const cop_row_group *g, int row) {
    const cop_desc *d = &p->f->model->desc;
    cop_workspace *ws = p->f->ws;
    const cop_visible *v = &ws->visible[row];
    float *bcx = ws->qkv + (size_t)row * ws->qkv_stride, input[COP_MAX_STATE_PART], sum[COP_MAX_STATE_PART] = {0};
    store(p, g, row, bcx);
    if (p->l->conv_bias) memcpy(sum, p->l->conv_bias + p->first, (size_t)p->n * sizeof *sum);
    for (int t = 0, oldest = v->lin + v->n_tail - d->taps; t < d->taps; t++) {
        int position = oldest + t;
        if (position < 0) continue;
        load(p, g, position < v->lin ? position : v->tail[position - v->lin], input);
        const float *w = p->l->conv + (size_t)p->first * (size_t)d->taps + t;
        for (int i = 0; i < p->n; i++) sum[i] += w[i * d->taps] * input[i];
    }
    for (int i = 0; i < p->n; i++) sum[i] *= bcx[d->D + p->first + i];
    bool blocks = cop_is_quantised(&p->l->conv_out);
    if (!blocks || p->f->n_runs) memcpy(ws->heads + (size_t)row * ws->heads_stride + p->first, sum, (size_t)p->n * sizeof *sum);
    if (!blocks) return;
    // Its columns are whole blocks, and so is a part.
    int n_blocks = d->D / COP_BLOCK, block = p->first / COP_BLOCK;
    size_t first = cop_panel_index(p->f->n_rows, n_blocks, block, row), next = cop_panel_index(p->f->n_rows, n_blocks, block + 1, row);
    p->f->model->kernels.quantise(ws->heads_panel + first, next - first, sum, p->n / COP_BLOCK);
}

void cop_convolution(const cop_forward *f, int worker, int layer) {
    (void)worker;
    const cop_cache_shape *shape = &f->model->cache_shape;
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, shape->state_heads, 1, &begin, &end))
        for (int64_t i = begin; i < end; i++) {
            const part p = {f, &f->model->layers[layer], f->model->desc.layers[layer].cache, (int)i, (int)i * shape->state_head, shape->state_head};
            for (int g = 0; g < f->n_groups; g++)
                for (int row = 0; row < f->ws->groups[g].n_rows; row++)
                    convolve(&p, &f->ws->groups[g], f->ws->groups[g].first + row);
        }
}
