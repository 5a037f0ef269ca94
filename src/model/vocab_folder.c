// The tokenizer of a Hugging Face folder: its files, read for as long as a tokenizer is made from them.
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "model/vocab.h"
#include "text/sentencepiece.h"

typedef struct holder {
    cop_tokenizer_files files;
    char *tokenizer, *config, *chat_template, *sentencepiece;
} holder;

static cop_status read_one(const char *folder, const char *name, char **text, cop_span *span) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) return cop_fail(COP_ERR_LIMIT, "%.80s...: the path is too long", folder);
    if (access(path, F_OK)) return COP_OK;
    COP_TRY(cop_file_read(path, COP_MAX_TOKENIZER_JSON, text, &span->bytes));
    span->text = *text;
    return COP_OK;
}

static cop_status read_files(const char *folder, holder *h) {
    COP_TRY(read_one(folder, "tokenizer.json", &h->tokenizer, &h->files.tokenizer));
    COP_TRY(read_one(folder, "tokenizer_config.json", &h->config, &h->files.config));
    COP_TRY(read_one(folder, "chat_template.jinja", &h->chat_template, &h->files.chat_template));
    if (!h->tokenizer) COP_TRY(read_one(folder, "tokenizer.model", &h->sentencepiece, &h->files.sentencepiece));
    return h->tokenizer || h->sentencepiece ? COP_OK : cop_fail(COP_ERR_NOT_FOUND, "the folder holds neither tokenizer.json nor tokenizer.model");
}

static cop_status make(cop_tokenizer **out, const cop_tokenizer_files *files) {
    return files->tokenizer.text ? cop_tokenizer_from_json(out, files) : cop_tokenizer_from_sentencepiece(out, files);
}

static void free_files(holder *h) {
    cop_free(h->tokenizer);
    cop_free(h->config);
    cop_free(h->chat_template);
    cop_free(h->sentencepiece);
}

cop_status cop_vocab_open_folder(cop_tokenizer **out, const char *folder) {
    holder h = {0};
    *out = NULL;
    cop_status st = read_files(folder, &h);
    if (!st) st = make(out, &h.files);
    free_files(&h);
    return st;
}

cop_status cop_vocab_write_folder(cop_gguf_writer *w, const char *folder) {
    holder h = {0};
    cop_tokenizer *tok = NULL;
    cop_status st = read_files(folder, &h);
    if (!st) st = make(&tok, &h.files);
    if (!st) st = cop_vocab_write(w, tok, &h.files);
    cop_tokenizer_free(tok);
    free_files(&h);
    return st;
}
