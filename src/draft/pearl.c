// Pearl: the draft model writes while the target verifies, each on threads of its own.
// Source: PEARL, Liu et al. 2025 (arXiv:2408.11850). While a drafted chain is verified the draft model goes on
// behind it (post-verify); while a plain row is computed it drafts what follows (pre-verify). Its length adapts:
// it writes until the target is done. Drafts are coupled to the target's noise, so whatever it wrote is exact.
// Cost: `threads` of the target's threads, and at most one forward of the draft model that the target waits for.
// Pays where cores idle while the target decodes, not on two cores.
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "draft/draft.h"
#include "draft/follower.h"

typedef struct pearl {
    int32_t threads, depth;
    cop_draft_setup setup;
    cop_pool *pool;        // of the draft model
    cop_model model;       // the draft model on that pool
    cop_follower second;
    cop_sampler *sampler;
    cop_task *task;
    float *scratch;        // [V of the draft model]
    int32_t *predicted;    // [max_tokens + max_nodes] the text as the draft model expects it
    int n_predicted;
    int most;              // it may grow to
    atomic_bool hurry;     // the target is done
} pearl;

static void wait(pearl *p) {
    atomic_store(&p->hurry, true);
    cop_task_wait(p->task);
}

static void stop(void *state) {
    pearl *p = state;
    cop_task_free(p->task);
    cop_follower_close(&p->second);
    cop_sampler_free(p->sampler);
    cop_pool_free(p->pool);
    cop_free(p->scratch);
    cop_free(p->predicted);
    cop_pool_limit(p->setup.target->pool, COP_MAX_THREADS);
}

static cop_status take_memory(pearl *p, const cop_draft_setup *setup) {
    COP_TRY(cop_pool_new(&p->pool, p->threads));
    p->model = *setup->draft;
    p->model.pool = p->pool;
    COP_TRY(cop_follower_open(&p->second, &p->model, setup->cache_type, setup->max_tokens + setup->max_nodes, 1, 0));
    int V = setup->V < setup->draft->desc.V ? setup->V : setup->draft->desc.V;
    COP_TRY(cop_sampler_new(&p->sampler, setup->sampling, V));
    p->scratch = cop_alloc_array((size_t)setup->draft->desc.V, sizeof(float));
    p->predicted = cop_alloc_array((size_t)(setup->max_tokens + setup->max_nodes), sizeof(int32_t));
    if (!p->scratch || !p->predicted) return cop_fail(COP_ERR_NOMEM, "drafter pearl: cannot allocate");
    return cop_task_new(&p->task);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    pearl *p = state;
    p->setup = *setup;
    cop_status st = take_memory(p, setup);
    if (st) stop(p);
    else cop_pool_limit(setup->target->pool, cop_pool_threads(setup->target->pool) - p->threads);
    return st;
}

static void reset(void *state) {
    pearl *p = state;
    wait(p);
    p->n_predicted = 0;
}

// Beside the target: token after token until it is done.
static void write_on(void *state) {
    pearl *p = state;
    while (p->n_predicted < p->most) {
        if (!cop_follower_read(&p->second, p->predicted, p->n_predicted)) return;
        memcpy(p->scratch, p->second.logits, (size_t)p->model.desc.V * sizeof(float));
        p->predicted[p->n_predicted] = cop_sampler_pick(p->sampler, p->scratch, p->n_predicted, p->predicted, p->n_predicted, NULL, 0);
        p->n_predicted++;
        if (atomic_load(&p->hurry)) return;
    }
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    pearl *p = state;
    int n = view->n_tokens, node = COP_TREE_ROOT;
    if (p->n_predicted <= n || memcmp(p->predicted, view->tokens, (size_t)n * sizeof *p->predicted)) return;
    for (int i = n; i < p->n_predicted && i - n < p->depth; i++) {
        node = cop_tree_add(tree, node, p->predicted[i], COP_LOGP_NONE);
        if (node < 0) return;
        if (tree->nodes[node].source == tree->source) tree->nodes[node].bucket = (uint8_t)(i - n < COP_BUCKETS ? i - n : COP_BUCKETS - 1);
    }
}

// What is in flight: the first children of the tree as far as they are this drafter's prediction.
static void ahead(void *state, const cop_view *view, const cop_tree *tree) {
    pearl *p = state;
    int n = view->n_tokens, known = n;
    wait(p);
    bool goes_on = p->n_predicted > n && !memcmp(p->predicted, view->tokens, (size_t)n * sizeof *p->predicted);
    for (int node = COP_TREE_ROOT; goes_on && known < p->n_predicted; known++) {
        node = cop_tree_child(tree, node, p->predicted[known]);
        if (node < 0) break;
    }
    if (!goes_on) memcpy(p->predicted, view->tokens, (size_t)n * sizeof *p->predicted);
    p->n_predicted = known;
    p->most = known + p->depth;
    int room = view->max_tokens + 1;
    if (p->most > room) p->most = room;
    atomic_store(&p->hurry, false);
    cop_task_start(p->task, write_on, p);
}

static void observe(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    (void)view;
    (void)tree;
    (void)rows;
    (void)got;
    wait(state);
}

static const cop_option options[] = {
    COP_OPTION_INT(pearl, threads, 1, 1, COP_MAX_THREADS, "threads of the draft model; the target keeps the others"),
    COP_OPTION_INT(pearl, depth, 8, 1, 32, "tokens to be ahead at most"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_pearl = {
    .name = "pearl", .summary = "a second model writes while the first verifies", .source = "Liu 2025", .needs = COP_NEEDS_SECOND_MODEL,
    .state_size = sizeof(pearl), .options = options, .start = start, .propose = propose, .ahead = ahead, .observe = observe,
    .reset = reset, .stop = stop,
};
