// Rejection verifier: accepts what a draft distribution drew with the probability that keeps the target's
// distribution exact, for any tree of drawn and of deterministic children.
// Sources: Leviathan et al. 2023 (arXiv:2211.17192), Chen et al. 2023 (arXiv:2302.01318) for one child;
//          Miao et al. 2024 (arXiv:2305.09781), Chen et al. 2024 (arXiv:2402.12374), Jeon et al. 2024
//          (arXiv:2402.14160) for several, with and without replacement.
// Where nothing was drawn it is the coupled verifier. Where something was, the text depends on the draft, too:
// same distribution, not the same text. Cost: O(V) per rejected draw. Memory: 2 V floats.
#include <string.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "verify/verify.h"

typedef struct rejection {
    float *target, *draft;  // [V] what is left of both distributions at the node
    int V;
} rejection;

static void stop(void *state) {
    rejection *r = state;
    cop_free(r->target);
    cop_free(r->draft);
}

static cop_status start(void *state, int V) {
    rejection *r = state;
    r->V = V;
    r->target = cop_alloc_array((size_t)V, sizeof(float));
    r->draft = cop_alloc_array((size_t)V, sizeof(float));
    if (r->target && r->draft) return COP_OK;
    stop(r);
    return cop_fail(COP_ERR_NOMEM, "verifier rejection: cannot allocate for %d tokens", V);
}

static double sum_of(const float *p, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)p[i];
    return sum;
}

// Scale to sum 1; false when nothing is left.
static bool normalise(float *p, int n) {
    double sum = sum_of(p, n);
    if (!(sum > 1e-30)) return false;
    for (int i = 0; i < n; i++) p[i] = (float)((double)p[i] / sum);
    return true;
}

static int32_t draw(const float *p, int n, double u) {
    double sum = 0, at = u * sum_of(p, n);
    int32_t last = 0;
    for (int32_t i = 0; i < n; i++) {
        if (p[i] <= 0) continue;
        sum += (double)p[i];
        last = i;
        if (sum >= at) return i;
    }
    return last;
}

static bool has_draws(const cop_tree *tree, int node) {
    int child = tree->nodes[node].first_child;
    return child >= 0 && tree->nodes[child].proposal != COP_POINT && tree->nodes[node].proposal_row >= 0;
}

// What the target still wants when this child was not it.
static void reject(rejection *r, const cop_node *child, bool *draft_left) {
    if (child->proposal == COP_POINT) {
        r->target[child->token] = 0;
        normalise(r->target, r->V);
        return;
    }
    for (int i = 0; i < r->V; i++) r->target[i] = r->target[i] > r->draft[i] ? r->target[i] - r->draft[i] : 0;
    normalise(r->target, r->V);
    if (child->proposal == COP_WITHOUT_REPLACEMENT) {
        r->draft[child->token] = 0;
        *draft_left = normalise(r->draft, r->V);
    }
}

// The child of a node with draws that is accepted, or -1 and the token to emit instead.
static int try_children(rejection *r, const cop_verify_input *in, int node, int64_t position, int32_t *token) {
    const cop_tree *tree = in->tree;
    uint64_t seed = in->view->seed;
    bool draft_left = true;
    int index = 0;
    memcpy(r->draft, tree->proposals + (int64_t)tree->nodes[node].proposal_row * tree->n_vocab, (size_t)r->V * sizeof(float));
    for (int c = tree->nodes[node].first_child; c >= 0; c = tree->nodes[c].next_sibling, index++) {
        const cop_node *child = &tree->nodes[c];
        float p = r->target[child->token], q = r->draft[child->token];
        if (child->proposal != COP_POINT && !draft_left) continue;
        double accept = child->proposal == COP_POINT ? (double)p : q > 0 ? (double)p / (double)q : 0;
        if (cop_noise_uniform(seed, COP_NOISE_ACCEPT, (uint64_t)position, (uint64_t)index) < accept) {
            *token = child->token;
            return child->alias >= 0 ? child->alias : c;
        }
        reject(r, child, &draft_left);
    }
    *token = draw(r->target, r->V, cop_noise_uniform(seed, COP_NOISE_RESIDUAL, (uint64_t)position, 0));
    return -1;
}

static void accept(void *state, const cop_verify_input *in, cop_verdict *out) {
    rejection *r = state;
    out->n_path = out->n_tokens = 0;
    for (int node = COP_TREE_ROOT; node >= 0;) {
        int64_t position = in->view->n_tokens + out->n_tokens;
        float *logits = in->logits(in->engine, node);
        int32_t token;
        int next;
        if (has_draws(in->tree, node)) {
            cop_sampler_probabilities(in->sampler, logits, in->view->tokens, in->view->n_tokens, out->tokens, out->n_tokens, r->target);
            next = try_children(r, in, node, position, &token);
        } else {
            token = cop_sampler_pick(in->sampler, logits, position, in->view->tokens, in->view->n_tokens, out->tokens, out->n_tokens);
            next = cop_tree_child(in->tree, node, token);
        }
        out->tokens[out->n_tokens++] = token;
        if (in->is_end && in->is_end(in->engine, token)) return;
        node = next;
        if (node >= 0) out->path[out->n_path++] = node;
    }
}

const cop_verifier_type cop_verifier_rejection = {
    .name = "rejection", .summary = "draws are accepted by probability ratio; the target's distribution, another text",
    .source = "Leviathan 2023; Miao 2024; Chen 2024; Jeon 2024", .lossless = true, .takes_draws = true,
    .state_size = sizeof(rejection), .start = start, .stop = stop, .accept = accept,
};
