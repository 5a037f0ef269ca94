// Pool: runs of tokens that were seen or computed, by their first token; and Lookahead's window that makes them.
// Source: Fu et al. 2024, lookahead decoding (arXiv:2402.02057). The pool is fed from the text, from what the
//         target found most probable behind rejected rows, and, with `window` above 0, from the window.
//
// The window guesses W tokens ahead on level - 1 levels. In the tree its level 0 is a spine below the root (the
// root is column 0) and from each column a branch goes through the higher levels, so a row at level l of column j
// stands at depth l + j and sees the paper's mask. After a step the highest level's most probable tokens become
// a new level on top, the lowest falls out, and each column with its new token is a run for the pool. A
// controller that prunes will prune the window; `--control fixed` leaves it whole.
//
// Cost:   a scan of the logits of each rejected row and each column (cop_top_tokens), W - 1 + (level - 2) W rows of
//         the window. A key has `runs` runs of level - 1 tokens, 4 bytes each and 4 more a run.
#include <string.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "draft/draft.h"
#include "draft/pairs.h"
#include "draft/top.h"

#define MOST_LEVEL 8
#define MOST_RUNS 8
#define MOST_WINDOW 8
#define MOST_NODES 63

enum { NONE = -1 };

typedef struct pool {
    int32_t level, runs, nodes, keys, window;  // options
    bool rejected;
    cop_draft_setup setup;
    cop_pairs known;      // rows, found as the pair (0, key)
    int32_t *run;         // [known.n][runs][level - 1], NONE behind the end of a shorter one
    uint32_t *used;       // [known.n][runs] 0: free
    uint32_t now;
    int32_t n_counted;    // tokens of the sequence
    int n_levels;         // of the window that are filled
    int32_t guess[MOST_LEVEL - 1][MOST_WINDOW];
} pool;

static void stop(void *state) {
    pool *p = state;
    cop_pairs_fini(&p->known);
    cop_free(p->run);
    cop_free(p->used);
}

static cop_status take_memory(pool *p) {
    COP_TRY(cop_pairs_init(&p->known, p->keys));
    size_t n = (size_t)p->known.n * (size_t)p->runs;
    p->used = cop_alloc_array(n, sizeof *p->used);
    p->run = cop_alloc_array(n * (size_t)(p->level - 1), sizeof *p->run);
    return p->used && p->run ? COP_OK : cop_fail(COP_ERR_NOMEM, "drafter pool: cannot allocate for %zu runs", n);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    pool *p = state;
    p->setup = *setup;
    cop_status st = take_memory(p);
    if (st) stop(p);
    return st;
}

static void reset(void *state) {
    pool *p = state;
    p->n_counted = p->n_levels = 0;
}

// ---- runs ---------------------------------------------------------------------------------------

static int32_t *run_at(const pool *p, int row, int i) { return p->run + ((size_t)row * (size_t)p->runs + (size_t)i) * (size_t)(p->level - 1); }

static uint32_t *used_at(const pool *p, int row) { return p->used + (size_t)row * (size_t)p->runs; }

// Put tokens[n] behind `key`, 1 <= n < level. A run that is there becomes the newest; else the oldest goes.
static void put(pool *p, int32_t key, const int32_t *tokens, int n) {
    bool fresh;
    int row = cop_pairs_claim(&p->known, 0, key, &fresh), at = 0;
    if (row < 0) return;
    size_t bytes = (size_t)(p->level - 1) * sizeof *tokens;
    int32_t run[MOST_LEVEL];
    memset(run, 0xff, sizeof run);
    memcpy(run, tokens, (size_t)n * sizeof *tokens);
    uint32_t *used = used_at(p, row);
    if (fresh) memset(used, 0, (size_t)p->runs * sizeof *used);
    for (int i = 0; i < p->runs; i++) {
        if (used[i] && !memcmp(run_at(p, row, i), run, bytes)) {
            at = i;
            break;
        }
        if (used[i] < used[at]) at = i;
    }
    memcpy(run_at(p, row, at), run, bytes);
    used[at] = ++p->now;
}

static void catch_up(pool *p, const cop_view *view) {
    int n = p->level;
    if (p->n_counted > view->n_tokens) p->n_counted = view->n_tokens;
    for (int end = p->n_counted < n ? n : p->n_counted + 1; end <= view->n_tokens; end++) put(p, view->tokens[end - n], view->tokens + end - n + 1, n - 1);
    p->n_counted = view->n_tokens;
}

// ---- proposing ----------------------------------------------------------------------------------

// How fresh the run is among those of its key, and how far into it.
static uint8_t bucket_of(int rank, int depth) { return (uint8_t)((rank < 8 ? rank : 7) << 3 | (depth < 8 ? depth : 7)); }

static void add_run(const pool *p, cop_tree *tree, const int32_t *run, int rank, int most) {
    int node = COP_TREE_ROOT;
    for (int i = 0; i < p->level - 1 && run[i] != NONE && tree->n_nodes < most; i++) {
        int n = tree->n_nodes;
        node = cop_tree_add(tree, node, run[i], COP_LOGP_NONE);
        if (node < 0) return;
        if (node == n) tree->nodes[node].bucket = bucket_of(rank, i);
    }
}

