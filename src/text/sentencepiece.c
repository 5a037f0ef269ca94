// SentencePiece's model file: a protocol buffer of pieces with scores and kinds, of which this reads what encoding needs.
// Source: sentencepiece_model.proto and the encoding of protocol buffers as their documents say. Unknown fields are
// skipped, as readers of that format do. Added tokens come from tokenizer_config.json.
#include "text/sentencepiece.h"

#include <string.h>

#include "text/json_steps.h"
#include "text/text_private.h"

typedef unsigned long long ull;

// ---- protocol buffers -----------------------------------------------------------------------

typedef struct field {
    uint32_t number;
    int kind;        // 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32
    uint64_t value;  // of a number
    cop_span bytes;  // of bytes
} field;

typedef struct scanner {
    const uint8_t *data;
    size_t at, end;
} scanner;

static cop_status read_varint(scanner *s, uint64_t *out) {
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (s->at >= s->end) return cop_fail(COP_ERR_FORMAT, "ends at byte %zu inside a number", s->at);
        uint8_t byte = s->data[s->at++];
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return COP_OK;
    }
    return cop_fail(COP_ERR_FORMAT, "byte %zu: a number of more than 64 bits", s->at);
}

static cop_status read_fixed(scanner *s, size_t bytes, uint64_t *out) {
    if (bytes > s->end - s->at) return cop_fail(COP_ERR_FORMAT, "ends at byte %zu inside a number", s->end);
    *out = 0;
    for (size_t i = 0; i < bytes; i++) *out |= (uint64_t)s->data[s->at + i] << 8 * i;
    s->at += bytes;
    return COP_OK;
}

// The next field; call while s->at < s->end.
static cop_status next_field(scanner *s, field *f) {
    uint64_t key, n;
    COP_TRY(read_varint(s, &key));
    *f = (field){.number = (uint32_t)(key >> 3), .kind = (int)(key & 7)};
    if (!f->number || key >> 32) return cop_fail(COP_ERR_FORMAT, "byte %zu: field number %llu", s->at, (ull)(key >> 3));
    switch (f->kind) {
    case 0: return read_varint(s, &f->value);
    case 1: return read_fixed(s, 8, &f->value);
    case 5: return read_fixed(s, 4, &f->value);
    case 2:
        COP_TRY(read_varint(s, &n));
        if (n > s->end - s->at) return cop_fail(COP_ERR_FORMAT, "byte %zu: a field of %llu bytes, %zu are left", s->at, (ull)n, s->end - s->at);
        f->bytes = (cop_span){(const char *)s->data + s->at, (size_t)n};
        s->at += (size_t)n;
        return COP_OK;
    default: return cop_fail(COP_ERR_FORMAT, "byte %zu: a field of the kind %d", s->at, f->kind);
    }
}

static scanner inside(const scanner *outer, const field *f) {
    size_t at = (size_t)((const uint8_t *)f->bytes.text - outer->data);
    return (scanner){outer->data, at, at + f->bytes.bytes};
}

// ---- the file -------------------------------------------------------------------------------

typedef struct reader {
    cop_vocab_source source;
    cop_span *tokens;
    float *scores;
    int32_t *types;
    size_t n_pieces, room;
    int64_t kind;  // 1 Unigram, 2 BPE, 3 words, 4 characters
    bool suffix, escape;
    json_t *config;
} reader;

static cop_status read_piece(reader *r, scanner s) {
    size_t id = r->source.n_tokens++;
    r->types[id] = COP_TOKEN_NORMAL;
    while (s.at < s.end) {
        field f;
        COP_TRY(next_field(&s, &f));
        if (f.number == 1 && f.kind == 2) r->tokens[id] = f.bytes;
        if (f.number == 2 && f.kind == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&r->scores[id], &bits, 4);
        }
        if (f.number == 3 && f.kind == 0) {
            if (f.value < COP_TOKEN_NORMAL || f.value > COP_TOKEN_BYTE) return cop_fail(COP_ERR_FORMAT, "piece %zu: kind %llu", id, (ull)f.value);
            r->types[id] = (int32_t)f.value;
        }
    }
    return COP_OK;
}

// An id is an int32, negative where there is none, and then written with 64 bits.
static int64_t id_of(const field *f) { return (int64_t)f->value < 0 ? -1 : f->value > INT32_MAX ? -1 : (int64_t)f->value; }

static cop_status read_trainer(reader *r, scanner s) {
    while (s.at < s.end) {
        field f;
        COP_TRY(next_field(&s, &f));
        if (f.kind != 0) continue;
        switch (f.number) {
        case 3: r->kind = f.value > 4 ? 0 : (int64_t)f.value; break;
        case 24: r->suffix = f.value != 0; break;
        case 40: r->source.unk = id_of(&f); break;
        case 41: r->source.bos = id_of(&f); break;
        case 42: r->source.eos = id_of(&f); break;
        case 43: r->source.pad = id_of(&f); break;
        default: break;
        }
    }
    return COP_OK;
}

