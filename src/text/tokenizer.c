// Building a tokenizer from what a vocabulary file says, and the questions one can ask it.
// The two kinds of BPE are in bpe.c and spm.c; this file holds what they share.
#include "text/pipeline_private.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

// ---- look-up by text ----

// Seeded, so that a file made against plain XXH3 does not meet this table's order.
static size_t hash_text(const char *text, size_t bytes) {
    return (size_t)XXH3_64bits_withSeed(text, bytes, 0x636F7070696365u);
}

int32_t cop_tokenizer_find(const cop_tokenizer *tok, const char *text, size_t bytes) {
    if (!bytes || bytes > tok->longest) return -1;
    for (size_t i = hash_text(text, bytes);; i++) {
        uint32_t slot = tok->slots[i & (tok->n_slots - 1)];
        if (!slot) return -1;
        cop_span span = cop_strings_get(&tok->text, (int32_t)(slot - 1));
        if (span.bytes == bytes && !memcmp(span.text, text, bytes)) return (int32_t)(slot - 1);
    }
}

// The first token of a text keeps it.
static cop_status index_texts(cop_tokenizer *tok) {
    tok->n_slots = 16;
    while (tok->n_slots < 2 * (size_t)tok->n) tok->n_slots *= 2;
    tok->slots = cop_alloc_array(tok->n_slots, sizeof *tok->slots);
    if (!tok->slots) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu slots", tok->n_slots);
    for (int32_t id = 0; id < tok->n; id++) {
        cop_span span = cop_strings_get(&tok->text, id);
        if (!span.bytes || cop_tokenizer_find(tok, span.text, span.bytes) >= 0) continue;
        size_t i = hash_text(span.text, span.bytes) & (tok->n_slots - 1);
        while (tok->slots[i]) i = (i + 1) & (tok->n_slots - 1);
        tok->slots[i] = (uint32_t)id + 1;
    }
    return COP_OK;
}

// ---- loading ----

static cop_status check_id(const char *name, int64_t id, size_t n, int32_t *out) {
    if (id < -1 || id >= (int64_t)n)
        return cop_fail(COP_ERR_FORMAT, "%s token: id %lld, the vocabulary has %zu", name, (long long)id, n);
    *out = (int32_t)id;
    return COP_OK;
}

static cop_status check_source(cop_tokenizer *tok, const cop_vocab_source *source) {
    size_t n = source->n_tokens;
    if (!n || n > COP_MAX_VOCAB)
        return cop_fail(COP_ERR_FORMAT, "vocabulary: %zu tokens, 1 to %zu are possible", n, COP_MAX_VOCAB);
    if (source->n_merges > COP_MAX_VOCAB)
        return cop_fail(COP_ERR_FORMAT, "vocabulary: %zu merges, at most %zu", source->n_merges, COP_MAX_VOCAB);
    tok->n = (int32_t)n;
    tok->is_spm = !tok->pipeline && !strcmp(source->model, "llama");
    if (!tok->pipeline && !tok->is_spm && strcmp(source->model, "gpt2") != 0)
        return cop_fail(COP_ERR_UNSUPPORTED, "tokenizer.ggml.model: \"%.40s\" is not known; known are gpt2, llama, t5 and bert",
                        source->model);
    if (tok->is_spm && !source->scores) return cop_fail(COP_ERR_FORMAT, "vocabulary: kind llama needs scores");
    COP_TRY(check_id("bos", source->bos, n, &tok->bos));
    COP_TRY(check_id("eos", source->eos, n, &tok->eos));
    COP_TRY(check_id("eot", source->eot, n, &tok->eot));
    COP_TRY(check_id("unknown", source->unk, n, &tok->unk));
    COP_TRY(check_id("padding", source->pad, n, &tok->pad));
    if (source->add_bos && tok->bos >= 0) tok->before[tok->n_before++] = tok->bos;
    if (source->add_eos && tok->eos >= 0) tok->behind[tok->n_behind++] = tok->eos;
    tok->add_space_prefix = source->add_space_prefix && tok->is_spm;
    return COP_OK;
}

