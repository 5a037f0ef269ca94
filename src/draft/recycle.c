// Token recycling: the tokens that the target last found most probable after each token make the next tree.
// Source: Luo et al. 2025 (arXiv:2408.08696). Ours differs: the tree grows best-first by what was learnt of
//         each class of entry (its rank, and how sure the target was), because a CPU affords few nodes (the
//         paper's tree of 80 is `template=on`); a second table has two tokens as its key, since one is little
//         context; and entries that were never set propose nothing.
// Cost:   observing is one scan of the logits of each row of the tree (cop_top_tokens); proposing a few
//         hundred steps of a heap. 5 k bytes a token of the vocabulary, 5 k + 12 bytes a pair.
// Not here: rows of the prefill, whose logits are not computed.
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/maths.h"
#include "draft/draft.h"
#include "draft/frontier.h"
#include "draft/pairs.h"
#include "draft/top.h"

#define MOST_NODES 63

// Successors of one token or pair, [k] falling, UNSET behind the last; sure[] is the class of probability.
typedef struct table {
    int32_t *token;
    uint8_t *sure;
} table;

typedef struct recycle {
    int32_t k, nodes, pairs;  // options
    bool template;
    int V;
    table one, two;           // [V][k], [rows][k]
    cop_pairs rows;           // of the second table
    cop_belief belief[COP_BUCKETS];
    cop_frontier frontier;
} recycle;

enum { UNSET = -1 };

// ---- tables -------------------------------------------------------------------------------------

static cop_status open_table(table *t, size_t rows, int k) {
    size_t n = rows * (size_t)k;
    t->token = cop_alloc_array(n, sizeof *t->token);
    t->sure = cop_alloc(n);
    if (!t->token || !t->sure) return cop_fail(COP_ERR_NOMEM, "drafter recycle: cannot allocate for %zu tokens", n);
    memset(t->token, 0xff, n * sizeof *t->token);
    return COP_OK;
}

static void close_table(table *t) {
    cop_free(t->token);
    cop_free(t->sure);
}

static void stop(void *state) {
    recycle *r = state;
    close_table(&r->one);
    close_table(&r->two);
    cop_pairs_fini(&r->rows);
    cop_frontier_fini(&r->frontier);
}

static cop_status take_memory(recycle *r) {
    COP_TRY(open_table(&r->one, (size_t)r->V, r->k));
    COP_TRY(cop_pairs_init(&r->rows, r->pairs));
    COP_TRY(open_table(&r->two, (size_t)r->rows.n, r->k));
    return cop_frontier_init(&r->frontier, (MOST_NODES + 1) * r->k);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    recycle *r = state;
    r->V = setup->V;
    cop_status st = take_memory(r);
    if (st) stop(r);
    return st;
}

static bool is_token(const recycle *r, int32_t token) { return token >= 0 && token < r->V; }

// ---- classes of entries -------------------------------------------------------------------------

static const float sure_from[8] = {0.95f, 0.8f, 0.6f, 0.4f, 0.2f, 0.1f, 0.03f, 0};

static uint8_t sure_class(double p) {
    uint8_t c = 0;
    while (c < 7 && p < (double)sure_from[c]) c++;
    return c;
}

static uint8_t rank_class(int rank) { return rank < 2 ? (uint8_t)rank : rank < 4 ? 2 : 3; }

static uint8_t bucket_of(bool pair, int rank, uint8_t sure) { return (uint8_t)(pair << 5 | rank_class(rank) << 3 | sure); }

static float odds_of(const recycle *r, uint8_t bucket) {
    float p = sure_from[bucket & 7] + 0.02f;
    return cop_belief_of(&r->belief[bucket], bucket >> 5 ? 0.9f * p : 0.5f * p);
}

typedef struct successors {
    const int32_t *token;
    const uint8_t *sure;
    bool pair;
} successors;

// What is known after (before, token): of the pair, else of the token.
static successors look_up(const recycle *r, int32_t before, int32_t token) {
    int row = cop_pairs_find(&r->rows, before, token);
    const table *t = row >= 0 ? &r->two : &r->one;
    size_t at = (size_t)(row >= 0 ? row : token) * (size_t)r->k;
    return (successors){t->token + at, t->sure + at, row >= 0};
}

// ---- proposing ----------------------------------------------------------------------------------

