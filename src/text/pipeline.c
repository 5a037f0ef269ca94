// Encoding by a pipeline: tokens that are looked for as they are, rewriting, tokens that are looked for
// in the rewritten text, cutting, the model.
// Bytes that are not UTF-8 skip rewriting and cutting: run by run they go to the model as they are, or
// spelt where the pipeline spells bytes.
// Cost: linear, or n log n in the longest piece; the patterns of published files are linear too.
#include <string.h>

#include "text/cut.h"
#include "text/pipeline_private.h"
#include "text/utf8.h"

typedef struct encoder {
    const cop_tokenizer *tok;
    const cop_pipeline *pipeline;
    bool parse_special;
    cop_token_array *out;
    cop_rewrite_work rewrite;
    cop_text_buffer text, spelt;
    cop_cut_work cut;
    cop_piece_work piece;
} encoder;

// ---- pieces ----

static cop_status encode_piece(void *arg, const char *text, size_t bytes) {
    encoder *e = arg;
    switch (e->pipeline->model) {
    case COP_PIECES_BPE: return cop_bpe_piece(e->tok, &e->piece, text, bytes, e->out);
    case COP_PIECES_UNIGRAM: return cop_unigram_piece(e->tok, &e->piece, text, bytes, e->out);
    case COP_PIECES_WORDPIECE: return cop_wordpiece_piece(e->tok, &e->piece, text, bytes, e->out);
    }
    return COP_OK;
}

static cop_status encode_broken(encoder *e, const char *text, size_t bytes) {
    if (!e->pipeline->byte_level) return encode_piece(e, text, bytes);
    e->spelt.n = 0;
    COP_TRY(cop_array_reserve(&e->spelt, 2 * bytes));
    for (size_t i = 0; i < bytes; i++) e->spelt.n += cop_bpe_spell_byte((uint8_t)text[i], e->spelt.v + e->spelt.n);
    return encode_piece(e, e->spelt.v, e->spelt.n);
}

// ---- tokens in the text ----

typedef cop_status stretch_fn(encoder *e, const char *text, size_t bytes, bool first);

