// Attention of a forward's rows over the paged cache.
//
// A work item is a tile of up to COP_QUERY_TILE queries of one sequence and key/value head, so keys and
// values are read once for all of them. Scores are kept by slot; a row of a tree then puts the scores
// of its own path behind those of the committed prefix, in order of position. From there on a row is
// computed as if its path had been committed: same operations, same order, same bits.
// Grouped queries: Ainslie et al. 2023 (arXiv:2305.13245).
#include <math.h>
#include <string.h>

#include "model/forward_private.h"

void cop_attention_store(const cop_forward *f, int layer, int row) {
    const cop_model *m = f->model;
    const cop_desc *d = &m->desc;
    const cop_layer *l = &m->layers[layer];
    const cop_kernels *k = &m->kernels;
    cop_workspace *ws = f->ws;
    float *qkv = ws->qkv + (size_t)row * ws->qkv_stride;
    int rope = d->layers[layer].rope, K = d->K;
    const float *cs = rope < 0 ? NULL : ws->angles + ((size_t)rope * (size_t)ws->max_rows + (size_t)row) * (size_t)K;
    if (d->wide_qk_norm) {
        k->rmsnorm(qkv, qkv, l->q_norm.w, d->H * K, d->norm_eps);
        k->rmsnorm(qkv + ws->k_offset, qkv + ws->k_offset, l->k_norm.w, d->G * K, d->norm_eps);
    }
    for (int h = 0; h < d->H + d->G; h++) {
        float *x = h < d->H ? qkv + h * K : qkv + ws->k_offset + (size_t)(h - d->H) * (size_t)K;
        const cop_norm *norm = h < d->H ? &l->q_norm : &l->k_norm;
        if (norm->w && !d->wide_qk_norm) k->rmsnorm(x, x, norm->w, K, d->norm_eps);
        if (cs) k->rope(x, cs, d->rope[rope].n_rot / 2, d->rope[rope].half_split);
    }
    const cop_row_group *g = ws->groups;
    while (row >= g->first + g->n_rows) g++;
    int slot = g->base + (row - g->first);
    cop_kv_type type = cop_cache_get_shape(cop_seq_cache(g->seq))->type;
    for (int h = 0; h < d->G; h++) {
        k->store_key[type](cop_seq_keys(g->seq, d->layers[layer].cache, h, slot / COP_PAGE), slot % COP_PAGE, qkv + ws->k_offset + (size_t)h * (size_t)K, K);
        k->store_value[type](cop_seq_values(g->seq, d->layers[layer].cache, h, slot / COP_PAGE), slot % COP_PAGE, qkv + ws->v_offset + (size_t)h * (size_t)K, K);
    }
}

// The queries of one work item.
typedef struct tile {
    const cop_forward *f;
    const cop_row_group *group;
    cop_worker *w;
    int layer, kv_head, n;
    int first;                       // number of the first query: (row - group->first) * R + head in the group
    cop_kv_type type;
    int lo[COP_QUERY_TILE];          // first position seen
    cop_visible see[COP_QUERY_TILE];
} tile;

static int query_row(const tile *t, int i) {
    int r = t->f->model->desc.H / t->f->model->desc.G;
    return t->group->first + (t->first + i) / r;
}

static int query_head(const tile *t, int i) {
    int r = t->f->model->desc.H / t->f->model->desc.G;
    return t->kv_head * r + (t->first + i) % r;
}

static void gather_queries(tile *t) {
    const cop_desc *d = &t->f->model->desc;
    const cop_workspace *ws = t->f->ws;
    const cop_layer_desc *ld = &d->layers[t->layer];
    bool full = ld->mask == COP_MASK_FULL || cop_bit(t->f->options.full_mask, t->layer);
    for (int i = 0; i < t->n; i++) {
        int row = query_row(t, i);
        memcpy(t->w->queries + i * d->K, ws->qkv + (size_t)row * ws->qkv_stride + query_head(t, i) * d->K, (size_t)d->K * sizeof(float));
        t->see[i] = full ? (cop_visible){.lin = t->group->base + t->group->n_rows} : ws->visible[row];
        int length = t->see[i].lin + t->see[i].n_tail;
        t->lo[i] = !full && ld->window && length > ld->window ? length - ld->window : 0;
    }
}

