// Adapters in a forward: y += scale * B (A x), in 32 bits, for the rows that name them.
//
// Rows are cut into runs of up to 16 neighbours with one set. Before a product whose matrix some run adapts, A x of all
// runs is computed and kept; each tile of the product then adds its part of B to the rows of the runs, adapter by
// adapter in the set's order. Both are products of kernel.h, whose columns have their bits in any company.
#include <string.h>

#include "base/alloc.h"
#include "model/adapter_private.h"
#include "model/forward_private.h"

#define RUN_ROWS 16

static int set_rank(const cop_adapter_set *set) {
    int rank = 0;
    for (int i = 0; set && i < set->n; i++) rank += cop_round_rank(set->adapters[i]->rank);
    return rank;
}

cop_status cop_workspace_reserve_adapters(cop_workspace *ws, const cop_adapter_set *set) {
    int rank = set_rank(set);
    if (rank <= ws->lora_rank) return COP_OK;
    size_t bytes = (size_t)ws->max_rows * COP_ADAPTED_MOST * (size_t)rank * sizeof(float);
    float *down = cop_pages_alloc(bytes);
    if (!down) return cop_fail(COP_ERR_NOMEM, "adapters of rank %d: cannot allocate %zu bytes for %d rows", rank, bytes, ws->max_rows);
    cop_pages_free(ws->lora, ws->lora_bytes);
    ws->lora = down;
    ws->lora_bytes = bytes;
    ws->lora_rank = rank;
    return COP_OK;
}

static cop_status check_set(const cop_forward *f, const cop_adapter_set *set, int row) {
    if (set->n < 0 || set->n > COP_MAX_ADAPTERS) return cop_fail(COP_ERR_ARG, "row %d: %d adapters, at most %d", row, set->n, COP_MAX_ADAPTERS);
    for (int i = 0; i < set->n; i++)
        if (set->adapters[i]->model != f->model) return cop_fail(COP_ERR_ARG, "row %d: adapter %d is of another model", row, i);
    if (set_rank(set) > f->ws->lora_rank)
        return cop_fail(COP_ERR_ARG, "row %d: adapters of rank %d, the workspace has room for %d", row, set_rank(set), f->ws->lora_rank);
    return COP_OK;
}

cop_status cop_plan_adapters(cop_forward *f) {
    cop_workspace *ws = f->ws;
    cop_adapter_run *run = NULL;
    for (int i = 0; i < f->n_rows; i++) {
        const cop_adapter_set *set = f->rows[i].adapters;
        if (!set || !set->n) {
            run = NULL;
            continue;
        }
        if (!run || run->set != set || run->n == RUN_ROWS) {
            COP_TRY(check_set(f, set, i));
            run = &ws->runs[f->n_runs++];
            *run = (cop_adapter_run){.set = set, .first = i};
        }
        run->n++;
        if (ws->logit_of[i] >= 0 && !run->n_logits++) run->first_logit = ws->logit_of[i];
    }
    return COP_OK;
}

static bool touches(const cop_forward *f, const cop_adapted *a) {
    for (int r = 0; r < f->n_runs; r++)
        for (int k = 0; k < f->ws->runs[r].set->n; k++)
            for (int j = 0; j < a->n; j++)
                if (f->ws->runs[r].set->adapters[k]->loras[a->linears[j]->number].rank) return true;
    return false;
}

// Row `first` of what A gave for the linear in place j and adapter k of a set.
static float *down_row(const cop_forward *f, const cop_adapter_set *set, int first, int j, int k) {
    size_t at = (size_t)j * (size_t)f->ws->lora_rank;
    for (int i = 0; i < k; i++) at += (size_t)cop_round_rank(set->adapters[i]->rank);
    return f->ws->lora + (size_t)first * COP_ADAPTED_MOST * (size_t)f->ws->lora_rank + at;
}

static void project_down(const cop_adapted *a, const cop_input *in, const cop_adapter_run *run, int j) {
    const cop_forward *f = a->f;
    int first = a->logits ? run->first_logit : run->first, n = a->logits ? run->n_logits : run->n;
    for (int k = 0; n && k < run->set->n; k++) {
        const cop_lora *l = &run->set->adapters[k]->loras[a->linears[j]->number];
        float *y = down_row(f, run->set, first, j, k);
        for (int t = 0; l->rank && t < l->a.n_tiles; t++)
            f->model->kernels.product[COP_F32](y + t * COP_TILE, COP_ADAPTED_MOST * (size_t)f->ws->lora_rank, l->a.data + (size_t)t * l->a.tile_bytes,
                                               l->a.cols, in->rows + (size_t)first * in->stride, in->stride, n);
    }
}

const cop_adapted *cop_adapt(cop_adapted *a, const cop_input *in) {
    const cop_forward *f = a->f;
    if (!f->n_runs || !touches(f, a)) return NULL;
    int64_t begin, end;
    while (cop_pool_take(f->model->pool, (int64_t)f->n_runs * a->n, 1, &begin, &end))
        for (int64_t i = begin; i < end; i++) project_down(a, in, &f->ws->runs[i / a->n], (int)(i % a->n));
    cop_pool_barrier(f->model->pool, NULL, NULL);
    return a;
}

void cop_adapt_tile(const cop_adapted *a, const cop_linear *linear, int tile, float *y, size_t y_stride) {
    const cop_forward *f = a->f;
    const cop_kernels *kernels = &f->model->kernels;
    float part[RUN_ROWS * COP_TILE];
    int j = 0;
    while (a->linears[j] != linear) j++;
    for (int r = 0; r < f->n_runs; r++) {
        const cop_adapter_run *run = &f->ws->runs[r];
        int first = a->logits ? run->first_logit : run->first, n = a->logits ? run->n_logits : run->n;
        for (int k = 0; n && k < run->set->n; k++) {
            const cop_lora *l = &run->set->adapters[k]->loras[linear->number];
            if (!l->rank) continue;
            kernels->product[COP_F32](part, COP_TILE, l->b.data + (size_t)tile * l->b.tile_bytes, l->rank, down_row(f, run->set, first, j, k),
                                      COP_ADAPTED_MOST * (size_t)f->ws->lora_rank, n);
            for (int c = 0; c < n; c++)
                kernels->axpy(y + (size_t)(first + c) * y_stride, part + c * COP_TILE, run->set->scales[k] * l->scale, COP_TILE);
        }
    }
}
