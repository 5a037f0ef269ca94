// Every buffer of a forward, in one block sized at the start.
#include <string.h>

#include "base/alloc.h"
#include "model/forward_private.h"

static size_t round16(size_t n) { return (n + 15) & ~(size_t)15; }

// First pass with base NULL measures, second places. Sizes were bounded by cop_workspace_new.
static void *take(uint8_t *base, size_t *at, size_t n, size_t size) {
    void *p = base ? base + *at : NULL;
    *at += (n * size + 63) & ~(size_t)63;
    return p;
}

static void place_routing(cop_workspace *ws, uint8_t *base, size_t *at) {
    const cop_desc *d = &ws->model->desc;
    cop_routing *r = &ws->routing;
    if (!d->experts.n) return;
    size_t n = (size_t)ws->max_rows, columns = n * (size_t)d->experts.used;
    r->score_stride = round16((size_t)d->experts.n);
    r->scores = take(base, at, n * r->score_stride, sizeof(float));
    r->chosen = take(base, at, columns, sizeof(int));
    r->shares = take(base, at, columns, sizeof(float));
    r->column_rows = take(base, at, columns, sizeof(int));
    r->column_shares = take(base, at, columns, sizeof(float));
    r->first = take(base, at, (size_t)d->experts.n + 1, sizeof(int));
    r->active = take(base, at, (size_t)d->experts.n, sizeof(int));
    r->panel = take(base, at, columns * ((size_t)d->D / COP_BLOCK + 1), sizeof(cop_act));
    r->rows = take(base, at, columns * ws->x_stride, sizeof(float));
    r->mlp_panel = take(base, at, columns * (ws->mlp_stride / COP_BLOCK + 1), sizeof(cop_act));
    r->mlp = take(base, at, columns * ws->mlp_stride, sizeof(float));
}

// Lanes share everything with the workspace but what lies between the input and the output of attention.
static void place_lanes(cop_workspace *ws, uint8_t *base, size_t *at) {
    size_t n = (size_t)ws->max_rows;
    cop_workspace *lanes = take(base, at, (size_t)ws->n_lanes, sizeof *lanes);
    for (int k = 0; k < ws->n_lanes; k++) {
        cop_workspace lane = *ws;
        lane.normed = take(base, at, n * ws->x_stride, sizeof(float));
        lane.qkv = take(base, at, n * ws->qkv_stride, sizeof(float));
        lane.heads = take(base, at, n * ws->heads_stride, sizeof(float));
        lane.y = take(base, at, n * ws->y_stride, sizeof(float));
        lane.panel = take(base, at, n * ((size_t)ws->model->desc.D / COP_BLOCK + 1), sizeof(cop_act));
        lane.heads_panel = take(base, at, n * (ws->heads_stride / COP_BLOCK + 1), sizeof(cop_act));
        if (base) lanes[k] = lane;
    }
    ws->lanes = lanes;
}

static size_t place(cop_workspace *ws, uint8_t *base) {
    const cop_desc *d = &ws->model->desc;
    size_t at = 0, n = (size_t)ws->max_rows, n_logits = (size_t)ws->max_logits;
    ws->x = take(base, &at, n * ws->x_stride, sizeof(float));
    ws->normed = take(base, &at, n * ws->x_stride, sizeof(float));
    ws->qkv = take(base, &at, n * ws->qkv_stride, sizeof(float));
    ws->heads = take(base, &at, n * ws->heads_stride, sizeof(float));
    ws->mlp = take(base, &at, n * ws->mlp_stride, sizeof(float));
    ws->y = take(base, &at, n * ws->y_stride, sizeof(float));
    ws->angles = take(base, &at, COP_MAX_ROPES * n * (size_t)d->K, sizeof(float));
    ws->freqs = take(base, &at, COP_MAX_ROPES * (size_t)d->K, sizeof(float));
    ws->finals = take(base, &at, n_logits * ws->x_stride, sizeof(float));
    ws->logits = take(base, &at, n_logits * ws->logit_stride, sizeof(float));
    size_t most = n > n_logits ? n : n_logits;
    ws->panel = take(base, &at, most * ((size_t)d->D / COP_BLOCK + 1), sizeof(cop_act));
    ws->heads_panel = take(base, &at, n * (ws->heads_stride / COP_BLOCK + 1), sizeof(cop_act));
    ws->mlp_panel = take(base, &at, n * (ws->mlp_stride / COP_BLOCK + 1), sizeof(cop_act));
    place_routing(ws, base, &at);
    int n_workers = cop_pool_threads(ws->model->pool);
    cop_worker *workers = take(base, &at, (size_t)n_workers, sizeof(cop_worker));
    for (int i = 0; i < n_workers; i++) {
        cop_worker w;
        w.scores = take(base, &at, COP_QUERY_TILE * ws->score_stride, sizeof(float));
        w.queries = take(base, &at, COP_QUERY_TILE * (size_t)d->K, sizeof(float));
        w.mixed = take(base, &at, COP_QUERY_TILE * (size_t)d->K, sizeof(float));
        w.tiles = take(base, &at, 2 * n * 2 * COP_TILE, sizeof(float));
        w.gathered = take(base, &at, n, sizeof(float));
        if (base) workers[i] = w;
    }
    ws->workers = workers;
    ws->visible = take(base, &at, n, sizeof(cop_visible));
    ws->tails = take(base, &at, n * n, sizeof(int));
    ws->groups = take(base, &at, n, sizeof(cop_row_group));
    ws->runs = take(base, &at, n, sizeof(cop_adapter_run));
    ws->logit_of = take(base, &at, n, sizeof(int));
    if (ws->n_lanes) place_lanes(ws, base, &at);
    return at;
}