static cop_status read_normalizer(reader *r, scanner s) {
    while (s.at < s.end) {
        field f;
        COP_TRY(next_field(&s, &f));
        if (f.number == 2 && f.kind == 2) r->source.charsmap = f.bytes;
        if (f.number == 3 && f.kind == 0) r->source.add_space_prefix = f.value != 0;
        if (f.number == 4 && f.kind == 0) r->source.squeeze_spaces = f.value != 0;
        if (f.number == 5 && f.kind == 0) r->escape = f.value != 0;
    }
    return COP_OK;
}

static cop_status count_pieces(reader *r, scanner s) {
    while (s.at < s.end) {
        field f;
        COP_TRY(next_field(&s, &f));
        r->n_pieces += f.number == 1 && f.kind == 2;
    }
    if (!r->n_pieces || r->n_pieces > COP_MAX_VOCAB) return cop_fail(COP_ERR_FORMAT, "%zu pieces, 1 to %zu are possible", r->n_pieces, COP_MAX_VOCAB);
    return COP_OK;
}

static cop_status read_model(reader *r, scanner s) {
    while (s.at < s.end) {
        field f;
        COP_TRY(next_field(&s, &f));
        if (f.kind != 2) continue;
        if (f.number == 1) COP_TRY(read_piece(r, inside(&s, &f)));
        if (f.number == 2) COP_TRY(read_trainer(r, inside(&s, &f)));
        if (f.number == 3) COP_TRY(read_normalizer(r, inside(&s, &f)));
    }
    return COP_OK;
}

static cop_status check_kind(reader *r) {
    cop_vocab_source *v = &r->source;
    static const char *const kinds[] = {"of an unknown kind", "Unigram", "BPE", "of words", "of characters"};
    bool bytes = false, user = false;
    if (r->kind != 1 && r->kind != 2) return cop_fail(COP_ERR_UNSUPPORTED, "a model %s: BPE and Unigram are known here", kinds[r->kind]);
    if (r->suffix || !r->escape) return cop_fail(COP_ERR_UNSUPPORTED, "%s", r->suffix ? "spaces that end pieces" : "spaces that are not marked");
    v->model = r->kind == 2 ? "llama" : "t5";
    for (size_t i = 0; i < r->n_pieces; i++) bytes = bytes || r->types[i] == COP_TOKEN_BYTE, user = user || r->types[i] == COP_TOKEN_USER;
    if (r->kind == 1) return user ? cop_fail(COP_ERR_UNSUPPORTED, "a Unigram model with user-defined pieces") : COP_OK;
    if (!bytes) return cop_fail(COP_ERR_UNSUPPORTED, "a BPE model without byte pieces");
    if (v->charsmap.bytes) return cop_fail(COP_ERR_UNSUPPORTED, "a BPE model that rewrites characters");
    return v->squeeze_spaces ? cop_fail(COP_ERR_UNSUPPORTED, "a BPE model that removes spaces") : COP_OK;
}

// ---- tokenizer_config.json ------------------------------------------------------------------

// Classes whose ids are those of the file; others move them.
static cop_status check_class(const reader *r) {
    static const char *const known[] = {"LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast",
                                        "T5Tokenizer", "T5TokenizerFast", "PreTrainedTokenizer", "PreTrainedTokenizerFast"};
    const char *class;
    COP_TRY(cop_json_text(r->config, "tokenizer_class", NULL, &class));
    for (size_t i = 0; class && i < sizeof known / sizeof *known; i++)
        if (!strcmp(class, known[i])) return COP_OK;
    return class ? cop_fail(COP_ERR_UNSUPPORTED, "tokenizer_class %.40s: its tokenizer.model is not read here; tokenizer.json is", class) : COP_OK;
}

static bool read_id(const char *text, size_t *id) {
    *id = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || p - text > 8) return false;
        *id = 10 * *id + (size_t)(*p - '0');
    }
    return *text != 0;
}

static bool is_text(const cop_span *s, const json_t *text) {
    return s->bytes && s->bytes == json_string_length(text) && !memcmp(s->text, json_string_value(text), s->bytes);
}

