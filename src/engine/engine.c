// The engine: threads, model and tokenizer together.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "engine/session.h"
#include "format/registry.h"
#include "model/vocab.h"

const char *cop_version(void) { return COP_VERSION; }

cop_engine_options cop_engine_defaults(void) { return (cop_engine_options){.keep_packed = 1}; }

// Packed files stand beside the models. False when the environment names no home.
static bool packed_folder(char *out, size_t bytes) {
    char models[COP_PATH_MAX];
    if (cop_registry_folder(models)) return false;
    int n = snprintf(out, bytes, "%s/packed", models);
    return n > 0 && (size_t)n < bytes;
}

// Drafts are token ids, so both models must mean the same by each. Rows beyond the smaller vocabulary are
// padding, or tokens that only one of them can say; a model drafts none of those of the other.
static cop_status check_vocabulary(const cop_engine *e, const cop_tokenizer *draft, const char *path) {
    int n = cop_tokenizer_n_tokens(draft), m = cop_tokenizer_n_tokens(e->tokenizer);
    for (int32_t t = 0; t < n && t < m; t++) {
        size_t a_bytes, b_bytes;
        const char *a = cop_tokenizer_piece(draft, t, true, &a_bytes);
        const char *b = cop_tokenizer_piece(e->tokenizer, t, true, &b_bytes);
        if (a_bytes != b_bytes || memcmp(a, b, a_bytes))
            return cop_fail(COP_ERR_UNSUPPORTED, "%s: another tokenizer than the model's: token %d is '%.*s' there and '%.*s' here", path, t,
                            a_bytes > 24 ? 24 : (int)a_bytes, a, b_bytes > 24 ? 24 : (int)b_bytes, b);
    }
    int least = m < n ? m : n, most = m < n ? n : m;
    if (most - least > 1024) return cop_fail(COP_ERR_UNSUPPORTED, "%s: another tokenizer than the model's: %d tokens, here %d", path, n, m);
    return COP_OK;
}

static cop_status open_draft_model(cop_engine *e, const char *name, const cop_model_options *options) {
    char path[COP_PATH_MAX];
    COP_TRY(cop_model_locate(path, name));
    COP_TRY(cop_model_open(&e->draft_model, path, e->pool, options));
    COP_TRY(cop_vocab_open(&e->draft_tokenizer, e->draft_model->file));
    if (!check_vocabulary(e, e->draft_tokenizer, path)) return COP_OK;
    const char *why = cop_error_text();
    e->draft_differs = cop_text_copy(why, strlen(why));
    return e->draft_differs ? COP_OK : cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
}

static cop_status open_engine(cop_engine *e, const char *name, const cop_engine_options *o) {
    char path[COP_PATH_MAX], packed[COP_PATH_MAX];
    COP_TRY(cop_model_locate(path, name));
    COP_TRY(cop_lock_new(&e->lock));
    COP_TRY(cop_pool_new(&e->pool, o->threads));
    cop_model_options options = {.level = o->cpu_level ? o->cpu_level : cop_env("COPPICE_CPU"), .progress = o->progress, .user = o->user};
    if (o->keep_packed && packed_folder(packed, sizeof packed)) options.packed_folder = packed;
    COP_TRY(cop_model_open(&e->model, path, e->pool, &options));
    COP_TRY(cop_vocab_open(&e->tokenizer, e->model->file));
    e->keep_learnt = o->keep_packed;
    if (cop_tokenizer_n_tokens(e->tokenizer) > e->model->desc.V)
        return cop_fail(COP_ERR_FORMAT, "%s: %d tokens for %d rows of the embedding", path, cop_tokenizer_n_tokens(e->tokenizer), e->model->desc.V);
    return o->draft_model ? open_draft_model(e, o->draft_model, &options) : COP_OK;
}

cop_status cop_engine_open(cop_engine **out, const char *model, const cop_engine_options *options) {
    *out = NULL;
    cop_engine_options defaults = cop_engine_defaults();
    cop_engine *e = cop_alloc(sizeof *e);
    if (!e) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", model);
    cop_status st = open_engine(e, model, options ? options : &defaults);
    if (st) {
        cop_engine_close(e);
        return st;
    }
    *out = e;
    return COP_OK;
}

void cop_engine_close(cop_engine *e) {
    if (!e) return;
    cop_vocab_trie_free(e->trie);
    cop_tokenizer_free(e->tokenizer);
    cop_model_close(e->model);
    cop_model_close(e->draft_model);
    cop_tokenizer_free(e->draft_tokenizer);
    cop_free(e->draft_differs);
    cop_pool_free(e->pool);
    cop_lock_free(e->lock);
    cop_free(e);
}

int cop_engine_vocabulary(const cop_engine *e) { return e->model->desc.V; }
int cop_engine_max_context(const cop_engine *e) { return e->model->desc.max_positions; }

cop_status cop_engine_tokenize(const cop_engine *e, const char *text, size_t bytes, int add_special, int parse_special,
                               int32_t *tokens, size_t max_tokens, size_t *n_tokens) {
    cop_token_array all = {.most = SIZE_MAX / 8};
    *n_tokens = 0;
    cop_status st = cop_tokenizer_encode(e->tokenizer, text, bytes, add_special, parse_special, &all);
    if (!st) {
        *n_tokens = all.n;
        size_t n = all.n < max_tokens ? all.n : max_tokens;
        if (n) memcpy(tokens, all.v, n * sizeof *tokens);
    }
    cop_array_fini(&all);
    return st;
}

size_t cop_engine_piece(const cop_engine *e, int32_t token, char *text, size_t max_bytes) {
    size_t bytes;
    const char *piece = cop_tokenizer_piece(e->tokenizer, token, false, &bytes);
    size_t n = bytes < max_bytes ? bytes : max_bytes;
    if (n) memcpy(text, piece, n);
    return bytes;
}

cop_status cop_session_add_text(cop_session *s, const char *text, size_t bytes, int parse_special) {
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    cop_status st = cop_tokenizer_encode(s->engine->tokenizer, text, bytes, s->n_tokens == 0, parse_special, &tokens);
    if (!st) st = cop_session_add_tokens(s, tokens.v, tokens.n);
    cop_array_fini(&tokens);
    return st;
}