static int32_t token_before(const cop_view *view, const cop_tree *tree, int node) {
    if (node != COP_TREE_ROOT) return tree->nodes[tree->nodes[node].parent].token;
    return view->n_tokens > 1 ? view->tokens[view->n_tokens - 2] : UNSET;
}

static void push_successors(recycle *r, const cop_view *view, const cop_tree *tree, int node, float path) {
    int32_t token = tree->nodes[node].token;
    if (!is_token(r, token)) return;
    successors s = look_up(r, token_before(view, tree, node), token);
    for (int rank = 0; rank < r->k && s.token[rank] != UNSET; rank++) {
        cop_guess g = {.token = s.token[rank], .parent = node, .bucket = bucket_of(s.pair, rank, s.sure[rank])};
        g.own = odds_of(r, g.bucket);
        g.path = path * g.own;
        cop_frontier_push(&r->frontier, &g);
    }
}

static void grow_best_first(recycle *r, const cop_view *view, cop_tree *tree) {
    int most = tree->n_nodes + r->nodes;
    cop_guess g;
    cop_frontier_clear(&r->frontier);
    push_successors(r, view, tree, COP_TREE_ROOT, 1);
    for (int tries = 0; tries < MOST_NODES && tree->n_nodes < most && cop_frontier_pop(&r->frontier, &g); tries++) {
        int node = cop_guess_add(&g, tree);
        if (node >= 0) push_successors(r, view, tree, node, g.path);
    }
}

// The paper's tree, level by level: how many children each of its nodes has, ranks 0, 1, ...
static const uint8_t template_children[] = {
    8,                                                                    // the root
    8, 4, 3, 2, 1, 1, 1, 1,                                               // below it, by rank
    8, 3, 2, 1, 1, 1, 1, 1,  2, 1, 0, 0,  1, 0, 0,  1, 0,  1, 1, 0, 0,    // 00 to 07, 10 to 13, 20 to 22, 30, 31, 40, 50, 60, 70
    5, 2, 1, 1, 1, 0, 0, 0,  1, 0, 0,  1, 0,  0, 0, 0, 0, 0,  1, 0,  0,  1,  1,  0,  0,
    3, 1, 1, 0, 0,  1, 0,  0, 0, 0,  1,  0,  1,  0, 0,
    2, 0, 0,  1,  0,  0,  0,  0,
};
#define TEMPLATE_INNER ((int)sizeof template_children)
#define TEMPLATE_NODES 81  // with the root

static void grow_template(recycle *r, const cop_view *view, cop_tree *tree) {
    int node_of[TEMPLATE_NODES], n = 1, most = tree->n_nodes + r->nodes;
    node_of[0] = COP_TREE_ROOT;
    for (int i = 0; i < TEMPLATE_INNER; i++) {
        int node = node_of[i];
        successors s = {0};
        if (node >= 0 && is_token(r, tree->nodes[node].token)) s = look_up(r, token_before(view, tree, node), tree->nodes[node].token);
        for (int rank = 0; rank < template_children[i]; rank++) {
            int *child = &node_of[n++];
            *child = -1;
            if (!s.token || rank >= r->k || s.token[rank] == UNSET || tree->n_nodes >= most) continue;
            uint8_t bucket = bucket_of(s.pair, rank, s.sure[rank]);
            const cop_guess g = {.own = odds_of(r, bucket), .token = s.token[rank], .parent = node, .bucket = bucket};
            *child = cop_guess_add(&g, tree);
        }
    }
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    recycle *r = state;
    if (r->template) grow_template(r, view, tree);
    else grow_best_first(r, view, tree);
}

// ---- learning -----------------------------------------------------------------------------------

// What the tables said of the tokens that came, before they learn of them.
static void judge(recycle *r, const cop_view *view, const cop_accepted *got) {
    int32_t before = view->n_tokens > 1 ? view->tokens[view->n_tokens - 2] : UNSET, token = view->tokens[view->n_tokens - 1];
    for (int i = 0; i < got->n_tokens && is_token(r, token); i++) {
        successors s = look_up(r, before, token);
        for (int rank = 0; rank < r->k && s.token[rank] != UNSET; rank++)
            cop_belief_add(&r->belief[bucket_of(s.pair, rank, s.sure[rank])], s.token[rank] == got->tokens[i]);
        before = token;
        token = got->tokens[i];
    }
}

