// One step: propose, verify, commit. The first file to read.
//
// Plain decoding is a step whose tree holds only the root. Everything a step needs was allocated when the
// session was opened. Leviathan et al. 2023 (arXiv:2211.17192); Miao et al. 2024 (arXiv:2305.09781).
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "engine/session.h"

// Nodes whose next token the guide decides are computed for the cache alone, when the verifier does not look at them.
static bool has_logits(const cop_session *s, int node) {
    return !s->guiding || !s->verifier->takes_decided || s->probe.see || cop_guiding_decided(s, node) < 0;
}

static float *node_logits(void *engine, int node) {
    cop_session *s = engine;
    float *logits = cop_workspace_logits(s->ws, s->first_row + node);
    if (s->probe.see) s->probe.see(s->probe.user, logits);
    if (s->guiding) cop_guiding_mask(s, node, logits);
    if (s->turns) cop_switch_see(s->turns, s->engine->model, logits);
    if (s->hash_logits) s->logits_hash = XXH3_64bits_withSeed(logits, (size_t)s->engine->model->desc.V * sizeof(float), s->logits_hash);
    return logits;
}

static const float *node_logits_again(void *engine, int node) {
    cop_session *s = engine;
    return has_logits(s, node) ? cop_workspace_logits(s->ws, s->first_row + node) : NULL;
}

static int32_t decided(void *engine, int node) {
    const cop_session *s = engine;
    int32_t token = cop_guiding_decided(s, node);
    if (token >= 0 && s->probe.see) s->probe.see(s->probe.user, cop_workspace_logits(s->ws, s->first_row + node));
    return token;
}

static bool is_end(void *engine, int32_t token) {
    const cop_session *s = engine;
    return (!s->ignore_end || s->guiding) && cop_tokenizer_is_end(s->engine->tokenizer, token);
}

static void propose(cop_session *s, const cop_view *view) {
    cop_tree_reset(&s->tree, view->tokens[view->n_tokens - 1]);
    bool asked = false;
    int most = s->share > 0 && s->share < s->max_nodes ? s->share : s->max_nodes;
    int deepest = s->room > 0 && s->room - 1 < most ? s->room - 1 : most;  // a path emits one token more
    if (s->guiding) {
        s->tree.limit = most;
        s->tree.max_depth = deepest;
        cop_guiding_propose(s);
    }
    for (int i = 0; i < s->n_drafters; i++) {
        double start = cop_clock();
        cop_admission may = {most, deepest};
        if (s->controller->admit) may = s->controller->admit(s->controller_state, view, &s->tree, i);
        s->report.asked[i] = may.limit > 0 && deepest > 0;
        if (s->report.asked[i]) {
            s->tree.source = (uint8_t)i;
            s->tree.limit = may.limit < most ? may.limit : most;
            s->tree.max_depth = may.max_depth < deepest ? may.max_depth : deepest;
            s->drafters[i].type->propose(s->drafters[i].state, view, &s->tree);
            asked = true;
        }
        s->report.draft_seconds[i] = cop_clock() - start;
    }
    s->stats.proposed += s->tree.n_nodes - 1;
    s->stats.off_steps += !asked;
}

static void show_proposed(cop_session *s) {
    if (!s->watch.step) return;
    memcpy(s->proposed.nodes, s->tree.nodes, (size_t)s->tree.n_nodes * sizeof *s->tree.nodes);
    s->proposed.n_nodes = s->tree.n_nodes;
}