static cop_status strings_new(cop_strings *s, size_t n, size_t bytes) {
    s->bytes = cop_alloc(bytes);
    s->at = cop_alloc_array(n + 1, sizeof *s->at);
    if (!s->bytes || !s->at) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu bytes of text", bytes);
    return COP_OK;
}

// At most 2^24 texts of 2^10 bytes could pass 2^32, so the sum is checked too.
static cop_status load_texts(cop_tokenizer *tok, const cop_vocab_source *source) {
    size_t total = 0;
    for (size_t i = 0; i < source->n_tokens; i++) {
        size_t bytes = source->tokens[i].bytes;
        if (bytes > COP_MAX_PIECE)
            return cop_fail(COP_ERR_FORMAT, "token %zu: %zu bytes, at most %d", i, bytes, COP_MAX_PIECE);
        if (bytes > tok->longest) tok->longest = bytes;
        total += bytes;
    }
    if (total > INT32_MAX) return cop_fail(COP_ERR_FORMAT, "vocabulary: %zu bytes of text, at most %d", total, INT32_MAX);
    COP_TRY(strings_new(&tok->text, source->n_tokens, total));
    uint32_t at = 0;
    for (size_t i = 0; i < source->n_tokens; i++) {
        if (source->tokens[i].bytes) memcpy(tok->text.bytes + at, source->tokens[i].text, source->tokens[i].bytes);
        at += (uint32_t)source->tokens[i].bytes;
        tok->text.at[i + 1] = at;
    }
    return COP_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte of a text like <0x0A>, or -1.
static int byte_of_text(cop_span s) {
    if (s.bytes != 6 || memcmp(s.text, "<0x", 3) != 0 || s.text[5] != '>') return -1;
    int high = hex_digit(s.text[3]), low = hex_digit(s.text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static cop_status load_types(cop_tokenizer *tok, const cop_vocab_source *source) {
    tok->type = cop_alloc_array(source->n_tokens, sizeof *tok->type);
    tok->is_end = cop_alloc_array(source->n_tokens, sizeof *tok->is_end);
    if (!tok->type || !tok->is_end) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate types");
    for (int b = 0; b < 256; b++) tok->byte_id[b] = -1;
    for (int32_t id = 0; id < tok->n; id++) {
        bool named = tok->is_spm || (tok->pipeline && tok->pipeline->bytes_back);
        int byte = named ? byte_of_text(cop_strings_get(&tok->text, id)) : -1;
        int32_t type = source->types ? source->types[id] : byte >= 0 ? COP_TOKEN_BYTE : COP_TOKEN_NORMAL;
        if (tok->pipeline && byte >= 0 && type == COP_TOKEN_NORMAL) type = COP_TOKEN_BYTE;
        if (type < 0 || type > COP_TOKEN_BYTE)
            return cop_fail(COP_ERR_FORMAT, "token %d: type %d, 0 to %d are possible", id, type, COP_TOKEN_BYTE);
        tok->type[id] = type ? (uint8_t)type : COP_TOKEN_UNUSED;  // 0 is "undefined"
        if (type == COP_TOKEN_BYTE && byte >= 0 && tok->byte_id[byte] < 0) tok->byte_id[byte] = id;
    }
    return COP_OK;
}

static cop_status load_scores(cop_tokenizer *tok, const cop_vocab_source *source) {
    if (!tok->is_spm) return COP_OK;
    tok->score = cop_alloc_array(source->n_tokens, sizeof *tok->score);
    if (!tok->score) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate scores");
    for (int32_t id = 0; id < tok->n; id++) {
        if (isnan(source->scores[id])) return cop_fail(COP_ERR_FORMAT, "token %d: its score is not a number", id);
        tok->score[id] = source->scores[id];
    }
    return COP_OK;
}

// The bytes a token stands for; never more than its text has, and one in a pipeline.
static size_t spell_piece(const cop_tokenizer *tok, int32_t id, char *to) {
    cop_span s = cop_strings_get(&tok->text, id);
    int byte = tok->type[id] == COP_TOKEN_BYTE ? byte_of_text(s) : -1;
    if (byte >= 0) {
        *to = (char)byte;
        return 1;
    }
    if (tok->pipeline) return cop_pipeline_spell(tok, id, to);
    if (!tok->is_spm && (tok->type[id] == COP_TOKEN_NORMAL || tok->type[id] == COP_TOKEN_BYTE))
        return cop_bpe_spell(s.text, s.bytes, to);
    bool marks = tok->is_spm && (tok->type[id] == COP_TOKEN_NORMAL || tok->type[id] == COP_TOKEN_USER);
    size_t n = 0;
    for (size_t i = 0; i < s.bytes; i++) {
        if (marks && s.bytes - i >= COP_SPACE_MARK_BYTES && !memcmp(s.text + i, COP_SPACE_MARK, COP_SPACE_MARK_BYTES)) {
            to[n++] = ' ';
            i += COP_SPACE_MARK_BYTES - 1;
        } else {
            to[n++] = s.text[i];
        }
    }
    return n;
}

static cop_status load_pieces(cop_tokenizer *tok) {
    COP_TRY(strings_new(&tok->piece, (size_t)tok->n, (size_t)tok->text.at[tok->n] + (size_t)(tok->pipeline ? tok->n : 0)));
    uint32_t at = 0;
    for (int32_t id = 0; id < tok->n; id++) {
        at += (uint32_t)spell_piece(tok, id, tok->piece.bytes + at);
        tok->piece.at[id + 1] = at;
    }
    return COP_OK;
}

// Tokens that end a turn or a text in some family.  Only tokens that are not plain text count, and
// "</s>" is not here: where it ends a text it is eos, and elsewhere it is a tag.
static void mark_ends(cop_tokenizer *tok) {
    static const char *const names[] = {
        "<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|end_of_text|>",
        "<|EOT|>", "<EOT>", "<|END_OF_TURN_TOKEN|>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int32_t id = cop_tokenizer_find(tok, names[i], strlen(names[i]));
        if (id >= 0 && (tok->type[id] == COP_TOKEN_CONTROL || tok->type[id] == COP_TOKEN_USER)) tok->is_end[id] = true;
    }
    if (tok->eos >= 0) tok->is_end[tok->eos] = true;
    if (tok->eot >= 0) tok->is_end[tok->eot] = true;
}

static cop_status load(cop_tokenizer *tok, const cop_vocab_source *source) {
    COP_TRY(check_source(tok, source));
    COP_TRY(load_texts(tok, source));
    COP_TRY(load_types(tok, source));
    COP_TRY(load_scores(tok, source));
    COP_TRY(load_pieces(tok));
    COP_TRY(index_texts(tok));
    if (!tok->pipeline) COP_TRY(cop_specials_build(tok));
    if (!tok->pipeline && !tok->is_spm) COP_TRY(cop_bpe_load(tok, source));
    if (tok->pipeline) COP_TRY(cop_pipeline_finish(tok, source));
    mark_ends(tok);
    if (!source->chat_template.text) return COP_OK;
    tok->chat_template = cop_text_copy(source->chat_template.text, source->chat_template.bytes);
    return tok->chat_template ? COP_OK : cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate the chat template");
}

cop_status cop_tokenizer_new_pipeline(cop_tokenizer **out, const cop_vocab_source *source, cop_pipeline *pipeline) {
    *out = NULL;
    cop_tokenizer *tok = cop_alloc(sizeof *tok);
    if (!tok) {
        cop_pipeline_free(pipeline);
        return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    }
    tok->pipeline = pipeline;
    cop_status st = load(tok, source);
    if (st) {
        cop_tokenizer_free(tok);
        return st;
    }
    *out = tok;
    return COP_OK;
}

cop_status cop_tokenizer_new(cop_tokenizer **out, const cop_vocab_source *source) {
    return cop_pipeline_is_kind(source->model) ? cop_tokenizer_new_kind(out, source)
                                               : cop_tokenizer_new_pipeline(out, source, NULL);
}

void cop_tokenizer_free(cop_tokenizer *tok) {
    if (!tok) return;
    cop_pipeline_free(tok->pipeline);
    cop_free(tok->text.bytes);
    cop_free(tok->text.at);
    cop_free(tok->piece.bytes);
    cop_free(tok->piece.at);
    cop_free(tok->type);
    cop_free(tok->is_end);
    cop_free(tok->score);
    cop_free(tok->slots);
    cop_free(tok->merges);
    cop_splitter_free(tok->splitter);
    cop_specials_fini(&tok->specials);
    cop_free(tok->chat_template);
    cop_free(tok);
}

// ---- encoding ----

// A chat text may begin with bos itself; it gets no second one.
static cop_status encode_into(const cop_tokenizer *tok, const char *text, size_t bytes, bool add_special,
                              bool parse_special, cop_token_array *out) {
    uint32_t matched;
    bool has_bos = parse_special && tok->bos >= 0 &&
                   cop_specials_match(&tok->specials, text, bytes, true, &matched) == tok->bos;
    for (int i = has_bos && tok->n_before && tok->before[0] == tok->bos; add_special && i < tok->n_before; i++)
        COP_TRY(cop_array_push(out, tok->before[i]));
    if (tok->pipeline) COP_TRY(cop_pipeline_encode(tok, text, bytes, parse_special, out));
    else COP_TRY(tok->is_spm ? cop_spm_encode(tok, text, bytes, parse_special, out)
                             : cop_bpe_encode(tok, text, bytes, parse_special, out));
    for (int i = 0; add_special && i < tok->n_behind; i++) COP_TRY(cop_array_push(out, tok->behind[i]));
    return COP_OK;
}

cop_status cop_tokenizer_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool add_special,
                                bool parse_special, cop_token_array *out) {
    if (bytes > COP_MAX_TEXT) return cop_fail(COP_ERR_LIMIT, "text: %zu bytes, at most %zu", bytes, COP_MAX_TEXT);
    size_t before = out->n;
    cop_status st = encode_into(tok, text, bytes, add_special, parse_special, out);
    if (st) out->n = before;
    return st;
}

// ---- questions ----

int32_t cop_tokenizer_n_tokens(const cop_tokenizer *tok) { return tok->n; }
int32_t cop_tokenizer_bos(const cop_tokenizer *tok) { return tok->bos; }
int32_t cop_tokenizer_eos(const cop_tokenizer *tok) { return tok->eos; }
int32_t cop_tokenizer_unk(const cop_tokenizer *tok) { return tok->unk; }
int32_t cop_tokenizer_pad(const cop_tokenizer *tok) { return tok->pad; }
bool cop_tokenizer_adds_bos(const cop_tokenizer *tok) { return tok->n_before && tok->before[0] == tok->bos; }
int cop_tokenizer_n_behind(const cop_tokenizer *tok) { return tok->n_behind; }
bool cop_tokenizer_adds_space(const cop_tokenizer *tok) { return tok->add_space_prefix; }
const char *cop_tokenizer_template(const cop_tokenizer *tok) { return tok->chat_template; }

bool cop_tokenizer_is_control(const cop_tokenizer *tok, int32_t id) {
    return id >= 0 && id < tok->n && (tok->type[id] == COP_TOKEN_CONTROL || tok->type[id] == COP_TOKEN_UNKNOWN);
}

bool cop_tokenizer_is_end(const cop_tokenizer *tok, int32_t id) { return id >= 0 && id < tok->n && tok->is_end[id]; }

const char *cop_tokenizer_piece(const cop_tokenizer *tok, int32_t id, bool special, size_t *bytes) {
    *bytes = 0;
    if (id < 0 || id >= tok->n) return "";
    if (!special && (cop_tokenizer_is_control(tok, id) || tok->type[id] == COP_TOKEN_UNUSED)) return "";
    cop_span s = cop_strings_get(&tok->piece, id);
    *bytes = s.bytes;
    return s.text;
}
