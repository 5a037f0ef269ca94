// Threshold: a node is worth a row while the drafter believes in its path. SpecDec++: a path goes on until a
// rejection somewhere in it has become likely.
// Sources: the confidence stop of assisted generation (p_min); SpecDec++, Huang et al. 2024 (arXiv:2405.19715),
//          whose trained acceptance head stands behind the same rule: until one is trained, the drafter's own
//          probability of each token takes its place.
// Nodes without a belief (COP_LOGP_NONE) count as certain. O(nodes x depth).
#include "base/maths.h"
#include "control/control.h"

typedef struct threshold {
    float p, stop;
} threshold;

// The drafter's probability of the whole path down to this node.
static float path_probability(const cop_tree *tree, int node) {
    double logp = 0;
    for (; node > COP_TREE_ROOT; node = tree->nodes[node].parent)
        if (tree->nodes[node].logp <= 0) logp += (double)tree->nodes[node].logp;
    return logp < -80 ? 0.0f : (float)cop_exp(logp);
}

static void by_path(void *state, const cop_view *view, const cop_tree *tree, bool *keep) {
    const threshold *t = state;
    (void)view;
    for (int i = 1; i < tree->n_nodes; i++) keep[i] = path_probability(tree, i) >= t->p;
}

static void by_rejection(void *state, const cop_view *view, const cop_tree *tree, bool *keep) {
    const threshold *t = state;
    (void)view;
    for (int i = 1; i < tree->n_nodes; i++) keep[i] = 1.0f - path_probability(tree, tree->nodes[i].parent) <= t->stop;
}

static const cop_option threshold_options[] = {
    COP_OPTION_FLOAT(threshold, p, 0.1, 0, 1, "the least probability of a path"),
    COP_OPTION_END,
};
static const cop_option specdecpp_options[] = {
    COP_OPTION_FLOAT(threshold, stop, 0.7, 0, 1, "stop when a rejection is this probable"),
    COP_OPTION_END,
};

const cop_controller_type cop_controller_threshold = {
    .name = "threshold", .summary = "while the drafter believes in the path", .source = "Leviathan 2023",
    .state_size = sizeof(threshold), .options = threshold_options, .prune = by_path,
};
const cop_controller_type cop_controller_specdecpp = {
    .name = "specdecpp", .summary = "until a rejection has become likely", .source = "Huang 2024",
    .state_size = sizeof(threshold), .options = specdecpp_options, .prune = by_rejection,
};
