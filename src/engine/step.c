// One step: propose, verify, commit. The first file to read.
//
// Plain decoding is a step whose tree holds only the root. Everything a step needs was allocated when the
// session was opened. Leviathan et al. 2023 (arXiv:2211.17192); Miao et al. 2024 (arXiv:2305.09781).
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "engine/session.h"

static float *node_logits(void *engine, int node) {
    cop_session *s = engine;
    float *logits = cop_workspace_logits(s->ws, s->row_of[node]);
    if (s->hash_logits) s->logits_hash = XXH3_64bits_withSeed(logits, (size_t)s->engine->model->desc.V * sizeof(float), s->logits_hash);
    return logits;
}

static const float *node_logits_again(void *engine, int node) {
    cop_session *s = engine;
    return cop_workspace_logits(s->ws, s->row_of[node]);
}

static bool is_end(void *engine, int32_t token) {
    const cop_session *s = engine;
    return cop_tokenizer_is_end(s->engine->tokenizer, token);
}

static void propose(cop_session *s, const cop_view *view) {
    double start = cop_clock();
    cop_tree_reset(&s->tree, view->tokens[view->n_tokens - 1]);
    for (int i = 0; i < s->n_drafters; i++) s->drafters[i].type->propose(s->drafters[i].state, view, &s->tree);
    s->stats.draft_seconds += cop_clock() - start;
}

// No node may stand beyond the context's last slot: deeper ones are not computed, nor what is below them.
static int rows_from_tree(cop_session *s) {
    int n = 0, room = s->context - cop_seq_length(s->seq);
    for (int node = 0; node < s->tree.n_nodes && n < room && n < s->max_nodes; node++) {
        const cop_node *t = &s->tree.nodes[node];
        bool fits = t->token >= 0 && t->token < s->engine->model->desc.V;
        bool rooted = t->parent < 0 || s->row_of[t->parent] >= 0;
        s->row_of[node] = fits && rooted ? n : -1;
        if (s->row_of[node] < 0) continue;
        s->rows[n++] = (cop_row){.seq = s->seq, .token = t->token, .parent = t->parent < 0 ? -1 : s->row_of[t->parent], .want_logits = true};
    }
    return n;
}

// Nodes without a row (beyond the context, or no token at all) must not be walked into.
static void cut_unrooted(cop_session *s, int n_rows) {
    if (n_rows == s->tree.n_nodes) return;
    bool *keep = s->keep;
    for (int i = 0; i < s->tree.n_nodes; i++) keep[i] = s->row_of[i] >= 0;
    cop_tree_prune(&s->tree, keep, NULL);
    for (int i = 0; i < s->tree.n_nodes; i++) s->row_of[i] = i;
}

static void observe(cop_session *s, const cop_view *view) {
    const cop_rows_view rows = {node_logits_again, s, s->engine->model->desc.V};
    const cop_accepted got = {s->verdict.path, s->verdict.n_path, s->verdict.tokens, s->verdict.n_tokens};
    for (int i = 0; i < s->n_drafters; i++)
        if (s->drafters[i].type->observe) s->drafters[i].type->observe(s->drafters[i].state, view, &s->tree, &rows, &got);
}

cop_status cop_step(cop_session *s, bool *ended) {
    if (s->n_tokens < 1) return cop_fail(COP_ERR_ARG, "step: the sequence is empty");
    if (s->n_tokens >= s->context) return cop_fail(COP_ERR_LIMIT, "context is full: %d tokens, at most %d", s->n_tokens, s->context);
    const cop_view view = {s->tokens, s->n_tokens, s->n_prompt, s->options.seed, s->context};
    propose(s, &view);
    for (int i = 0; i < s->tree.n_nodes; i++) s->row_of[i] = -1;
    int n_rows = rows_from_tree(s);
    cut_unrooted(s, n_rows);

    double start = cop_clock();
    COP_TRY(cop_seq_reserve(s->seq, n_rows));
    COP_TRY(cop_model_forward(s->engine->model, s->ws, s->rows, n_rows, NULL));
    const cop_verify_input in = {&view, &s->tree, s->sampler, node_logits, is_end, s};
    s->verifier->accept(s->verifier_state, &in, &s->verdict);

    // The root is committed with the accepted path. Rows are numbered like nodes.
    s->committed[0] = COP_TREE_ROOT;
    for (int i = 0; i < s->verdict.n_path; i++) s->committed[i + 1] = s->verdict.path[i];
    int n_keep = s->verdict.n_tokens - 1 < s->verdict.n_path ? s->verdict.n_tokens - 1 : s->verdict.n_path;
    cop_seq_commit(s->seq, s->committed, n_keep + 1);
    s->stats.verify_seconds += cop_clock() - start;

    observe(s, &view);
    for (int i = 0; i < s->verdict.n_tokens; i++) s->tokens[s->n_tokens++] = s->verdict.tokens[i];
    s->stats.steps++;
    s->stats.rows += n_rows;
    s->stats.drafted += n_rows - 1;
    s->stats.accepted += n_keep;
    *ended = is_end(s, s->tokens[s->n_tokens - 1]);
    return COP_OK;
}

cop_status cop_session_prefill(cop_session *s, bool (*on_chunk)(void *user, int done, int total), void *user) {
    int total = s->n_tokens - 1;
    for (int done; (done = cop_seq_length(s->seq)) < total;) {
        if (on_chunk && !on_chunk(user, done, total)) return cop_fail(COP_ERR_CANCELLED, "prefill: stopped at token %d of %d", done, total);
        int n = total - done < s->max_rows ? total - done : s->max_rows;
        for (int i = 0; i < n; i++)
            s->rows[i] = (cop_row){.seq = s->seq, .token = s->tokens[done + i], .parent = i - 1};
        COP_TRY(cop_seq_reserve(s->seq, n));
        COP_TRY(cop_model_forward(s->engine->model, s->ws, s->rows, n, NULL));
        cop_seq_commit(s->seq, NULL, n);
    }
    return COP_OK;
}
