// Model drafter: a second, smaller model of the same vocabulary writes ahead.
//
// Its proposals are coupled to the target: a node's children are the tokens that the target's own keyed draw
// would take if it believed what the draft model believes, in that order. So no distribution has to be kept,
// every shape and every pruning is exact, and a verifier that wants draws with their distributions
// (setup.draws) gets those instead. Levels of the tree are computed one forward each; nothing is committed
// but the text itself.
// Shapes: chain (Leviathan et al. 2023, arXiv:2211.17192); rsd-c, so many children a level, and rsd-s,
// stochastic beam search (Jeon et al. 2024, arXiv:2402.14160; Kool et al. 2019, arXiv:1903.06059); dyspec,
// children while a path is believed in (Xiong et al. 2024, arXiv:2410.11744); sequoia, the static tree that the
// measured acceptance of ranks asks for (Chen et al. 2024, arXiv:2402.12374).
// group: EasySpec (Wu et al. 2025, arXiv:2502.02493); the text itself is always read layer by layer, which is the
// calibration that sets right what the approximate forwards left.
// Cost: a forward of the draft model per level. Memory: its cache and one workspace.
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "base/noise.h"
#include "draft/draft.h"
#include "draft/follower.h"

#define MOST_CHILDREN 8
#define MOST_DEPTH 32

enum { CHAIN, RSD_C, RSD_S, DYSPEC, SEQUOIA };

// A node of the tree that is drafted below, or a candidate to become one.
typedef struct branch {
    int node;        // of the tree; -1: a candidate
    int parent;      // node
    int32_t token;
    int rank;        // among its siblings, 0 first
    int row;         // of this drafter's rows; the root has none
    float logp;      // the draft model's, given the parent
    float value;     // believed probability of the whole path
    float score;     // rsd-s: perturbed log-probability of the path
} branch;

typedef struct model_drafter {
    int32_t depth, tree, branches, width, group;
    float stop, believe;
    cop_draft_setup setup;
    cop_follower second;
    cop_sampler *sampler;
    int V;                 // that both models share
    float *scratch;        // [V of the draft model]
    branch *level, *next;  // [max_nodes]
    int *row_of;           // [max_nodes] of the tree
    float hits[MOST_CHILDREN + 1], tries;  // sequoia: how often the child of a rank was the one
    int32_t path[MOST_DEPTH + 1];
} model_drafter;

static void stop(void *state) {
    model_drafter *m = state;
    cop_follower_close(&m->second);
    cop_sampler_free(m->sampler);
    cop_free(m->scratch);
    cop_free(m->level);
    cop_free(m->next);
    cop_free(m->row_of);
}

static cop_status take_memory(model_drafter *m, const cop_draft_setup *setup) {
    COP_TRY(cop_follower_open(&m->second, setup->draft, setup->cache_type, setup->max_tokens, setup->max_nodes, m->group));
    COP_TRY(cop_sampler_new(&m->sampler, setup->sampling, m->V));
    size_t nodes = (size_t)setup->max_nodes;
    m->scratch = cop_alloc_array((size_t)setup->draft->desc.V, sizeof(float));
    m->level = cop_alloc_array(nodes, sizeof *m->level);
    m->next = cop_alloc_array(nodes * MOST_CHILDREN, sizeof *m->next);
    m->row_of = cop_alloc_array(nodes, sizeof *m->row_of);
    if (m->scratch && m->level && m->next && m->row_of) return COP_OK;
    return cop_fail(COP_ERR_NOMEM, "drafter model: cannot allocate");
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    model_drafter *m = state;
    m->setup = *setup;
    m->V = setup->V < setup->draft->desc.V ? setup->V : setup->draft->desc.V;
    cop_status st = take_memory(m, setup);
    if (st) stop(m);
    return st;
}

static void reset(void *state) { cop_seq_truncate(((model_drafter *)state)->second.seq, 0); }

