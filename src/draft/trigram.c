// Trigrams: what followed the last two tokens, counted while the text is written, as a tree.
// Source: Liu et al. 2025, ADED (arXiv:2407.12021). Ours differs: best-first search instead of Monte Carlo
//         (which costs 150 rollouts and finds the same paths); every trigram of the text counts once; and
//         counts fade by what came after the same pair instead of growing to a cap, so that what is proposed
//         is a probability. `soft=on` also counts what the target found probable and did not take.
// Cost:   a token is one row of 12 successors to update; proposing some hundred steps of a heap. 108 bytes a pair.
// Not here: the paper's table of a corpus (drafter retrieve has one).
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "draft/draft.h"
#include "draft/frontier.h"
#include "draft/pairs.h"
#include "draft/top.h"

#define FOLLOWERS 12
#define MOST_NODES 63
#define FADE 0.8f       // what a count is worth when the same pair was seen once more
#define SOFT_TOP 3

typedef struct row {
    int32_t token[FOLLOWERS];
    float count[FOLLOWERS];  // 0: free
} row;

typedef struct trigram {
    int32_t nodes, pairs;  // options
    bool soft;
    row *rows;             // [known.n]
    cop_pairs known;
    cop_belief belief[COP_BUCKETS];
    cop_frontier frontier;
    int32_t n_counted;     // tokens of the sequence
} trigram;

static void stop(void *state) {
    trigram *t = state;
    cop_free(t->rows);
    cop_pairs_fini(&t->known);
    cop_frontier_fini(&t->frontier);
}

static cop_status take_memory(trigram *t) {
    COP_TRY(cop_pairs_init(&t->known, t->pairs));
    t->rows = cop_alloc_array((size_t)t->known.n, sizeof *t->rows);
    if (!t->rows) return cop_fail(COP_ERR_NOMEM, "drafter trigram: cannot allocate for %d pairs", t->known.n);
    return cop_frontier_init(&t->frontier, (MOST_NODES + 1) * FOLLOWERS);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    (void)setup;
    cop_status st = take_memory(state);
    if (st) stop(state);
    return st;
}

// What was counted stays: it is true of the model's language, not of this text only.
static void reset(void *state) { ((trigram *)state)->n_counted = 0; }

// ---- rows ---------------------------------------------------------------------------------------

static float sum_of(const row *r) {
    float sum = 0;
    for (int i = 0; i < FOLLOWERS; i++) sum += r->count[i];
    return sum;
}

static void add_count(row *r, int32_t token, float weight) {
    int at = 0;
    for (int i = 0; i < FOLLOWERS; i++) {
        if (r->count[i] > 0 && r->token[i] == token) {
            r->count[i] += weight;
            return;
        }
        if (r->count[i] < r->count[at]) at = i;
    }
    if (r->count[at] > weight) return;
    r->token[at] = token;
    r->count[at] = weight;
}

// Class of a follower: its share of the row's counts, and how much was counted.
static uint8_t bucket_of(float count, float sum) {
    static const float shares[7] = {0.9f, 0.7f, 0.5f, 0.35f, 0.2f, 0.1f, 0.05f}, sums[7] = {1.1f, 1.9f, 2.6f, 3.2f, 3.7f, 4.2f, 4.6f};
    int share = 0, much = 0;
    while (share < 7 && count < shares[share] * sum) share++;
    while (much < 7 && sum > sums[much]) much++;
    return (uint8_t)(much << 3 | share);
}

static float odds_of(const trigram *t, uint8_t bucket, float count, float sum) {
    return cop_belief_of(&t->belief[bucket], count / (sum + 1.5f));
}

// ---- counting -----------------------------------------------------------------------------------

static void judge(trigram *t, const row *r, int32_t next) {
    float sum = sum_of(r);
    for (int i = 0; i < FOLLOWERS; i++)
        if (r->count[i] > 0) cop_belief_add(&t->belief[bucket_of(r->count[i], sum)], r->token[i] == next);
}

