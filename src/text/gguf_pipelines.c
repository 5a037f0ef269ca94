// The kinds t5 (Unigram) and bert (WordPiece) of GGUF as pipelines.  Their files carry the vocabulary and a
// few flags only; the steps around it are those of SentencePiece and of BERT.
// A bert vocabulary spells a word's first piece with U+2581 before it and later pieces without "##".
#include <string.h>

#include "text/pipeline_private.h"

static cop_status set_text(cop_text *to, const char *text) {
    to->n = strlen(text);
    to->v = cop_text_copy(text, to->n);
    return to->v ? COP_OK : cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
}

static cop_status allocate(cop_pipeline *p, const cop_vocab_source *source) {
    p->in_model = cop_alloc_array(source->n_tokens, sizeof *p->in_model);
    p->score = cop_alloc_array(source->n_tokens, sizeof *p->score);
    if (!p->in_model || !p->score) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu tokens", source->n_tokens);
    for (size_t i = 0; i < source->n_tokens; i++) {
        int32_t type = source->types ? source->types[i] : COP_TOKEN_NORMAL;
        p->in_model[i] = type == COP_TOKEN_NORMAL || type == COP_TOKEN_USER;
        p->byte_fallback = p->byte_fallback || type == COP_TOKEN_BYTE;
        if (source->scores) p->score[i] = source->scores[i];
    }
    return COP_OK;
}

static cop_status fill_t5(cop_pipeline *p, const cop_vocab_source *source) {
    if (!source->scores) return cop_fail(COP_ERR_FORMAT, "vocabulary: kind t5 needs scores");
    p->model = COP_PIECES_UNIGRAM;
    p->bytes_back = p->byte_fallback;
    p->narrow = true;
    if (source->charsmap.bytes) {
        cop_rewrite *r = &p->rewrites[p->n_rewrites++];
        r->kind = COP_REWRITE_CHARSMAP;
        r->longest = true;
        COP_TRY(cop_charsmap_new(&r->map, (const uint8_t *)source->charsmap.text, source->charsmap.bytes));
    }
    if (source->squeeze_spaces) p->rewrites[p->n_rewrites++].kind = COP_REWRITE_SQUEEZE;
    cop_rewrite *marks = &p->rewrites[p->n_rewrites++];
    marks->kind = COP_REWRITE_REPLACE;
    COP_TRY(set_text(&marks->text, COP_SPACE_MARK));
    COP_TRY(cop_pattern_new_literal(&marks->pattern, " ", 1));
    p->n_replace = 1;
    COP_TRY(set_text(&p->replace[0].from, COP_SPACE_MARK));
    COP_TRY(set_text(&p->replace[0].to, " "));
    p->strip_first = source->add_space_prefix;
    if (!source->add_space_prefix) return COP_OK;
    cop_rewrite *first = &p->rewrites[p->n_rewrites++];
    first->kind = COP_REWRITE_PREPEND;
    return set_text(&first->text, COP_SPACE_MARK);
}

static cop_status add_cut(cop_pipeline *p, const char *pattern, cop_cut_how how) {
    cop_cut *c = &p->cuts[p->n_cuts++];
    c->how = how;
    return cop_pattern_new(&c->pattern, pattern, strlen(pattern));
}

static cop_status fill_bert(cop_pipeline *p) {
    cop_rewrite *r = &p->rewrites[p->n_rewrites++];
    *r = (cop_rewrite){.kind = COP_REWRITE_BERT, .clean = true, .chinese = true, .accents = true, .lower = true};
    p->model = COP_PIECES_WORDPIECE;
    p->most_word = 100;
    p->words = p->strip_first = p->clean_up = true;
    memcpy(p->first, COP_SPACE_MARK, sizeof COP_SPACE_MARK);
    COP_TRY(add_cut(p, "\\s", COP_CUT_REMOVED));
    return add_cut(p, "[!-\\/:-@\\[-`{-~\\p{P}]", COP_CUT_ISOLATED);
}

static cop_status fill_specials(cop_special **list, bool **normalized, cop_pipeline *p, const cop_vocab_source *source) {
    size_t n = 0;
    for (size_t i = 0; source->types && i < source->n_tokens; i++)
        n += source->types[i] == COP_TOKEN_CONTROL || source->types[i] == COP_TOKEN_USER || source->types[i] == COP_TOKEN_UNKNOWN;
    *list = cop_alloc_array(n, sizeof **list);
    *normalized = cop_alloc_array(n, sizeof **normalized);
    if (!*list || !*normalized) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate %zu special tokens", n);
    for (size_t i = 0; n && i < source->n_tokens; i++) {
        int32_t type = source->types[i];
        if (type != COP_TOKEN_CONTROL && type != COP_TOKEN_USER && type != COP_TOKEN_UNKNOWN) continue;
        if (source->tokens[i].bytes > COP_MAX_PIECE) continue;  // refused later
        (*list)[p->n_source_specials++] = (cop_special){
            .text = source->tokens[i].text, .bytes = (uint32_t)source->tokens[i].bytes, .id = (int32_t)i, .user = type == COP_TOKEN_USER};
    }
    p->source_specials = *list;
    p->source_normalized = *normalized;
    return COP_OK;
}

bool cop_pipeline_is_kind(const char *model) { return !strcmp(model, "t5") || !strcmp(model, "bert"); }

cop_status cop_tokenizer_new_kind(cop_tokenizer **out, const cop_vocab_source *source) {
    cop_special *specials = NULL;
    bool *normalized = NULL;
    *out = NULL;
    if (source->n_tokens > COP_MAX_VOCAB)
        return cop_fail(COP_ERR_FORMAT, "vocabulary: %zu tokens, 1 to %zu are possible", source->n_tokens, COP_MAX_VOCAB);
    cop_pipeline *p = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    cop_status st = allocate(p, source);
    if (!st) st = !strcmp(source->model, "t5") ? fill_t5(p, source) : fill_bert(p);
    if (!st) st = fill_specials(&specials, &normalized, p, source);
    if (st) cop_pipeline_free(p);
    else st = cop_tokenizer_new_pipeline(out, source, p);
    cop_free(specials);
    cop_free(normalized);
    return st;
}
