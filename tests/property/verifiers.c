// The distribution that a verifier emits, on models that are tables: three tokens of a vocabulary of six, the
// joint law of all 216 texts against the exact product, by chi-square. And the negative controls: mistakes that
// were made elsewhere, each of which this test has to see.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/noise.h"
#include "verify/verify.h"

#define V 6
#define LENGTH 3
#define CONTEXTS (1 + V + V * V + V * V * V)
#define CELLS (V * V * V)
#define RUNS 300000
#define SEED 11

typedef struct table {
    float p[CONTEXTS][V], q[CONTEXTS][V];  // of the target, of the draft
} table;

// The context that holds these tokens: 0 for none, then by number of tokens.
static int context_of(const int32_t *tokens, int n) {
    static const int first[] = {0, 1, 1 + V, 1 + V + V * V};
    int c = 0;
    if (n > LENGTH) n = LENGTH;
    for (int i = 0; i < n; i++) c = c * V + tokens[i];
    return first[n] + c;
}

static void softmax(float *p, const double *x) {
    double sum = 0;
    for (int i = 0; i < V; i++) sum += exp(x[i]);
    for (int i = 0; i < V; i++) p[i] = (float)(exp(x[i]) / sum);
}

static void make_table(table *t, uint64_t seed, double correlation) {
    for (int c = 0; c < CONTEXTS; c++) {
        double a[V], b[V];
        for (int i = 0; i < V; i++) {
            double u = -log(cop_noise_uniform(seed, COP_NOISE_SAMPLE, (uint64_t)c, (uint64_t)i));
            double v = -log(cop_noise_uniform(seed, COP_NOISE_DRAFT, (uint64_t)c, (uint64_t)i));
            a[i] = 1.5 * u;
            b[i] = 1.5 * (correlation * u + (1 - correlation) * v);
        }
        softmax(t->p[c], a);
        softmax(t->q[c], b);
    }
}

// ---- drafters over the table, right and wrong -----------------------------------------------------

typedef enum shape { CHAIN_WOR, TREE_WOR, TREE_WR, POINTS, DRAWS_THEN_POINTS, N_RIGHT,
                     DROP_IMPROBABLE = N_RIGHT, DROP_REPEATS, DROP_FOR_POINT, RAW_Q, N_SHAPES } shape;
static const char *const shape_names[] = {"a chain of draws", "a tree without replacement", "a tree with replacement", "a tree of points",
                                          "draws, then points", "improbable draws dropped", "repeated draws dropped", "draws dropped that a point holds, too",
                                          "drawn from a truncated distribution, judged by the whole"};

typedef struct trial {
    const table *t;
    shape shape;
    int64_t base;        // position of the text's first token
    int32_t text[LENGTH + 8];
    int n_text;
    cop_tree tree;
    float logits[64][V];
} trial;

static int path_context(const trial *x, int node) {
    int32_t tokens[LENGTH + 16];
    int n = x->n_text, depth = x->tree.nodes[node].depth;
    memcpy(tokens, x->text, (size_t)n * sizeof *tokens);
    for (int i = n + depth - 1, at = node; i >= n; i--, at = x->tree.nodes[at].parent) tokens[i] = x->tree.nodes[at].token;
    return context_of(tokens, n + depth);
}

static int32_t draw_from(const double *p, double u) {
    double sum = 0, at = 0;
    for (int i = 0; i < V; i++) sum += p[i];
    for (int i = 0; i < V; i++) {
        at += p[i];
        if (p[i] > 0 && at >= u * sum) return i;
    }
    for (int i = V - 1; i >= 0; i--)
        if (p[i] > 0) return i;
    return 0;
}

static int32_t favourite(const float *q) {
    int32_t best = 0;
    for (int i = 1; i < V; i++) best = q[i] > q[best] ? i : best;
    return best;
}

