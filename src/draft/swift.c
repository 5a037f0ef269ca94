// Swift: the target drafts for itself with some of its sublayers left out; which ones is searched while it writes.
// Source: SWIFT, Xia et al. 2025 (arXiv:2410.06916). The Gaussian process of the paper is a swap search here: one
// skipped and one kept sublayer change places, and the change stays when the skipped model predicts more of the
// first generated tokens (matchness), which one forward over them tells.
// Cost: a share of the target's forward for each drafted token; a search step is one forward over `window` rows.
// Memory: two bit sets; drafts stand in scratch slots behind the text. Not here: a search over tasks, on disk.
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "base/noise.h"
#include "draft/draft.h"

#define MOST_LAYERS 512
#define MOST_WINDOW 48
#define FRUITLESS 60  // search steps without gain after which it ends

typedef struct skip_sets {
    uint64_t attention[MOST_LAYERS / 64], mlp[MOST_LAYERS / 64];
} skip_sets;

typedef struct swift {
    int32_t depth, window, every, tries;
    float ratio, stop, enough;
    cop_draft_setup setup;
    skip_sets best, trial;
    float matchness;        // of the best sets
    int n_tried, fruitless, step;
    cop_seq *probe;         // shares the prompt with the text
    cop_row rows[MOST_WINDOW + 16];
    float *logits;          // [V]
    int32_t path[16];
} swift;

static bool get(const uint64_t *set, int i) { return set[i / 64] >> (i % 64) & 1; }
static void flip(uint64_t *set, int i) { set[i / 64] ^= (uint64_t)1 << (i % 64); }

// Sublayer i of 2 (L - 2): first and last layer are always kept.
static bool is_skipped(const skip_sets *s, int i) { return get(i % 2 ? s->mlp : s->attention, 1 + i / 2); }
static void change(skip_sets *s, int i) { flip(i % 2 ? s->mlp : s->attention, 1 + i / 2); }
static int n_sublayers(const swift *s) { return s->setup.target->desc.L > 2 ? 2 * (s->setup.target->desc.L - 2) : 0; }

static void reset(void *state) {
    swift *s = state;
    s->matchness = -1;
    s->n_tried = s->fruitless = 0;
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    swift *s = state;
    s->setup = *setup;
    if (setup->target->desc.L > MOST_LAYERS) return cop_fail(COP_ERR_LIMIT, "drafter swift: %d layers, at most %d", setup->target->desc.L, MOST_LAYERS);
    s->logits = cop_alloc_array((size_t)setup->V, sizeof(float));
    if (!s->logits) return cop_fail(COP_ERR_NOMEM, "drafter swift: cannot allocate");
    cop_status st = cop_seq_new(&s->probe, cop_seq_cache(setup->target_seq), setup->max_tokens);
    if (st) {
        cop_free(s->logits);
        return st;
    }
    // Evenly spread, so many as the ratio says.
    int n = n_sublayers(s), want = (int)(s->ratio * (float)n);
    for (int i = 0; i < n; i++)
        if ((int64_t)(i + 1) * want / n > (int64_t)i * want / n) change(&s->best, i);
    reset(s);
    return COP_OK;
}

static void stop(void *state) {
    swift *s = state;
    cop_seq_free(s->probe);
    cop_free(s->logits);
}

static bool forward(const swift *s, cop_seq *seq, int n_rows, int computed, const skip_sets *skip) {
    const cop_forward_options o = {.computed = computed, .skip_attention = skip->attention, .skip_mlp = skip->mlp};
    return !cop_seq_reserve(seq, n_rows) && !cop_model_forward(s->setup.target, s->setup.target_ws, s->rows, n_rows, &o);
}

// The believed probability of a token; destroys logits.
static float belief(const swift *s, float *logits, int32_t token) {
    float max = logits[0], x = logits[token];
    for (int i = 1; i < s->setup.V; i++) max = logits[i] > max ? logits[i] : max;
    float sum = s->setup.target->kernels.softmax(logits, s->setup.V);
    return x - max < -60 ? 0 : (float)(cop_exp((double)(x - max)) / (double)sum);
}

