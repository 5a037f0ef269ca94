// Translate drafter: a second model of another vocabulary writes ahead, by way of the text.
//
// What is committed is spelt out and read by the draft model in its own tokens; what it writes is spelt out and cut into
// the target's. Both cuts take the longest token (text/longest.h): near the tokenizers' own, and where they differ the
// target decides otherwise, which costs a draft and no byte of the text. Greedy: its noise is not the target's.
// Source: text-level speculation across vocabularies, Timor et al. 2025 (arXiv:2502.05202), section on string-level match.
// Cost: a forward of the draft model for each token that it writes. Memory: its cache, and 12 bytes a byte of text.
#include <string.h>

#include "base/alloc.h"
#include "base/maths.h"
#include "draft/draft.h"
#include "draft/follower.h"
#include "text/longest.h"

#define BYTES_A_TOKEN 6    // of the context, in the mean; a longer text is no longer drafted for
#define AGAIN 32           // bytes before new text that are cut again: a token may have grown
#define MOST_DEPTH 32
#define MOST_DRAFT 1024    // bytes of one draft

typedef struct translate {
    int32_t depth;
    float stop;
    cop_draft_setup setup;
    cop_follower second;
    cop_longest *ours, *theirs;
    int32_t *known;        // [max_tokens] the target's tokens that `text` spells
    int *known_ends;       // [max_tokens] where each ends in it
    int n_known;
    char *text;            // [most_bytes]
    int most_bytes;
    int32_t *read;         // [most_read] the same text in the draft model's tokens
    int *read_ends;
    int n_read, most_read;
    char draft[MOST_DRAFT];
} translate;

static void stop(void *state) {
    translate *t = state;
    cop_follower_close(&t->second);
    cop_longest_free(t->ours);
    cop_longest_free(t->theirs);
    cop_free(t->known);
    cop_free(t->known_ends);
    cop_free(t->text);
    cop_free(t->read);
    cop_free(t->read_ends);
}

static cop_status take_memory(translate *t) {
    size_t tokens = (size_t)t->setup.max_tokens;
    t->most_bytes = t->setup.max_tokens * BYTES_A_TOKEN;
    t->most_read = t->setup.max_tokens + t->setup.max_tokens / 2;
    COP_TRY(cop_follower_open(&t->second, t->setup.draft, t->setup.cache_type, t->most_read, MOST_DEPTH, 0));
    COP_TRY(cop_longest_new(&t->ours, t->setup.tokenizer));
    COP_TRY(cop_longest_new(&t->theirs, t->setup.draft_tokenizer));
    t->known = cop_alloc_array(tokens, sizeof *t->known);
    t->known_ends = cop_alloc_array(tokens, sizeof *t->known_ends);
    t->text = cop_alloc((size_t)t->most_bytes);
    t->read = cop_alloc_array((size_t)t->most_read, sizeof *t->read);
    t->read_ends = cop_alloc_array((size_t)t->most_read, sizeof *t->read_ends);
    if (t->known && t->known_ends && t->text && t->read && t->read_ends) return COP_OK;
    return cop_fail(COP_ERR_NOMEM, "drafter translate: cannot allocate");
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    translate *t = state;
    t->setup = *setup;
    if (!setup->tokenizer || !setup->draft_tokenizer) return cop_fail(COP_ERR_ARG, "drafter translate: needs the tokenizers of both models");
    if (setup->max_tokens > INT32_MAX / BYTES_A_TOKEN) return cop_fail(COP_ERR_ARG, "drafter translate: a context of %d tokens is too long", setup->max_tokens);
    cop_status st = take_memory(t);
    if (st) stop(t);
    return st;
}

// Spell out what is new of the sequence. The number of bytes that were there before and still hold; -1: too long.
static int spell(translate *t, const int32_t *tokens, int n) {
    int same = 0;
    while (same < t->n_known && same < n && t->known[same] == tokens[same]) same++;
    int held = same ? t->known_ends[same - 1] : 0, at = held;
    t->n_known = same;
    for (int i = same; i < n; i++) {
        size_t bytes;
        const char *piece = cop_tokenizer_piece(t->setup.tokenizer, tokens[i], true, &bytes);
        if (bytes > (size_t)(t->most_bytes - at)) return -1;
        memcpy(t->text + at, piece, bytes);
        at += (int)bytes;
        t->known[i] = tokens[i];
        t->known_ends[i] = at;
        t->n_known = i + 1;
    }
    return held;
}