static cop_status add_token(reader *r, const char *name, const json_t *token) {
    size_t id;
    bool special, takes = false, on;
    static const char *const flags[] = {"lstrip", "rstrip", "single_word"};
    const json_t *content = cop_json_member(token, "content");
    if (!read_id(name, &id) || !json_is_string(content)) return cop_fail(COP_ERR_FORMAT, "added_tokens_decoder: \"%.20s\" is no id with a content", name);
    for (int i = 0; i < 3; i++) {
        COP_TRY(cop_json_bool(token, flags[i], false, &on));
        takes |= on;
    }
    COP_TRY(cop_json_bool(token, "special", false, &special));
    if (id >= r->room) return cop_fail(COP_ERR_FORMAT, "added_tokens_decoder: id %zu, but %zu tokens", id, r->room);
    cop_span *t = &r->tokens[id];
    if (id >= r->n_pieces && takes) return cop_fail(COP_ERR_UNSUPPORTED, "added token %zu: it takes spaces or stands alone", id);
    if (id < r->n_pieces && !is_text(t, content))
        return cop_fail(COP_ERR_UNSUPPORTED, "added token %zu: the model has another piece there", id);
    *t = (cop_span){json_string_value(content), json_string_length(content)};
    if (r->types[id] != COP_TOKEN_UNKNOWN && r->types[id] != COP_TOKEN_CONTROL) r->types[id] = special ? COP_TOKEN_CONTROL : COP_TOKEN_USER;
    return COP_OK;
}

// Ids behind the pieces follow one another.
static cop_status add_tokens(reader *r) {
    json_t *added = cop_json_member(r->config, "added_tokens_decoder"), *token;
    const char *name;
    if (added && !json_is_object(added)) return cop_fail(COP_ERR_FORMAT, "added_tokens_decoder: not an object");
    json_object_foreach(added, name, token) COP_TRY(add_token(r, name, token));
    while (r->source.n_tokens < r->room && r->tokens[r->source.n_tokens].text) r->source.n_tokens++;
    for (size_t i = r->source.n_tokens; i < r->room; i++)
        if (r->tokens[i].text) return cop_fail(COP_ERR_UNSUPPORTED, "added token %zu: there is none with the id %zu", i, r->source.n_tokens);
    return COP_OK;
}

// A text or {"content": text}; *id stays when the file says nothing.
static void name_token(const reader *r, const char *key, int64_t *id) {
    const json_t *v = cop_json_member(r->config, key);
    if (json_is_object(v)) v = cop_json_member(v, "content");
    for (size_t i = 0; json_is_string(v) && i < r->source.n_tokens; i++) {
        if (!is_text(&r->tokens[i], v)) continue;
        *id = (int64_t)i;
        return;
    }
}

static cop_status read_config(reader *r) {
    cop_vocab_source *v = &r->source;
    COP_TRY(check_class(r));
    COP_TRY(add_tokens(r));
    name_token(r, "bos_token", &v->bos);
    name_token(r, "eos_token", &v->eos);
    name_token(r, "unk_token", &v->unk);
    name_token(r, "pad_token", &v->pad);
    COP_TRY(cop_json_bool(r->config, "add_bos_token", r->kind == 2, &v->add_bos));
    COP_TRY(cop_json_bool(r->config, "add_eos_token", r->kind == 1, &v->add_eos));
    if (!v->chat_template.text) cop_json_chat_template(r->config, &v->chat_template);
    return COP_OK;
}

// ---- the whole ------------------------------------------------------------------------------

static cop_status allocate(reader *r) {
    r->room = r->n_pieces + json_object_size(cop_json_member(r->config, "added_tokens_decoder"));
    r->source.tokens = r->tokens = cop_alloc_array(r->room, sizeof *r->tokens);
    r->source.scores = r->scores = cop_alloc_array(r->room, sizeof *r->scores);
    r->source.types = r->types = cop_alloc_array(r->room, sizeof *r->types);
    if (!r->tokens || !r->scores || !r->types) return cop_fail(COP_ERR_NOMEM, "cannot allocate %zu tokens", r->room);
    return COP_OK;
}

static cop_status read_all(reader *r, const cop_tokenizer_files *files) {
    static const cop_json_limits limits = {.bytes = COP_MAX_TOKENIZER_JSON, .values = 6000000, .depth = 64};
    const scanner whole = {(const uint8_t *)files->sentencepiece.text, 0, files->sentencepiece.bytes};
    r->source.chat_template = files->chat_template;
    if (files->config.text) {
        cop_status st = cop_json_parse(&r->config, files->config.text, files->config.bytes, &limits);
        if (st) cop_fail_note("tokenizer_config.json");
        if (st) return st;
    }
    COP_TRY(count_pieces(r, whole));
    COP_TRY(allocate(r));
    COP_TRY(read_model(r, whole));
    COP_TRY(check_kind(r));
    cop_status st = read_config(r);
    if (st) cop_fail_note("tokenizer_config.json");
    return st;
}

cop_status cop_tokenizer_from_sentencepiece(cop_tokenizer **out, const cop_tokenizer_files *files) {
    reader r = {.kind = 1, .escape = true,
                .source = {.unk = 0, .bos = 1, .eos = 2, .pad = -1, .eot = -1, .add_space_prefix = true, .squeeze_spaces = true}};
    *out = NULL;
    cop_status st = read_all(&r, files);
    if (!st) st = cop_tokenizer_new(out, &r.source);
    if (st) cop_fail_note("tokenizer.model");
    json_decref(r.config);
    cop_free(r.tokens);
    cop_free(r.scores);
    cop_free(r.types);
    return st;
}
