// A text is one sequence of its own. An encoder's rows all see each other, so it is computed in one forward; a
// decoder's in chunks. Pooled sums are taken in 64 bits, token by token.
#include "engine/embedder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define CHUNK 512         // rows of a decoder's forward
#define MOST_ROWS 4096    // of an encoder's
#define MOST_CONTEXT 4096

struct cop_embedder {
    cop_engine *engine;
    cop_embedder_options options;
    bool whole;          // a text is one forward
    int context, chunk;
    cop_cache *cache;
    cop_workspace *ws;
    cop_row *rows;       // [chunk]
    float *hidden;       // [chunk][D]
    double *sum;         // [D]
    cop_token_array ids;
};

static const char *const names[] = {"auto", "mean", "class", "last"};

cop_status cop_pooling_parse(cop_pooling *out, const char *text) {
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], text) != 0) continue;
        *out = (cop_pooling)i;
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "pooling %.40s: must be auto, mean, class or last", text);
}

static bool is_encoder(const cop_model *m) { return m->desc.layers[0].mask == COP_MASK_FULL; }

// GGUF: 1 mean, 2 class, 3 last; 4 ranks pairs of texts and gives no vector.
static cop_status choose_pooling(const cop_model *m, cop_pooling *out) {
    char key[64];
    uint32_t type;
    if (*out != COP_POOL_AUTO) return COP_OK;
    snprintf(key, sizeof key, "%s.pooling_type", m->desc.family);
    COP_TRY(cop_gguf_get_u32_or(m->file, key, 0, &type));
    if (type > 3) return cop_fail(COP_ERR_UNSUPPORTED, "%s: %u, 1 to 3 give a vector; %s", key, type, cop_gguf_name(m->file));
    *out = type ? (cop_pooling)type : is_encoder(m) ? COP_POOL_MEAN : COP_POOL_LAST;
    return COP_OK;
}

static cop_status open_embedder(cop_embedder *e) {
    const cop_model *m = e->engine->model;
    cop_embedder_options *o = &e->options;
    cop_cache_shape shape = cop_model_cache_shape(m, COP_KV_F32);
    COP_TRY(choose_pooling(m, &o->pooling));
    if (o->cache_type) COP_TRY(cop_kv_type_parse(&shape.type, o->cache_type));
    e->whole = is_encoder(m);
    int most = e->whole ? MOST_ROWS : MOST_CONTEXT;
    if (!e->whole && o->context > most) most = o->context;
    e->context = o->context && o->context < m->desc.max_positions ? o->context : m->desc.max_positions;
    if (e->context > most) e->context = most;
    e->chunk = e->whole || e->context < CHUNK ? e->context : CHUNK;
    e->rows = cop_alloc_array((size_t)e->chunk, sizeof *e->rows);
    e->hidden = cop_alloc_array((size_t)e->chunk * (size_t)m->desc.D, sizeof *e->hidden);
    e->sum = cop_alloc_array((size_t)m->desc.D, sizeof *e->sum);
    if (!e->rows || !e->hidden || !e->sum) return cop_fail(COP_ERR_NOMEM, "embedding: cannot allocate");
    COP_TRY(cop_cache_new(&e->cache, &shape, e->context / COP_PAGE + 1));
    COP_TRY(cop_workspace_new(&e->ws, m, e->chunk, 1, e->context));
    return cop_workspace_reserve_adapters(e->ws, o->adapters);
}

cop_status cop_embedder_open(cop_embedder **out, cop_engine *engine, const cop_embedder_options *options) {
    *out = NULL;
    cop_embedder *e = cop_alloc(sizeof *e);
    if (!e) return cop_fail(COP_ERR_NOMEM, "embedding: cannot allocate");
    e->engine = engine;
    e->options = *options;
    e->ids.most = SIZE_MAX / 8;
    cop_status st = open_embedder(e);
    if (st) {
        cop_embedder_close(e);
        return st;
    }
    *out = e;
    return COP_OK;
}