static void draw_children(trial *x, int node, int n) {
    const float *q = x->t->q[path_context(x, node)];
    uint64_t position = (uint64_t)(x->base + x->n_text + x->tree.nodes[node].depth);
    bool with = x->shape == TREE_WR || x->shape == DROP_REPEATS;
    float *row = cop_tree_proposal(&x->tree, node);
    memcpy(row, q, V * sizeof *row);
    double left[V];
    for (int i = 0; i < V; i++) left[i] = x->shape == RAW_Q && q[i] < 0.2f ? 0 : (double)q[i];
    for (int k = 0; k < n; k++) {
        int32_t token = draw_from(left, cop_noise_uniform(SEED, COP_NOISE_DRAFT, position, (uint64_t)k));
        if (x->shape == DROP_IMPROBABLE && q[token] < 0.15f) continue;
        if (x->shape == DROP_FOR_POINT && token == favourite(q)) continue;
        if (x->shape == DROP_REPEATS && cop_tree_child(&x->tree, node, token) >= 0) continue;
        cop_tree_add_draw(&x->tree, node, token, -1, with ? COP_WITH_REPLACEMENT : COP_WITHOUT_REPLACEMENT);
        if (!with) left[token] = 0;
        double sum = 0;
        for (int i = 0; i < V; i++) sum += left[i];
        if (sum <= 0) return;
    }
}

static void add_points(trial *x, int node, int n) {
    const float *q = x->t->q[path_context(x, node)];
    for (int k = 0; k < n; k++) {
        int best = -1;
        for (int i = 0; i < V; i++)
            if (cop_tree_child(&x->tree, node, i) < 0 && (best < 0 || q[i] > q[best])) best = i;
        if (best >= 0) cop_tree_add(&x->tree, node, best, -1);
    }
}

static void propose(trial *x) {
    cop_tree_reset(&x->tree, 0);
    int children = x->shape == CHAIN_WOR ? 1 : x->shape == TREE_WR || x->shape == DROP_REPEATS ? 3 : 2;
    for (int node = 0; node < x->tree.n_nodes && x->tree.nodes[node].depth < 2; node++) {
        if (x->tree.nodes[node].alias >= 0) continue;
        if (x->shape == POINTS) {
            add_points(x, node, 2);
        } else {
            draw_children(x, node, children);
            if (x->shape == DRAWS_THEN_POINTS || x->shape == DROP_FOR_POINT) add_points(x, node, 1);
        }
    }
}

// ---- one text ---------------------------------------------------------------------------------------

static float *logits(void *engine, int node) {
    trial *x = engine;
    const float *p = x->t->p[path_context(x, node)];
    for (int i = 0; i < V; i++) x->logits[node][i] = logf(p[i]);
    return x->logits[node];
}

static int write_text(trial *x, const cop_verifier_type *v, void *state, cop_sampler *sampler, int64_t run) {
    int path[64];
    int32_t tokens[65];
    x->base = run * 8;
    x->n_text = 0;
    while (x->n_text < LENGTH) {
        propose(x);
        const cop_view view = {.tokens = x->text, .n_tokens = (int)(x->base + x->n_text), .seed = SEED, .sampler = sampler};
        const cop_verify_input in = {.view = &view, .tree = &x->tree, .sampler = sampler, .logits = logits, .engine = x};
        cop_verdict out = {.path = path, .tokens = tokens};
        v->accept(state, &in, &out);
        for (int i = 0; i < out.n_tokens && x->n_text < LENGTH; i++) x->text[x->n_text++] = tokens[i];
    }
    return (x->text[0] * V + x->text[1]) * V + x->text[2];
}

// Chi-square of all texts in units of its standard deviation.
static double deviation(const cop_verifier_type *v, const table *t, shape how) {
    trial x = {.t = t, .shape = how};
    const cop_sampling sampling = {.temp = 1, .top_p = 1, .repeat_penalty = 1, .seed = SEED};
    cop_sampler *sampler;
    assert_int_equal(cop_sampler_new(&sampler, &sampling, V), COP_OK);
    assert_int_equal(cop_tree_init(&x.tree, 64, 64, V), COP_OK);
    void *state = cop_alloc(v->state_size ? v->state_size : 1);
    cop_options_init(v->options, state);
    if (v->start) assert_int_equal(v->start(state, V), COP_OK);
    static int64_t seen[CELLS];
    memset(seen, 0, sizeof seen);
    for (int64_t run = 0; run < RUNS; run++) seen[write_text(&x, v, state, sampler, run)]++;
    double chi = 0;
    for (int i = 0; i < CELLS; i++) {
        int32_t text[3] = {i / (V * V), i / V % V, i % V};
        double p = (double)t->p[0][text[0]] * (double)t->p[context_of(text, 1)][text[1]] * (double)t->p[context_of(text, 2)][text[2]];
        double want = p * RUNS;
        chi += ((double)seen[i] - want) * ((double)seen[i] - want) / want;
    }
    if (v->stop) v->stop(state);
    cop_free(state);
    cop_sampler_free(sampler);
    cop_tree_fini(&x.tree);
    return (chi - (CELLS - 1)) / sqrt(2.0 * (CELLS - 1));
}

