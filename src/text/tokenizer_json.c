// tokenizer.json: the vocabulary and merges of its model, the added tokens with their flags; the steps are
// read in json_steps.c.  tokenizer_config.json says which tokens begin and end a text, and has the chat
// template.  Truncation and padding are left out: they are the caller's business here.
// Source: the documentation of the tokenizers library.
#include "text/tokenizer_json.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "text/json_steps.h"

static const cop_json_limits limits = {.bytes = COP_MAX_TOKENIZER_JSON, .values = 6000000, .depth = 64};

typedef struct reader {
    json_t *root, *config;
    const json_t *model, *added;
    cop_pipeline *p;
    cop_vocab_source source;
    cop_span *tokens, *merges;
    uint32_t *merge_left;
    char *merge_bytes;
    int32_t *types;
    cop_special *specials;
    bool *normalized;
    cop_around around;
    const char *unk;
} reader;

static cop_status no_memory(size_t n) { return cop_fail(COP_ERR_NOMEM, "tokenizer: cannot allocate %zu entries", n); }

// ---- how many ids ----

static cop_status count_id(size_t *n, const json_t *id, const char *text) {
    int64_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value < 0 || value >= (int64_t)COP_MAX_VOCAB)
        return cop_fail(COP_ERR_FORMAT, "\"%.40s\": its id is not one of 0 to %zu", text, COP_MAX_VOCAB - 1);
    if ((size_t)value >= *n) *n = (size_t)value + 1;
    return COP_OK;
}

static const char *added_text(const json_t *token) {
    const char *text = json_string_value(json_object_get(token, "content"));
    return text ? text : "";
}

static cop_status count_ids(const reader *r, size_t *n) {
    const json_t *vocab = cop_json_member(r->model, "vocab"), *id;
    size_t i, entries = json_is_array(vocab) ? json_array_size(vocab) : json_object_size(vocab);
    const char *text;
    *n = json_is_array(vocab) ? entries : 0;
    if (r->p->model == COP_PIECES_UNIGRAM ? !json_is_array(vocab) : !json_is_object(vocab))
        return cop_fail(COP_ERR_FORMAT, "model: vocab is missing or of another kind");
    json_object_foreach((json_t *)vocab, text, id) COP_TRY(count_id(n, id, text));
    json_array_foreach(r->added, i, id) COP_TRY(count_id(n, json_object_get(id, "id"), added_text(id)));
    entries += json_array_size(r->added);
    if (*n > 2 * entries + 65536)
        return cop_fail(COP_ERR_FORMAT, "vocabulary: ids up to %zu, but %zu tokens", *n - 1, entries);
    return *n ? COP_OK : cop_fail(COP_ERR_FORMAT, "vocabulary: no tokens");
}

// ---- the model's vocabulary ----

static cop_status take_token(reader *r, size_t id, const char *text, size_t bytes) {
    if (r->p->in_model[id]) return cop_fail(COP_ERR_FORMAT, "vocab: id %zu is there twice", id);
    r->p->in_model[id] = true;
    r->tokens[id] = (cop_span){text, bytes};
    r->types[id] = COP_TOKEN_NORMAL;
    return COP_OK;
}

// {"text": id, ...}
static cop_status read_vocabulary(reader *r) {
    const json_t *vocab = cop_json_member(r->model, "vocab"), *id;
    const char *text;
    json_object_foreach((json_t *)vocab, text, id)
        COP_TRY(take_token(r, (size_t)json_integer_value(id), text, strlen(text)));
    return COP_OK;
}

// [["text", score], ...]
static cop_status read_pieces(reader *r) {
    const json_t *vocab = cop_json_member(r->model, "vocab"), *piece;
    size_t i;
    r->p->score = cop_alloc_array(r->source.n_tokens, sizeof *r->p->score);
    if (!r->p->score) return no_memory(r->source.n_tokens);
    json_array_foreach(vocab, i, piece) {
        const json_t *text = json_array_get(piece, 0), *score = json_array_get(piece, 1);
        if (!json_is_string(text) || !json_is_number(score))
            return cop_fail(COP_ERR_FORMAT, "vocab: entry %zu is not a text and a score", i);
        COP_TRY(take_token(r, i, json_string_value(text), json_string_length(text)));
        r->p->score[i] = json_number_value(score);
    }
    return COP_OK;
}

