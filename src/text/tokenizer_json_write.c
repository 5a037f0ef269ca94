// A tokenizer as tokenizer.json and tokenizer_config.json: the steps that files of its kind publish.
// Byte-level BPE keeps its merges. SentencePiece's BPE joins whatever gives a piece, best score first, so every way to
// cut a piece in two becomes a merge, in the order of the scores. Source: the documentation of the tokenizers library.
// Not here: Unigram and WordPiece.
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/pipeline_private.h"
#include "text/tokenizer_json.h"
#include "text/vocab_words.h"

typedef struct writer {
    const cop_tokenizer *tok;
    const cop_vocab_source *s;
    const cop_published *steps;  // of a byte-level kind
    bool spm;
    json_t *root;
} writer;

static cop_status no_memory(void) { return cop_fail(COP_ERR_NOMEM, "tokenizer.json: cannot allocate"); }
static cop_status refuse(const char *what) { return cop_fail(COP_ERR_UNSUPPORTED, "tokenizer.json cannot express %s", what); }

static cop_status set(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) ? no_memory() : COP_OK;
}

static cop_status append(json_t *array, json_t *value) { return json_array_append_new(array, value) ? no_memory() : COP_OK; }

static json_t *text_of(cop_span s) { return json_stringn(s.text, s.bytes); }

static bool is_added(int32_t type) { return type == COP_TOKEN_CONTROL || type == COP_TOKEN_USER || type == COP_TOKEN_UNKNOWN; }

// ---- the model ----

// The library numbers the added tokens that its model lacks behind those of the model, one by one. Where that gives
// other ids, and in SentencePiece's files, the model holds them too.
static bool stand_behind(const writer *w) {
    size_t n = w->s->n_tokens, first = 0;
    while (first < n && w->s->types[first] != COP_TOKEN_UNUSED && !is_added(w->s->types[first])) first++;
    while (first < n && is_added(w->s->types[first])) first++;
    while (first < n && w->s->types[first] == COP_TOKEN_UNUSED) first++;
    return first == n;
}

static cop_status fill_vocabulary(const writer *w, json_t *vocab) {
    bool behind = !w->spm && stand_behind(w);
    for (size_t id = 0; id < w->s->n_tokens; id++) {
        cop_span t = w->s->tokens[id];
        int32_t type = w->s->types[id];
        char name[COP_MAX_PIECE + 1];
        if (type == COP_TOKEN_UNUSED || (is_added(type) && behind)) continue;
        if (!t.bytes || t.bytes > COP_MAX_PIECE || memchr(t.text, 0, t.bytes)) return cop_fail(COP_ERR_UNSUPPORTED, "token %zu: tokenizer.json cannot express its text", id);
        memcpy(name, t.text, t.bytes);
        name[t.bytes] = 0;
        if (json_object_get(vocab, name)) return cop_fail(COP_ERR_UNSUPPORTED, "token %zu: another has its text, and tokenizer.json needs one id for each", id);
        if (json_object_set_new(vocab, name, json_integer((json_int_t)id)))
            return cop_fail(COP_ERR_UNSUPPORTED, "token %zu: its text is not UTF-8", id);
    }
    return COP_OK;
}

// "left right", or ["left", "right"] where a part has a space itself.
static cop_status put_merge(json_t *merges, cop_span left, cop_span right, bool pairs) {
    char text[2 * COP_MAX_PIECE + 2];
    if (pairs) return append(merges, json_pack("[o, o]", text_of(left), text_of(right)));
    memcpy(text, left.text, left.bytes);
    text[left.bytes] = ' ';
    memcpy(text + left.bytes + 1, right.text, right.bytes);
    return append(merges, json_stringn(text, left.bytes + 1 + right.bytes));
}

static cop_status copy_merges(const writer *w, json_t *merges) {
    for (size_t i = 0; i < w->s->n_merges; i++) COP_TRY(append(merges, text_of(w->s->merges[i])));
    return COP_OK;
}