// The runs behind the root's token, the newest first.
static void propose_runs(const pool *p, cop_tree *tree) {
    int row = cop_pairs_find(&p->known, 0, tree->nodes[COP_TREE_ROOT].token), most = tree->n_nodes + p->nodes;
    if (row < 0) return;
    const uint32_t *used = used_at(p, row);
    uint32_t below = UINT32_MAX;
    for (int rank = 0; rank < p->runs; rank++) {
        int best = -1;
        for (int i = 0; i < p->runs; i++)
            if (used[i] && used[i] < below && (best < 0 || used[i] > used[best])) best = i;
        if (best < 0) return;
        below = used[best];
        add_run(p, tree, run_at(p, row, best), rank, most);
    }
}

// Guesses begin with tokens of the text.
static void begin_window(pool *p, const cop_view *view) {
    for (int j = 0; j < p->window; j++) {
        uint64_t draw = cop_noise_bits(view->seed, COP_NOISE_DRAFT, (uint64_t)view->n_tokens, (uint64_t)j);
        p->guess[0][j] = p->setup.any_token ? p->setup.any_token(p->setup.engine, draw) : view->tokens[draw % (uint64_t)view->n_tokens];
    }
    p->n_levels = 1;
}

static void propose_window(pool *p, const cop_view *view, cop_tree *tree) {
    if (!p->n_levels) begin_window(p, view);
    for (int j = 0, spine = COP_TREE_ROOT; j < p->window && spine >= 0; j++) {
        if (j) spine = cop_tree_add(tree, spine, p->guess[0][j], COP_LOGP_NONE);
        for (int l = 1, node = spine; l < p->n_levels && node >= 0; l++) node = cop_tree_add(tree, node, p->guess[l][j], COP_LOGP_NONE);
    }
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    pool *p = state;
    catch_up(p, view);
    if (p->window) propose_window(p, view, tree);  // first: without all of its rows it is worth little
    propose_runs(p, tree);
}

// ---- learning -----------------------------------------------------------------------------------

static int32_t best_of(const cop_rows_view *rows, int node) {
    int32_t token;
    float value;
    const float *logits = rows->logits(rows->engine, node);
    return logits && cop_top_tokens(logits, rows->V, 1, &token, &value) ? token : NONE;
}

// Move the window one level on: in the computed tree its nodes are found by their tokens.
static void observe_window(pool *p, const cop_tree *tree, const cop_rows_view *rows) {
    int32_t out[MOST_WINDOW];
    for (int j = 0, spine = COP_TREE_ROOT; j < p->window; j++) {
        if (j && spine >= 0) spine = cop_tree_child(tree, spine, p->guess[0][j]);
        int node = spine;
        for (int l = 1; l < p->n_levels && node >= 0; l++) node = cop_tree_child(tree, node, p->guess[l][j]);
        out[j] = node >= 0 ? best_of(rows, node) : NONE;
        if (out[j] == NONE) {
            out[j] = p->guess[p->n_levels - 1][j];  // its row was pruned
        } else if (p->n_levels == p->level - 1) {
            int32_t run[MOST_LEVEL];
            for (int l = 1; l < p->n_levels; l++) run[l - 1] = p->guess[l][j];
            run[p->n_levels - 1] = out[j];
            put(p, j ? p->guess[0][j] : tree->nodes[COP_TREE_ROOT].token, run, p->n_levels);
        }
    }
    if (p->n_levels == p->level - 1) memmove(p->guess[0], p->guess[1], (size_t)(p->n_levels - 1) * sizeof p->guess[0]);
    else p->n_levels++;
    memcpy(p->guess[p->n_levels - 1], out, sizeof out);
}

// What the target would have said next is worth keeping behind the rejected tokens that lead to it.
static void observe_rejected(pool *p, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    bool taken[MOST_NODES + 1] = {true};
    for (int i = 0; i < got->n_path; i++)
        if (got->path[i] <= MOST_NODES) taken[got->path[i]] = true;
    for (int i = 1; i < tree->n_nodes && i <= MOST_NODES; i++) {
        int32_t run[MOST_LEVEL];
        int32_t next = taken[i] ? NONE : best_of(rows, i);
        if (next == NONE || cop_tree_child(tree, i, next) >= 0) continue;  // the child's own run holds this one
        int n = p->level - 1, node = i, at = n;
        run[--at] = next;
        for (; at > 0 && !taken[tree->nodes[node].parent]; node = tree->nodes[node].parent) run[--at] = tree->nodes[node].token;
        put(p, tree->nodes[node].token, run + at, n - at);
    }
}

static void observe(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    pool *p = state;
    (void)view;
    if (p->window && p->n_levels) observe_window(p, tree, rows);
    if (p->rejected) observe_rejected(p, tree, rows, got);
}

static const cop_option options[] = {
    COP_OPTION_INT(pool, level, 4, 2, MOST_LEVEL, "tokens of a run, its key included"),
    COP_OPTION_INT(pool, runs, 4, 1, MOST_RUNS, "runs kept behind a token"),
    COP_OPTION_INT(pool, nodes, 7, 1, MOST_NODES, "nodes to propose, without the window"),
    COP_OPTION_INT(pool, keys, 16384, 4, 131072, "tokens that have runs"),
    COP_OPTION_BOOL(pool, rejected, 1, "keep what the target found probable behind rejected rows"),
    COP_OPTION_INT(pool, window, 0, 0, MOST_WINDOW, "columns of the window; 0: none"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_pool = {
    .name = "pool", .summary = "runs of tokens that were seen or computed, and a window that computes them", .source = "Fu 2024",
    .needs = COP_NEEDS_ROWS, .state_size = sizeof(pool), .options = options,
    .start = start, .propose = propose, .observe = observe, .reset = reset, .stop = stop,
};
