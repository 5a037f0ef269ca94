// Copy drafter: when the last few tokens occurred before, propose what followed them then.
// Sources: Saxena 2023 (prompt lookup decoding); CopySpec, Dumitru et al. 2025 (arXiv:2502.08923), from which
//          we differ: of the occurrences the longest match wins, the newest of equal ones, and a longer match
//          proposes more, because on a CPU every row that is computed for nothing costs.
// Cost:   one hash per token, and at most `look` comparisons a step. 4 bytes a token and 256 KiB a session.
// Not here: a fallback when nothing occurred before (another drafter behind a +).
#include <string.h>

#include "base/alloc.h"
#include "draft/draft.h"

#define BUCKETS (1 << 16)
#define MOST_MATCH 64  // tokens compared backwards: longer matches are all alike

typedef struct copy {
    int32_t order, depth, look;
    int32_t *newest;  // [BUCKETS] end of the newest run of `order` tokens with this hash, 0: none
    int32_t *older;   // [max_tokens + 1] end of the one before it
    int32_t n_indexed, max_tokens;
} copy;

static uint32_t bucket(const int32_t *run, int n) {
    uint32_t h = 0x9e3779b9u;
    for (int i = 0; i < n; i++) h = (h ^ (uint32_t)run[i]) * 0x85ebca6bu, h ^= h >> 13;
    return h & (BUCKETS - 1);
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    copy *c = state;
    int max_tokens = setup->max_tokens;
    c->max_tokens = max_tokens;
    c->newest = cop_alloc_array(BUCKETS, sizeof *c->newest);
    c->older = cop_alloc_array((size_t)max_tokens + 1, sizeof *c->older);
    if (c->newest && c->older) return COP_OK;
    cop_free(c->newest);
    cop_free(c->older);
    return cop_fail(COP_ERR_NOMEM, "drafter copy: cannot allocate");
}

static void stop(void *state) {
    copy *c = state;
    cop_free(c->newest);
    cop_free(c->older);
}

static void reset(void *state) {
    copy *c = state;
    memset(c->newest, 0, BUCKETS * sizeof *c->newest);
    c->n_indexed = 0;
}

// Index every run that ends before the last token: that one is what is looked up.
static void catch_up(copy *c, const cop_view *view) {
    int n = view->n_tokens - 1 < c->max_tokens ? view->n_tokens - 1 : c->max_tokens;
    if (c->n_indexed > n) c->n_indexed = n;  // the sequence was cut; what was indexed beyond is checked when it is found
    for (int end = c->n_indexed < c->order ? c->order : c->n_indexed + 1; end <= n; end++) {
        uint32_t b = bucket(view->tokens + end - c->order, c->order);
        c->older[end] = c->newest[b] < end ? c->newest[b] : 0;
        c->newest[b] = end;
    }
    c->n_indexed = n;
}

// How many tokens before `end` equal the last ones of the sequence.
static int match_length(const cop_view *view, int end) {
    int n = 0;
    while (n < MOST_MATCH && n < end && view->tokens[end - 1 - n] == view->tokens[view->n_tokens - 1 - n]) n++;
    return n;
}

// The match as it will be when the text has come this far.
static uint8_t confidence(int length) { return (uint8_t)(length < COP_BUCKETS ? length : COP_BUCKETS - 1); }

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    copy *c = state;
    catch_up(c, view);
    if (view->n_tokens <= c->order) return;
    int best = 0, best_length = c->order - 1, looks = 0;
    uint32_t b = bucket(view->tokens + view->n_tokens - c->order, c->order);
    for (int end = c->newest[b]; end > 0 && looks < c->look; looks++) {
        int length = end < view->n_tokens ? match_length(view, end) : 0;
        if (length > best_length) best = end, best_length = length;
        end = c->older[end] < end ? c->older[end] : 0;
    }
    if (!best) return;
    int n = 2 * best_length < c->depth ? 2 * best_length : c->depth, node = COP_TREE_ROOT;
    int period = view->n_tokens - best;  // a copy that reaches the end goes on with itself
    for (int i = 0; i < n; i++) {
        node = cop_tree_add(tree, node, view->tokens[best + i % period], COP_LOGP_NONE);
        if (node < 0) return;
        if (tree->nodes[node].source == tree->source) tree->nodes[node].bucket = confidence(best_length + i);
    }
}

static const cop_option options[] = {
    COP_OPTION_INT(copy, order, 3, 1, 16, "tokens that must match"),
    COP_OPTION_INT(copy, depth, 7, 1, 63, "tokens to propose at most"),
    COP_OPTION_INT(copy, look, 16, 1, 1024, "earlier occurrences to compare"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_copy = {
    .name = "copy", .summary = "repeat what followed the same tokens earlier", .source = "Saxena 2023; Dumitru 2025", .needs = COP_IN_AUTO,
    .auto_options = "depth=32,order=2",
    .state_size = sizeof(copy), .options = options, .start = start, .propose = propose, .reset = reset, .stop = stop,
};
