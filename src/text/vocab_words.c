// A pipeline is recognised by its steps: the patterns that families publish, in the order they have there.
// What is not recognised for certain is refused, so that nothing is written that reads back as another
// tokenizer.
#include "text/vocab_words.h"

#include <stdlib.h>
#include <string.h>

#include "text/pipeline_private.h"

#define LLAMA3(digits) "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
                       "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(ending, digits) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" \
                              ending "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK3 "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
                  "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

static const cop_published families[] = {
    {"gpt-2", false, false, {COP_GPT2_SPLIT}},
    {"smollm", false, false, {"\\p{N}", COP_GPT2_SPLIT}},
    {"command-r", true, false, {"\\p{N}", COP_GPT2_SPLIT}},
    {"qwen2", true, false, {LLAMA3("\\p{N}")}},
    {"llama-bpe", false, true, {LLAMA3("\\p{N}{1,3}")}},
    {"dbrx", false, false, {LLAMA3("\\p{N}{1,3}")}},
    {"gpt-4o", false, false, {CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")}},
    {"tekken", false, true, {CASED("", "\\p{N}")}},
    {"deepseek-v3", false, false, {"\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3}},
    {"deepseek-coder", false, false, {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "\\p{N}"}},
};

const cop_published *cop_published_find(const char *pre) {
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (cop_splitter_is_same(families[i].pre, pre)) return &families[i];
    return NULL;
}

static cop_status refuse(const char *what) {
    return cop_fail(COP_ERR_UNSUPPORTED, "tokenizer: GGUF's keys cannot express %s", what);
}

// ---- recognising ----

// A pattern that covers the whole text gives the same pieces whichever way its matches are kept.
static bool is_cut(const cop_cut *c, const char *pattern) {
    bool kept = (c->how == COP_CUT_ISOLATED && !c->invert) || (c->how == COP_CUT_REMOVED && c->invert);
    return c->kind == COP_CUT_PATTERN && kept && !strcmp(cop_pattern_text(c->pattern), pattern);
}

static bool has_cuts(const cop_pipeline *p, const cop_published *f) {
    int n = 0;
    for (; n < COP_MOST_CUTS && f->cuts[n]; n++) {
        if (n >= p->n_cuts) return false;
        const cop_cut *c = &p->cuts[n];
        bool splits = c->kind == COP_CUT_BYTES && c->pattern && !c->space_first;
        if (!strcmp(f->cuts[n], COP_GPT2_SPLIT) ? !splits : !is_cut(c, f->cuts[n])) return false;
    }
    const cop_cut *last = &p->cuts[p->n_cuts - 1];
    if (n == p->n_cuts) return last->kind == COP_CUT_BYTES;
    return n + 1 == p->n_cuts && last->kind == COP_CUT_BYTES && !last->pattern && !last->space_first;
}

static const char *find_pre(const cop_tokenizer *tok) {
    const cop_pipeline *p = tok->pipeline;
    bool nfc = p->n_rewrites == 1 && p->rewrites[0].kind == COP_REWRITE_NFC;
    if (!p->n_cuts || (p->n_rewrites && !nfc)) return NULL;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (families[i].nfc == nfc && families[i].whole_words == p->whole_words && has_cuts(p, &families[i])) return families[i].pre;
    return NULL;
}

static bool is_text(const cop_text *t, const char *text) { return t->n == strlen(text) && !memcmp(t->v, text, t->n); }

static bool is_marking(const cop_rewrite *r) {
    return r->kind == COP_REWRITE_REPLACE && is_text(&r->text, COP_SPACE_MARK) && !strcmp(cop_pattern_text(r->pattern), " ");
}

// SentencePiece's BPE: spaces become marks, nothing is cut. *prefix: one is put before the text.
static bool is_spm(const cop_pipeline *p, bool *prefix) {
    int n = p->n_rewrites;
    *prefix = n == 2 && p->rewrites[0].kind == COP_REWRITE_PREPEND && is_text(&p->rewrites[0].text, COP_SPACE_MARK);
    if (!p->byte_fallback || p->n_cuts > 1 || n != 1 + *prefix || !is_marking(&p->rewrites[n - 1])) return false;
    return !p->n_cuts || (p->cuts[0].kind == COP_CUT_PATTERN && !strcmp(cop_pattern_text(p->cuts[0].pattern), " "));
}

static bool is_bert(const cop_pipeline *p) {
    const cop_rewrite *r = p->rewrites;
    return p->model == COP_PIECES_WORDPIECE && p->n_rewrites == 1 && r->kind == COP_REWRITE_BERT && r->clean && r->chinese &&
           r->accents && r->lower && p->n_cuts == 2 && p->cuts[0].how == COP_CUT_REMOVED && p->cuts[1].how == COP_CUT_ISOLATED &&
           !strcmp(cop_pattern_text(p->cuts[0].pattern), "\\s") && p->most_word == 100 && !strcmp(p->inner, "##") && p->words;
}

static cop_status check_specials(const cop_tokenizer *tok) {
    const cop_pipeline *p = tok->pipeline;
    const cop_specials *lists[] = {&tok->specials, &p->normal};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            if (lists[k]->v[i].single_word || lists[k]->v[i].lstrip || lists[k]->v[i].rstrip)
                return refuse("an added token that takes spaces or stands alone");
    if (p->normal.n && p->n_rewrites) return refuse("an added token that is looked for after rewriting");
    return COP_OK;
}

static cop_status check_around(const cop_tokenizer *tok) {
    if (tok->n_before > 1 || tok->n_behind > 1) return refuse("more than one token before or behind a text");
    if ((tok->n_before && tok->before[0] != tok->bos) || (tok->n_behind && tok->behind[0] != tok->eos))
        return refuse("a token around the text that is not bos or eos");
    return COP_OK;
}

// ---- merges ----

static int compare_ranks(const void *a, const void *b) {
    const cop_merge_slot *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

// The merges in their order; *n of them.
static cop_status sort_merges(const cop_tokenizer *tok, cop_merge_slot **out, size_t *n) {
    *n = 0;
    *out = cop_alloc_array(tok->n_merge_slots + 1, sizeof **out);
    if (!*out) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    for (size_t i = 0; i < tok->n_merge_slots; i++)
        if (tok->merges[i].made >= 0) (*out)[(*n)++] = tok->merges[i];
    qsort(*out, *n, sizeof **out, compare_ranks);
    return COP_OK;
}

static cop_status write_merges(cop_vocab_words *w, const cop_tokenizer *tok, const cop_merge_slot *v, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += cop_strings_get(&tok->text, v[i].left).bytes + 1 + cop_strings_get(&tok->text, v[i].right).bytes;
    w->merges = cop_alloc_array(n, sizeof *w->merges);
    w->bytes = cop_alloc(bytes);
    if (!w->merges || !w->bytes) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu merges", n);
    char *to = w->bytes;
    for (size_t i = 0; i < n; i++) {
        cop_span l = cop_strings_get(&tok->text, v[i].left), r = cop_strings_get(&tok->text, v[i].right);
        if (memchr(l.text + 1, ' ', l.bytes - 1)) return refuse("a merge whose left part has a space");
        memcpy(to, l.text, l.bytes);
        to[l.bytes] = ' ';
        memcpy(to + l.bytes + 1, r.text, r.bytes);
        w->merges[i] = (cop_span){to, l.bytes + 1 + r.bytes};
        to += w->merges[i].bytes;
    }
    w->source.merges = w->merges;
    w->source.n_merges = n;
    return COP_OK;
}

// Scores that order the merges, which is possible where all merges that make a token are neighbours.
static cop_status write_scores(cop_vocab_words *w, const cop_tokenizer *tok, const cop_merge_slot *v, size_t n) {
    w->scores = cop_alloc_array((size_t)tok->n, sizeof *w->scores);
    if (!w->scores) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate scores");
    w->source.scores = w->scores;
    if (n >= 1 << 24) return refuse("so many merges");  // a float counts to there
    float score = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && v[i].made == v[i - 1].made) continue;
        if (w->scores[v[i].made] != 0) return refuse("merges in this order");
        w->scores[v[i].made] = score -= 1;
    }
    for (int32_t id = 0; id < tok->n; id++)
        if (w->scores[id] == 0) w->scores[id] = score - 1;
    return COP_OK;
}

// SentencePiece joins whatever gives a token, so each way to cut a token in two must be a merge.
static cop_status check_cuts(const cop_tokenizer *tok) {
    for (int32_t id = 0; id < tok->n; id++) {
        cop_span s = cop_strings_get(&tok->text, id);
        if (tok->type[id] != COP_TOKEN_NORMAL) continue;
        for (size_t at = 1; at < s.bytes; at++) {
            if (((uint8_t)s.text[at] & 0xC0) == 0x80) continue;
            int32_t l = cop_tokenizer_find(tok, s.text, at), r = cop_tokenizer_find(tok, s.text + at, s.bytes - at), made;
            if (l < 0 || r < 0 || tok->type[l] != COP_TOKEN_NORMAL || tok->type[r] != COP_TOKEN_NORMAL) continue;
            uint32_t rank;
            if (!cop_bpe_pair(tok, &(cop_symbol){.id = l}, &(cop_symbol){.id = r}, &rank, &made))
                return refuse("a pair of tokens that makes a third and is no merge");
        }
    }
    return COP_OK;
}

// ---- kinds ----

// A byte without a token is left out by the one and unknown to the other.
static bool knows_all_bytes(const cop_tokenizer *tok) {
    char spelt[2];
    bool all = true;
    for (int b = 0; b < 256; b++) all = all && cop_tokenizer_find(tok, spelt, cop_bpe_spell_byte((uint8_t)b, spelt)) >= 0;
    return all;
}

static cop_status write_gpt2(cop_vocab_words *w, const cop_tokenizer *tok) {
    cop_merge_slot *v;
    size_t n;
    w->source.model = "gpt2";
    w->source.pre = tok->pipeline ? find_pre(tok) : cop_splitter_name(tok->splitter);
    if (!w->source.pre) return refuse("its steps: they are none of a family known here");
    if (tok->pipeline && tok->unk >= 0 && !knows_all_bytes(tok)) return refuse("an unknown token among bytes");
    cop_status st = sort_merges(tok, &v, &n);
    if (!st) st = write_merges(w, tok, v, n);
    cop_free(v);
    return st;
}

static cop_status write_llama(cop_vocab_words *w, const cop_tokenizer *tok) {
    w->source.model = "llama";
    w->source.add_space_prefix = tok->add_space_prefix;
    if (!tok->pipeline) {
        w->source.scores = tok->score;
        return COP_OK;
    }
    if (tok->bos < 0 || tok->eos < 0 || tok->unk < 0) return refuse("a vocabulary without bos, eos or unk");
    for (int b = 0; b < 256; b++)
        if (!tok->pipeline->bytes_back || tok->pipeline->fallback[b] < 0) return refuse("a vocabulary without all bytes");
    for (size_t i = 0; tok->add_space_prefix && i < tok->specials.n; i++)
        if (tok->specials.v[i].user) return refuse("a space before the text behind a user-defined token");
    cop_merge_slot *v;
    size_t n;
    cop_status st = sort_merges(tok, &v, &n);
    if (!st) st = write_scores(w, tok, v, n);
    if (!st) st = check_cuts(tok);
    cop_free(v);
    return st;
}

// "##ing" becomes "ing", "in" becomes "▁in".
static cop_status write_bert(cop_vocab_words *w, const cop_tokenizer *tok) {
    w->source.model = "bert";
    w->token_bytes = cop_alloc(tok->text.at[tok->n] + (size_t)tok->n * COP_SPACE_MARK_BYTES);
    if (!w->token_bytes) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate tokens");
    char *to = w->token_bytes;
    for (int32_t id = 0; id < tok->n; id++) {
        cop_span s = w->tokens[id];
        if (tok->type[id] != COP_TOKEN_NORMAL) continue;
        bool inner = s.bytes > 2 && !memcmp(s.text, "##", 2);
        if (s.bytes + COP_SPACE_MARK_BYTES > COP_MAX_PIECE) return refuse("a token of this length");
        w->tokens[id].text = to;
        if (!inner) memcpy(to, COP_SPACE_MARK, COP_SPACE_MARK_BYTES);
        to += inner ? 0 : COP_SPACE_MARK_BYTES;
        memcpy(to, s.text + 2 * inner, s.bytes - 2 * inner);
        to += s.bytes - 2 * inner;
        w->tokens[id].bytes = (size_t)(to - w->tokens[id].text);
    }
    return COP_OK;
}

static cop_status write_kind(cop_vocab_words *w, const cop_tokenizer *tok) {
    const cop_pipeline *p = tok->pipeline;
    bool prefix;
    if (!p) return tok->is_spm ? write_llama(w, tok) : write_gpt2(w, tok);
    COP_TRY(check_specials(tok));
    if (is_bert(p)) return write_bert(w, tok);
    if (p->model != COP_PIECES_BPE || *p->inner || *p->last) return refuse("its model");
    if (!is_spm(p, &prefix)) return write_gpt2(w, tok);
    if (prefix != p->strip_first) return refuse("a decoder that does not undo the encoder");
    return write_llama(w, tok);
}

static cop_status fill(cop_vocab_words *w, const cop_tokenizer *tok) {
    cop_vocab_source *s = &w->source;
    size_t n = s->n_tokens = (size_t)tok->n;
    s->tokens = w->tokens = cop_alloc_array(n, sizeof *w->tokens);
    s->types = w->types = cop_alloc_array(n, sizeof *w->types);
    if (!w->tokens || !w->types) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu tokens", n);
    for (int32_t id = 0; id < tok->n; id++) {
        w->tokens[id] = cop_strings_get(&tok->text, id);
        w->types[id] = tok->type[id];
    }
    s->bos = tok->bos;
    s->eos = tok->eos;
    s->eot = tok->eot;
    s->unk = tok->unk;
    s->pad = tok->pad;
    s->add_bos = tok->n_before;
    s->add_eos = tok->n_behind;
    if (tok->chat_template) s->chat_template = (cop_span){tok->chat_template, strlen(tok->chat_template)};
    COP_TRY(check_around(tok));
    return write_kind(w, tok);
}

cop_status cop_vocab_words_new(cop_vocab_words **out, const cop_tokenizer *tok) {
    *out = NULL;
    cop_vocab_words *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    cop_status st = fill(w, tok);
    if (st) {
        cop_vocab_words_free(w);
        return st;
    }
    *out = w;
    return COP_OK;
}

void cop_vocab_words_free(cop_vocab_words *w) {
    if (!w) return;
    cop_free(w->tokens);
    cop_free(w->merges);
    cop_free(w->types);
    cop_free(w->scores);
    cop_free(w->bytes);
    cop_free(w->token_bytes);
    cop_free(w);
}
