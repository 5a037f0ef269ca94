// What a pipeline computes from its vocabulary: byte tokens, scores, the tree of pieces, merges, and the
// tokens that are looked for in the text.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/pipeline_private.h"

static void find_fallback(cop_tokenizer *tok) {
    cop_pipeline *p = tok->pipeline;
    char name[8];
    for (int b = 0; b < 256; b++) {
        snprintf(name, sizeof name, "<0x%02X>", b);
        int32_t id = cop_tokenizer_find(tok, name, 6);
        p->fallback[b] = id >= 0 && (p->in_model[id] || tok->type[id] == COP_TOKEN_BYTE) ? id : -1;
    }
}

static cop_status load_scores(cop_tokenizer *tok) {
    cop_pipeline *p = tok->pipeline;
    double least = INFINITY;
    if (!p->score) return cop_fail(COP_ERR_FORMAT, "vocabulary: a unigram model needs scores");
    for (int32_t id = 0; id < tok->n; id++) {
        if (!p->in_model[id]) continue;
        if (!isfinite(p->score[id])) return cop_fail(COP_ERR_FORMAT, "token %d: its score is not a number", id);
        if (p->score[id] < least) least = p->score[id];
    }
    p->unk_score = (isfinite(least) ? least : 0) - 10.0;
    return cop_trie_build(&p->trie, tok, p->in_model);
}

// ---- tokens in the text ----

// Rewrites the text of a token that is looked for after rewriting; into *texts, which only grows.
static cop_status rewrite_special(const cop_pipeline *p, cop_rewrite_work *w, const cop_special *s, cop_text_buffer *text) {
    text->n = 0;
    if (!s->bytes) return COP_OK;
    text->most = 4 * COP_MAX_PIECE;
    COP_TRY(cop_array_reserve(text, s->bytes));
    memcpy(text->v, s->text, s->bytes);
    text->n = s->bytes;
    for (int i = 0; i < p->n_rewrites; i++) COP_TRY(cop_rewrite_run(&p->rewrites[i], w, text));
    return COP_OK;
}

typedef struct lists {
    cop_special *raw, *normal;
    size_t n_raw, n_normal;
    char **texts;  // of `normal`
} lists;

static cop_status sort_specials(const cop_pipeline *p, lists *l) {
    cop_rewrite_work w = {0};
    cop_text_buffer text = {0};
    cop_status st = COP_OK;
    for (size_t i = 0; !st && i < p->n_source_specials; i++) {
        const cop_special *s = &p->source_specials[i];
        if (!p->source_normalized[i]) {
            l->raw[l->n_raw++] = *s;
            continue;
        }
        st = rewrite_special(p, &w, s, &text);
        if (st || !text.n) continue;
        char *copy = l->texts[l->n_normal] = cop_text_copy(text.v, text.n);
        if (!copy) st = cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
        l->normal[l->n_normal] = *s;
        l->normal[l->n_normal].text = copy;
        l->normal[l->n_normal++].bytes = (uint32_t)text.n;
    }
    cop_rewrite_work_fini(&w);
    cop_array_fini(&text);
    return st;
}

static cop_status load_specials(cop_tokenizer *tok) {
    cop_pipeline *p = tok->pipeline;
    size_t n = p->n_source_specials;
    lists l = {.raw = cop_alloc_array(n, sizeof *l.raw), .normal = cop_alloc_array(n, sizeof *l.normal),
               .texts = cop_alloc_array(n, sizeof *l.texts)};
    cop_status st = l.raw && l.normal && l.texts ? COP_OK : cop_fail(COP_ERR_NOMEM, "vocabulary: cannot allocate");
    if (!st) st = sort_specials(p, &l);
    if (!st) st = cop_specials_make(&tok->specials, l.raw, l.n_raw);
    if (!st) st = cop_specials_make(&p->normal, l.normal, l.n_normal);
    for (size_t i = 0; i < l.n_normal; i++) cop_free(l.texts[i]);
    cop_free(l.texts);
    cop_free(l.raw);
    cop_free(l.normal);
    p->source_specials = NULL;
    p->source_normalized = NULL;
    return st;
}

cop_status cop_pipeline_finish(cop_tokenizer *tok, const cop_vocab_source *source) {
    cop_pipeline *p = tok->pipeline;
    for (int i = 0; i < p->n_cuts; i++) p->byte_level = p->byte_level || p->cuts[i].kind == COP_CUT_BYTES;
    for (int i = 0; i < p->n_rewrites; i++) p->byte_level = p->byte_level || p->rewrites[i].kind == COP_REWRITE_BYTES;
    find_fallback(tok);
    tok->add_space_prefix = p->strip_first;
    COP_TRY(load_specials(tok));
    if (p->model == COP_PIECES_UNIGRAM) return load_scores(tok);
    if (p->model == COP_PIECES_BPE) return cop_bpe_load_merges(tok, source, strlen(p->inner));
    return COP_OK;
}
