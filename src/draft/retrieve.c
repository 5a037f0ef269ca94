// Retrieve: what followed the longest suffix of the text in a store of texts, the most frequent first.
// Sources: He et al. 2024, REST (arXiv:2311.08252). Ours differs: matches are not collected and counted, since
//          the store is sorted and counts are widths of intervals, so all matches count and none is copied.
//          Quan et al. 2025, RASD (arXiv:2503.03434): behind a drafter that gives probabilities (model+retrieve)
//          equal beginnings share nodes, what it listed too is believed by both, and what it left out has only
//          the probability that it left over and goes when that is below `prune`.
// Cost:    some ten binary searches of the mapped file, then two for each node and branch: tens of microseconds in memory.
// Not here: making the store (draft/suffixes, `coppice index`).
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "draft/draft.h"
#include "draft/frontier.h"
#include "draft/suffixes.h"

#define MOST_NODES 63
#define MOST_MATCH 64

typedef struct retrieve {
    char store[COP_OPTION_TEXT_BYTES];    // options
    int32_t nodes, most, least;
    float prune;
    cop_suffixes suffixes;
    cop_frontier frontier;
    cop_belief belief[COP_BUCKETS];
    int32_t tip[COP_SUFFIX_SPLITS];  // what was proposed for position tip_at, to be judged
    uint8_t tip_bucket[COP_SUFFIX_SPLITS];
    int n_tips, tip_at;
} retrieve;

static void stop(void *state) {
    retrieve *r = state;
    cop_suffixes_close(&r->suffixes);
    cop_frontier_fini(&r->frontier);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    retrieve *r = state;
    if (!*r->store) return cop_fail(COP_ERR_ARG, "drafter retrieve: needs a store (retrieve:store=FILE; `coppice index` makes one)");
    COP_TRY(cop_suffixes_open(&r->suffixes, r->store, setup->V));
    cop_status st = cop_frontier_init(&r->frontier, (MOST_NODES + 1) * COP_SUFFIX_SPLITS);
    if (st) stop(r);
    return st;
}

static void reset(void *state) { ((retrieve *)state)->n_tips = 0; }

// The longest suffix of the text that is in the store. What a longer one has a shorter one has, too: so lengths are searched.
static cop_interval find_longest(const retrieve *r, const cop_view *view, int *length) {
    int low = 0, high = r->most < view->n_tokens ? r->most : view->n_tokens;
    cop_interval in = {0, 0};
    while (low < high) {
        int middle = (low + high + 1) / 2;
        cop_interval found = cop_suffixes_find(&r->suffixes, view->tokens + view->n_tokens - middle, middle);
        if (found.low < found.high) low = middle, in = found;
        else high = middle - 1;
    }
    *length = low;
    return in;
}

// Class of a part: how long its match is, its share, and of how many.
static uint8_t bucket_of(int length, int64_t width, int64_t all) {
    static const int8_t longer[7] = {2, 3, 4, 6, 9, 13, 18};
    int much = 0, share = 0;
    while (much < 7 && length > longer[much]) much++;
    if (width == all) share = width == 1 ? 0 : width < 4 ? 1 : 2;
    else share = width * 10 >= all * 7 ? 3 : width * 2 >= all ? 4 : width * 10 >= all * 3 ? 5 : width * 8 >= all ? 6 : 7;
    return (uint8_t)(much << 3 | share);
}

// What another drafter believes of `token` below `node`; what it left over for all others; false when there is none.
static bool ask_tree(const cop_tree *tree, int node, int32_t token, float *of_token, float *left) {
    bool asked = false;
    *of_token = -1;
    *left = 1;
    for (int c = tree->nodes[node].first_child; c >= 0; c = tree->nodes[c].next_sibling) {
        const cop_node *n = &tree->nodes[c];
        if (n->source == tree->source || n->logp > 0) continue;
        float q = n->logp < -20 ? 0 : (float)cop_exp((double)n->logp);
        asked = true;
        *left -= q;
        if (n->token == token) *of_token = q;
    }
    if (*left < 0) *left = 0;
    return asked;
}

static void push_parts(retrieve *r, const cop_tree *tree, cop_interval in, int length, int depth, int node, float path) {
    int32_t tokens[COP_SUFFIX_SPLITS];
    cop_interval parts[COP_SUFFIX_SPLITS];
    int n = cop_suffixes_split(&r->suffixes, in, length + depth, tokens, parts);
    for (int i = 0; i < n; i++) {
        int64_t width = parts[i].high - parts[i].low, all = in.high - in.low;
        cop_guess g = {.token = tokens[i], .parent = node, .low = parts[i].low, .high = parts[i].high};
        g.bucket = bucket_of(length + depth, width, all);
        g.own = cop_belief_of(&r->belief[g.bucket], 0.8f * (float)width / (float)(all + 1));
        if (node == COP_TREE_ROOT) {
            r->tip[r->n_tips] = g.token;
            r->tip_bucket[r->n_tips++] = g.bucket;
        }
        float q, left;
        if (ask_tree(tree, node, g.token, &q, &left)) {
            if (q >= 0) g.own = (g.own + q) / 2;
            else if (g.own > left) g.own = left;
            if (g.own < r->prune) continue;
        }
        g.path = path * g.own;
        cop_frontier_push(&r->frontier, &g);
    }
}

static void judge_tips(retrieve *r, const cop_view *view) {
    if (r->tip_at < view->n_tokens)
        for (int i = 0; i < r->n_tips; i++) cop_belief_add(&r->belief[r->tip_bucket[i]], view->tokens[r->tip_at] == r->tip[i]);
    r->n_tips = 0;
    r->tip_at = view->n_tokens;
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    retrieve *r = state;
    int length, most = tree->n_nodes + r->nodes;
    cop_guess g;
    judge_tips(r, view);
    cop_interval in = find_longest(r, view, &length);
    if (length < r->least) return;
    cop_frontier_clear(&r->frontier);
    push_parts(r, tree, in, length, 0, COP_TREE_ROOT, 1);
    for (int tries = 0; tries < MOST_NODES && tree->n_nodes < most && cop_frontier_pop(&r->frontier, &g); tries++) {
        int node = cop_guess_add(&g, tree);
        if (node >= 0) push_parts(r, tree, (cop_interval){g.low, g.high}, length, tree->nodes[node].depth, node, g.path);
    }
}

static const cop_option options[] = {
    COP_OPTION_TEXT(retrieve, store, "the store, a file that `coppice index` made"),
    COP_OPTION_INT(retrieve, nodes, 7, 1, MOST_NODES, "nodes to propose"),
    COP_OPTION_INT(retrieve, most, 16, 1, MOST_MATCH, "tokens of the text that are looked up at most"),
    COP_OPTION_INT(retrieve, least, 2, 1, 16, "tokens that must match"),
    COP_OPTION_FLOAT(retrieve, prune, 0.001, 0, 1, "behind a model: drop what is less probable"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_retrieve = {
    .name = "retrieve", .summary = "what followed the same tokens in a store of texts", .source = "He 2024; Quan 2025",
    .needs = COP_NEEDS_STORE, .state_size = sizeof(retrieve), .options = options,
    .start = start, .propose = propose, .reset = reset, .stop = stop,
};