static cop_status allocate(reader *r, size_t n) {
    r->source.n_tokens = n;
    r->source.tokens = r->tokens = cop_alloc_array(n, sizeof *r->tokens);
    r->source.types = r->types = cop_alloc_array(n, sizeof *r->types);
    r->p->in_model = cop_alloc_array(n, sizeof *r->p->in_model);
    if (!r->tokens || !r->types || !r->p->in_model) return no_memory(n);
    for (size_t i = 0; i < n; i++) r->types[i] = COP_TOKEN_UNUSED;
    return COP_OK;
}

// ---- merges ----

// "left right", or ["left", "right"], whose parts may have spaces.
static cop_status merge_parts(const json_t *merge, size_t i, cop_span *left, cop_span *right) {
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(a) && json_is_string(b) && json_array_size(merge) == 2) {
        *left = (cop_span){json_string_value(a), json_string_length(a)};
        *right = (cop_span){json_string_value(b), json_string_length(b)};
        return COP_OK;
    }
    const char *text = json_string_value(merge), *space = text && *text ? strchr(text + 1, ' ') : NULL;
    if (!space) return cop_fail(COP_ERR_FORMAT, "merges: entry %zu is not two texts", i);
    *left = (cop_span){text, (size_t)(space - text)};
    *right = (cop_span){space + 1, strlen(space + 1)};
    return COP_OK;
}

static cop_status copy_merges(reader *r, const json_t *merges) {
    const json_t *merge;
    cop_span left, right;
    size_t i;
    char *to = r->merge_bytes;
    json_array_foreach(merges, i, merge) {
        COP_TRY(merge_parts(merge, i, &left, &right));
        if (!left.bytes || !right.bytes) return cop_fail(COP_ERR_FORMAT, "merges: entry %zu has an empty part", i);
        r->merges[i] = (cop_span){to, left.bytes + 1 + right.bytes};
        r->merge_left[i] = (uint32_t)left.bytes;
        memcpy(to, left.text, left.bytes);
        to[left.bytes] = ' ';
        memcpy(to + left.bytes + 1, right.text, right.bytes);
        to += r->merges[i].bytes;
    }
    return COP_OK;
}

static cop_status read_merges(reader *r) {
    const json_t *merges = cop_json_member(r->model, "merges"), *merge;
    cop_span left, right;
    size_t i, bytes = 0;
    if (!json_is_array(merges)) return cop_fail(COP_ERR_FORMAT, "model: merges is missing or no array");
    json_array_foreach(merges, i, merge) {
        COP_TRY(merge_parts(merge, i, &left, &right));
        bytes += left.bytes + 1 + right.bytes;
    }
    size_t n = r->source.n_merges = json_array_size(merges);
    r->source.merges = r->merges = cop_alloc_array(n, sizeof *r->merges);
    r->source.merge_left = r->merge_left = cop_alloc_array(n, sizeof *r->merge_left);
    r->merge_bytes = cop_alloc(bytes);
    if (!r->merges || !r->merge_left || !r->merge_bytes) return no_memory(n);
    return copy_merges(r, merges);
}

// ---- kinds of models ----

static cop_status read_bpe_options(reader *r) {
    double dropout;
    COP_TRY(cop_json_number(r->model, "dropout", 0, &dropout));
    if (dropout != 0) return cop_fail(COP_ERR_UNSUPPORTED, "dropout: %g, only none is known", dropout);
    COP_TRY(cop_json_short_text(r->model, "continuing_subword_prefix", COP_MAX_AFFIX - 1, r->p->inner));
    COP_TRY(cop_json_short_text(r->model, "end_of_word_suffix", COP_MAX_AFFIX - 1, r->p->last));
    COP_TRY(cop_json_bool(r->model, "fuse_unk", false, &r->p->fuse_unk));
    COP_TRY(cop_json_bool(r->model, "byte_fallback", false, &r->p->byte_fallback));
    COP_TRY(cop_json_bool(r->model, "ignore_merges", false, &r->p->whole_words));
    return cop_json_text(r->model, "unk_token", NULL, &r->unk);
}

static cop_status read_wordpiece_options(reader *r) {
    int64_t most;
    COP_TRY(cop_json_short_text(r->model, "continuing_subword_prefix", COP_MAX_AFFIX - 1, r->p->inner));
    COP_TRY(cop_json_int(r->model, "max_input_chars_per_word", 100, 0, 10000, &most));
    r->p->most_word = (size_t)most;
    return cop_json_text(r->model, "unk_token", "[UNK]", &r->unk);
}

static cop_status read_unigram_options(reader *r) {
    size_t n = json_array_size(cop_json_member(r->model, "vocab"));
    COP_TRY(cop_json_int(r->model, "unk_id", -1, 0, n ? (int64_t)n - 1 : 0, &r->source.unk));
    return cop_json_bool(r->model, "byte_fallback", false, &r->p->byte_fallback);
}

