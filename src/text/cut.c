#include "text/cut.h"

#include <string.h>

#include "text/utf8.h"

// One piece of a step's text.
typedef struct span {
    size_t begin, end;
} span;

// What is kept of a step's matches, in the order in which they come; `last` is not handed on yet, since
// what follows may belong to it.
typedef struct cutter {
    const cop_pipeline *pipeline;
    cop_cut_work *work;
    int level;
    const char *text;
    bool first;
    cop_cut_how how;
    span last;
    bool any, last_matched;
} cutter;

static cop_status run_level(const cop_pipeline *p, cop_cut_work *w, int level, const char *text, size_t bytes, bool first);

static cop_status hand_on(const cutter *c, const char *text, size_t bytes, bool first) {
    cop_cut_work *w = c->work;
    if (!bytes) return COP_OK;
    if (c->pipeline->cuts[c->level].kind != COP_CUT_BYTES)
        return run_level(c->pipeline, w, c->level + 1, text, bytes, first);
    cop_text_buffer *spelt = &w->spelt[c->level];
    spelt->n = 0;
    COP_TRY(cop_array_reserve(spelt, 2 * bytes));
    for (size_t i = 0; i < bytes; i++) spelt->n += cop_bpe_spell_byte((uint8_t)text[i], spelt->v + spelt->n);
    return run_level(c->pipeline, w, c->level + 1, spelt->v, spelt->n, first);
}

static cop_status flush(cutter *c) {
    span s = c->last;
    if (!c->any) return COP_OK;
    return hand_on(c, c->text + s.begin, s.end - s.begin, c->first && !s.begin);
}

// The next stretch, a match or what lies before one; an empty stretch is none, but an empty match counts
// as one for its neighbours.
static cop_status take(cutter *c, span s, bool matched) {
    if (s.begin == s.end && !matched) return COP_OK;
    if (c->pipeline->cuts[c->level].invert) matched = !matched;
    bool join = false;
    if (c->how == COP_CUT_REMOVED && matched) return COP_OK;
    if (c->how == COP_CUT_CONTIGUOUS) join = c->any && matched == c->last_matched;
    if (c->how == COP_CUT_WITH_PREVIOUS) join = c->any && matched && !c->last_matched;
    if (c->how == COP_CUT_WITH_NEXT) join = c->any && c->last_matched && !matched;
    if (join) {
        c->last.end = s.end;
    } else {
        COP_TRY(flush(c));
        c->last = s;
    }
    c->any = true;
    c->last_matched = matched;
    return COP_OK;
}

static cop_status cut_pattern(cutter *c, const cop_pattern *pattern, size_t bytes) {
    if (!c->work->match) COP_TRY(cop_pattern_work_new(&c->work->match));
    bool found = true;
    for (size_t at = 0, from = 0, begin, end; found; at = end) {
        COP_TRY(cop_pattern_find(pattern, c->work->match, c->text, bytes, from, &begin, &end, &found));
        COP_TRY(take(c, (span){at, begin}, false));
        if (!found) break;
        COP_TRY(take(c, (span){begin, end}, true));
        from = end;
        if (end > begin) continue;
        if (end == bytes) break;
        from += (size_t)cop_utf8_length(c->text + end, bytes - end);
    }
    return flush(c);
}

// ---- byte-level ----

static cop_status cut_bytes(cutter *c, size_t bytes) {
    const cop_cut *cut = &c->pipeline->cuts[c->level];
    if (cut->space_first && *c->text != ' ') {
        cop_text_buffer *text = &c->work->text[c->level];
        text->n = 0;
        COP_TRY(cop_array_reserve(text, bytes + 1));
        text->v[0] = ' ';
        memcpy(text->v + 1, c->text, bytes);
        c->text = text->v;
        bytes++;
    }
    if (cut->pattern) return cut_pattern(c, cut->pattern, bytes);
    return hand_on(c, c->text, bytes, c->first);
}

// ---- metaspace ----

static bool begins_with(const char *text, size_t bytes, const cop_text *mark) {
    return bytes >= mark->n && !memcmp(text, mark->v, mark->n);
}

static cop_status mark_spaces(const cop_cut *cut, bool first, const char *text, size_t bytes, cop_text_buffer *to) {
    const cop_text *mark = &cut->mark;
    to->n = 0;
    COP_TRY(cop_array_reserve(to, bytes + mark->n));
    bool marked = begins_with(text, bytes, mark) || *text == ' ';
    if (!marked && (cut->prefix == COP_PREFIX_ALWAYS || (cut->prefix == COP_PREFIX_FIRST && first))) {
        memcpy(to->v, mark->v, mark->n);
        to->n = mark->n;
    }
    for (size_t i = 0; i < bytes; i++) {
        size_t n = text[i] == ' ' ? mark->n : 1;
        COP_TRY(cop_array_reserve(to, n));
        memcpy(to->v + to->n, text[i] == ' ' ? mark->v : text + i, n);
        to->n += n;
    }
    return COP_OK;
}

static cop_status cut_metaspace(cutter *c, size_t bytes) {
    const cop_cut *cut = &c->pipeline->cuts[c->level];
    cop_text_buffer *text = &c->work->text[c->level];
    COP_TRY(mark_spaces(cut, c->first, c->text, bytes, text));
    if (!cut->split) return hand_on(c, text->v, text->n, c->first);
    size_t begin = 0;
    for (size_t i = 1; i < text->n; i++) {
        if (!begins_with(text->v + i, text->n - i, &cut->mark)) continue;
        COP_TRY(hand_on(c, text->v + begin, i - begin, c->first && !begin));
        begin = i;
    }
    return hand_on(c, text->v + begin, text->n - begin, c->first && !begin);
}

static cop_status run_level(const cop_pipeline *p, cop_cut_work *w, int level, const char *text, size_t bytes, bool first) {
    if (!bytes) return COP_OK;
    if (level == p->n_cuts) return w->piece(w->arg, text, bytes);
    const cop_cut *cut = &p->cuts[level];
    cutter c = {.pipeline = p, .work = w, .level = level, .text = text, .first = first, .how = cut->how};
    if (cut->kind == COP_CUT_PATTERN) return cut_pattern(&c, cut->pattern, bytes);
    return cut->kind == COP_CUT_BYTES ? cut_bytes(&c, bytes) : cut_metaspace(&c, bytes);
}

cop_status cop_cut_run(const cop_pipeline *p, cop_cut_work *w, const char *text, size_t bytes, bool first) {
    return run_level(p, w, 0, text, bytes, first);
}

void cop_cut_work_fini(cop_cut_work *w) {
    cop_pattern_work_free(w->match);
    for (int i = 0; i < COP_MAX_STEPS; i++) {
        cop_array_fini(&w->text[i]);
        cop_array_fini(&w->spelt[i]);
    }
}

void cop_cut_fini(cop_cut *c) {
    cop_pattern_free(c->pattern);
    cop_free(c->mark.v);
}