// Scores of every slot that any query of the tile sees, by slot.
static void score_slots(const tile *t) {
    const cop_desc *d = &t->f->model->desc;
    size_t stride = t->f->ws->score_stride;
    int begin = INT32_MAX, end = 0;
    for (int i = 0; i < t->n; i++) {
        const cop_visible *v = &t->see[i];
        int from = t->lo[i] < v->lin ? t->lo[i] : v->lin;
        if (from < begin) begin = from;
        if (v->lin > end) end = v->lin;
        for (int j = 0; j < v->n_tail; j++)
            if (v->tail[j] >= end) end = v->tail[j] + 1;
    }
    const int groups_per_page = COP_PAGE / COP_TILE;
    for (int g = begin / COP_TILE, last = (end + COP_TILE - 1) / COP_TILE; g < last;) {
        int page = g / groups_per_page, first = g % groups_per_page, n = groups_per_page - first;
        if (n > last - g) n = last - g;
        t->f->model->kernels.scores[t->type](t->w->scores + (size_t)g * COP_TILE, stride, t->w->queries, (size_t)d->K, t->n,
                                             cop_seq_keys(t->group->seq, d->layers[t->layer].cache, t->kv_head, page), first, n, d->K,
                                             d->attn_scale);
        g += n;
    }
}

// Scores of query i into weights by position, lo … length-1; returns their sum.
static float weigh(const tile *t, int i) {
    const cop_visible *v = &t->see[i];
    const cop_kernels *k = &t->f->model->kernels;
    float *s = t->w->scores + (size_t)i * t->f->ws->score_stride;
    for (int j = 0; j < v->n_tail; j++) t->w->gathered[j] = s[v->tail[j]];
    memcpy(s + v->lin, t->w->gathered, (size_t)v->n_tail * sizeof(float));
    int length = v->lin + v->n_tail, aligned = t->lo[i] & ~(COP_TILE - 1);  // lanes follow the position
    for (int j = aligned; j < t->lo[i]; j++) s[j] = -INFINITY;
    if (t->f->model->desc.attn_softcap > 0) k->softcap(s + t->lo[i], t->f->model->desc.attn_softcap, length - t->lo[i]);
    return k->softmax(s + aligned, length - aligned);
}

// Add values of slots from … to-1, weighted by the scores at the same places, to queries i … i+n-1.
static void mix_slots(const tile *t, int i, int n, int from, int to) {
    const cop_desc *d = &t->f->model->desc;
    size_t stride = t->f->ws->score_stride;
    while (from < to) {
        int page = from / COP_PAGE, first = from % COP_PAGE, n_tokens = COP_PAGE - first;
        if (n_tokens > to - from) n_tokens = to - from;
        t->f->model->kernels.mix[t->type](t->w->mixed + i * d->K, (size_t)d->K, t->w->scores + (size_t)i * stride + from, stride, n,
                                          cop_seq_values(t->group->seq, d->layers[t->layer].cache, t->kv_head, page), first, n_tokens, d->K);
        from += n_tokens;
    }
}

// The own path of a tree row: one slot at a time, in order of position.
static void mix_tail(const tile *t, int i) {
    const cop_desc *d = &t->f->model->desc;
    const cop_visible *v = &t->see[i];
    for (int j = t->lo[i] > v->lin ? t->lo[i] - v->lin : 0; j < v->n_tail; j++) {
        int slot = v->tail[j];
        t->f->model->kernels.mix[t->type](t->w->mixed + i * d->K, (size_t)d->K,
                                          t->w->scores + (size_t)i * t->f->ws->score_stride + v->lin + j, 0, 1,
                                          cop_seq_values(t->group->seq, d->layers[t->layer].cache, t->kv_head, slot / COP_PAGE), slot % COP_PAGE, 1, d->K);
    }
}

