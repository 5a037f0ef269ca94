#include "draft/follower.h"

#include <string.h>

#include "base/alloc.h"

#define READ_ROWS 128  // rows of a forward that reads text

static cop_status take_memory(cop_follower *f, cop_kv_type type, int max_nodes, int group) {
    int slots = f->max_tokens + max_nodes;
    cop_cache_shape shape = cop_model_cache_shape(f->model, type);
    COP_TRY(cop_cache_new(&f->cache, &shape, (slots + COP_PAGE - 1) / COP_PAGE + 1));
    COP_TRY(cop_seq_new(&f->seq, f->cache, slots));
    COP_TRY(cop_workspace_new_grouped(&f->ws, f->model, f->max_rows, max_nodes, slots + f->max_rows, group));
    f->rows = cop_alloc_array((size_t)f->max_rows, sizeof *f->rows);
    f->text = cop_alloc_array((size_t)f->max_tokens, sizeof *f->text);
    f->logits = cop_alloc_array((size_t)f->model->desc.V, sizeof *f->logits);
    if (f->rows && f->text && f->logits) return COP_OK;
    return cop_fail(COP_ERR_NOMEM, "second model: cannot allocate for %d tokens", f->max_tokens);
}

cop_status cop_follower_open(cop_follower *f, const cop_model *model, cop_kv_type type, int max_tokens, int max_nodes, int group) {
    *f = (cop_follower){.model = model, .max_tokens = max_tokens, .max_rows = max_nodes > READ_ROWS ? max_nodes : READ_ROWS};
    cop_status st = take_memory(f, type, max_nodes, group);
    if (st) cop_follower_close(f);
    return st;
}

void cop_follower_close(cop_follower *f) {
    cop_workspace_free(f->ws);
    cop_seq_free(f->seq);
    cop_cache_free(f->cache);
    cop_free(f->rows);
    cop_free(f->text);
    cop_free(f->logits);
    *f = (cop_follower){0};
}

bool cop_follower_read(cop_follower *f, const int32_t *tokens, int n_tokens) {
    int n = cop_seq_length(f->seq), same = 0, V = f->model->desc.V;
    if (n_tokens < 1 || n_tokens > f->max_tokens) return false;
    // The last token is always computed: its logits are wanted.
    while (same < n && same < n_tokens - 1 && f->text[same] == tokens[same]) same++;
    cop_seq_truncate(f->seq, same);
    for (int i = same; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= V) return false;
    for (int at = same; at < n_tokens;) {
        int rows = n_tokens - at < READ_ROWS ? n_tokens - at : READ_ROWS;
        bool end = at + rows == n_tokens;
        for (int i = 0; i < rows; i++)
            f->rows[i] = (cop_row){.seq = f->seq, .token = tokens[at + i], .parent = i - 1, .want_logits = end && i == rows - 1};
        if (!cop_follower_compute(f, rows, 0, NULL)) return false;
        if (end) memcpy(f->logits, cop_workspace_logits(f->ws, rows - 1), (size_t)V * sizeof *f->logits);
        memcpy(f->text + at, tokens + at, (size_t)rows * sizeof *f->text);
        cop_seq_commit(f->seq, NULL, rows);
        at += rows;
    }
    return true;
}

bool cop_follower_compute(cop_follower *f, int n_rows, int computed, const cop_forward_options *options) {
    cop_forward_options o = options ? *options : (cop_forward_options){0};
    o.computed = computed;
    return !cop_seq_reserve(f->seq, n_rows) && !cop_model_forward(f->model, f->ws, f->rows, n_rows, &o);
}