static void prune(cop_session *s, const cop_view *view) {
    for (int i = 0; i < s->tree.n_nodes; i++) s->keep[i] = true;
    if (s->n_drafters && s->controller->prune) s->controller->prune(s->controller_state, view, &s->tree, s->keep);
    // No node may stand beyond the context's last slot or hold what is no token.
    int room = s->context - cop_seq_length(s->seq);
    for (int i = 1, n = 1; i < s->tree.n_nodes; i++) {
        const cop_node *t = &s->tree.nodes[i];
        bool drawn = t->proposal != COP_POINT;  // dropping a draw for what it is would bias the text
        s->keep[i] = (s->keep[i] || drawn) && s->keep[t->parent] && t->token >= 0 && t->token < s->engine->model->desc.V && n < room;
        n += s->keep[i];
    }
    if (s->guiding) cop_guiding_prune(s, s->keep);
    int n_before = s->tree.n_nodes;
    cop_tree_prune(&s->tree, s->keep, s->renamed);
    if (s->guiding) cop_guiding_settle(s, s->renamed, n_before);
}

static void rows_from_tree(cop_session *s, cop_row *rows) {
    for (int i = 0; i < s->tree.n_nodes; i++) {
        int parent = s->tree.nodes[i].parent;
        rows[i] = (cop_row){.seq = s->seq, .token = s->tree.nodes[i].token, .parent = parent < 0 ? -1 : s->first_row + parent,
                            .adapters = &s->adapters, .want_logits = has_logits(s, i)};
    }
}

static void observe(cop_session *s, const cop_view *view, const cop_accepted *got) {
    const cop_rows_view rows = {node_logits_again, s, s->engine->model->desc.V};
    for (int i = 0; i < s->n_drafters; i++) {
        if (!s->report.asked[i] || !s->drafters[i].type->observe) continue;
        double start = cop_clock();
        s->drafters[i].type->observe(s->drafters[i].state, view, &s->tree, &rows, got);
        s->report.draft_seconds[i] += cop_clock() - start;
    }
}

// The watcher sees the tree as it was proposed and what became of each node.
static void show_fates(cop_session *s, int n_keep) {
    if (!s->watch.step) return;
    for (int i = 0; i < s->proposed.n_nodes; i++) s->fates[i] = s->renamed[i] < 0 ? COP_PRUNED : COP_REJECTED;
    for (int i = 0; i < s->proposed.n_nodes; i++)
        for (int j = 0; j <= n_keep; j++)
            if (s->renamed[i] == s->committed[j]) s->fates[i] = COP_ACCEPTED;
    s->watch.step(s->watch.user, s, &s->proposed, s->fates);
}

static void count(cop_session *s, int n_rows, int n_keep) {
    cop_step_stats *st = &s->stats;
    st->steps++;
    st->rows += n_rows;
    st->drafted += n_rows - 1;
    st->accepted += n_keep;
    for (int i = 0; i < n_keep; i++) st->by_depth[i < COP_DEPTHS ? i : COP_DEPTHS - 1]++;
    for (int i = 0; i < s->n_drafters; i++) st->draft_seconds += s->report.draft_seconds[i];
    st->verify_seconds += s->report.verify_seconds;
}

static cop_view view_of(const cop_session *s) {
    return (cop_view){s->tokens, s->n_tokens, s->n_prompt, s->options.seed, s->context, s->sampler, s->others};
}

static cop_status check_room(const cop_session *s) {
    if (s->n_tokens < 1) return cop_fail(COP_ERR_ARG, "step: the sequence is empty");
    if (s->n_tokens >= s->context) return cop_fail(COP_ERR_LIMIT, "context is full: %d tokens, at most %d", s->n_tokens, s->context);
    return COP_OK;
}

cop_status cop_step_begin(cop_session *s, cop_row *rows, int first_row, int *n_rows) {
    *n_rows = 0;
    COP_TRY(check_room(s));
    const cop_view view = view_of(s);
    s->first_row = first_row;
    if (s->guiding) COP_TRY(cop_guiding_begin(s));
    propose(s, &view);
    show_proposed(s);
    prune(s, &view);
    COP_TRY(cop_seq_reserve(s->seq, s->tree.n_nodes));
    rows_from_tree(s, rows + first_row);
    *n_rows = s->tree.n_nodes;
    for (int i = 0; i < s->n_drafters; i++)
        if (s->report.asked[i] && s->drafters[i].type->ahead) s->drafters[i].type->ahead(s->drafters[i].state, &view, &s->tree);
    return COP_OK;
}

