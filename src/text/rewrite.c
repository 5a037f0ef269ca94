// The steps that rewrite a text before it is cut, each with the meaning of the tokenizers library.
// Cost: linear in the text for every step but a pattern's, whatever the text.
#include <string.h>
#include <utf8proc.h>

#include "text/pipeline_private.h"
#include "text/utf8.h"

static cop_status append(cop_text_buffer *out, const char *text, size_t bytes) {
    COP_TRY(cop_array_reserve(out, bytes));
    if (bytes) memcpy(out->v + out->n, text, bytes);
    out->n += bytes;
    return COP_OK;
}

static cop_status append_point(cop_text_buffer *out, uint32_t point) {
    COP_TRY(cop_array_reserve(out, 4));
    out->n += (size_t)utf8proc_encode_char((utf8proc_int32_t)point, (utf8proc_uint8_t *)out->v + out->n);
    return COP_OK;
}

static utf8proc_category_t category(uint32_t point) { return utf8proc_category((utf8proc_int32_t)point); }

static bool is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool is_mark(uint32_t c) {
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

static bool is_chinese(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// A character of no use to BERT: controls, formats, surrogates, private ones.
static bool is_dropped(uint32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    utf8proc_category_t k = category(c);
    return c == 0 || c == 0xFFFD || k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

bool cop_point_is_word(uint32_t c) {
    utf8proc_category_t k = category(c);
    bool circled = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F189);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC || circled || c == 0x200C ||
           c == 0x200D;
}

// ---- steps character by character ----

typedef cop_status rewrite_fn(const cop_rewrite *r, uint32_t point, cop_text_buffer *out);

static cop_status lower_point(const cop_rewrite *r, uint32_t c, cop_text_buffer *out) {
    (void)r;
    if (c == 0x130) return append(out, "i\u0307", 3);  // the only one that becomes two
    return append_point(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static cop_status drop_mark(const cop_rewrite *r, uint32_t c, cop_text_buffer *out) {
    (void)r;
    return is_mark(c) ? COP_OK : append_point(out, c);
}

static cop_status drop_accent(const cop_rewrite *r, uint32_t c, cop_text_buffer *out) {
    (void)r;
    return category(c) == UTF8PROC_CATEGORY_MN ? COP_OK : append_point(out, c);
}

static cop_status clean_point(const cop_rewrite *r, uint32_t c, cop_text_buffer *out) {
    if (r->clean && is_dropped(c)) return COP_OK;
    if (r->clean && is_space(c)) c = ' ';
    if (!r->chinese || !is_chinese(c)) return append_point(out, c);
    COP_TRY(append(out, " ", 1));
    COP_TRY(append_point(out, c));
    return append(out, " ", 1);
}

static cop_status nmt_point(const cop_rewrite *r, uint32_t c, cop_text_buffer *out) {
    (void)r;
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return COP_OK;
    bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                 c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return append_point(out, space ? ' ' : c);
}

static cop_status each_point(const cop_rewrite *r, rewrite_fn *fn, const cop_text_buffer *text, cop_text_buffer *out) {
    for (size_t i = 0; i < text->n;) {
        int n = cop_utf8_length(text->v + i, text->n - i);
        COP_TRY(fn(r, cop_utf8_decode(text->v + i, n), out));
        i += (size_t)n;
    }
    return COP_OK;
}

static void swap(cop_text_buffer *a, cop_text_buffer *b) {
    cop_text_buffer t = *a;
    *a = *b;
    *b = t;
    a->most = t.most;
    b->n = 0;
}

// ---- steps on the whole text ----

static bool is_ascii(const cop_text_buffer *text) {
    uint8_t all = 0;
    for (size_t i = 0; i < text->n; i++) all |= (uint8_t)text->v[i];
    return all < 0x80;
}

static cop_status change_form(cop_rewrite_work *w, cop_form form, cop_text_buffer *text) {
    if (is_ascii(text) || (form == COP_NFC && cop_nfc_is_trivial(text->v, text->n))) return COP_OK;
    COP_TRY(cop_form_append(&w->forms, form, text->v, text->n, &w->spare));
    swap(text, &w->spare);
    return COP_OK;
}

static cop_status change_points(const cop_rewrite *r, cop_rewrite_work *w, rewrite_fn *fn, cop_text_buffer *text) {
    COP_TRY(each_point(r, fn, text, &w->spare));
    swap(text, &w->spare);
    return COP_OK;
}

static cop_status run_bert(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text) {
    if (r->clean || r->chinese) COP_TRY(change_points(r, w, clean_point, text));
    if (r->accents) {
        COP_TRY(change_form(w, COP_NFD, text));
        COP_TRY(change_points(r, w, drop_accent, text));
    }
    return r->lower ? change_points(r, w, lower_point, text) : COP_OK;
}

static cop_status run_replace(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text) {
    bool found = true;
    if (!w->match) COP_TRY(cop_pattern_work_new(&w->match));
    for (size_t at = 0, from = 0, begin, end; from <= text->n;) {
        COP_TRY(cop_pattern_find(r->pattern, w->match, text->v, text->n, from, &begin, &end, &found));
        COP_TRY(append(&w->spare, text->v + at, begin - at));
        if (!found) break;
        COP_TRY(append(&w->spare, r->text.v, r->text.n));
        at = from = end;
        if (end == begin) {  // an empty match: the next one begins a character later
            from += end < text->n ? (size_t)cop_utf8_length(text->v + end, text->n - end) : 1;
            if (from > text->n) COP_TRY(append(&w->spare, text->v + at, text->n - at));
        }
    }
    swap(text, &w->spare);
    return COP_OK;
}

static void run_strip(const cop_rewrite *r, cop_text_buffer *text) {
    size_t begin = 0, end = text->n;
    while (r->left && begin < end) {
        int n = cop_utf8_length(text->v + begin, end - begin);
        if (!is_space(cop_utf8_decode(text->v + begin, n))) break;
        begin += (size_t)n;
    }
    while (r->right && end > begin) {
        size_t last = end - 1;
        while (last > begin && ((uint8_t)text->v[last] & 0xC0) == 0x80) last--;
        if (!is_space(cop_utf8_decode(text->v + last, (int)(end - last)))) break;
        end = last;
    }
    if (begin) memmove(text->v, text->v + begin, end - begin);
    text->n = end - begin;
}

// At the end a mark in the text counts as a space, elsewhere it does not.
static void run_squeeze(cop_text_buffer *text) {
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++) {
        if (text->v[i] == ' ' && (!n || text->v[n - 1] == ' ')) continue;
        text->v[n++] = text->v[i];
    }
    for (bool more = true; more;) {
        size_t drop = n && text->v[n - 1] == ' ' ? 1 : 0;
        if (n >= COP_SPACE_MARK_BYTES && !memcmp(text->v + n - COP_SPACE_MARK_BYTES, COP_SPACE_MARK, COP_SPACE_MARK_BYTES)) drop = COP_SPACE_MARK_BYTES;
        more = drop;
        n -= drop;
    }
    text->n = n;
}

// ---- the table of SentencePiece ----

static cop_status map_longest(const cop_rewrite *r, const cop_text_buffer *text, cop_text_buffer *out) {
    for (size_t i = 0, n; i < text->n; i += n) {
        cop_span to;
        n = cop_charsmap_match(r->map, text->v + i, text->n - i, true, &to);
        if (!n) {
            n = (size_t)cop_utf8_length(text->v + i, text->n - i);
            to = (cop_span){text->v + i, n};
        }
        COP_TRY(append(out, to.text, to.bytes));
    }
    return COP_OK;
}

static size_t measure_grapheme(const cop_text_buffer *text, size_t at) {
    utf8proc_int32_t state = 0;
    size_t end = at;
    uint32_t before = 0;
    while (end < text->n) {
        int n = cop_utf8_length(text->v + end, text->n - end);
        uint32_t point = cop_utf8_decode(text->v + end, n);
        if (end > at && utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)point, &state)) break;
        before = point;
        end += (size_t)n;
    }
    return end - at;
}

// A short cluster is looked up as one and, when the table has any beginning of it, wholly replaced.
static cop_status map_graphemes(const cop_rewrite *r, const cop_text_buffer *text, cop_text_buffer *out) {
    cop_span to;
    for (size_t i = 0, n; i < text->n; i += n) {
        n = measure_grapheme(text, i);
        if (n < 6 && cop_charsmap_match(r->map, text->v + i, n, false, &to)) {
            COP_TRY(append(out, to.text, to.bytes));
            continue;
        }
        for (size_t j = i, length; j < i + n; j += length) {
            length = (size_t)cop_utf8_length(text->v + j, i + n - j);
            if (!cop_charsmap_match(r->map, text->v + j, length, false, &to)) to = (cop_span){text->v + j, length};
            COP_TRY(append(out, to.text, to.bytes));
        }
    }
    return COP_OK;
}

static cop_status run_charsmap(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text) {
    COP_TRY(r->longest ? map_longest(r, text, &w->spare) : map_graphemes(r, text, &w->spare));
    swap(text, &w->spare);
    return COP_OK;
}

static cop_status run_bytes(cop_rewrite_work *w, cop_text_buffer *text) {
    COP_TRY(cop_array_reserve(&w->spare, 2 * text->n));
    for (size_t i = 0; i < text->n; i++) w->spare.n += cop_bpe_spell_byte((uint8_t)text->v[i], w->spare.v + w->spare.n);
    swap(text, &w->spare);
    return COP_OK;
}

static cop_status run_prepend(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text) {
    if (!text->n) return COP_OK;
    COP_TRY(append(&w->spare, r->text.v, r->text.n));
    COP_TRY(append(&w->spare, text->v, text->n));
    swap(text, &w->spare);
    return COP_OK;
}

void cop_rewrite_limit(cop_text_buffer *text, size_t bytes) {
    size_t most = 32 * bytes + 65536;
    text->most = most < COP_MAX_TEXT ? most : COP_MAX_TEXT;
}

cop_status cop_rewrite_run(const cop_rewrite *r, cop_rewrite_work *w, cop_text_buffer *text) {
    w->spare.n = 0;
    w->spare.most = text->most;
    switch (r->kind) {
    case COP_REWRITE_NFC: return change_form(w, COP_NFC, text);
    case COP_REWRITE_NFD: return change_form(w, COP_NFD, text);
    case COP_REWRITE_NFKC: return change_form(w, COP_NFKC, text);
    case COP_REWRITE_NFKD: return change_form(w, COP_NFKD, text);
    case COP_REWRITE_LOWER: return change_points(r, w, lower_point, text);
    case COP_REWRITE_STRIP_ACCENTS: return change_points(r, w, drop_mark, text);
    case COP_REWRITE_BERT: return run_bert(r, w, text);
    case COP_REWRITE_REPLACE: return run_replace(r, w, text);
    case COP_REWRITE_PREPEND: return run_prepend(r, w, text);
    case COP_REWRITE_STRIP: run_strip(r, text); return COP_OK;
    case COP_REWRITE_SQUEEZE: run_squeeze(text); return COP_OK;
    case COP_REWRITE_NMT: return change_points(r, w, nmt_point, text);
    case COP_REWRITE_CHARSMAP: return run_charsmap(r, w, text);
    case COP_REWRITE_BYTES: return run_bytes(w, text);
    }
    return COP_OK;
}

void cop_rewrite_fini(cop_rewrite *r) {
    cop_pattern_free(r->pattern);
    cop_free(r->text.v);
    cop_charsmap_free(r->map);
}

void cop_rewrite_work_fini(cop_rewrite_work *w) {
    cop_nfc_fini(&w->forms);
    cop_array_fini(&w->spare);
    cop_pattern_work_free(w->match);
}