void cop_embedder_close(cop_embedder *e) {
    if (!e) return;
    cop_workspace_free(e->ws);
    cop_cache_free(e->cache);
    cop_free(e->rows);
    cop_free(e->hidden);
    cop_free(e->sum);
    cop_array_fini(&e->ids);
    cop_free(e);
}

int cop_embedder_width(const cop_embedder *e) { return e->engine->model->desc.D; }
cop_pooling cop_embedder_pooling(const cop_embedder *e) { return e->options.pooling; }

// ---- one text ----

static cop_status fit(cop_embedder *e) {
    cop_token_array *ids = &e->ids;
    size_t context = (size_t)e->context;
    if (!ids->n) return cop_fail(COP_ERR_ARG, "the text has no tokens");
    if (ids->n <= context) return COP_OK;
    if (!e->options.truncate) return cop_fail(COP_ERR_LIMIT, "%zu tokens, at most %d", ids->n, e->context);
    size_t behind = (size_t)cop_tokenizer_n_behind(e->engine->tokenizer);
    if (behind > context) behind = 0;
    memmove(ids->v + context - behind, ids->v + ids->n - behind, behind * sizeof *ids->v);
    ids->n = context;
    return COP_OK;
}

static void pool_rows(cop_embedder *e, int at, int n) {
    size_t D = (size_t)e->engine->model->desc.D;
    bool first = at == 0, last = (size_t)(at + n) == e->ids.n;
    for (int i = 0; i < n; i++) {
        bool in = e->options.pooling == COP_POOL_MEAN || (e->options.pooling == COP_POOL_CLASS && first && i == 0) ||
                  (e->options.pooling == COP_POOL_LAST && last && i == n - 1);
        for (size_t d = 0; in && d < D; d++) e->sum[d] += (double)e->hidden[(size_t)i * D + d];
    }
}

static cop_status compute(cop_embedder *e, cop_seq *seq) {
    const cop_desc *d = &e->engine->model->desc;
    const cop_tap tap = {d->L, e->hidden};
    const cop_forward_options options = {.taps = &tap, .n_taps = 1};
    for (int at = 0, n; at < (int)e->ids.n; at += n) {
        n = (int)e->ids.n - at < e->chunk ? (int)e->ids.n - at : e->chunk;
        for (int i = 0; i < n; i++) e->rows[i] = (cop_row){.seq = seq, .token = e->ids.v[at + i], .adapters = e->options.adapters, .parent = i - 1};
        COP_TRY(cop_seq_reserve(seq, n));
        COP_TRY(cop_model_forward(e->engine->model, e->ws, e->rows, n, &options));
        cop_seq_commit(seq, NULL, n);
        pool_rows(e, at, n);
    }
    return COP_OK;
}

static void finish(const cop_embedder *e, float *out) {
    int D = e->engine->model->desc.D;
    double length = 0, scale = e->options.pooling == COP_POOL_MEAN ? 1.0 / (double)e->ids.n : 1.0;
    for (int i = 0; i < D; i++) length += e->sum[i] * scale * (e->sum[i] * scale);
    if (!e->options.raw && length > 0) scale /= sqrt(length);
    for (int i = 0; i < D; i++) out[i] = (float)(e->sum[i] * scale);
}

cop_status cop_embedder_text(cop_embedder *e, const char *text, size_t bytes, float *out, int *n_tokens) {
    cop_seq *seq;
    e->ids.n = 0;
    COP_TRY(cop_tokenizer_encode(e->engine->tokenizer, text, bytes, true, false, &e->ids));
    if (n_tokens) *n_tokens = (int)e->ids.n;
    COP_TRY(fit(e));
    memset(e->sum, 0, (size_t)e->engine->model->desc.D * sizeof *e->sum);
    COP_TRY(cop_seq_new(&seq, e->cache, e->context));
    cop_status st = compute(e, seq);
    cop_seq_free(seq);
    if (!st) finish(e, out);
    return st;
}