static void set_strides(cop_workspace *ws) {
    const cop_desc *d = &ws->model->desc;
    size_t q = round16((size_t)d->H * (size_t)d->K), kv = round16((size_t)d->G * (size_t)d->K);
    ws->x_stride = round16((size_t)d->D);
    ws->heads_stride = d->taps && round16((size_t)d->D) > q ? round16((size_t)d->D) : q;
    ws->mlp_stride = round16((size_t)(d->experts.F > d->F ? d->experts.F : d->F));
    ws->y_stride = ws->x_stride;
    ws->k_offset = q;
    ws->v_offset = q + kv;
    ws->qkv_stride = q + 2 * kv;
    if (d->taps && round16(3 * (size_t)d->D) > ws->qkv_stride) ws->qkv_stride = round16(3 * (size_t)d->D);
    ws->logit_stride = round16((size_t)d->V);
    // Scratch rows follow the committed slots; the last group of 16 is read whole.
    ws->score_stride = round16((size_t)ws->max_tokens + 1) + 16;
}

cop_status cop_workspace_new(cop_workspace **out, const cop_model *model, int max_rows, int max_logits, int max_tokens) {
    return cop_workspace_new_grouped(out, model, max_rows, max_logits, max_tokens, 0);
}

cop_status cop_workspace_new_grouped(cop_workspace **out, const cop_model *model, int max_rows, int max_logits, int max_tokens, int group) {
    *out = NULL;
    if (group < 0 || group > COP_MOST_GROUP) return cop_fail(COP_ERR_ARG, "groups of %d layers: must be 0 to %d", group, COP_MOST_GROUP);
    if (max_rows < 1 || max_rows > 4096 || max_logits < 1 || max_logits > max_rows)
        return cop_fail(COP_ERR_ARG, "workspace of %d rows, %d with logits: must be 1 to 4096, and not more", max_rows, max_logits);
    if (max_tokens < 1 || max_tokens > 1 << 24) return cop_fail(COP_ERR_ARG, "context of %d tokens: must be 1 to %d", max_tokens, 1 << 24);
    cop_workspace *ws = cop_alloc(sizeof *ws);
    if (!ws) return cop_fail(COP_ERR_NOMEM, "workspace: cannot allocate");
    ws->model = model;
    ws->max_rows = max_rows;
    ws->max_logits = max_logits;
    ws->max_tokens = max_tokens;
    ws->n_lanes = group;
    set_strides(ws);
    ws->arena_bytes = place(ws, NULL);
    ws->arena = cop_pages_alloc(ws->arena_bytes);
    if (!ws->arena) {
        cop_status st = cop_fail(COP_ERR_NOMEM, "workspace: cannot allocate %zu bytes for %d rows", ws->arena_bytes, max_rows);
        cop_free(ws);
        return st;
    }
    place(ws, ws->arena);
    cop_rope_freqs(&model->desc, ws->freqs);
    *out = ws;
    return COP_OK;
}

void cop_workspace_free(cop_workspace *ws) {
    if (!ws) return;
    cop_pages_free(ws->lora, ws->lora_bytes);
    cop_pages_free(ws->arena, ws->arena_bytes);
    cop_free(ws);
}

int cop_workspace_max_rows(const cop_workspace *ws) { return ws->max_rows; }
int cop_workspace_max_logits(const cop_workspace *ws) { return ws->max_logits; }
size_t cop_workspace_bytes(const cop_workspace *ws) { return ws->arena_bytes; }

float *cop_workspace_logits(cop_workspace *ws, int row) {
    return ws->logits + (size_t)ws->logit_of[row] * ws->logit_stride;
}
