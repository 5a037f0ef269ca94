#include "model/vocab.h"

#include <string.h>

#define KEY "tokenizer.ggml."
#define NAME_BYTES 64

// What the arrays of a source point to while the tokenizer is made.
typedef struct loader {
    const cop_gguf *file;
    cop_vocab_source source;
    cop_span *tokens, *merges;
    float *scores;
    int32_t *types;
    char model[NAME_BYTES], pre[NAME_BYTES];
    char *charsmap;
} loader;

static cop_status read_name(const cop_gguf *file, const char *key, const char *fallback, char name[NAME_BYTES]) {
    const char *text;
    size_t bytes;
    if (fallback) COP_TRY(cop_gguf_get_text_or(file, key, fallback, &text, &bytes));
    else COP_TRY(cop_gguf_get_text(file, key, &text, &bytes));
    if (bytes >= NAME_BYTES || memchr(text, 0, bytes))
        return cop_fail(COP_ERR_FORMAT, "%s: %zu bytes, a name below %d is wanted", key, bytes, NAME_BYTES);
    memcpy(name, text, bytes);
    name[bytes] = 0;
    return COP_OK;
}

static cop_status read_spans(const cop_gguf_array *a, cop_span **out) {
    cop_span *spans = cop_alloc_array(a->n, sizeof *spans);
    if (!spans) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu texts", a->n);
    for (size_t i = 0; i < a->n; i++) spans[i].text = cop_gguf_text(a, i, &spans[i].bytes);
    *out = spans;
    return COP_OK;
}

static cop_status read_tokens(loader *l) {
    cop_gguf_array a;
    COP_TRY(cop_gguf_get_array(l->file, KEY "tokens", COP_GGUF_TEXTS, &a));
    COP_TRY(read_spans(&a, &l->tokens));
    l->source.tokens = l->tokens;
    l->source.n_tokens = a.n;
    COP_TRY(cop_gguf_get_array_or_empty(l->file, KEY "merges", COP_GGUF_TEXTS, &a));
    COP_TRY(read_spans(&a, &l->merges));
    l->source.merges = l->merges;
    l->source.n_merges = a.n;
    return COP_OK;
}

static cop_status check_length(const loader *l, const char *key, const cop_gguf_array *a) {
    if (a->n == l->source.n_tokens) return COP_OK;
    return cop_fail(COP_ERR_FORMAT, "%s: %zu elements, there are %zu tokens", key, a->n, l->source.n_tokens);
}

static cop_status read_scores(loader *l) {
    cop_gguf_array a;
    if (!cop_gguf_has(l->file, KEY "scores")) return COP_OK;
    COP_TRY(cop_gguf_get_array(l->file, KEY "scores", COP_GGUF_FLOATS, &a));
    COP_TRY(check_length(l, KEY "scores", &a));
    l->scores = cop_alloc_array(a.n, sizeof *l->scores);
    if (!l->scores) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate scores");
    for (size_t i = 0; i < a.n; i++) l->scores[i] = (float)cop_gguf_float(&a, i);
    l->source.scores = l->scores;
    return COP_OK;
}

static cop_status read_types(loader *l) {
    cop_gguf_array a;
    if (!cop_gguf_has(l->file, KEY "token_type")) return COP_OK;
    COP_TRY(cop_gguf_get_array(l->file, KEY "token_type", COP_GGUF_INTS, &a));
    COP_TRY(check_length(l, KEY "token_type", &a));
    l->types = cop_alloc_array(a.n, sizeof *l->types);
    if (!l->types) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate types");
    for (size_t i = 0; i < a.n; i++) {
        int64_t type = cop_gguf_int(&a, i);
        l->types[i] = type < 0 || type > INT32_MAX ? INT32_MAX : (int32_t)type;
    }
    l->source.types = l->types;
    return COP_OK;
}

// Written as signed or unsigned bytes.
static cop_status read_charsmap(loader *l) {
    cop_gguf_array a;
    COP_TRY(cop_gguf_get_array_or_empty(l->file, KEY "precompiled_charsmap", COP_GGUF_INTS, &a));
    if (!a.n) return COP_OK;
    l->charsmap = cop_alloc(a.n);
    if (!l->charsmap) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate the table of characters");
    for (size_t i = 0; i < a.n; i++) l->charsmap[i] = (char)(uint8_t)(cop_gguf_int(&a, i) & 0xFF);
    l->source.charsmap = (cop_span){l->charsmap, a.n};
    return COP_OK;
}