// Share of the first generated tokens that the model predicts with these sublayers skipped.
static float match(swift *s, const cop_view *view, const skip_sets *skip) {
    int n = s->window, first = view->n_prompt - 1, hits = 0;
    if (cop_seq_share(s->probe, s->setup.target_seq, first)) return -1;
    for (int i = 0; i < n; i++) s->rows[i] = (cop_row){.seq = s->probe, .token = view->tokens[first + i], .adapters = s->setup.target_adapters, .parent = i - 1, .want_logits = true};
    bool done = forward(s, s->probe, n, 0, skip);
    for (int i = 0; done && i < n; i++) {
        const float *x = cop_workspace_logits(s->setup.target_ws, i);
        int32_t best = 0;
        for (int t = 1; t < s->setup.V; t++)
            if (x[t] > x[best]) best = t;
        hits += best == view->tokens[first + i + 1];
    }
    cop_seq_truncate(s->probe, 0);
    return done ? (float)hits / (float)n : -1;
}

static int pick_sublayer(const swift *s, const skip_sets *sets, bool skipped, uint64_t draw) {
    int n = n_sublayers(s), at = (int)(cop_noise_bits(0, COP_NOISE_DRAFT, draw, skipped) % (uint64_t)n);
    for (int i = 0; i < n; i++)
        if (is_skipped(sets, (at + i) % n) == skipped) return (at + i) % n;
    return -1;
}

// One step of the search, when it is due and goes on.
static void search(swift *s, const cop_view *view) {
    bool due = s->every > 0 && ++s->step % s->every == 0;
    if (!due || !n_sublayers(s) || s->n_tried >= s->tries || s->fruitless >= FRUITLESS || s->matchness >= s->enough) return;
    if (view->n_prompt < 1 || view->n_tokens - view->n_prompt < s->window + 1) return;
    if (s->matchness < 0) {
        s->matchness = match(s, view, &s->best);
        return;
    }
    s->trial = s->best;
    int on = pick_sublayer(s, &s->trial, false, (uint64_t)(2 * s->n_tried)), off = pick_sublayer(s, &s->trial, true, (uint64_t)(2 * s->n_tried + 1));
    s->n_tried++;
    if (on < 0 || off < 0) return;
    change(&s->trial, on);
    change(&s->trial, off);
    float m = match(s, view, &s->trial);
    s->fruitless++;
    if (m <= s->matchness) return;
    s->matchness = m;
    s->best = s->trial;
    s->fruitless = 0;
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    swift *s = state;
    int depth = s->depth < tree->max_depth ? s->depth : tree->max_depth, node = COP_TREE_ROOT;
    int room = view->max_tokens - view->n_tokens;
    if (cop_seq_length(s->setup.target_seq) != view->n_tokens - 1) return;
    search(s, view);
    for (int d = 0; d < depth && d < room; d++) {
        s->rows[d] = (cop_row){.seq = s->setup.target_seq, .token = tree->nodes[node].token, .adapters = s->setup.target_adapters, .parent = d - 1, .want_logits = true};
        if (!forward(s, s->setup.target_seq, d + 1, d, &s->best)) return;
        int32_t token;
        memcpy(s->logits, cop_workspace_logits(s->setup.target_ws, 0), (size_t)s->setup.V * sizeof(float));
        cop_sampler_rank(view->sampler, s->logits, view->n_tokens + d, view->tokens, view->n_tokens, s->path, d, 1, &token);
        float p = belief(s, s->logits, token);
        node = cop_tree_add(tree, node, token, p > 0 ? (float)cop_log((double)p) : -60);
        if (node < 0) return;
        if (tree->nodes[node].source == tree->source) tree->nodes[node].bucket = (uint8_t)((int)(p * 15.99f) + 16 * (d < 3 ? d : 3));
        s->path[d] = token;
        if (p < s->stop) return;
    }
}

static const cop_option options[] = {
    COP_OPTION_INT(swift, depth, 4, 1, 16, "tokens to draft at most"),
    COP_OPTION_FLOAT(swift, ratio, 0.45, 0, 1, "share of the sublayers that is left out"),
    COP_OPTION_FLOAT(swift, stop, 0.8, 0, 1, "end behind a token that is believed in less"),
    COP_OPTION_INT(swift, window, 32, 1, MOST_WINDOW, "generated tokens that a search step predicts"),
    COP_OPTION_INT(swift, every, 4, 0, 100000, "steps between two of the search; 0: no search"),
    COP_OPTION_INT(swift, tries, 120, 0, 1000, "search steps at most"),
    COP_OPTION_FLOAT(swift, enough, 0.93, 0, 1, "matchness at which the search ends"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_swift = {
    .name = "swift", .summary = "the model itself with sublayers left out", .source = "Xia 2025", .needs = COP_COSTLY,
    .state_size = sizeof(swift), .options = options, .start = start, .propose = propose, .reset = reset, .stop = stop,
};