// Cut the text into the draft model's tokens, anew from a little before what is new.
static bool cut(translate *t, int held) {
    int bytes = t->known_ends[t->n_known - 1];
    while (t->n_read > 0 && t->read_ends[t->n_read - 1] > held - AGAIN) t->n_read--;
    for (int at = t->n_read ? t->read_ends[t->n_read - 1] : 0; at < bytes;) {
        size_t used;
        int32_t token = cop_longest_next(t->theirs, t->text + at, (size_t)(bytes - at), &used);
        at += token < 0 ? 1 : (int)used;  // what it cannot say it does not read
        if (token < 0) continue;
        if (t->n_read == t->most_read) return false;
        t->read[t->n_read] = token;
        t->read_ends[t->n_read++] = at;
    }
    return t->n_read > 0;
}

// The most probable token and its probability.
static int32_t best(const float *logits, int V, float *p) {
    int32_t top = 0;
    double sum = 0;
    for (int32_t i = 1; i < V; i++)
        if (logits[i] > logits[top]) top = i;
    for (int32_t i = 0; i < V; i++) sum += logits[i] - logits[top] < -30 ? 0 : cop_exp((double)(logits[i] - logits[top]));
    *p = (float)(1 / sum);
    return top;
}

// The draft model writes into t->draft; bytes, and the belief in all of them.
static size_t write_ahead(translate *t, int depth, float *belief) {
    cop_follower *f = &t->second;
    const float *logits = f->logits;
    size_t bytes = 0;
    int tokens = cop_tokenizer_n_tokens(t->setup.draft_tokenizer), V = f->model->desc.V < tokens ? f->model->desc.V : tokens;
    *belief = 1;
    for (int i = 0; i < depth; i++) {
        float p;
        int32_t token = best(logits, V, &p);
        size_t n;
        const char *piece = cop_tokenizer_piece(t->setup.draft_tokenizer, token, true, &n);
        if (p * *belief < t->stop || cop_tokenizer_is_end(t->setup.draft_tokenizer, token) || n > sizeof t->draft - bytes) break;
        *belief *= p;
        memcpy(t->draft + bytes, piece, n);
        bytes += n;
        if (i + 1 == depth) break;
        f->rows[i] = (cop_row){.seq = f->seq, .token = token, .parent = i - 1, .want_logits = true};
        if (!cop_follower_compute(f, i + 1, i, NULL)) break;
        logits = cop_workspace_logits(f->ws, 0);
    }
    return bytes;
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    translate *t = state;
    int depth = t->depth < tree->max_depth ? t->depth : tree->max_depth;
    if (view->n_tokens > t->setup.max_tokens || depth < 1 || cop_tree_is_full(tree)) return;
    int held = spell(t, view->tokens, view->n_tokens);
    if (held < 0 || !cut(t, held) || !cop_follower_read(&t->second, t->read, t->n_read)) return;
    float belief;
    size_t bytes = write_ahead(t, depth, &belief), used;
    int node = COP_TREE_ROOT, class = (int)(belief * 7.99f);
    for (size_t at = 0; at < bytes && node >= 0; at += used) {
        int32_t token = cop_longest_next(t->ours, t->draft + at, bytes - at, &used);
        if (token < 0 || token >= t->setup.V) return;
        int before = tree->n_nodes, above = tree->nodes[node].depth;
        node = cop_tree_add(tree, node, token, COP_LOGP_NONE);
        if (node >= before) tree->nodes[node].bucket = (uint8_t)(class * 8 + (above < 7 ? above : 7));
    }
}

static void reset(void *state) { ((translate *)state)->n_known = 0; }

static const cop_option options[] = {
    COP_OPTION_INT(translate, depth, 6, 1, MOST_DEPTH, "tokens that the draft model writes"),
    COP_OPTION_FLOAT(translate, stop, 0.3, 0, 1, "it stops when its belief in the whole draft falls below"),
    COP_OPTION_END,
};

const cop_drafter_type cop_drafter_translate = {
    .name = "translate", .summary = "a second model of another vocabulary, by way of the text", .source = "Timor 2025",
    .needs = COP_NEEDS_SECOND_MODEL | COP_TRANSLATES | COP_COSTLY, .state_size = sizeof(translate), .options = options,
    .start = start, .propose = propose, .reset = reset, .stop = stop,
};