// Each query adds its positions in ascending order; the range that all share is read once.
static void mix_all(const tile *t) {
    const cop_desc *d = &t->f->model->desc;
    memset(t->w->mixed, 0, (size_t)t->n * (size_t)d->K * sizeof(float));
    int lo = 0, hi = INT32_MAX;
    for (int i = 0; i < t->n; i++) {
        if (t->lo[i] > lo) lo = t->lo[i];
        if (t->see[i].lin < hi) hi = t->see[i].lin;
    }
    if (hi < lo) hi = lo;
    for (int i = 0; i < t->n; i++) mix_slots(t, i, 1, t->lo[i], lo < t->see[i].lin ? lo : t->see[i].lin);
    mix_slots(t, 0, t->n, lo, hi);
    for (int i = 0; i < t->n; i++) {
        mix_slots(t, i, 1, hi, t->see[i].lin);
        mix_tail(t, i);
    }
}

static void finish(const tile *t, int i, float sum) {
    const cop_desc *d = &t->f->model->desc;
    cop_workspace *ws = t->f->ws;
    const cop_kernels *k = &t->f->model->kernels;
    int row = query_row(t, i), head = query_head(t, i);
    float *mixed = t->w->mixed + i * d->K;
    k->scale(mixed, mixed, 1.0f / sum, d->K);
    bool blocks = cop_heads_are_blocks(t->f, t->layer);
    if (!blocks || t->f->n_runs) memcpy(ws->heads + (size_t)row * ws->heads_stride + head * d->K, mixed, (size_t)d->K * sizeof(float));
    if (!blocks) return;
    int per_head = d->K / COP_BLOCK, n_blocks = d->H * per_head;
    size_t first = cop_panel_index(t->f->n_rows, n_blocks, head * per_head, row);
    size_t next = cop_panel_index(t->f->n_rows, n_blocks, head * per_head + 1, row);
    k->quantise(ws->heads_panel + first, next - first, mixed, per_head);
}

static void attend(tile *t) {
    float sums[COP_QUERY_TILE];
    gather_queries(t);
    score_slots(t);
    for (int i = 0; i < t->n; i++) sums[i] = weigh(t, i);
    mix_all(t);
    for (int i = 0; i < t->n; i++) finish(t, i, sums[i]);
}

// Queries per work item: full tiles, unless that leaves workers without work.
static int tile_size(const cop_forward *f) {
    const cop_desc *d = &f->model->desc;
    int64_t all = (int64_t)f->n_rows * d->H, workers = cop_pool_threads(f->model->pool);
    int64_t share = (all + workers - 1) / workers;
    return share < COP_QUERY_TILE ? (int)share : COP_QUERY_TILE;
}

static int64_t group_items(const cop_forward *f, const cop_row_group *g, int size) {
    const cop_desc *d = &f->model->desc;
    int64_t queries = (int64_t)g->n_rows * (d->H / d->G);
    return (queries + size - 1) / size * d->G;
}

static void attend_item(const cop_forward *f, int worker, int layer, int64_t item, int size) {
    const cop_desc *d = &f->model->desc;
    const cop_row_group *g = f->ws->groups;
    for (; item >= group_items(f, g, size); g++) item -= group_items(f, g, size);
    int queries = g->n_rows * (d->H / d->G), first = (int)(item / d->G) * size;
    tile t = {.f = f, .group = g, .w = &f->ws->workers[worker], .layer = layer, .kv_head = (int)(item % d->G), .first = first,
              .n = queries - first < size ? queries - first : size, .type = cop_cache_get_shape(cop_seq_cache(g->seq))->type};
    attend(&t);
}

void cop_attention(const cop_forward *f, int worker, int layer) {
    int size = tile_size(f);
    int64_t n_items = 0, begin, end;
    for (int i = 0; i < f->n_groups; i++) n_items += group_items(f, &f->ws->groups[i], size);
    while (cop_pool_take(f->model->pool, n_items, 1, &begin, &end))
        for (int64_t item = begin; item < end; item++) attend_item(f, worker, layer, item, size);
}

void cop_attention_group(const cop_forward *lanes, int n, int worker, int first) {
    int size = tile_size(lanes);
    int64_t per_layer = 0, begin, end;
    for (int i = 0; i < lanes->n_groups; i++) per_layer += group_items(lanes, &lanes->ws->groups[i], size);
    while (cop_pool_take(lanes->model->pool, per_layer * n, 1, &begin, &end))
        for (int64_t item = begin; item < end; item++) {
            int k = (int)(item / per_layer);
            attend_item(&lanes[k], worker, first + k, item % per_layer, size);
        }
}