static bool is_space(const char *text, int n) {
    uint32_t c = cop_utf8_decode(text, n);
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The character that ends at text + at, of n bytes; 0 when it is no character.
static int step_back(const char *text, size_t at) {
    int n = 1;
    while (n < 4 && (size_t)n < at && ((uint8_t)text[at - (size_t)n] & 0xC0) == 0x80) n++;
    return at && cop_utf8_length(text + at - n, (size_t)n) == n ? n : 0;
}

static bool is_alone(const char *text, size_t bytes, size_t begin, size_t end) {
    int before = step_back(text, begin), behind = end < bytes ? cop_utf8_length(text + end, bytes - end) : 0;
    return !(before && cop_point_is_word(cop_utf8_decode(text + begin - before, before))) &&
           !(behind && cop_point_is_word(cop_utf8_decode(text + end, behind)));
}

// White space that the token takes along, but not what the stretch before it took already.
static void widen(const cop_special *s, const char *text, size_t bytes, size_t from, size_t *begin, size_t *end) {
    int n;
    while (s->lstrip && *begin > from && (n = step_back(text, *begin)) && is_space(text + *begin - n, n)) *begin -= (size_t)n;
    while (s->rstrip && *end < bytes && (n = cop_utf8_length(text + *end, bytes - *end)) && is_space(text + *end, n))
        *end += (size_t)n;
}

// Calls fn for what lies between the tokens.
static cop_status around_tokens(encoder *e, const cop_specials *specials, const char *text, size_t bytes, bool first,
                                stretch_fn *fn) {
    size_t from = 0;
    for (size_t at = 0; specials->n && at < bytes;) {
        const cop_special *s = cop_specials_find(specials, text + at, bytes - at, e->parse_special);
        if (!s) {
            at++;
            continue;
        }
        size_t begin = at, end = at + s->bytes;
        at = end;
        if (s->single_word && !is_alone(text, bytes, begin, end)) continue;
        widen(s, text, bytes, from, &begin, &end);
        if (begin > from) COP_TRY(fn(e, text + from, begin - from, first && !from));
        COP_TRY(cop_array_push(e->out, s->id));
        at = from = end;
    }
    return bytes > from ? fn(e, text + from, bytes - from, first && !from) : COP_OK;
}

// ---- rewriting, in two steps around the tokens of the rewritten text ----

static cop_status cut_stretch(encoder *e, const char *text, size_t bytes, bool first) {
    return cop_cut_run(e->pipeline, &e->cut, text, bytes, first);
}

static cop_status rewrite_stretch(encoder *e, const char *text, size_t bytes, bool first) {
    e->text.n = 0;
    cop_rewrite_limit(&e->text, bytes);
    COP_TRY(cop_array_reserve(&e->text, bytes));
    memcpy(e->text.v, text, bytes);
    e->text.n = bytes;
    for (int i = 0; i < e->pipeline->n_rewrites; i++)
        COP_TRY(cop_rewrite_run(&e->pipeline->rewrites[i], &e->rewrite, &e->text));
    return around_tokens(e, &e->pipeline->normal, e->text.v, e->text.n, first, cut_stretch);
}

static cop_status encode_stretch(encoder *e, const char *text, size_t bytes, bool first) {
    for (size_t at = 0; at < bytes;) {
        size_t begin = at;
        int n;
        while (at < bytes && (n = cop_utf8_length(text + at, bytes - at))) at += (size_t)n;
        if (at > begin) COP_TRY(rewrite_stretch(e, text + begin, at - begin, first && !begin));
        begin = at;
        while (at < bytes && !cop_utf8_length(text + at, bytes - at)) at++;
        if (at > begin) COP_TRY(encode_broken(e, text + begin, at - begin));
    }
    return COP_OK;
}

cop_status cop_pipeline_encode(const cop_tokenizer *tok, const char *text, size_t bytes, bool parse_special,
                               cop_token_array *out) {
    encoder e = {.tok = tok, .pipeline = tok->pipeline, .parse_special = parse_special, .out = out};
    e.cut.piece = encode_piece;
    e.cut.arg = &e;
    cop_status st = around_tokens(&e, &tok->specials, text, bytes, true, encode_stretch);
    cop_rewrite_work_fini(&e.rewrite);
    cop_array_fini(&e.text);
    cop_array_fini(&e.spelt);
    cop_cut_work_fini(&e.cut);
    cop_piece_work_fini(&e.piece);
    return st;
}

// ---- back to text ----

// English signs lose the space before them, as the library's decoder does.
static size_t clean_up(char *text, size_t n) {
    static const char *const pairs[][2] = {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
                                           {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
        size_t from = strlen(pairs[p][0]), to = strlen(pairs[p][1]);
        if (n < from || memcmp(text, pairs[p][0], from) != 0) continue;
        memcpy(text, pairs[p][1], to);
        memmove(text + to, text + from, n - from);
        n -= from - to;
    }
    return n;
}

static size_t replace_in(char *text, size_t n, const cop_text *from, const cop_text *to) {
    size_t w = 0;
    for (size_t i = 0; i < n;) {
        if (n - i >= from->n && !memcmp(text + i, from->v, from->n)) {
            memcpy(text + w, to->v, to->n);
            w += to->n;
            i += from->n;
        } else {
            text[w++] = text[i++];
        }
    }
    return w;
}

static size_t spell_word(const cop_pipeline *p, cop_span s, char *to) {
    size_t n = strlen(p->inner), m = strlen(p->first);
    bool inner = n ? s.bytes > n && !memcmp(s.text, p->inner, n) : m && !(s.bytes >= m && !memcmp(s.text, p->first, m));
    size_t skip = inner ? n : s.bytes >= m && !memcmp(s.text, p->first, m) ? m : 0, w = 0;
    if (!inner) to[w++] = ' ';
    memcpy(to + w, s.text + skip, s.bytes - skip);
    w += s.bytes - skip;
    return p->clean_up ? clean_up(to, w) : w;
}

size_t cop_pipeline_spell(const cop_tokenizer *tok, int32_t id, char *to) {
    const cop_pipeline *p = tok->pipeline;
    cop_span s = cop_strings_get(&tok->text, id);
    if (tok->type[id] == COP_TOKEN_CONTROL || tok->type[id] == COP_TOKEN_USER) {
        if (s.bytes) memcpy(to, s.text, s.bytes);
        return s.bytes;
    }
    if (p->spelt) return cop_bpe_spell(s.text, s.bytes, to);
    if (p->words) return spell_word(p, s, to);
    size_t n = s.bytes, last = strlen(p->last);
    if (n) memcpy(to, s.text, n);
    if (p->suffixed && last && n >= last && !memcmp(to + n - last, p->last, last)) {
        to[n - last] = ' ';
        n -= last - 1;
    }
    for (int i = 0; i < p->n_replace; i++) n = replace_in(to, n, &p->replace[i].from, &p->replace[i].to);
    return n;
}

void cop_pipeline_free(cop_pipeline *p) {
    if (!p) return;
    for (int i = 0; i < p->n_rewrites; i++) cop_rewrite_fini(&p->rewrites[i]);
    for (int i = 0; i < p->n_cuts; i++) cop_cut_fini(&p->cuts[i]);
    for (int i = 0; i < p->n_replace; i++) {
        cop_free(p->replace[i].from.v);
        cop_free(p->replace[i].to.v);
    }
    cop_free(p->in_model);
    cop_free(p->score);
    cop_trie_fini(&p->trie);
    cop_specials_fini(&p->normal);
    cop_free(p);
}