typedef struct scored {
    float score;
    uint32_t bytes;
    int32_t id;
} scored;

// SentencePiece takes the leftmost of equal scores, so that a run of spaces grows from its left end: the longer goes first.
static int compare_scores(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool is_piece(const writer *w, int32_t id) {
    return id >= 0 && (w->s->types[id] == COP_TOKEN_NORMAL || w->s->types[id] == COP_TOKEN_USER);
}

static cop_status put_cuts(const writer *w, json_t *merges, cop_span t, bool pairs) {
    for (size_t at = 1; at < t.bytes; at++) {
        if (((uint8_t)t.text[at] & 0xC0) == 0x80) continue;
        cop_span left = {t.text, at}, right = {t.text + at, t.bytes - at};
        int32_t l = cop_tokenizer_find(w->tok, left.text, left.bytes), r = cop_tokenizer_find(w->tok, right.text, right.bytes);
        if (w->s->types[l < 0 ? 0 : l] != COP_TOKEN_USER && is_piece(w, l) && is_piece(w, r) && w->s->types[r] != COP_TOKEN_USER)
            COP_TRY(put_merge(merges, left, right, pairs));
    }
    return COP_OK;
}

// SentencePiece joins characters that are no pieces themselves; merges cannot.
static cop_status check_characters(const writer *w, size_t id) {
    cop_span t = w->s->tokens[id];
    for (size_t at = 0, n; at < t.bytes; at += n) {
        for (n = 1; at + n < t.bytes && ((uint8_t)t.text[at + n] & 0xC0) == 0x80;) n++;
        if (n < t.bytes && !is_piece(w, cop_tokenizer_find(w->tok, t.text + at, n)))
            return cop_fail(COP_ERR_UNSUPPORTED, "token %zu: tokenizer.json cannot express a piece with a character that is no token", id);
    }
    return COP_OK;
}

static cop_status make_merges(const writer *w, json_t *merges) {
    size_t n = 0;
    bool pairs = false;
    scored *list = cop_alloc_array(w->s->n_tokens, sizeof *list);
    if (!list) return no_memory();
    for (size_t id = 0; id < w->s->n_tokens; id++) {
        if (!is_piece(w, (int32_t)id)) continue;
        list[n++] = (scored){w->s->scores ? w->s->scores[id] : 0, (uint32_t)w->s->tokens[id].bytes, (int32_t)id};
        pairs = pairs || memchr(w->s->tokens[id].text, ' ', w->s->tokens[id].bytes);
    }
    qsort(list, n, sizeof *list, compare_scores);
    cop_status st = COP_OK;
    for (size_t i = 0; !st && i < n; i++)
        if (w->s->types[list[i].id] == COP_TOKEN_NORMAL) st = check_characters(w, (size_t)list[i].id);
    for (size_t i = 0; !st && i < n; i++) st = put_cuts(w, merges, w->s->tokens[list[i].id], pairs);
    cop_free(list);
    return st;
}

static cop_status write_model(const writer *w) {
    json_t *vocab = json_object(), *merges = json_array();
    json_t *model = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix",
                              "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", w->spm, "ignore_merges", !w->spm && w->steps->whole_words, "vocab", vocab,
                              "merges", merges);
    if (!model) return no_memory();
    COP_TRY(set(w->root, "model", model));
    if (w->spm && w->s->unk >= 0) COP_TRY(set(model, "unk_token", text_of(w->s->tokens[w->s->unk])));
    COP_TRY(fill_vocabulary(w, vocab));
    return w->spm ? make_merges(w, merges) : copy_merges(w, merges);
}

// ---- the steps around it ----

static json_t *byte_level(bool splits) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex", splits);
}

static json_t *cut(const char *pattern) {
    if (!strcmp(pattern, COP_GPT2_SPLIT)) return byte_level(true);
    if (!strcmp(pattern, "\\p{N}")) return json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1);
    return json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", pattern, "behavior", "Isolated", "invert", 0);
}

