// /v1/embeddings and /embedding: texts to vectors. One text at a time, beside whatever the scheduler runs.
#include <math.h>
#include <string.h>

#include "serve/server_private.h"

#define MOST_INPUTS 2048

typedef struct embedding {
    cop_question *q;
    bool base64;
    int width, tokens;
    json_t *vectors;   // list of vectors: numbers, or base64 of floats
    float *v;          // [width]
} embedding;

// ---- one vector ----

static json_t *base64_json(const float *v, int n) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)v;
    size_t bytes = (size_t)n * sizeof *v, at = 0;
    char *text = cop_alloc(bytes / 3 * 4 + 8);
    if (!text) return NULL;
    for (size_t i = 0; i < bytes; i += 3) {
        unsigned left = bytes - i < 3 ? (unsigned)(bytes - i) : 3;
        unsigned w = (unsigned)b[i] << 16 | (left > 1 ? (unsigned)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0);
        for (unsigned k = 0; k < 4; k++) text[at++] = k <= left ? letters[w >> (18 - 6 * k) & 63] : '=';
    }
    json_t *value = json_stringn(text, at);
    cop_free(text);
    return value;
}

static json_t *vector_json(const embedding *e) {
    if (e->base64) return base64_json(e->v, e->width);
    json_t *list = json_array();
    for (int i = 0; i < e->width; i++) json_array_append_new(list, json_real((double)e->v[i]));
    return list;
}

// Shorter vectors begin like the long one and have length 1 again.
static void shorten(embedding *e) {
    double sum = 0;
    for (int i = 0; i < e->width; i++) sum += (double)e->v[i] * (double)e->v[i];
    for (int i = 0; sum > 0 && i < e->width; i++) e->v[i] = (float)((double)e->v[i] / sqrt(sum));
}

// Opened when first asked for. The lock is held.
static cop_status open_embedder(cop_server *s) {
    if (s->embedder) return COP_OK;
    const cop_embedder_options o = {.pooling = COP_POOL_AUTO, .context = s->options.scheduler.context};
    return cop_embedder_open(&s->embedder, s->engine, &o);
}

static cop_status add_text(cop_server *s, embedding *e, const char *text, size_t bytes) {
    int tokens = 0, wanted = e->width;
    cop_lock_take(s->embedding);
    cop_status st = open_embedder(s);
    int width = st ? 0 : cop_embedder_width(s->embedder);
    if (!st && !e->v && !(e->v = cop_alloc_array((size_t)width, sizeof *e->v))) st = cop_fail(COP_ERR_NOMEM, "embedding: cannot allocate");
    if (!st) st = cop_embedder_text(s->embedder, text, bytes, e->v, &tokens);
    cop_lock_give(s->embedding);
    COP_TRY(st);
    if (wanted > width) return cop_fail(COP_ERR_ARG, "dimensions: %d, at most %d", wanted, width);
    if (wanted && wanted < width) shorten(e);
    else e->width = width;
    e->tokens += tokens;
    st = json_array_append_new(e->vectors, vector_json(e)) ? cop_fail(COP_ERR_NOMEM, "embedding: cannot allocate") : COP_OK;
    e->width = wanted;
    return st;
}

// ---- the request ----

// The text that tokens stand for: the embedder takes texts.
static cop_status add_tokens(cop_server *s, embedding *e, const json_t *list) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    int32_t V = cop_tokenizer_n_tokens(s->served.tokenizer);
    cop_status st = COP_OK;
    for (size_t i = 0; !st && i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        size_t bytes;
        if (!json_is_integer(t) || json_integer_value(t) < 0 || json_integer_value(t) >= V) {
            st = cop_fail(COP_ERR_ARG, "input: a token must be 0 to %d", V - 1);
            break;
        }
        const char *piece = cop_tokenizer_piece(s->served.tokenizer, (int32_t)json_integer_value(t), false, &bytes);
        st = cop_append(&text, piece, bytes);
    }
    if (!st) st = add_text(s, e, text.v ? text.v : "", text.n);
    cop_array_fini(&text);
    return st;
}

static cop_status add_input(cop_server *s, embedding *e, const json_t *input) {
    size_t n = json_array_size(input);
    if (json_is_string(input)) return add_text(s, e, json_string_value(input), json_string_length(input));
    if (!n) return cop_fail(COP_ERR_ARG, "input: must be a text, a list of texts or of tokens, not empty");
    if (n > MOST_INPUTS) return cop_fail(COP_ERR_ARG, "input: %zu texts, at most %d", n, MOST_INPUTS);
    if (json_is_integer(json_array_get(input, 0))) return add_tokens(s, e, input);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(input, i);
        if (json_is_string(one)) COP_TRY(add_text(s, e, json_string_value(one), json_string_length(one)));
        else if (json_array_size(one)) COP_TRY(add_tokens(s, e, one));
        else return cop_fail(COP_ERR_ARG, "input[%zu]: must be a text or a list of tokens, not empty", i);
        if (atomic_load(&s->cut)) return cop_fail(COP_ERR_CANCELLED, "the server stops");
    }
    return COP_OK;
}

static cop_status read_embedding(cop_server *s, embedding *e) {
    cop_question *q = e->q;
    const char *format = "float";
    const json_t *input = cop_json_member(q->body, "input");
    COP_TRY(cop_read_text(q, q->body, "encoding_format", &format));
    if (strcmp(format, "float") != 0 && strcmp(format, "base64") != 0) return cop_fail(COP_ERR_ARG, "encoding_format: must be float or base64");
    e->base64 = !strcmp(format, "base64");
    COP_TRY(cop_read_int(q, q->body, "dimensions", 1, 1 << 20, &e->width));
    q->field = "input";
    if (!input) input = cop_json_member(q->body, "content");
    return add_input(s, e, input);
}

typedef json_t *tell_fn(const cop_server *s, const embedding *e);

static void answer(cop_exchange *x, tell_fn *tell) {
    cop_server *s = x->server;
    embedding e = {.vectors = json_array()};
    cop_status st = cop_question_new(&e.q, &s->served, x->body, x->body_bytes, s->options.max_body);
    if (!st) st = read_embedding(s, &e);
    if (st) cop_reply_failure(x, st, e.q ? e.q->field : NULL);
    else cop_reply_json(x, 200, tell(s, &e));
    json_decref(e.vectors);
    cop_free(e.v);
    cop_question_free(e.q);
}

static json_t *tell_openai(const cop_server *s, const embedding *e) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(e->vectors); i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:O}", "object", "embedding", "index", (int)i, "embedding", json_array_get(e->vectors, i)));
    return json_pack("{s:s, s:o, s:s, s:{s:i, s:i}}", "object", "list", "data", list, "model", s->name, "usage", "prompt_tokens", e->tokens,
                     "total_tokens", e->tokens);
}

static json_t *tell_llama(const cop_server *s, const embedding *e) {
    json_t *list = json_array();
    (void)s;
    for (size_t i = 0; i < json_array_size(e->vectors); i++)
        json_array_append_new(list, json_pack("{s:i, s:[O]}", "index", (int)i, "embedding", json_array_get(e->vectors, i)));
    return list;
}

void cop_serve_embeddings(cop_exchange *x) { answer(x, tell_openai); }
void cop_serve_embedding(cop_exchange *x) { answer(x, tell_llama); }
