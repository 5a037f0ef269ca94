#include "tree/tree.h"

#include <string.h>

#include "base/alloc.h"

cop_status cop_tree_init(cop_tree *tree, int max_nodes, int max_proposals, int n_vocab) {
    *tree = (cop_tree){0};
    if (max_nodes < 1 || max_proposals < 0 || n_vocab < 0)
        return cop_fail(COP_ERR_ARG, "tree of %d nodes, must be at least 1", max_nodes);
    int words = (max_nodes + 63) / 64;
    tree->nodes = cop_alloc_array((size_t)max_nodes, sizeof *tree->nodes);
    tree->ancestors = cop_alloc_array((size_t)max_nodes * (size_t)words, sizeof *tree->ancestors);
    tree->renamed = cop_alloc_array((size_t)max_nodes, sizeof *tree->renamed);
    size_t n;
    if (!cop_mul_size((size_t)max_proposals, (size_t)n_vocab, &n)) n = SIZE_MAX / sizeof(float);
    tree->proposals = n ? cop_alloc_array(n, sizeof(float)) : NULL;
    if (!tree->nodes || !tree->ancestors || !tree->renamed || (n && !tree->proposals)) {
        cop_tree_fini(tree);
        return cop_fail(COP_ERR_NOMEM, "tree of %d nodes: cannot allocate", max_nodes);
    }
    tree->max_nodes = tree->limit = tree->max_depth = max_nodes;
    tree->words = words;
    tree->max_proposals = max_proposals;
    tree->n_vocab = n_vocab;
    return COP_OK;
}

void cop_tree_fini(cop_tree *tree) {
    cop_free(tree->nodes);
    cop_free(tree->ancestors);
    cop_free(tree->renamed);
    cop_free(tree->proposals);
    *tree = (cop_tree){0};
}

static int append(cop_tree *tree, int parent, int32_t token, float logp) {
    int i = tree->n_nodes++;
    tree->nodes[i] = (cop_node){.token = token, .parent = parent, .first_child = -1, .last_child = -1,
                                .next_sibling = -1, .logp = logp, .source = tree->source, .alias = -1, .proposal_row = -1};
    uint64_t *bits = tree->ancestors + (int64_t)i * tree->words;
    if (parent < 0) memset(bits, 0, (size_t)tree->words * sizeof *bits);
    else memcpy(bits, tree->ancestors + (int64_t)parent * tree->words, (size_t)tree->words * sizeof *bits);
    bits[i / 64] |= (uint64_t)1 << (i % 64);
    if (parent < 0) return i;

    cop_node *p = &tree->nodes[parent];
    tree->nodes[i].depth = p->depth + 1;
    if (p->last_child < 0) p->first_child = i;
    else tree->nodes[p->last_child].next_sibling = i;
    p->last_child = i;
    return i;
}

void cop_tree_reset(cop_tree *tree, int32_t token) {
    tree->n_nodes = tree->n_proposals = 0;
    tree->limit = tree->max_depth = tree->max_nodes;
    tree->source = 0;
    append(tree, -1, token, COP_LOGP_NONE);
}

int cop_tree_child(const cop_tree *tree, int node, int32_t token) {
    for (int c = tree->nodes[node].first_child; c >= 0; c = tree->nodes[c].next_sibling)
        if (tree->nodes[c].token == token) return c;
    return -1;
}

int cop_tree_add(cop_tree *tree, int parent, int32_t token, float logp) {
    int there = cop_tree_child(tree, parent, token);
    if (there >= 0) return there;
    return cop_tree_is_full(tree) || tree->nodes[parent].depth >= tree->max_depth ? -1 : append(tree, parent, token, logp);
}

int cop_tree_add_draw(cop_tree *tree, int parent, int32_t token, float logp, cop_proposal proposal) {
    const cop_node *p = &tree->nodes[parent];
    if (cop_tree_is_full(tree) || p->depth >= tree->max_depth || p->proposal_row < 0) return -1;
    if (p->last_child >= 0 && tree->nodes[p->last_child].proposal == COP_POINT) return -1;
    int there = cop_tree_child(tree, parent, token), i = append(tree, parent, token, logp);
    tree->nodes[i].proposal = (uint8_t)proposal;
    tree->nodes[i].alias = there;
    return i;
}

float *cop_tree_proposal(cop_tree *tree, int node) {
    cop_node *n = &tree->nodes[node];
    if (n->proposal_row < 0) {
        if (tree->n_proposals >= tree->max_proposals) return NULL;
        n->proposal_row = tree->n_proposals++;
    }
    return tree->proposals + (int64_t)n->proposal_row * tree->n_vocab;
}

// Parents come before children and keep their order, so one pass rebuilds everything in place: a
// node's new number is never above its old one.
void cop_tree_prune(cop_tree *tree, const bool *keep, int *map) {
    int n = tree->n_nodes;
    int *renamed = tree->renamed;
    tree->n_nodes = 0;
    for (int i = 0; i < n; i++) {
        cop_node old = tree->nodes[i];
        int parent = old.parent < 0 ? -1 : renamed[old.parent];
        bool stays = old.parent < 0 || (keep[i] && parent >= 0);
        renamed[i] = stays ? append(tree, parent, old.token, old.logp) : -1;
        if (map) map[i] = renamed[i];
        if (!stays) continue;
        cop_node *node = &tree->nodes[renamed[i]];
        node->tag = old.tag;
        node->source = old.source;
        node->bucket = old.bucket;
        node->proposal = old.proposal;
        node->proposal_row = old.proposal_row;
        node->alias = old.alias < 0 ? -1 : renamed[old.alias];
    }
}