static cop_status write_bytes(const writer *w) {
    json_t *cuts = json_array();
    bool split = false;
    COP_TRY(set(w->root, "pre_tokenizer", json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", cuts)));
    for (int i = 0; i < COP_MOST_CUTS && w->steps->cuts[i]; i++) {
        split = split || !strcmp(w->steps->cuts[i], COP_GPT2_SPLIT);
        COP_TRY(append(cuts, cut(w->steps->cuts[i])));
    }
    if (!split) COP_TRY(append(cuts, byte_level(false)));
    if (w->steps->nfc) COP_TRY(set(w->root, "normalizer", json_pack("{s:s}", "type", "NFC")));
    return set(w->root, "decoder", byte_level(true));
}

static cop_status write_marks(const writer *w) {
    bool prefix = w->s->add_space_prefix;
    for (size_t id = 0; prefix && id < w->s->n_tokens; id++)
        if (w->s->types[id] == COP_TOKEN_USER) return refuse("a space before the text beside user-defined tokens");
    json_t *rewrites = json_array(), *back = json_array();
    COP_TRY(set(w->root, "normalizer", json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", rewrites)));
    COP_TRY(set(w->root, "decoder", json_pack("{s:s, s:o}", "type", "Sequence", "decoders", back)));
    if (prefix) COP_TRY(append(rewrites, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", COP_SPACE_MARK)));
    COP_TRY(append(rewrites, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ", "content", COP_SPACE_MARK)));
    COP_TRY(append(back, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", COP_SPACE_MARK, "content", " ")));
    COP_TRY(append(back, json_pack("{s:s}", "type", "ByteFallback")));
    COP_TRY(append(back, json_pack("{s:s}", "type", "Fuse")));
    if (!prefix) return COP_OK;
    return append(back, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
}

// SentencePiece looks for user-defined tokens after spaces became marks.
static bool after_rewriting(const writer *w, size_t id) {
    cop_span t = w->s->tokens[id];
    if (!w->spm || w->s->types[id] != COP_TOKEN_USER) return false;
    for (size_t i = 0; i < t.bytes; i++)
        if (t.text[i] == ' ' || (t.bytes - i >= COP_SPACE_MARK_BYTES && !memcmp(t.text + i, COP_SPACE_MARK, COP_SPACE_MARK_BYTES))) return true;
    return false;
}

static cop_status write_added(const writer *w) {
    json_t *added = json_array();
    COP_TRY(set(w->root, "added_tokens", added));
    for (size_t id = 0; id < w->s->n_tokens; id++) {
        int32_t type = w->s->types[id];
        if (!is_added(type) || !w->s->tokens[id].bytes) continue;
        json_t *text = text_of(w->s->tokens[id]);
        if (!text) return cop_fail(COP_ERR_UNSUPPORTED, "token %zu: its text is not UTF-8", id);
        COP_TRY(append(added, json_pack("{s:I, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", text, "single_word", 0, "lstrip", 0,
                                        "rstrip", 0, "normalized", after_rewriting(w, id), "special", type != COP_TOKEN_USER)));
    }
    return COP_OK;
}

static cop_status put_special(const writer *w, json_t *single, json_t *pair, json_t *known, int64_t id) {
    json_t *text = text_of(w->s->tokens[id]);
    if (!text) return refuse("the text of a token around the text");
    json_t *one = json_pack("{s:{s:O, s:i}}", "SpecialToken", "id", text, "type_id", 0);
    cop_status st = append(single, json_incref(one));
    if (!st) st = append(pair, one);
    if (!st) st = set(known, json_string_value(text), json_pack("{s:O, s:[I], s:[O]}", "id", text, "ids", (json_int_t)id, "tokens", text));
    json_decref(text);
    return st;
}

static cop_status put_sequence(json_t *list, const char *name) {
    return append(list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", 0));
}

static cop_status write_around(const writer *w) {
    const cop_vocab_source *s = w->s;
    bool before = s->add_bos && s->bos >= 0, behind = s->add_eos && s->eos >= 0;
    if (!before && !behind) return set(w->root, "post_processor", json_null());
    json_t *single = json_array(), *pair = json_array(), *known = json_object();
    COP_TRY(set(w->root, "post_processor", json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair", pair, "special_tokens", known)));
    if (before) COP_TRY(put_special(w, single, pair, known, s->bos));
    COP_TRY(put_sequence(single, "A"));
    COP_TRY(put_sequence(pair, "A"));
    COP_TRY(put_sequence(pair, "B"));
    return behind ? put_special(w, single, pair, known, s->eos) : COP_OK;
}

// ---- tokenizer_config.json ----

static cop_status name_token(const writer *w, json_t *config, const char *key, int64_t id) {
    if (id < 0 || (size_t)id >= w->s->n_tokens) return COP_OK;
    return set(config, key, text_of(w->s->tokens[id]));
}

static cop_status write_config(const writer *w, json_t *config) {
    const cop_vocab_source *s = w->s;
    COP_TRY(set(config, "tokenizer_class", json_string("PreTrainedTokenizerFast")));
    COP_TRY(set(config, "add_bos_token", json_boolean(s->add_bos)));
    COP_TRY(set(config, "add_eos_token", json_boolean(s->add_eos)));
    COP_TRY(set(config, "clean_up_tokenization_spaces", json_false()));
    COP_TRY(name_token(w, config, "bos_token", s->bos));
    COP_TRY(name_token(w, config, "eos_token", s->eos));
    COP_TRY(name_token(w, config, "unk_token", s->unk));
    COP_TRY(name_token(w, config, "pad_token", s->pad));
    if (!s->chat_template.text) return COP_OK;
    json_t *chat = text_of(s->chat_template);
    return chat ? set(config, "chat_template", chat) : cop_fail(COP_ERR_UNSUPPORTED, "the chat template is not UTF-8");
}

// ---- all of it ----

static cop_status write_all(writer *w, json_t *config) {
    if (!w->spm) {
        if (strcmp(w->s->model, "gpt2") != 0) return cop_fail(COP_ERR_UNSUPPORTED, "a vocabulary of the kind %s is not written as tokenizer.json here", w->s->model);
        w->steps = cop_published_find(w->s->pre);
        if (!w->steps) return cop_fail(COP_ERR_UNSUPPORTED, "tokenizer.ggml.pre: \"%.40s\" has no published form here", w->s->pre);
    }
    COP_TRY(set(w->root, "version", json_string("1.0")));
    COP_TRY(set(w->root, "truncation", json_null()));
    COP_TRY(set(w->root, "padding", json_null()));
    COP_TRY(write_added(w));
    COP_TRY(set(w->root, "normalizer", json_null()));
    COP_TRY(set(w->root, "pre_tokenizer", json_null()));
    COP_TRY(write_around(w));
    COP_TRY(w->spm ? write_marks(w) : write_bytes(w));
    COP_TRY(write_model(w));
    return write_config(w, config);
}

cop_status cop_tokenizer_to_json(const cop_tokenizer *tok, json_t **tokenizer, json_t **config) {
    cop_vocab_words *words;
    *tokenizer = *config = NULL;
    COP_TRY(cop_vocab_words_new(&words, tok));
    writer w = {.tok = tok, .s = &words->source, .spm = !strcmp(words->source.model, "llama"), .root = json_object()};
    json_t *c = json_object();
    cop_status st = w.root && c ? write_all(&w, c) : no_memory();
    cop_vocab_words_free(words);
    if (st) {
        json_decref(w.root);
        json_decref(c);
        return st;
    }
    *tokenizer = w.root;
    *config = c;
    return COP_OK;
}