// Files from before models had a type are known by what they hold.
static cop_status read_model_kind(reader *r) {
    const char *type;
    r->model = cop_json_member(r->root, "model");
    if (!json_is_object(r->model)) return cop_fail(COP_ERR_FORMAT, "no \"model\"");
    COP_TRY(cop_json_text(r->model, "type", NULL, &type));
    if (!type) {
        bool merges = cop_json_member(r->model, "merges"), pieces = json_is_array(cop_json_member(r->model, "vocab"));
        type = merges ? "BPE" : pieces ? "Unigram" : "WordPiece";
    }
    r->source.unk = -1;
    if (!strcmp(type, "BPE")) {
        r->p->model = COP_PIECES_BPE;
        return read_bpe_options(r);
    }
    if (!strcmp(type, "WordPiece")) {
        r->p->model = COP_PIECES_WORDPIECE;
        return read_wordpiece_options(r);
    }
    if (strcmp(type, "Unigram") != 0)
        return cop_fail(COP_ERR_UNSUPPORTED, "model: \"%.40s\" is not known; known are BPE, Unigram, WordPiece", type);
    r->p->model = COP_PIECES_UNIGRAM;
    return read_unigram_options(r);
}

// ---- added tokens ----

static cop_status read_added_token(reader *r, const json_t *token, cop_special *s, bool *normalized) {
    const char *text = added_text(token);
    bool special;
    size_t id = (size_t)json_integer_value(json_object_get(token, "id"));
    COP_TRY(cop_json_bool(token, "special", false, &special));
    COP_TRY(cop_json_bool(token, "single_word", false, &s->single_word));
    COP_TRY(cop_json_bool(token, "lstrip", false, &s->lstrip));
    COP_TRY(cop_json_bool(token, "rstrip", false, &s->rstrip));
    COP_TRY(cop_json_bool(token, "normalized", !special, normalized));
    *s = (cop_special){text, (uint32_t)strlen(text), (int32_t)id, !special, s->single_word, s->lstrip, s->rstrip};
    if (strlen(text) > COP_MAX_PIECE)
        return cop_fail(COP_ERR_LIMIT, "added token %zu: %zu bytes, at most %d", id, strlen(text), COP_MAX_PIECE);
    cop_span *known = &r->tokens[id];
    if (known->text && (known->bytes != s->bytes || memcmp(known->text, text, s->bytes) != 0))
        return cop_fail(COP_ERR_FORMAT, "added token %zu: \"%.40s\", the vocabulary has another text there", id, text);
    *known = (cop_span){text, s->bytes};
    r->types[id] = special ? COP_TOKEN_CONTROL : COP_TOKEN_USER;
    return COP_OK;
}

static cop_status read_added(reader *r) {
    const json_t *token;
    size_t i, n = json_array_size(r->added);
    r->specials = cop_alloc_array(n, sizeof *r->specials);
    r->normalized = cop_alloc_array(n, sizeof *r->normalized);
    if (!r->specials || !r->normalized) return no_memory(n);
    json_array_foreach(r->added, i, token) COP_TRY(read_added_token(r, token, &r->specials[i], &r->normalized[i]));
    r->p->source_specials = r->specials;
    r->p->source_normalized = r->normalized;
    r->p->n_source_specials = n;
    return COP_OK;
}

// ---- tokenizer_config.json ----

// The id of a text, the model's own before an added one.  -1: none.
static int64_t find_id(const reader *r, const char *text) {
    size_t bytes = text ? strlen(text) : 0;
    for (size_t id = 0; bytes && id < r->source.n_tokens; id++)
        if (r->tokens[id].bytes == bytes && !memcmp(r->tokens[id].text, text, bytes)) return (int64_t)id;
    return -1;
}

// A text or {"content": text}.
static int64_t named_id(const reader *r, const char *key) {
    const json_t *v = cop_json_member(r->config, key);
    if (json_is_object(v)) v = cop_json_member(v, "content");
    return find_id(r, json_string_value(v));
}

void cop_json_chat_template(const json_t *config, cop_span *out) {
    const json_t *v = cop_json_member(config, "chat_template"), *each, *found = json_is_string(v) ? v : NULL;
    size_t i;
    json_array_foreach(v, i, each) {
        const char *name = json_string_value(cop_json_member(each, "name"));
        if (name && !strcmp(name, "default")) found = cop_json_member(each, "template");
    }
    if (json_is_string(found)) *out = (cop_span){json_string_value(found), json_string_length(found)};
}