// A bert text stands between the tokens that its files call cls and seperator.
static cop_status read_bert_specials(loader *l) {
    cop_vocab_source *s = &l->source;
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "cls_token_id", -1, &s->bos));
    if (s->bos < 0) COP_TRY(cop_gguf_get_i64_or(l->file, KEY "bos_token_id", -1, &s->bos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "seperator_token_id", -1, &s->eos));
    if (s->eos < 0) COP_TRY(cop_gguf_get_i64_or(l->file, KEY "eos_token_id", -1, &s->eos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "unknown_token_id", -1, &s->unk));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "padding_token_id", -1, &s->pad));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_bos_token", true, &s->add_bos));
    s->eot = -1;
    return cop_gguf_get_bool_or(l->file, KEY "add_eos_token", true, &s->add_eos);
}

static cop_status read_t5_specials(loader *l) {
    cop_vocab_source *s = &l->source;
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "bos_token_id", -1, &s->bos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "eos_token_id", s->n_tokens > 1 ? 1 : -1, &s->eos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "unknown_token_id", s->n_tokens > 2 ? 2 : -1, &s->unk));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "padding_token_id", 0, &s->pad));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_bos_token", false, &s->add_bos));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_eos_token", true, &s->add_eos));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_space_prefix", true, &s->add_space_prefix));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "remove_extra_whitespaces", true, &s->squeeze_spaces));
    s->eot = -1;
    return read_charsmap(l);
}

// Missing means none, except for what files of the llama kind leave out because it goes without saying.
static cop_status read_specials(loader *l) {
    cop_vocab_source *s = &l->source;
    bool spm = !strcmp(l->model, "llama");
    if (!strcmp(l->model, "bert")) return read_bert_specials(l);
    if (!strcmp(l->model, "t5")) return read_t5_specials(l);
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "bos_token_id", spm && s->n_tokens > 1 ? 1 : -1, &s->bos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "eos_token_id", spm && s->n_tokens > 2 ? 2 : -1, &s->eos));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "eot_token_id", -1, &s->eot));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "unknown_token_id", spm ? 0 : -1, &s->unk));
    COP_TRY(cop_gguf_get_i64_or(l->file, KEY "padding_token_id", -1, &s->pad));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_bos_token", spm, &s->add_bos));
    COP_TRY(cop_gguf_get_bool_or(l->file, KEY "add_eos_token", false, &s->add_eos));
    return cop_gguf_get_bool_or(l->file, KEY "add_space_prefix", spm, &s->add_space_prefix);
}

static cop_status read_all(loader *l) {
    COP_TRY(read_name(l->file, KEY "model", NULL, l->model));
    COP_TRY(read_name(l->file, KEY "pre", "default", l->pre));
    l->source.model = l->model;
    l->source.pre = l->pre;
    COP_TRY(read_tokens(l));
    COP_TRY(read_scores(l));
    COP_TRY(read_types(l));
    COP_TRY(read_specials(l));
    if (!cop_gguf_has(l->file, "tokenizer.chat_template")) return COP_OK;
    return cop_gguf_get_text(l->file, "tokenizer.chat_template", &l->source.chat_template.text,
                             &l->source.chat_template.bytes);
}

// A vocabulary that the other keys cannot say: the file that it was made from, whole.
static cop_status open_json(cop_tokenizer **out, const cop_gguf *file) {
    cop_tokenizer_files files = {0};
    COP_TRY(cop_gguf_get_text(file, COP_VOCAB_JSON_KEY, &files.tokenizer.text, &files.tokenizer.bytes));
    if (cop_gguf_has(file, COP_VOCAB_CONFIG_KEY))
        COP_TRY(cop_gguf_get_text(file, COP_VOCAB_CONFIG_KEY, &files.config.text, &files.config.bytes));
    if (cop_gguf_has(file, "tokenizer.chat_template"))
        COP_TRY(cop_gguf_get_text(file, "tokenizer.chat_template", &files.chat_template.text, &files.chat_template.bytes));
    return cop_tokenizer_from_json(out, &files);
}

cop_status cop_vocab_open(cop_tokenizer **out, const cop_gguf *file) {
    *out = NULL;
    loader l = {.file = file};
    const char *folder = cop_gguf_folder(file);
    bool json = folder || (!cop_gguf_has(file, KEY "model") && cop_gguf_has(file, COP_VOCAB_JSON_KEY));
    cop_status st = folder ? cop_vocab_open_folder(out, folder) : json ? open_json(out, file) : read_all(&l);
    if (!st && !json) st = cop_tokenizer_new(out, &l.source);
    if (st) cop_fail_note("%s", cop_gguf_name(file));
    cop_free(l.tokens);
    cop_free(l.merges);
    cop_free(l.scores);
    cop_free(l.types);
    cop_free(l.charsmap);
    return st;
}
