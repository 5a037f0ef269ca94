// Goodput: the draft length with most expected tokens per second, from one moving acceptance rate.
// Source: SmartSpec, Liu et al. 2024 (arXiv:2406.14066). The linear cost of the paper is replaced by the
// measured staircase of this machine; a tree counts by its nodes ("verification length").
// In a batch the other requests' rows and tokens count, too: at high load lengths go to zero.
#include <string.h>

#include "control/learn.h"

typedef struct goodput {
    int32_t most, explore;
    cop_cost own, *cost;    // *cost: the scheduler's, or own
    cop_control_setup setup;
    double accepted_rate;   // of one token, moving
    int length, step;
} goodput;

static cop_status start(void *state, const cop_control_setup *setup) {
    goodput *g = state;
    g->setup = *setup;
    cop_cost_init(&g->own);
    g->cost = setup->cost ? setup->cost : &g->own;
    g->accepted_rate = 0.5;
    return COP_OK;
}

static int best_length(const goodput *g, const cop_others *others) {
    double tokens = 1 + others->tokens, power = 1, best = tokens / cop_cost_ratio(g->cost, 1 + others->rows);
    int length = 0, most = g->most < g->setup.max_nodes - 1 ? g->most : g->setup.max_nodes - 1;
    for (int k = 1; k <= most; k++) {
        power *= g->accepted_rate;
        tokens += power;
        double rate = tokens / cop_cost_ratio(g->cost, k + 1 + others->rows);
        if (rate <= best) continue;
        best = rate;
        length = k;
    }
    return length;
}

static cop_admission admit(void *state, const cop_view *view, const cop_tree *tree, int drafter) {
    goodput *g = state;
    (void)tree;
    if (drafter == 0) {
        cop_cost_set_context(g->cost, view->n_tokens);
        g->step++;
        g->length = g->cost->n_plain < 3 ? 0 : best_length(g, &view->others);
        // Lengths that are never tried have no statistics.
        if (g->explore && g->step % g->explore == 0) g->length = g->length ? 0 : 1;
    }
    return (cop_admission){g->length ? g->length + 1 : 0, g->length};
}

static void account(void *state, const cop_view *view, const cop_step_report *r) {
    goodput *g = state;
    (void)view;
    if (g->cost == &g->own) cop_cost_add(g->cost, r->n_rows, r->verify_seconds);
    int accepted = r->got->n_path;
    if (r->n_tree < 2) return;
    int tried = accepted < g->length ? accepted + 1 : accepted;
    for (int i = 0; i < tried; i++) g->accepted_rate += ((i < accepted ? 1 : 0) - g->accepted_rate) * 0.05;
}

static const cop_option options[] = {
    COP_OPTION_INT(goodput, most, 16, 1, 63, "nodes at most"),
    COP_OPTION_INT(goodput, explore, 32, 0, 100000, "every so many steps one more, or none; 0: never"),
    COP_OPTION_END,
};

const cop_controller_type cop_controller_goodput = {
    .name = "goodput", .summary = "the length with most expected tokens per second", .source = "Liu 2024",
    .state_size = sizeof(goodput), .options = options, .start = start, .admit = admit, .account = account,
};