static void count(trigram *t, int32_t before, int32_t token, int32_t next) {
    bool fresh;
    int at = cop_pairs_claim(&t->known, before, token, &fresh);
    if (at < 0) return;
    row *r = &t->rows[at];
    if (fresh) memset(r, 0, sizeof *r);
    else judge(t, r, next);
    for (int i = 0; i < FOLLOWERS; i++) r->count[i] *= FADE;
    add_count(r, next, 1);
}

static void catch_up(trigram *t, const cop_view *view) {
    if (t->n_counted > view->n_tokens) t->n_counted = view->n_tokens;
    for (int i = t->n_counted < 2 ? 2 : t->n_counted; i < view->n_tokens; i++) count(t, view->tokens[i - 2], view->tokens[i - 1], view->tokens[i]);
    t->n_counted = view->n_tokens;
}

// ---- proposing ----------------------------------------------------------------------------------

static void push_followers(trigram *t, int32_t before, const cop_tree *tree, int node, float path) {
    int at = cop_pairs_find(&t->known, before, tree->nodes[node].token);
    if (at < 0) return;
    const row *r = &t->rows[at];
    float sum = sum_of(r);
    for (int i = 0; i < FOLLOWERS; i++) {
        if (!(r->count[i] > 0)) continue;
        cop_guess g = {.token = r->token[i], .parent = node, .bucket = bucket_of(r->count[i], sum)};
        g.own = odds_of(t, g.bucket, r->count[i], sum);
        g.path = path * g.own;
        cop_frontier_push(&t->frontier, &g);
    }
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    trigram *t = state;
    catch_up(t, view);
    if (view->n_tokens < 2) return;
    int most = tree->n_nodes + t->nodes;
    cop_guess g;
    cop_frontier_clear(&t->frontier);
    push_followers(t, view->tokens[view->n_tokens - 2], tree, COP_TREE_ROOT, 1);
    for (int tries = 0; tries < MOST_NODES && tree->n_nodes < most && cop_frontier_pop(&t->frontier, &g); tries++) {
        int node = cop_guess_add(&g, tree);
        if (node >= 0) push_followers(t, tree->nodes[g.parent].token, tree, node, g.path);
    }
}

// ---- what the target found probable -------------------------------------------------------------

static void count_soft(trigram *t, int32_t before, int32_t token, const float *logits, int V, int32_t next) {
    int32_t tokens[SOFT_TOP];
    float values[SOFT_TOP];
    bool fresh;
    int at = logits ? cop_pairs_claim(&t->known, before, token, &fresh) : -1;
    if (at < 0) return;
    if (fresh) memset(&t->rows[at], 0, sizeof t->rows[at]);
    int n = cop_top_tokens(logits, V, SOFT_TOP, tokens, values);
    double sum = 0;
    for (int i = 0; i < n; i++) sum += cop_exp((double)(values[i] - values[0]));
    for (int i = 0; i < n; i++)
        if (tokens[i] != next) add_count(&t->rows[at], tokens[i], 0.5f * (float)(cop_exp((double)(values[i] - values[0])) / sum));
}

static void observe(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    trigram *t = state;
    (void)tree;
    if (!t->soft || view->n_tokens < 2) return;
    int32_t before = view->tokens[view->n_tokens - 2], token = view->tokens[view->n_tokens - 1];
    for (int i = 0; i < got->n_tokens && i <= got->n_path; i++) {
        count_soft(t, before, token, rows->logits(rows->engine, i ? got->path[i - 1] : COP_TREE_ROOT), rows->V, got->tokens[i]);
        before = token;
        token = got->tokens[i];
    }
}

static const cop_option options[] = {
    COP_OPTION_INT(trigram, nodes, 7, 1, MOST_NODES, "nodes to propose"),
    COP_OPTION_INT(trigram, pairs, 16384, 4, 262144, "pairs of tokens whose followers are counted"),
    COP_OPTION_BOOL(trigram, soft, 0, "also count what the target found probable and did not take"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_trigram = {
    .name = "trigram", .summary = "what followed the last two tokens, by counts", .source = "Liu 2025 (ADED)",
    .needs = COP_IN_AUTO, .auto_options = "nodes=16", .state_size = sizeof(trigram), .options = options,
    .start = start, .propose = propose, .observe = observe, .reset = reset, .stop = stop,
};
