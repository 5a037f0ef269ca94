// Two lossy verifiers: they accept tokens that the target finds good enough, though it would not have chosen
// them. The text is no longer the target's; the bounds below are per token, none holds for a whole text.
//   typical  p(x) > min(epsilon, delta * exp(-entropy)): Medusa, Cai et al. 2024 (arXiv:2401.10774)
//   relaxed  x among the target's `rank` best, at most `gap` nats below the best: generalised aggressive
//            decoding, Xia et al. 2022 (arXiv:2205.10350)
// Of several such children the most probable one is taken; where there is none the target's own draw decides.
#include <math.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "verify/verify.h"

typedef struct lossy {
    float epsilon, delta, gap;
    int32_t rank;
    float *p;  // [V]
    int V;
} lossy;

static cop_status start(void *state, int V) {
    lossy *l = state;
    l->V = V;
    l->p = cop_alloc_array((size_t)V, sizeof(float));
    return l->p ? COP_OK : cop_fail(COP_ERR_NOMEM, "verifier: cannot allocate for %d tokens", V);
}

static void stop(void *state) { cop_free(((lossy *)state)->p); }

// Softmax of the raw logits: the model's own belief, before temperature.
static void believe(lossy *l, const float *logits) {
    float max = logits[0];
    double sum = 0;
    for (int i = 1; i < l->V; i++) max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < l->V; i++) {
        l->p[i] = logits[i] - max < -80 ? 0 : (float)cop_exp((double)(logits[i] - max));
        sum += (double)l->p[i];
    }
    for (int i = 0; i < l->V; i++) l->p[i] = (float)((double)l->p[i] / sum);
}

static float typical_bound(const lossy *l) {
    double entropy = 0;
    for (int i = 0; i < l->V; i++)
        if (l->p[i] > 0) entropy -= (double)l->p[i] * cop_log((double)l->p[i]);
    float bound = l->delta * (float)cop_exp(-entropy);
    return bound < l->epsilon ? bound : l->epsilon;
}

static int rank_of(const lossy *l, int32_t token) {
    int above = 0;
    for (int i = 0; i < l->V; i++) above += l->p[i] > l->p[token];
    return above + 1;
}

static float best_of(const lossy *l) {
    float best = 0;
    for (int i = 0; i < l->V; i++) best = l->p[i] > best ? l->p[i] : best;
    return best;
}

// The most probable child that is good enough, or -1.
static int good_child(const lossy *l, const cop_tree *tree, int node, bool typical) {
    int good = -1;
    float bound = typical ? typical_bound(l) : best_of(l) * (float)cop_exp(-(double)l->gap);
    for (int c = tree->nodes[node].first_child; c >= 0; c = tree->nodes[c].next_sibling) {
        int32_t t = tree->nodes[c].token;
        bool fine = typical ? l->p[t] > bound : l->p[t] >= bound && rank_of(l, t) <= l->rank;
        if (fine && (good < 0 || l->p[t] > l->p[tree->nodes[good].token])) good = c;
    }
    return good;
}

static void accept_good(lossy *l, const cop_verify_input *in, cop_verdict *out, bool typical) {
    out->n_path = out->n_tokens = 0;
    for (int node = COP_TREE_ROOT; node >= 0;) {
        float *logits = in->logits(in->engine, node);
        int next = -1;
        if (in->tree->nodes[node].first_child >= 0) {
            believe(l, logits);
            next = good_child(l, in->tree, node, typical);
        }
        int32_t token = next >= 0 ? in->tree->nodes[next].token
                                  : cop_sampler_pick(in->sampler, logits, in->view->n_tokens + out->n_tokens, in->view->tokens,
                                                     in->view->n_tokens, out->tokens, out->n_tokens);
        if (next < 0) next = cop_tree_child(in->tree, node, token);
        out->tokens[out->n_tokens++] = token;
        if (in->is_end && in->is_end(in->engine, token)) return;
        node = next;
        if (node >= 0) out->path[out->n_path++] = node;
    }
}

static void accept_typical(void *state, const cop_verify_input *in, cop_verdict *out) { accept_good(state, in, out, true); }
static void accept_relaxed(void *state, const cop_verify_input *in, cop_verdict *out) { accept_good(state, in, out, false); }

static const cop_option typical_options[] = {
    COP_OPTION_FLOAT(lossy, epsilon, 0.09, 0, 1, "accepted from this probability on"),
    COP_OPTION_FLOAT(lossy, delta, 0.3, 0, 1, "or from this share of exp(-entropy)"),
    COP_OPTION_END,
};
static const cop_option relaxed_options[] = {
    COP_OPTION_INT(lossy, rank, 5, 1, 1000, "accepted among so many of the most probable"),
    COP_OPTION_FLOAT(lossy, gap, 3, 0, 100, "and so many nats below the best at most"),
    COP_OPTION_END,
};

const cop_verifier_type cop_verifier_typical = {
    .name = "typical", .summary = "accepts what the target finds typical; lossy", .source = "Cai 2024", .state_size = sizeof(lossy),
    .options = typical_options, .start = start, .stop = stop, .accept = accept_typical,
};
const cop_verifier_type cop_verifier_relaxed = {
    .name = "relaxed", .summary = "accepts what is among the target's best; lossy", .source = "Xia 2022", .state_size = sizeof(lossy),
    .options = relaxed_options, .start = start, .stop = stop, .accept = accept_relaxed,
};