// log of the sum of exponentials; destroys x.
static float log_sum(const model_drafter *m, float *x, float *max) {
    *max = x[0];
    for (int i = 1; i < m->V; i++) *max = x[i] > *max ? x[i] : *max;
    return (float)cop_log((double)m->setup.draft->kernels.softmax(x, m->V)) + *max;
}

// Tokens of the tree from below the root down to `node`.
static int path_to(model_drafter *m, const cop_tree *tree, int node) {
    int n = tree->nodes[node].depth;
    for (int i = n; i > 0; i--, node = tree->nodes[node].parent) m->path[i - 1] = tree->nodes[node].token;
    return n;
}

// The candidates for children of a node, in their order, with the log-probability of each.
static int candidates_of(model_drafter *m, const cop_view *view, cop_tree *tree, int node, const float *logits, int k, int32_t *tokens,
                      float *logp) {
    float *x = m->scratch, max;
    int n_path = path_to(m, tree, node);
    memcpy(x, logits, (size_t)m->V * sizeof(float));
    int n = cop_sampler_rank(m->sampler, x, view->n_tokens + n_path, view->tokens, view->n_tokens, m->path, n_path, k, tokens);
    for (int i = 0; i < n; i++) logp[i] = x[tokens[i]];
    float sum = log_sum(m, x, &max);
    for (int i = 0; i < n; i++) logp[i] = logp[i] < sum ? logp[i] - sum : 0;
    return n;
}

// Draws without replacement, by the exponential race on the distribution that the tree keeps for the verifier.
static int draw_children(model_drafter *m, const cop_view *view, cop_tree *tree, int node, const float *logits, int k, int32_t *tokens,
                         float *logp) {
    const cop_node *n = &tree->nodes[node];
    float *q = n->first_child < 0 ? cop_tree_proposal(tree, node) : NULL, score[MOST_CHILDREN];
    if (!q) return 0;
    int n_path = path_to(m, tree, node), found = 0;
    memcpy(m->scratch, logits, (size_t)m->V * sizeof(float));
    cop_sampler_probabilities(m->sampler, m->scratch, view->tokens, view->n_tokens, m->path, n_path, q);
    for (int i = m->V; i < m->setup.V; i++) q[i] = 0;
    for (int32_t t = 0; t < m->V; t++) {
        if (q[t] <= 0) continue;
        float s = (float)cop_log((double)q[t]) + cop_noise_gumbel(m->setup.sampling->seed, COP_NOISE_DRAFT, (uint64_t)(view->n_tokens + n_path), (uint64_t)t);
        if (found == k && s <= score[k - 1]) continue;
        int at = found < k ? found++ : k - 1;
        for (; at > 0 && s > score[at - 1]; at--) score[at] = score[at - 1], tokens[at] = tokens[at - 1];
        score[at] = s;
        tokens[at] = t;
    }
    for (int i = 0; i < found; i++) logp[i] = (float)cop_log((double)q[tokens[i]]);
    return found;
}

static uint8_t confidence(float logp, int depth, int rank) {
    int belief = (int)(cop_exp((double)(logp < -20 ? -20 : logp)) * 7.999);
    int deep = depth > 2 ? 2 : depth - 1;
    return (uint8_t)(belief + 8 * deep + (rank > 0 ? 24 : 0));
}

// ---- shapes: how many children a node of a level gets -------------------------------------------

// The digit of `branches` for this level, 211: two children, then one, then one.
static int digit(int branches, int level) {
    int digits[10], n = 0;
    for (; branches > 0 && n < 10; branches /= 10) digits[n++] = branches % 10;
    return level < n ? digits[n - 1 - level] : level ? digits[0] : 1;
}

// Sequoia: what the child of a rank is worth, measured; before that, as a small model of the family does.
static float rank_share(const model_drafter *m, int rank) {
    float prior = rank ? 0.12f / (float)rank : 0.6f;
    return (m->hits[rank] + 8 * prior) / (m->tries + 8);
}