// Without a configuration, a text begins and ends with what the template puts there.
static cop_status read_config(reader *r) {
    cop_around *a = &r->around;
    bool bos, eos;
    r->source.bos = named_id(r, "bos_token");
    r->source.eos = named_id(r, "eos_token");
    r->source.pad = named_id(r, "pad_token");
    r->source.eot = -1;
    if (r->source.bos < 0 && a->n_before) r->source.bos = a->before[0];
    if (r->source.eos < 0 && a->n_behind) r->source.eos = a->behind[a->n_behind - 1];
    COP_TRY(cop_json_bool(r->config, "add_bos_token", false, &bos));
    COP_TRY(cop_json_bool(r->config, "add_eos_token", false, &eos));
    if (!a->known && bos && r->source.bos >= 0) a->before[a->n_before++] = (int32_t)r->source.bos;
    if (!a->known && eos && r->source.eos >= 0) a->behind[a->n_behind++] = (int32_t)r->source.eos;
    for (int i = 0; i < a->n_before + a->n_behind; i++) {
        int32_t id = i < a->n_before ? a->before[i] : a->behind[i - a->n_before];
        if ((size_t)id >= r->source.n_tokens)
            return cop_fail(COP_ERR_FORMAT, "post_processor: id %d, the vocabulary has %zu", id, r->source.n_tokens);
    }
    if (!r->source.chat_template.text) cop_json_chat_template(r->config, &r->source.chat_template);
    return COP_OK;
}

// ---- all of it ----

static cop_status read_all(reader *r) {
    size_t n;
    r->source.model = "tokenizer.json";
    r->added = cop_json_member(r->root, "added_tokens");
    if (r->added && !json_is_array(r->added)) return cop_fail(COP_ERR_FORMAT, "added_tokens: not an array");
    COP_TRY(read_model_kind(r));
    COP_TRY(cop_json_normalizer(r->p, cop_json_member(r->root, "normalizer")));
    COP_TRY(cop_json_pre_tokenizer(r->p, cop_json_member(r->root, "pre_tokenizer")));
    COP_TRY(cop_json_decoder(r->p, cop_json_member(r->root, "decoder")));
    COP_TRY(cop_json_post_processor(&r->around, cop_json_member(r->root, "post_processor")));
    COP_TRY(count_ids(r, &n));
    COP_TRY(allocate(r, n));
    COP_TRY(r->p->model == COP_PIECES_UNIGRAM ? read_pieces(r) : read_vocabulary(r));
    if (r->p->model == COP_PIECES_BPE) COP_TRY(read_merges(r));
    if (r->p->model != COP_PIECES_UNIGRAM) r->source.unk = find_id(r, r->unk);
    COP_TRY(read_added(r));
    return read_config(r);
}

static cop_status make(cop_tokenizer **out, reader *r) {
    r->p = cop_alloc(sizeof *r->p);
    if (!r->p) return cop_fail(COP_ERR_NOMEM, "tokenizer: cannot allocate");
    COP_TRY(read_all(r));
    cop_pipeline *p = r->p;
    r->p = NULL;
    COP_TRY(cop_tokenizer_new_pipeline(out, &r->source, p));
    cop_tokenizer *tok = *out;
    tok->n_before = r->around.n_before;
    tok->n_behind = r->around.n_behind;
    memcpy(tok->before, r->around.before, sizeof tok->before);
    memcpy(tok->behind, r->around.behind, sizeof tok->behind);
    return COP_OK;
}

static void fini(reader *r) {
    cop_pipeline_free(r->p);
    cop_free(r->tokens);
    cop_free(r->types);
    cop_free(r->merges);
    cop_free(r->merge_left);
    cop_free(r->merge_bytes);
    cop_free(r->specials);
    cop_free(r->normalized);
    json_decref(r->root);
    json_decref(r->config);
}

cop_status cop_tokenizer_from_json(cop_tokenizer **out, const cop_tokenizer_files *files) {
    *out = NULL;
    reader r = {0};
    const char *name = "tokenizer.json";
    cop_status st = cop_json_parse(&r.root, files->tokenizer.text, files->tokenizer.bytes, &limits);
    if (!st && files->config.text) {
        name = "tokenizer_config.json";
        st = cop_json_parse(&r.config, files->config.text, files->config.bytes, &limits);
        if (!st) name = "tokenizer.json";
    }
    if (!st && files->chat_template.text) r.source.chat_template = files->chat_template;
    if (!st) st = make(out, &r);
    if (st) cop_fail_note("%s", name);
    fini(&r);
    return st;
}
