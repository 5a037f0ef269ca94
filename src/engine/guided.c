// A session under a guide: the tree is pruned to what the guide lets live, every node that is read is masked, and
// text without an alternative is decided without the model: its tokens are rows of the same forward.
//
// What comes next is a function of the guide's state and of the logits, so the text is the same whatever was drafted.
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "engine/session.h"
#include "guide/guide.h"

#define MOST_FORCED 64    // tokens of one forced text that are looked at
#define MOST_BRANCH_TOKENS 96

struct cop_guiding {
    cop_guide *guide;
    cop_guide_state state;       // behind the committed tokens
    int n_tokens;                // of the sequence, that `state` is behind
    cop_guide_state *states;     // [max_nodes] of the tree
    int32_t *decided;            // [max_nodes] the token behind the node, -1: the model's choice
    uint64_t *bits;              // [words]
    int words;
    int n_forced;                // nodes 1 ... n_forced are text without an alternative
    cop_status status;           // of the running step
};

cop_status cop_guiding_open(cop_guiding **out, cop_guide *guide, int max_nodes, int V) {
    *out = NULL;
    cop_guiding *g = cop_alloc(sizeof *g);
    if (!g) return cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    g->words = (V + 63) / 64;
    g->n_tokens = -1;
    g->states = cop_alloc_array((size_t)max_nodes, sizeof *g->states);
    g->decided = cop_alloc_array((size_t)max_nodes, sizeof *g->decided);
    g->bits = cop_alloc_array((size_t)g->words, sizeof *g->bits);
    cop_status st = g->states && g->decided && g->bits ? cop_guide_fork(&g->guide, guide) : cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    if (st) {
        cop_guiding_close(g);
        return st;
    }
    *out = g;
    return COP_OK;
}

void cop_guiding_close(cop_guiding *g) {
    if (!g) return;
    cop_guide_free(g->guide);
    cop_free(g->states);
    cop_free(g->decided);
    cop_free(g->bits);
    cop_free(g);
}

// Tokens that may still be written behind the sequence, the end token not counted.
static int left_of(const cop_session *s) {
    int left = s->context - s->n_tokens;
    return s->room > 0 && s->room < left ? s->room : left;
}

cop_status cop_guiding_begin(cop_session *s) {
    cop_guiding *g = s->guiding;
    if (g->n_tokens == s->n_tokens) return COP_OK;
    // Another text, or one that was cut or added to: what was generated is read again.
    g->state = cop_guide_start(g->guide);
    for (int i = s->n_prompt; i < s->n_tokens; i++) g->state = cop_guide_advance(g->guide, g->state, s->tokens[i]);
    COP_TRY(cop_guide_failed(g->guide));
    if (g->state == COP_GUIDE_DEAD || g->state == COP_GUIDE_ENDED) return cop_fail(COP_ERR_ARG, "guide: the text so far is not what it allows");
    if (!cop_guide_can_end_within(g->guide, g->state, left_of(s)))
        return cop_fail(COP_ERR_ARG, "guide: the shortest text has %d bytes, too many for %d tokens", cop_guide_distance(g->guide, g->state), left_of(s));
    g->n_tokens = s->n_tokens;
    return COP_OK;
}

// ---- drafting -------------------------------------------------------------------------------------

static int add(cop_tree *tree, int parent, int32_t token, int n_siblings) {
    int before = tree->n_nodes, node = cop_tree_add(tree, parent, token, n_siblings > 1 ? -(float)cop_log((double)n_siblings) : 0);
    if (node >= before) tree->nodes[node].bucket = (uint8_t)(COP_BUCKETS - n_siblings);
    return node;
}

// How many continuations are drafted whole, how many choices behind one another, and nodes in all: few rows, nearly free
// ones, when nobody prunes what does not pay.
typedef struct appetite {
    int branches, depth, nodes;
} appetite;
static const appetite small = {3, 1, 7}, large = {6, 2, 32};

// Forced text below node, then all continuations when they are few.
static void grow(cop_guiding *g, cop_tree *tree, const appetite *want, int node, cop_guide_state state, int depth) {
    int32_t tokens[MOST_FORCED > MOST_BRANCH_TOKENS ? MOST_FORCED : MOST_BRANCH_TOKENS];
    for (int n; node >= 0 && (n = cop_guide_forced(g->guide, state, tokens, MOST_FORCED)) > 0;)
        for (int i = 0; i < n && node >= 0; i++) {
            node = add(tree, node, tokens[i], 1);
            state = cop_guide_advance(g->guide, state, tokens[i]);
        }
    if (depth == 0) g->n_forced = node < 0 ? tree->n_nodes - 1 : node;
    if (node < 0 || depth >= want->depth) return;
    int n = cop_guide_branches(g->guide, state, want->branches, tokens, MOST_BRANCH_TOKENS);
    const int32_t *t = tokens;
    for (int i = 0; i < n; i++, t++) {
        if (tree->n_nodes - g->n_forced > want->nodes) return;
        int at = node;
        cop_guide_state s = state;
        for (; *t >= 0; t++) {
            if (at >= 0) at = add(tree, at, *t, at == node ? n : 1);
            s = cop_guide_advance(g->guide, s, *t);
        }
        if (at >= 0) grow(g, tree, want, at, s, depth + 1);
    }
}