static int wanted_children(const model_drafter *m, const branch *b, int level) {
    int n = 1;
    if (m->tree == RSD_C) n = digit(m->branches, level);
    else if (m->tree == RSD_S) n = m->width;
    else if (m->tree == DYSPEC) n = b->value >= m->believe ? MOST_CHILDREN : 0;
    else if (m->tree == SEQUOIA)
        for (n = 0; n < MOST_CHILDREN && b->value * rank_share(m, n) >= m->believe;) n++;
    return n < MOST_CHILDREN ? n : MOST_CHILDREN;
}

static float probability(float logp) { return logp < -60 ? 0 : (float)cop_exp((double)logp); }

// Stochastic beam search: a child's score given that the best of the siblings has its parent's.
static float conditioned(float parent, float score, float best) {
    if (score >= best) return parent;
    double t = (double)parent - (double)score + log1p(-exp((double)score - (double)best));
    return (float)((double)parent - (t > 0 ? t : 0) - log1p(exp(-fabs(t))));
}

// The children that one branch proposes, appended to next[] as candidates.
static int expand(model_drafter *m, const cop_view *view, cop_tree *tree, const branch *b, const float *logits, int level, int n_next) {
    int32_t tokens[MOST_CHILDREN];
    float logp[MOST_CHILDREN], left = b->value, best = 0;
    int n = wanted_children(m, b, level);
    if (n > 0) n = (m->setup.draws ? draw_children : candidates_of)(m, view, tree, b->node, logits, n, tokens, logp);
    const cop_sampling *sampling = m->setup.sampling;
    uint64_t position = (uint64_t)(view->n_tokens + tree->nodes[b->node].depth);
    for (int k = 0; k < n; k++) {
        float p = probability(logp[k]);
        branch child = {.node = -1, .parent = b->node, .token = tokens[k], .rank = k, .logp = logp[k], .value = b->value * p};
        // What stops here may know what is left, never which token was drawn.
        if (m->tree == CHAIN && !m->setup.draws && p < m->stop) break;
        if (m->tree == DYSPEC && left < m->believe) break;
        left *= 1 - p;
        if (m->tree == SEQUOIA) child.value = b->value * rank_share(m, k);
        if (m->tree == RSD_S) {
            float noise = sampling->temp > 0 ? cop_noise_gumbel(sampling->seed, m->setup.draws ? COP_NOISE_DRAFT : COP_NOISE_SAMPLE, position, (uint64_t)tokens[k]) : 0;
            child.score = (level ? (float)cop_log((double)b->value) : 0) + logp[k] + noise;
            if (k == 0) best = child.score;
            if (level && sampling->temp > 0) child.score = conditioned(b->score, child.score, best);
        }
        m->next[n_next++] = child;
    }
    return n_next;
}

// Candidates become nodes, as many as fit; of a beam only the best do, in falling order.
static int settle(model_drafter *m, cop_tree *tree, int n) {
    int kept = 0, most = m->tree == RSD_S && m->width < n ? m->width : n;
    for (; kept < most && kept < m->setup.max_nodes; kept++) {
        int best = kept;
        for (int i = kept + 1; m->tree == RSD_S && i < n; i++)
            if (m->next[i].score > m->next[best].score) best = i;
        branch b = m->next[best];
        m->next[best] = m->next[kept];
        b.node = m->setup.draws ? cop_tree_add_draw(tree, b.parent, b.token, b.logp, COP_WITHOUT_REPLACEMENT) : cop_tree_add(tree, b.parent, b.token, b.logp);
        if (b.node < 0) break;
        cop_node *t = &tree->nodes[b.node];
        if (t->source == tree->source) t->bucket = confidence(b.logp, t->depth, b.rank);
        m->level[kept] = b;
    }
    return kept;
}

