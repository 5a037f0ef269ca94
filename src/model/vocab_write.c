// A tokenizer as GGUF keys: those of its kind, or where they cannot say it, the files that it came from.
#include "model/vocab.h"

#include <string.h>

#include "text/vocab_words.h"

#define KEY "tokenizer.ggml."

static cop_status add_id(cop_gguf_writer *w, const char *key, int64_t id) {
    return id < 0 ? COP_OK : cop_gguf_add_u32(w, key, (uint32_t)id);
}

static cop_status add_spans(cop_gguf_writer *w, const char *key, const cop_span *spans, size_t n) {
    const char **texts = cop_alloc_array(n, sizeof *texts);
    size_t *sizes = cop_alloc_array(n, sizeof *sizes);
    cop_status st = texts && sizes ? COP_OK : cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu texts", n);
    for (size_t i = 0; !st && i < n; i++) {
        texts[i] = spans[i].text ? spans[i].text : "";
        sizes[i] = spans[i].bytes;
    }
    if (!st) st = cop_gguf_add_texts(w, key, texts, sizes, n);
    cop_free(texts);
    cop_free(sizes);
    return st;
}

static cop_status add_words(cop_gguf_writer *w, const cop_vocab_source *s) {
    bool bert = !strcmp(s->model, "bert");
    COP_TRY(cop_gguf_add_text(w, KEY "model", s->model, strlen(s->model)));
    if (s->pre) COP_TRY(cop_gguf_add_text(w, KEY "pre", s->pre, strlen(s->pre)));
    COP_TRY(add_spans(w, KEY "tokens", s->tokens, s->n_tokens));
    COP_TRY(cop_gguf_add_array(w, KEY "token_type", COP_GGUF_I32, s->types, s->n_tokens));
    if (s->scores) COP_TRY(cop_gguf_add_array(w, KEY "scores", COP_GGUF_F32, s->scores, s->n_tokens));
    if (s->n_merges) COP_TRY(add_spans(w, KEY "merges", s->merges, s->n_merges));
    COP_TRY(add_id(w, bert ? KEY "cls_token_id" : KEY "bos_token_id", s->bos));
    COP_TRY(add_id(w, bert ? KEY "seperator_token_id" : KEY "eos_token_id", s->eos));
    COP_TRY(add_id(w, KEY "eot_token_id", s->eot));
    COP_TRY(add_id(w, KEY "unknown_token_id", s->unk));
    COP_TRY(add_id(w, KEY "padding_token_id", s->pad));
    COP_TRY(cop_gguf_add_bool(w, KEY "add_bos_token", s->add_bos));
    COP_TRY(cop_gguf_add_bool(w, KEY "add_eos_token", s->add_eos));
    return cop_gguf_add_bool(w, KEY "add_space_prefix", s->add_space_prefix);
}

static cop_status add_files(cop_gguf_writer *w, const cop_tokenizer_files *files) {
    COP_TRY(cop_gguf_add_text(w, COP_VOCAB_JSON_KEY, files->tokenizer.text, files->tokenizer.bytes));
    if (!files->config.text) return COP_OK;
    return cop_gguf_add_text(w, COP_VOCAB_CONFIG_KEY, files->config.text, files->config.bytes);
}

cop_status cop_vocab_write(cop_gguf_writer *w, const cop_tokenizer *tok, const cop_tokenizer_files *files) {
    cop_vocab_words *words;
    const char *chat = cop_tokenizer_template(tok);
    cop_status st = cop_vocab_words_new(&words, tok);
    if (!st) st = add_words(w, &words->source);
    else if (st == COP_ERR_UNSUPPORTED && files && files->tokenizer.text) st = add_files(w, files);
    cop_vocab_words_free(words);
    if (!st && chat) st = cop_gguf_add_text(w, "tokenizer.chat_template", chat, strlen(chat));
    return st;
}