static void check_right(double correlation) {
    static table t;
    make_table(&t, 3, correlation);
    for (int i = 0; cop_verifiers[i]; i++) {
        const cop_verifier_type *v = cop_verifiers[i];
        if (!v->lossless) continue;
        for (int s = 0; s < N_RIGHT; s++) {
            if (!v->takes_draws && s != POINTS) continue;
            double z = deviation(v, &t, (shape)s);
            if (fabs(z) > 4) fail_msg("%s, %s: %.1f deviations from the target's distribution", v->name, shape_names[s], z);
        }
    }
}

static void a_lossless_verifier_emits_the_targets_distribution(void **state) {
    (void)state;
    check_right(0.7);
}

static void so_it_does_when_the_draft_equals_the_target_and_when_it_knows_nothing(void **state) {
    (void)state;
    check_right(1.0);
    check_right(0.0);
}

// ---- negative controls ------------------------------------------------------------------------------

static void biased_proposals_are_seen(void **state) {
    (void)state;
    static table t;
    make_table(&t, 3, 0.7);
    const cop_verifier_type *v;
    assert_int_equal(cop_verifier_find(&v, "rejection", 9), COP_OK);
    for (int s = N_RIGHT; s < N_SHAPES; s++) {
        double z = deviation(v, &t, (shape)s);
        if (z < 8) fail_msg("%s went unseen: %.1f deviations", shape_names[s], z);
    }
}

// One draw per root-to-leaf path and the longest path wins: a shared node gets several chances.
static void accept_longest_path(void *state, const cop_verify_input *in, cop_verdict *out) {
    (void)state;
    int best = -1;
    out->n_path = out->n_tokens = 0;
    for (int leaf = 0; leaf < in->tree->n_nodes; leaf++) {
        int nodes[16], n = in->tree->nodes[leaf].depth, got = 0;
        int32_t tokens[17];
        if (in->tree->nodes[leaf].first_child >= 0) continue;
        for (int i = n, at = leaf; i >= 0; i--, at = in->tree->nodes[at].parent) nodes[i] = at;
        for (int i = 0; i <= n; i++) {
            float *x = in->logits(in->engine, nodes[i]);
            double p[V];
            for (int j = 0; j < V; j++) p[j] = exp((double)x[j]);
            tokens[got++] = draw_from(p, cop_noise_uniform(SEED, COP_NOISE_ACCEPT, (uint64_t)in->view->n_tokens, (uint64_t)(leaf * 16 + i)));
            if (i == n || tokens[i] != in->tree->nodes[nodes[i + 1]].token) break;
        }
        if (got <= best) continue;
        best = got;
        out->n_tokens = got;
        memcpy(out->tokens, tokens, (size_t)got * sizeof *tokens);
    }
}

// The same uniform serves two positions that follow one another.
static void accept_with_shared_noise(void *state, const cop_verify_input *in, cop_verdict *out) {
    (void)state;
    out->n_path = out->n_tokens = 0;
    for (int node = COP_TREE_ROOT; node >= 0;) {
        float *x = in->logits(in->engine, node);
        double p[V];
        for (int j = 0; j < V; j++) p[j] = exp((double)x[j]);
        int32_t token = draw_from(p, cop_noise_uniform(SEED, COP_NOISE_SAMPLE, (uint64_t)(in->view->n_tokens + out->n_tokens) / 2, 0));
        out->tokens[out->n_tokens++] = token;
        node = cop_tree_child(in->tree, node, token);
    }
}

static void biased_verifiers_are_seen(void **state) {
    (void)state;
    static table t;
    make_table(&t, 3, 0.7);
    const cop_verifier_type longest = {.name = "longest path", .accept = accept_longest_path};
    const cop_verifier_type shared = {.name = "shared noise", .accept = accept_with_shared_noise};
    assert_true(deviation(&longest, &t, POINTS) > 8);
    assert_true(deviation(&shared, &t, POINTS) > 8);
    const cop_verifier_type *v;
    assert_int_equal(cop_verifier_find(&v, "typical", 7), COP_OK);
    assert_true(deviation(v, &t, POINTS) > 8);  // it is lossy and says so
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lossless_verifier_emits_the_targets_distribution),
        cmocka_unit_test(so_it_does_when_the_draft_equals_the_target_and_when_it_knows_nothing),
        cmocka_unit_test(biased_proposals_are_seen),
        cmocka_unit_test(biased_verifiers_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
