// Texts to tokens and back, and conversations to texts, in llama-server's form.
#include <string.h>

#include "serve/server_private.h"
#include "text/utf8.h"

// The body as an object; NULL: the reply says what is wrong with it.
static cop_question *read_plain(cop_exchange *x) {
    cop_question *q;
    cop_status st = cop_question_new(&q, &x->server->served, x->body, x->body_bytes, x->server->options.max_body);
    if (!st) return q;
    cop_reply_failure(x, st, NULL);
    return NULL;
}

// A piece is a text, or its bytes when they are none.
static json_t *piece_json(const cop_tokenizer *tok, int32_t token) {
    size_t bytes;
    const char *text = cop_tokenizer_piece(tok, token, true, &bytes);
    json_t *v = json_stringn(text, bytes);
    if (v) return v;
    v = json_array();
    for (size_t i = 0; i < bytes; i++) json_array_append_new(v, json_integer((unsigned char)text[i]));
    return v;
}

static cop_status tokenize(cop_question *q, json_t *list) {
    bool special = false, parse = true, pieces = false;
    const cop_tokenizer *tok = q->served->tokenizer;
    cop_token_array tokens = {.most = SIZE_MAX / 8};
    const json_t *content = cop_json_member(q->body, "content");
    COP_TRY(cop_read_bool(q, q->body, "add_special", &special));
    COP_TRY(cop_read_bool(q, q->body, "parse_special", &parse));
    COP_TRY(cop_read_bool(q, q->body, "with_pieces", &pieces));
    q->field = "content";
    if (content && !json_is_string(content)) return cop_fail(COP_ERR_ARG, "content: must be a text");
    cop_status st = content ? cop_tokenizer_encode(tok, json_string_value(content), json_string_length(content), special, parse, &tokens) : COP_OK;
    for (size_t i = 0; !st && i < tokens.n; i++)
        json_array_append_new(list, pieces ? json_pack("{s:i, s:o}", "id", tokens.v[i], "piece", piece_json(tok, tokens.v[i]))
                                           : json_integer(tokens.v[i]));
    cop_array_fini(&tokens);
    return st;
}

void cop_serve_tokenize(cop_exchange *x) {
    cop_question *q = read_plain(x);
    if (!q) return;
    json_t *list = json_array();
    cop_status st = tokenize(q, list);
    if (st) cop_reply_failure(x, st, q->field);
    else cop_reply_json(x, 200, json_pack("{s:O}", "tokens", list));
    json_decref(list);
    cop_question_free(q);
}

static cop_status detokenize(cop_question *q, cop_char_array *text) {
    const json_t *tokens = cop_json_member(q->body, "tokens");
    int32_t V = cop_tokenizer_n_tokens(q->served->tokenizer);
    q->field = "tokens";
    if (tokens && !json_is_array(tokens)) return cop_fail(COP_ERR_ARG, "tokens: must be a list");
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *t = json_array_get(tokens, i);
        size_t bytes;
        if (!json_is_integer(t) || json_integer_value(t) < 0 || json_integer_value(t) >= V)
            return cop_fail(COP_ERR_ARG, "tokens[%zu]: must be 0 to %d", i, V - 1);
        const char *piece = cop_tokenizer_piece(q->served->tokenizer, (int32_t)json_integer_value(t), true, &bytes);
        COP_TRY(cop_append(text, piece, bytes));
    }
    return COP_OK;
}

void cop_serve_detokenize(cop_exchange *x) {
    cop_question *q = read_plain(x);
    cop_char_array text = {.most = SIZE_MAX / 8};
    if (!q) return;
    cop_status st = detokenize(q, &text);
    if (st) cop_reply_failure(x, st, q->field);
    else cop_reply_json(x, 200, json_pack("{s:o}", "content", cop_clean_json(text.v, text.n)));
    cop_array_fini(&text);
    cop_question_free(q);
}

void cop_serve_template(cop_exchange *x) {
    cop_question *q = read_plain(x);
    cop_char_array text = {.most = SIZE_MAX / 8};
    if (!q) return;
    cop_status st = cop_read_tools(q);
    if (!st) st = cop_chat_text(q, cop_json_member(q->body, "messages"), cop_json_member(q->body, "chat_template_kwargs"), &text);
    if (st) cop_reply_failure(x, st, q->field);
    else cop_reply_json(x, 200, json_pack("{s:o}", "prompt", cop_clean_json(text.v, text.n)));
    cop_array_fini(&text);
    cop_question_free(q);
}