cop_status cop_step_end(cop_session *s, int n_forward, double seconds, bool *ended) {
    double start = cop_clock();
    const cop_view view = view_of(s);
    const cop_verify_input in = {&view, &s->tree, s->sampler, node_logits, s->guiding ? decided : NULL, is_end, s};
    s->verifier->accept(s->verifier_state, &in, &s->verdict);
    if (s->guiding) {
        cop_status st = cop_guiding_end(s, s->verdict.tokens, s->verdict.n_tokens);
        if (st) {
            cop_seq_commit(s->seq, NULL, 0);
            return st;
        }
    }

    // The root is committed with the accepted path. Rows are numbered like nodes.
    s->committed[0] = COP_TREE_ROOT;
    for (int i = 0; i < s->verdict.n_path; i++) s->committed[i + 1] = s->verdict.path[i];
    int n_keep = s->verdict.n_tokens - 1 < s->verdict.n_path ? s->verdict.n_tokens - 1 : s->verdict.n_path;
    cop_seq_commit(s->seq, s->committed, n_keep + 1);
    s->report.verify_seconds = seconds + (cop_clock() - start);

    const cop_accepted got = {s->verdict.path, s->verdict.n_path, s->verdict.tokens, s->verdict.n_tokens};
    observe(s, &view, &got);
    s->report.got = &got;
    s->report.n_tree = s->tree.n_nodes;
    s->report.n_rows = n_forward;
    if (s->n_drafters && s->controller->account) s->controller->account(s->controller_state, &view, &s->report);
    for (int i = 0; i < s->verdict.n_tokens; i++) s->tokens[s->n_tokens++] = s->verdict.tokens[i];
    count(s, s->tree.n_nodes, n_keep);
    show_fates(s, n_keep);
    *ended = is_end(s, s->tokens[s->n_tokens - 1]);
    return COP_OK;
}

cop_status cop_step(cop_session *s, bool *ended) {
    COP_TRY(check_room(s));
    if (s->turns && cop_switch_write(s->turns, s)) {
        s->tokens[s->n_tokens++] = s->verdict.tokens[0];
        s->stats.steps++;
        *ended = is_end(s, s->tokens[s->n_tokens - 1]);
        return COP_OK;
    }
    if (s->turns) COP_TRY(cop_session_prefill(s, NULL, NULL));  // what the small model wrote meanwhile
    int n_rows;
    COP_TRY(cop_step_begin(s, s->rows, 0, &n_rows));
    double start = cop_clock();
    COP_TRY(cop_model_forward(s->engine->model, s->ws, s->rows, n_rows, NULL));
    return cop_step_end(s, n_rows, cop_clock() - start, ended);
}

cop_status cop_prefill_begin(cop_session *s, cop_row *rows, int first_row, int n) {
    int done = cop_seq_length(s->seq);
    COP_TRY(cop_seq_reserve(s->seq, n));
    for (int i = 0; i < n; i++)
        rows[first_row + i] = (cop_row){.seq = s->seq, .token = s->tokens[done + i], .adapters = &s->adapters, .parent = i ? first_row + i - 1 : -1};
    return COP_OK;
}

cop_status cop_session_prefill(cop_session *s, bool (*on_chunk)(void *user, int done, int total), void *user) {
    int total = s->n_tokens - 1;
    for (int done; (done = cop_seq_length(s->seq)) < total;) {
        if (on_chunk && !on_chunk(user, done, total)) return cop_fail(COP_ERR_CANCELLED, "prefill: stopped at token %d of %d", done, total);
        int n = total - done < s->max_rows ? total - done : s->max_rows;
        COP_TRY(cop_prefill_begin(s, s->rows, 0, n));
        COP_TRY(cop_model_forward(s->engine->model, s->ws, s->rows, n, NULL));
        cop_seq_commit(s->seq, NULL, n);
    }
    return COP_OK;
}