static void write_row(const recycle *r, const table *t, int row, const int32_t *tokens, const uint8_t *sure, int n) {
    size_t at = (size_t)row * (size_t)r->k;
    memset(t->token + at, 0xff, (size_t)r->k * sizeof *t->token);
    memcpy(t->token + at, tokens, (size_t)n * sizeof *tokens);
    memcpy(t->sure + at, sure, (size_t)n);
}

static void learn_row(recycle *r, int32_t before, int32_t token, const float *logits) {
    int32_t tokens[COP_TOP_MOST];
    float values[COP_TOP_MOST];
    uint8_t sure[COP_TOP_MOST];
    double e[COP_TOP_MOST], sum = 0;
    if (!logits || !is_token(r, token)) return;
    int n = cop_top_tokens(logits, r->V, r->k, tokens, values);
    for (int i = 0; i < n; i++) sum += e[i] = cop_exp((double)(values[i] - values[0]));
    for (int i = 0; i < n; i++) sure[i] = sure_class(e[i] / sum);
    write_row(r, &r->one, token, tokens, sure, n);
    bool fresh;
    int pair = cop_pairs_claim(&r->rows, before, token, &fresh);
    if (pair >= 0) write_row(r, &r->two, pair, tokens, sure, n);
}

// Rows in the order of the tree, those of the text last, so that they have the last word.
static void observe(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    recycle *r = state;
    bool taken[MOST_NODES + 1] = {false};
    judge(r, view, got);
    for (int i = 0; i < got->n_path; i++)
        if (got->path[i] <= MOST_NODES) taken[got->path[i]] = true;
    for (int i = 1; i < tree->n_nodes && i <= MOST_NODES; i++)
        if (!taken[i]) learn_row(r, token_before(view, tree, i), tree->nodes[i].token, rows->logits(rows->engine, i));
    learn_row(r, token_before(view, tree, COP_TREE_ROOT), tree->nodes[COP_TREE_ROOT].token, rows->logits(rows->engine, COP_TREE_ROOT));
    for (int i = 0; i < got->n_path; i++) {
        int node = got->path[i];
        learn_row(r, token_before(view, tree, node), tree->nodes[node].token, rows->logits(rows->engine, node));
    }
}

// ---- the file -----------------------------------------------------------------------------------
//
// A header, the beliefs, then the rows of single tokens that are set, by rising token: the token, its k
// successors (UNSET behind the last), their classes. Little-endian. Pairs are not kept.

typedef struct header {
    char magic[8];
    uint64_t checksum;  // XXH3 of everything behind it
    uint32_t V, k, n_rows, zero;
} header;

#define MAGIC "COPRCYC"
#define UNCHECKED (sizeof(char[8]) + sizeof(uint64_t))

static size_t row_bytes(size_t k) { return sizeof(int32_t) * (k + 1) + k; }

static cop_status save(const void *state, const char *path) {
    const recycle *r = state;
    size_t k = (size_t)r->k;
    header h = {.magic = MAGIC, .V = (uint32_t)r->V, .k = (uint32_t)k};
    for (int32_t t = 0; t < r->V; t++) h.n_rows += r->one.token[(size_t)t * k] != UNSET;
    size_t bytes = sizeof h + sizeof r->belief + h.n_rows * row_bytes(k);
    uint8_t *data = cop_alloc(bytes), *at = data;
    if (!data) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate %zu bytes", path, bytes);
    at += sizeof h;
    memcpy(at, r->belief, sizeof r->belief);
    at += sizeof r->belief;
    for (int32_t t = 0; t < r->V; t++) {
        if (r->one.token[(size_t)t * k] == UNSET) continue;
        memcpy(at, &t, sizeof t);
        memcpy(at + sizeof t, r->one.token + (size_t)t * k, sizeof t * k);
        memcpy(at + sizeof t * (k + 1), r->one.sure + (size_t)t * k, k);
        at += row_bytes(k);
    }
    memcpy(data, &h, sizeof h);
    h.checksum = XXH3_64bits(data + UNCHECKED, bytes - UNCHECKED);
    memcpy(data, &h, sizeof h);
    cop_status st = cop_file_write(path, data, bytes);
    cop_free(data);
    return st;
}