// Rows for the level's nodes behind those of the levels before, computed in one forward.
static bool compute_level(model_drafter *m, const cop_tree *tree, branch *level, int n, int *n_rows) {
    int computed = *n_rows;
    for (int i = 0; i < n; i++) {
        const cop_node *t = &tree->nodes[level[i].node];
        if (t->token < 0 || t->token >= m->setup.draft->desc.V) return false;
        level[i].row = m->row_of[level[i].node] = (*n_rows)++;
        m->second.rows[level[i].row] = (cop_row){.seq = m->second.seq, .token = t->token, .parent = t->parent ? m->row_of[t->parent] : -1, .want_logits = true};
    }
    return cop_follower_compute(&m->second, *n_rows, computed, &(cop_forward_options){.group = m->group});
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    model_drafter *m = state;
    if (!cop_follower_read(&m->second, view->tokens, view->n_tokens)) return;
    int depth = m->depth < tree->max_depth ? m->depth : tree->max_depth, n_rows = 0;
    m->level[0] = (branch){.node = COP_TREE_ROOT, .value = 1};
    for (int d = 0, n = 1; d < depth && n > 0; d++) {
        int n_next = 0, computed = n_rows - n;
        for (int i = 0; i < n; i++) {
            const float *logits = d == 0 ? m->second.logits : cop_workspace_logits(m->second.ws, m->level[i].row - computed);
            n_next = expand(m, view, tree, &m->level[i], logits, d, n_next);
        }
        n = settle(m, tree, n_next);
        if (d + 1 < depth && n > 0 && !compute_level(m, tree, m->level, n, &n_rows)) return;
    }
}

// Which rank was right, for the static tree.
static void observe(void *state, const cop_view *view, const cop_tree *tree, const cop_rows_view *rows, const cop_accepted *got) {
    model_drafter *m = state;
    (void)view;
    (void)rows;
    int node = COP_TREE_ROOT;
    for (int i = 0; i < got->n_tokens && node >= 0; i++) {
        if (tree->nodes[node].first_child < 0) return;
        int rank = 0, child = tree->nodes[node].first_child;
        while (child >= 0 && tree->nodes[child].token != got->tokens[i]) child = tree->nodes[child].next_sibling, rank++;
        m->tries = m->tries * 0.995f + 1;
        for (int k = 0; k < MOST_CHILDREN; k++) m->hits[k] *= 0.995f;
        if (child >= 0 && rank < MOST_CHILDREN) m->hits[rank] += 1;
        node = child;
    }
}

static const cop_option options[] = {
    COP_OPTION_INT(model_drafter, depth, 5, 1, MOST_DEPTH, "tokens to write ahead at most"),
    COP_OPTION_WORD(model_drafter, tree, CHAIN, 5, "chain|rsd-c|rsd-s|dyspec|sequoia", "shape of the tree"),
    COP_OPTION_INT(model_drafter, branches, 2, 1, 88888888, "rsd-c: children of a node, a digit a level; the last goes on"),
    COP_OPTION_INT(model_drafter, width, 3, 1, MOST_CHILDREN, "rsd-s: paths kept on each level"),
    COP_OPTION_FLOAT(model_drafter, believe, 0.1, 0.001, 1, "dyspec, sequoia: least believed probability of a path"),
    COP_OPTION_INT(model_drafter, group, 0, 0, COP_MOST_GROUP, "attention of so many layers from one input (EasySpec); 0: none"),
    COP_OPTION_FLOAT(model_drafter, stop, 0.3, 0, 1, "chain: end before a token that is believed in less"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_model = {
    .name = "model", .summary = "a second, smaller model writes ahead", .source = "Leviathan 2023; Jeon 2024; Xiong 2024; Chen 2024; Wu 2025",
    .needs = COP_NEEDS_SECOND_MODEL | COP_COSTLY | COP_IN_AUTO, .state_size = sizeof(model_drafter), .options = options,
    .start = start, .propose = propose, .observe = observe, .reset = reset, .stop = stop,
};