void cop_guiding_propose(cop_session *s) {
    s->tree.source = COP_GUIDE_SOURCE;
    grow(s->guiding, &s->tree, s->n_drafters && s->controller->prune ? &large : &small, COP_TREE_ROOT, s->guiding->state, 0);
}

// ---- the tree -------------------------------------------------------------------------------------

void cop_guiding_prune(cop_session *s, bool *keep) {
    cop_guiding *g = s->guiding;
    g->states[COP_TREE_ROOT] = g->state;
    for (int i = 1; i <= g->n_forced; i++) keep[i] = true;  // never a question of odds
    for (int i = 1; i < s->tree.n_nodes; i++) {
        const cop_node *t = &s->tree.nodes[i];
        cop_guide_state above = g->states[t->parent];
        g->states[i] = keep[i] && keep[t->parent] && above != COP_GUIDE_ENDED ? cop_guide_advance(g->guide, above, t->token) : COP_GUIDE_DEAD;
        keep[i] = g->states[i] != COP_GUIDE_DEAD;
    }
}

// After the tree was pruned: states under the new numbers, and which nodes the model does not decide.
void cop_guiding_settle(cop_session *s, const int *renamed, int n_before) {
    cop_guiding *g = s->guiding;
    for (int i = 0; i < n_before; i++)
        if (renamed[i] >= 0) g->states[renamed[i]] = g->states[i];
    for (int i = 0; i < s->tree.n_nodes; i++) {
        int32_t first;
        // Near the end of a budget the tokenizer's own way may be too long: then the mask decides.
        bool forced = g->states[i] != COP_GUIDE_ENDED && cop_guide_forced(g->guide, g->states[i], &first, 1) > 0 &&
                      cop_guide_allows(g->guide, g->states[i], first, left_of(s) - s->tree.nodes[i].depth);
        g->decided[i] = forced ? first : -1;
    }
}

int32_t cop_guiding_decided(const cop_session *s, int node) { return s->guiding->decided[node]; }

// -inf where the bit is not set.
static void apply(float *logits, const uint64_t *bits, int words, int V) {
    for (int w = 0; w < words; w++) {
        if (bits[w] == UINT64_MAX) continue;
        int n = V - 64 * w < 64 ? V - 64 * w : 64;
        for (int i = 0; i < n; i++)
            if (!(bits[w] >> i & 1)) logits[64 * w + i] = -INFINITY;
    }
}

void cop_guiding_mask(cop_session *s, int node, float *logits) {
    cop_guiding *g = s->guiding;
    int V = s->engine->model->desc.V;
    if (g->decided[node] >= 0) {
        memset(g->bits, 0, (size_t)g->words * sizeof *g->bits);
        g->bits[g->decided[node] / 64] |= (uint64_t)1 << (g->decided[node] % 64);
    } else {
        cop_guide_mask(g->guide, g->states[node], left_of(s) - s->tree.nodes[node].depth, g->bits);
    }
    bool any = false;
    for (int w = 0; w < g->words && !any; w++) any = g->bits[w] != 0;
    if (!any && !g->status) {
        g->status = cop_guide_failed(g->guide);
        if (!g->status) g->status = cop_fail(COP_ERR_LIMIT, "guide: nothing can follow this text");
        return;  // the step fails: what is read here is not used
    }
    apply(logits, g->bits, g->words, V);
}

cop_status cop_guiding_end(cop_session *s, const int32_t *tokens, int n) {
    cop_guiding *g = s->guiding;
    cop_status st = g->status;
    g->status = COP_OK;
    if (st) {
        g->n_tokens = -1;
        return st;
    }
    for (int i = 0; i < n && g->state != COP_GUIDE_ENDED; i++) g->state = cop_guide_advance(g->guide, g->state, tokens[i]);
    if (g->state != COP_GUIDE_ENDED) g->state = cop_guide_keep(g->guide, g->state);
    g->n_tokens = s->n_tokens + n;
    return cop_guide_failed(g->guide);
}

bool cop_guiding_complete(const cop_session *s) {
    const cop_guiding *g = s->guiding;
    return g->n_tokens == s->n_tokens && (g->state == COP_GUIDE_ENDED || cop_guide_accepting(g->guide, g->state));
}