static cop_status check_row(const recycle *r, const uint8_t *row, size_t k, int32_t *last) {
    int32_t token;
    memcpy(&token, row, sizeof token);
    if (token <= *last || token >= r->V) return cop_fail(COP_ERR_FORMAT, "row of token %d behind that of %d, the vocabulary has %d", token, *last, r->V);
    *last = token;
    for (size_t i = 0; i < k; i++) {
        int32_t next;
        memcpy(&next, row + sizeof next * (i + 1), sizeof next);
        if (next < UNSET || next >= r->V || row[sizeof next * (k + 1) + i] > 7)
            return cop_fail(COP_ERR_FORMAT, "row of token %d: successor %zu is %d of class %d", token, i, next, row[sizeof next * (k + 1) + i]);
    }
    return COP_OK;
}

static cop_status check_beliefs(const uint8_t *data) {
    cop_belief b;
    for (int i = 0; i < COP_BUCKETS; i++) {
        memcpy(&b, data + (size_t)i * sizeof b, sizeof b);
        if (!(b.tried >= 0 && b.tried < 1e4f && b.hit >= 0 && b.hit <= b.tried))
            return cop_fail(COP_ERR_FORMAT, "class %d: %g hits of %g", i, (double)b.hit, (double)b.tried);
    }
    return COP_OK;
}

static cop_status check_file(const recycle *r, const uint8_t *data, size_t bytes, header *h) {
    size_t start = sizeof *h + sizeof r->belief;
    if (bytes < start) return cop_fail(COP_ERR_FORMAT, "%zu bytes, need %zu", bytes, start);
    memcpy(h, data, sizeof *h);
    if (memcmp(h->magic, MAGIC, sizeof h->magic)) return cop_fail(COP_ERR_FORMAT, "no saved matrix of drafter recycle");
    if (h->V != (uint32_t)r->V) return cop_fail(COP_ERR_FORMAT, "of a vocabulary of %u, this model has %d", h->V, r->V);
    if (h->k < 1 || h->k > COP_TOP_MOST || h->n_rows > h->V || bytes - start != h->n_rows * row_bytes(h->k))
        return cop_fail(COP_ERR_FORMAT, "%zu bytes for %u rows of %u", bytes, h->n_rows, h->k);
    if (XXH3_64bits(data + UNCHECKED, bytes - UNCHECKED) != h->checksum) return cop_fail(COP_ERR_FORMAT, "checksum does not match");
    COP_TRY(check_beliefs(data + sizeof *h));
    int32_t last = -1;
    for (size_t i = 0; i < h->n_rows; i++) COP_TRY(check_row(r, data + start + i * row_bytes(h->k), h->k, &last));
    return COP_OK;
}

static cop_status load(void *state, const char *path) {
    recycle *r = state;
    char *data;
    size_t bytes, most = sizeof(header) + sizeof r->belief + (size_t)r->V * row_bytes(COP_TOP_MOST);
    COP_TRY(cop_file_read(path, most, &data, &bytes));
    header h;
    cop_status st = check_file(r, (const uint8_t *)data, bytes, &h);
    if (st) {
        cop_fail_note("%s", path);
        cop_free(data);
        return st;
    }
    const char *row = data + sizeof h + sizeof r->belief;
    int n = h.k < (uint32_t)r->k ? (int)h.k : r->k;
    memcpy(r->belief, data + sizeof h, sizeof r->belief);
    for (uint32_t i = 0; i < h.n_rows; i++, row += row_bytes(h.k)) {
        int32_t token, next[COP_TOP_MOST];
        memcpy(&token, row, sizeof token);
        memcpy(next, row + sizeof token, (size_t)n * sizeof *next);
        write_row(r, &r->one, token, next, (const uint8_t *)row + sizeof token * (h.k + 1), n);
    }
    cop_free(data);
    return COP_OK;
}

static const cop_option options[] = {
    COP_OPTION_INT(recycle, k, 8, 1, COP_TOP_MOST, "successors kept of each token"),
    COP_OPTION_INT(recycle, nodes, 7, 1, MOST_NODES, "nodes to propose"),
    COP_OPTION_BOOL(recycle, template, 0, "the paper's static tree instead of the most probable nodes"),
    COP_OPTION_INT(recycle, pairs, 16384, 0, 262144, "pairs of tokens that have successors of their own"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_recycle = {
    .name = "recycle", .summary = "what the target last found probable after the same token", .source = "Luo 2025",
    .needs = COP_NEEDS_ROWS | COP_IN_AUTO, .auto_options = "nodes=24", .state_size = sizeof(recycle), .options = options,
    .start = start, .propose = propose, .observe = observe, .save = save, .load = load, .stop = stop,
};
