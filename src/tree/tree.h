// The token tree: what was proposed and is waiting to be verified.
//
// Nodes stand in topological order: a parent comes before its children, siblings in the order of their
// proposal. Node 0, the root, is the last committed token. A chain is a tree; plain decoding is the
// tree that holds only the root. Ancestors are a bit set per node (itself included).
// Memory comes with cop_tree_init; adding never allocates. Adding is O(siblings + nodes / 64).
#ifndef COP_TREE_TREE_H
#define COP_TREE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define COP_TREE_ROOT 0
#define COP_LOGP_NONE 1.0f  // a drafter that gives no log-probability
#define COP_BUCKETS 64      // classes of confidence of one drafter

typedef enum cop_proposal {
    COP_POINT = 0,          // no acceptance coin: deterministic, or coupled to the target's noise
    COP_WITHOUT_REPLACEMENT,  // drawn from the parent's proposal distribution, distinct from its siblings
    COP_WITH_REPLACEMENT    // drawn independently; a repeated draw is an alias of its older sibling
} cop_proposal;

typedef struct cop_node {
    int32_t token;
    int parent;            // -1 for the root
    int depth;             // root 0; the node's position is (committed length - 1) + depth
    int first_child, last_child, next_sibling;  // -1: none
    float logp;            // the drafter's log-probability given the parent, or COP_LOGP_NONE
    int tag;               // the drafter's own
    uint8_t source;        // index of the drafter that added it
    uint8_t bucket;        // the drafter's class of confidence, below COP_BUCKETS; controllers learn what each is worth
    uint8_t proposal;      // cop_proposal
    int alias;             // COP_WITH_REPLACEMENT: older sibling whose row it shares, or -1
    int proposal_row;      // distribution its children were drawn from: row of the tree's store, or -1
} cop_node;

typedef struct cop_tree {
    cop_node *nodes;       // [max_nodes]
    int n_nodes, max_nodes;
    int limit, max_depth;  // what may be added now: nodes in all, and depth; reset to the most
    uint8_t source;        // of the nodes that are added now
    uint64_t *ancestors;   // [max_nodes][words]
    int words;
    int *renamed;          // [max_nodes] scratch of cop_tree_prune
    float *proposals;      // [max_proposals][n_vocab], what draws were made from, in float32
    int n_proposals, max_proposals, n_vocab;
} cop_tree;

/* Room for max_nodes nodes, the root included; max_proposals stored distributions of n_vocab (0, 0 when
 * no drafter draws). */
cop_status cop_tree_init(cop_tree *tree, int max_nodes, int max_proposals, int n_vocab);
void cop_tree_fini(cop_tree *tree);  // accepts a zeroed tree

/* Only the root, holding `token`; limits and source are reset. */
void cop_tree_reset(cop_tree *tree, int32_t token);

/* Add `token` below `parent` and return its node; an equal POINT child is merged with the sibling that
 * is there. -1 when the tree is full or `parent` stands at max_depth. logp: COP_LOGP_NONE or <= 0. */
int cop_tree_add(cop_tree *tree, int parent, int32_t token, float logp);

/* Add a child that was drawn from the parent's proposal distribution (cop_tree_proposal). All draws of a node come
 * before its POINT children, in the order of drawing; a repeated draw becomes an alias of its older sibling. -1 when
 * the tree is full or a POINT child is there already. */
int cop_tree_add_draw(cop_tree *tree, int parent, int32_t token, float logp, cop_proposal proposal);

/* The store [n_vocab] for the distribution that the children of `node` are drawn from; NULL when none is left.
 * It must be filled, in float32 and as it was drawn from, before the first child is added. */
float *cop_tree_proposal(cop_tree *tree, int node);

/* The child of `node` that holds `token`, or -1. */
int cop_tree_child(const cop_tree *tree, int node, int32_t token);

/* Is `a` the node `b` or one of its ancestors. */
static inline bool cop_tree_is_ancestor(const cop_tree *tree, int a, int b) {
    return tree->ancestors[(int64_t)b * tree->words + a / 64] >> (a % 64) & 1;
}

/* Remove every node for which keep[node] is false, and all below them; the root stays. Numbers change:
 * map (or NULL) gets the new number of each old node, -1 for removed ones. */
void cop_tree_prune(cop_tree *tree, const bool *keep, int *map);

static inline bool cop_tree_is_full(const cop_tree *tree) { return tree->n_nodes >= tree->limit; }

#endif
