// Unicode normalisation forms, with utf8proc's tables.
// utf8proc orders marks by exchanging neighbours, which is quadratic in a run of marks, so the
// ordering is done here by counting: a text of nothing but accents stays linear.
#include "text/text_private.h"
#include "text/utf8.h"

#include <string.h>
#include <utf8proc.h>

#define MOST_OF_ONE 32  // code points one code point may decompose to; Unicode 15 needs 18

static utf8proc_option_t options_of(cop_form form) {
    int options = UTF8PROC_STABLE;
    options |= form == COP_NFC || form == COP_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (form == COP_NFKC || form == COP_NFKD) options |= UTF8PROC_COMPAT;
    return (utf8proc_option_t)options;
}

// Characters below U+0300 neither combine nor decompose into what NFC would not put back, and their
// first byte is below 0xCC.
bool cop_nfc_is_trivial(const char *text, size_t bytes) {
    uint8_t most = 0;
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)text[i] > most) most = (uint8_t)text[i];
    return most < 0xCC;
}

void cop_nfc_fini(cop_nfc_work *w) {
    cop_array_fini(&w->points);
    cop_array_fini(&w->sorted);
}

static cop_status decompose(cop_nfc_work *w, utf8proc_option_t options, const char *text, size_t bytes) {
    w->points.n = 0;
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(text + i, bytes - i), bound = 0;
        COP_TRY(cop_array_reserve(&w->points, MOST_OF_ONE));
        utf8proc_ssize_t made = utf8proc_decompose_char((utf8proc_int32_t)cop_utf8_decode(text + i, n),
                                                        w->points.v + w->points.n, MOST_OF_ONE, options, &bound);
        if (made < 0 || made > MOST_OF_ONE)
            return cop_fail(COP_ERR_UNSUPPORTED, "text: cannot normalise the character at byte %zu", i);
        w->points.n += (size_t)made;
        i += (size_t)n;
    }
    return COP_OK;
}

static uint8_t class_of(int32_t point) { return (uint8_t)utf8proc_get_property(point)->combining_class; }

// Stable, by combining class; to[] has room for n.
static void order_run(int32_t *run, size_t n, int32_t *to) {
    size_t count[257] = {0};
    for (size_t i = 0; i < n; i++) count[class_of(run[i]) + 1]++;
    for (int c = 0; c < 256; c++) count[c + 1] += count[c];
    for (size_t i = 0; i < n; i++) to[count[class_of(run[i])]++] = run[i];
    memcpy(run, to, n * sizeof *run);
}

static cop_status order_marks(cop_nfc_work *w) {
    int32_t *v = w->points.v;
    for (size_t i = 0, n; i < w->points.n; i += n) {
        n = 1;
        if (!class_of(v[i])) continue;
        bool ordered = true;
        for (; i + n < w->points.n && class_of(v[i + n]); n++)
            if (class_of(v[i + n - 1]) > class_of(v[i + n])) ordered = false;
        if (ordered) continue;
        w->sorted.n = 0;
        COP_TRY(cop_array_reserve(&w->sorted, n));
        order_run(v + i, n, w->sorted.v);
    }
    return COP_OK;
}

cop_status cop_form_append(cop_nfc_work *w, cop_form form, const char *text, size_t bytes, cop_text_buffer *out) {
    utf8proc_option_t options = options_of(form);
    COP_TRY(decompose(w, options, text, bytes));
    COP_TRY(order_marks(w));
    utf8proc_ssize_t n = utf8proc_normalize_utf32(w->points.v, (utf8proc_ssize_t)w->points.n, options);
    if (n < 0) return cop_fail(COP_ERR_UNSUPPORTED, "text: cannot normalise: %s", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        COP_TRY(cop_array_reserve(out, 4));
        out->n += (size_t)utf8proc_encode_char(w->points.v[i], (utf8proc_uint8_t *)out->v + out->n);
    }
    return COP_OK;
}
