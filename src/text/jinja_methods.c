// Methods of texts, dicts, lists and the rest, by name.  What Python has and changes its object is known as
// unsafe: asking for it gives an undefined, calling it fails, as in jinja2's immutable sandbox.
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_private.h"
#include "text/utf8.h"

static cop_status wrong_type(jrun *r, const char *method, jvalue v) {
    if (v.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, v);
    return cop_jinja_fail(r, COP_ERR_ARG, "%s: an argument of type %s", method, cop_jinja_type_name(v));
}

// ---- case ----

typedef enum casing { UPPER, LOWER, TITLE } casing;

static cop_status put_case(jrun *r, jbuffer *b, uint32_t c, casing how) {
    static const struct { uint32_t c; const char *upper, *title; } longer[] = {
        {0xDF, "SS", "Ss"}, {0x149, "\u02bcN", "\u02bcN"}, {0xFB00, "FF", "Ff"}, {0xFB01, "FI", "Fi"}, {0xFB02, "FL", "Fl"},
        {0xFB03, "FFI", "Ffi"}, {0xFB04, "FFL", "Ffl"}, {0xFB05, "ST", "St"}, {0xFB06, "ST", "St"},
    };
    if (c < 128) {
        char letter = (char)c;
        if (how == LOWER && letter >= 'A' && letter <= 'Z') letter |= 32;
        if (how != LOWER && letter >= 'a' && letter <= 'z') letter &= ~32;
        return cop_jinja_put(r, b, &letter, 1);
    }
    for (size_t i = 0; how != LOWER && i < sizeof longer / sizeof longer[0]; i++)
        if (longer[i].c == c) return cop_jinja_put_text(r, b, how == UPPER ? longer[i].upper : longer[i].title);
    if (how == LOWER && c == 0x130) return cop_jinja_put_text(r, b, "i\u0307");
    utf8proc_int32_t p = (utf8proc_int32_t)c;
    p = how == UPPER ? utf8proc_toupper(p) : how == LOWER ? utf8proc_tolower(p) : utf8proc_totitle(p);
    return cop_jinja_put_point(r, b, (uint32_t)p);
}

static casing case_of(uint32_t c, bool *cased) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    *cased = category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
    return category == UTF8PROC_CATEGORY_LU ? UPPER : category == UTF8PROC_CATEGORY_LT ? TITLE : LOWER;
}

// A sigma at the end of a word has a form of its own.
static bool ends_word(const jtext *t, size_t at, bool before) {
    bool cased = false;
    size_t next = at + 2;
    if (next < t->n) case_of(cop_utf8_decode(t->v + next, cop_utf8_length(t->v + next, t->n - next)), &cased);
    return before && !cased;
}

cop_status cop_jinja_change_case(jrun *r, jvalue text, const char *how, jvalue *out) {
    jbuffer b = {0};
    bool before = false, first = true;
    COP_TRY(cop_jinja_str(r, text, &text));
    const jtext *t = text.text;
    COP_TRY(cop_jinja_charge(r, t->n / 4));
    for (size_t i = 0; i < t->n; first = false) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        uint32_t c = cop_utf8_decode(t->v + i, n);
        bool cased;
        casing is = case_of(c, &cased), to = LOWER;
        if (*how == 'u') to = UPPER;
        else if (*how == 't') to = before ? LOWER : TITLE;
        else if (*how == 'c') to = first ? TITLE : LOWER;
        else if (*how == 's') to = cased && is == UPPER ? LOWER : UPPER;
        if (to == LOWER && c == 0x3A3 && ends_word(t, i, before)) COP_TRY(cop_jinja_put_point(r, &b, 0x3C2));
        else COP_TRY(put_case(r, &b, c, to));
        before = cased;
        i += (size_t)n;
    }
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = text.markup;
    return COP_OK;
}

#define CASE(name)                                                                        \
    static cop_status name(jrun *r, jvalue self, const jbinding *a, jvalue *out) {        \
        (void)a;                                                                          \
        return cop_jinja_change_case(r, self, #name, out);                                \
    }
CASE(upper)
CASE(lower)
CASE(title)
CASE(capitalize)
CASE(swapcase)

// islower, isupper, istitle: some letters have case, and all of those this one.
static cop_status check_case(jrun *r, jvalue self, casing wanted, jvalue *out) {
    const jtext *t = self.text;
    bool any = false, fine = true, before = false;
    COP_TRY(cop_jinja_charge(r, t->n / 4));
    for (size_t i = 0; i < t->n && fine;) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        bool cased;
        casing is = case_of(cop_utf8_decode(t->v + i, n), &cased);
        if (cased) fine = wanted == TITLE ? (before ? is == LOWER : is != LOWER) : is == wanted;
        any = any || cased;
        before = cased;
        i += (size_t)n;
    }
    *out = cop_jinja_bool(any && fine);
    return COP_OK;
}

static cop_status all_lower(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return check_case(r, self, LOWER, out); }
static cop_status all_upper(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return check_case(r, self, UPPER, out); }
static cop_status all_titled(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return check_case(r, self, TITLE, out); }

// ---- kinds of letters ----

static bool is_letter(uint32_t c) {
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
static bool is_decimal(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND; }
static bool is_digit(uint32_t c) { return is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089); }
static bool is_numeric(uint32_t c) {
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}
static bool is_either(uint32_t c) { return is_letter(c) || is_numeric(c); }

static cop_status all_are(jrun *r, jvalue self, bool (*is)(uint32_t), bool empty, jvalue *out) {
    const jtext *t = self.text;
    bool fine = t->n || empty;
    COP_TRY(cop_jinja_charge(r, t->n / 4));
    for (size_t i = 0; i < t->n && fine;) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        fine = is(cop_utf8_decode(t->v + i, n));
        i += (size_t)n;
    }
    *out = cop_jinja_bool(fine);
    return COP_OK;
}

static bool is_ascii(uint32_t c) { return c < 128; }
static cop_status all_letters(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_letter, false, out); }
static cop_status all_digits(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_digit, false, out); }
static cop_status all_decimal(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_decimal, false, out); }
static cop_status all_numeric(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_numeric, false, out); }
static cop_status all_alphanumeric(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_either, false, out); }
static cop_status all_blank(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, cop_jinja_is_blank, false, out); }
static cop_status all_ascii(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)a; return all_are(r, self, is_ascii, true, out); }

// ---- cutting ----

// The character at the beginning or end of v[0..n): is it one to strip?  Its bytes, or 0.
static size_t strippable(const char *v, size_t n, const jtext *chars, bool at_end) {
    size_t start = at_end ? n : 0;
    if (!n) return 0;
    while (at_end && start && ((uint8_t)v[--start] & 0xC0) == 0x80) {}
    int length = cop_utf8_length(v + start, n - start);
    if (!chars) return cop_jinja_is_blank(cop_utf8_decode(v + start, length)) ? (size_t)length : 0;
    for (size_t i = 0; i < chars->n;) {
        int other = cop_utf8_length(chars->v + i, chars->n - i);
        if (other == length && !memcmp(chars->v + i, v + start, (size_t)length)) return (size_t)length;
        i += (size_t)other;
    }
    return 0;
}

cop_status cop_jinja_strip(jrun *r, jvalue text, const jvalue *chars, bool left, bool right, jvalue *out) {
    const char *v = text.text->v;
    size_t n = text.text->n, cut;
    if (chars && chars->kind != J_TEXT) return wrong_type(r, "strip", *chars);
    const jtext *set = chars ? chars->text : NULL;
    size_t each = set ? set->n / 4 + 1 : 1, before = n;
    while (left && (cut = strippable(v, n, set, false)) != 0) {
        v += cut;
        n -= cut;
        if (set) COP_TRY(cop_jinja_charge(r, each));
    }
    while (right && (cut = strippable(v, n, set, true)) != 0) {
        n -= cut;
        if (set) COP_TRY(cop_jinja_charge(r, each));
    }
    COP_TRY(cop_jinja_charge(r, (before - n) / 4));
    COP_TRY(cop_jinja_view_text(r, v, n, out));
    out->markup = text.markup;
    return COP_OK;
}

static const jvalue *given(const jbinding *a, int i) { return a->given[i] && a->v[i].kind != J_NONE ? &a->v[i] : NULL; }
static cop_status strip(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return cop_jinja_strip(r, self, given(a, 0), true, true, out); }
static cop_status lstrip(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return cop_jinja_strip(r, self, given(a, 0), true, false, out); }
static cop_status rstrip(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return cop_jinja_strip(r, self, given(a, 0), false, true, out); }

static cop_status piece(jrun *r, jvalue self, const char *v, size_t n, jlist *l) {
    jvalue part;
    COP_TRY(cop_jinja_view_text(r, v, n, &part));
    part.markup = self.markup;
    return cop_jinja_push(r, l, part);
}

static cop_status split_blanks(jrun *r, jvalue self, int64_t most, jlist *l) {
    jvalue rest;
    COP_TRY(cop_jinja_strip(r, self, NULL, true, false, &rest));
    const char *v = rest.text->v, *end = v + rest.text->n;
    while (v < end) {
        const char *stop = v;
        if (most >= 0 && (int64_t)l->n == most) return piece(r, self, v, (size_t)(end - v), l);  // the rest is one piece
        while (stop < end && !strippable(stop, (size_t)(end - stop), NULL, false)) stop += cop_utf8_length(stop, (size_t)(end - stop));
        COP_TRY(piece(r, self, v, (size_t)(stop - v), l));
        for (size_t n; stop < end && (n = strippable(stop, (size_t)(end - stop), NULL, false)) != 0;) stop += n;
        v = stop;
    }
    return COP_OK;
}

// The last place of `what` in v[0..n), or NULL.
static const char *find_last(const char *v, size_t n, const jtext *what) {
    for (size_t i = n + 1; i-- > 0;)
        if (what->n <= n - i && !memcmp(v + i, what->v, what->n)) return v + i;
    return NULL;
}

static cop_status split_at(jrun *r, jvalue self, const jtext *by, int64_t most, bool from_end, jlist *l) {
    const char *v = self.text->v;
    size_t n = self.text->n;
    const char *at;
    while (most < 0 || (int64_t)l->n < most) {
        COP_TRY(cop_jinja_charge(r, 1 + (from_end ? n / 8 * (1 + by->n / 16) : 0)));
        at = from_end ? find_last(v, n, by) : memmem(v, n, by->v, by->n);
        if (!at) break;
        size_t before = (size_t)(at - v), behind = n - before - by->n;
        COP_TRY(piece(r, self, from_end ? at + by->n : v, from_end ? behind : before, l));
        if (!from_end) v = at + by->n;
        n = from_end ? before : behind;
    }
    COP_TRY(piece(r, self, v, n, l));
    for (size_t i = 0; from_end && i < l->n / 2; i++) {
        jvalue swapped = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = swapped;
    }
    return COP_OK;
}

static cop_status split_text(jrun *r, jvalue self, const jbinding *a, bool from_end, jvalue *out) {
    const jvalue *by = given(a, 0);
    int64_t most = -1;
    jlist *l;
    if (by && by->kind != J_TEXT) return wrong_type(r, "split", *by);
    if (a->given[1] && !cop_jinja_integer(a->v[1], &most)) return wrong_type(r, "split", a->v[1]);
    if (by && !by->text->n) return cop_jinja_fail(r, COP_ERR_ARG, "split: an empty separator");
    COP_TRY(cop_jinja_new_list(r, 0, &l));
    COP_TRY(cop_jinja_charge(r, self.text->n / 4));
    if (by) COP_TRY(split_at(r, self, by->text, most, from_end && most >= 0, l));
    else if (from_end && most >= 0) return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "rsplit: at blanks with a limit is not supported");
    else COP_TRY(split_blanks(r, self, most, l));
    *out = cop_jinja_list(l, J_LIST);
    return COP_OK;
}

static cop_status split(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return split_text(r, self, a, false, out); }
static cop_status rsplit(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return split_text(r, self, a, true, out); }

static bool ends_line(uint32_t c) { return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029; }

cop_status cop_jinja_split_lines(jrun *r, jvalue text, bool keep, jlist **out) {
    const jtext *t = text.text;
    COP_TRY(cop_jinja_charge(r, t->n / 4));
    COP_TRY(cop_jinja_new_list(r, 0, out));
    for (size_t i = 0; i < t->n;) {
        size_t start = i, end;
        int n = 0;
        for (; i < t->n; i += (size_t)n) {
            n = cop_utf8_length(t->v + i, t->n - i);
            if (ends_line(cop_utf8_decode(t->v + i, n))) break;
        }
        end = i;
        if (i < t->n) i += t->v[i] == '\r' && i + 1 < t->n && t->v[i + 1] == '\n' ? 2 : (size_t)n;
        COP_TRY(piece(r, text, t->v + start, (keep ? i : end) - start, *out));
    }
    return COP_OK;
}

static cop_status splitlines(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    bool keep = false;
    jlist *l;
    if (a->given[0]) COP_TRY(cop_jinja_truth(r, a->v[0], &keep));
    COP_TRY(cop_jinja_split_lines(r, self, keep, &l));
    *out = cop_jinja_list(l, J_LIST);
    return COP_OK;
}

static cop_status part(jrun *r, jvalue self, const jbinding *a, bool last, jvalue *out) {
    jlist *l;
    const jtext *t = self.text;
    if (a->v[0].kind != J_TEXT) return wrong_type(r, "partition", a->v[0]);
    const jtext *by = a->v[0].text;
    if (!by->n) return cop_jinja_fail(r, COP_ERR_ARG, "partition: an empty separator");
    COP_TRY(cop_jinja_charge(r, t->n / 4 * (last ? 1 + by->n / 16 : 1)));
    const char *at = last ? find_last(t->v, t->n, by) : memmem(t->v, t->n, by->v, by->n);
    size_t before = at ? (size_t)(at - t->v) : last ? 0 : t->n, found = at ? by->n : 0;
    COP_TRY(cop_jinja_new_list(r, 3, &l));
    COP_TRY(piece(r, self, t->v, before, l));
    COP_TRY(piece(r, self, t->v + before, found, l));
    COP_TRY(piece(r, self, t->v + before + found, t->n - before - found, l));
    *out = cop_jinja_list(l, J_TUPLE);
    return COP_OK;
}

static cop_status partition(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return part(r, self, a, false, out); }
static cop_status rpartition(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return part(r, self, a, true, out); }

static cop_status remove_affix(jrun *r, jvalue self, jvalue affix, bool front, jvalue *out) {
    const jtext *t = self.text;
    if (affix.kind != J_TEXT) return wrong_type(r, "removeprefix", affix);
    size_t n = affix.text->n;
    *out = self;
    if (n > t->n || memcmp(front ? t->v : t->v + t->n - n, affix.text->v, n) != 0) return COP_OK;
    COP_TRY(cop_jinja_view_text(r, front ? t->v + n : t->v, t->n - n, out));
    out->markup = self.markup;
    return COP_OK;
}

static cop_status removeprefix(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return remove_affix(r, self, a->v[0], true, out); }
static cop_status removesuffix(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return remove_affix(r, self, a->v[0], false, out); }

// ---- finding ----

static cop_status has_affix(jrun *r, jvalue self, const jbinding *a, bool front, jvalue *out) {
    jlist one = {.v = (jvalue *)(uintptr_t)&a->v[0], .n = 1}, *affixes = a->v[0].kind == J_TUPLE ? a->v[0].list : &one;
    jvalue bounds[3] = {a->given[1] ? a->v[1] : J_NOTHING, a->given[2] ? a->v[2] : J_NOTHING, J_NOTHING};
    if (a->given[1]) COP_TRY(cop_jinja_slice(r, self, bounds, &self));
    const jtext *t = self.text;
    *out = cop_jinja_bool(false);
    for (size_t i = 0; i < affixes->n; i++) {
        if (affixes->v[i].kind != J_TEXT) return wrong_type(r, front ? "startswith" : "endswith", affixes->v[i]);
        const jtext *x = affixes->v[i].text;
        if (x->n <= t->n && !memcmp(front ? t->v : t->v + t->n - x->n, x->v, x->n)) out->b = true;
    }
    return COP_OK;
}

static cop_status startswith(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return has_affix(r, self, a, true, out); }
static cop_status endswith(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return has_affix(r, self, a, false, out); }

static cop_status locate(jrun *r, jvalue self, const jbinding *a, bool last, bool must, jvalue *out) {
    if (a->v[0].kind != J_TEXT) return wrong_type(r, "find", a->v[0]);
    if (a->given[1]) return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "find: bounds are not supported");
    const jtext *t = self.text, *what = a->v[0].text;
    COP_TRY(cop_jinja_charge(r, t->n / 4 * (last ? 1 + what->n / 16 : 1)));
    const char *at = last ? find_last(t->v, t->n, what) : what->n ? memmem(t->v, t->n, what->v, what->n) : t->v;
    if (!at && must) return cop_jinja_fail(r, COP_ERR_ARG, "index: the text is not there");
    *out = cop_jinja_int(at ? (int64_t)cop_jinja_count_points(t->v, (size_t)(at - t->v)) : -1);
    return COP_OK;
}

static cop_status find(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return locate(r, self, a, false, false, out); }
static cop_status rfind(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return locate(r, self, a, true, false, out); }
static cop_status text_index(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return locate(r, self, a, false, true, out); }
static cop_status text_rindex(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return locate(r, self, a, true, true, out); }

static cop_status text_count(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t n = 0;
    if (a->v[0].kind != J_TEXT) return wrong_type(r, "count", a->v[0]);
    const jtext *what = a->v[0].text;
    const char *v = self.text->v, *end = v + self.text->n;
    COP_TRY(cop_jinja_charge(r, self.text->n / 4));
    if (!what->n) n = (int64_t)self.text->points + 1;
    else
        for (const char *at; (at = memmem(v, (size_t)(end - v), what->v, what->n)) != NULL; n++) v = at + what->n;
    *out = cop_jinja_int(n);
    return COP_OK;
}

// ---- building ----

cop_status cop_jinja_replace(jrun *r, jvalue text, jvalue old, jvalue new, int64_t count, jvalue *out) {
    jbuffer b = {0};
    const char *v = text.text->v, *end = v + text.text->n;
    const jtext *what = old.text;
    if (text.markup) COP_TRY(cop_jinja_escape(r, new, &new));
    for (int64_t n = 0; count < 0 || n < count; n++) {
        const char *at = what->n ? memmem(v, (size_t)(end - v), what->v, what->n) : v;
        if (!at) break;
        COP_TRY(cop_jinja_charge(r, 1));
        COP_TRY(cop_jinja_put(r, &b, v, (size_t)(at - v)));
        COP_TRY(cop_jinja_put_value(r, &b, new));
        v = at + what->n;
        if (what->n) continue;
        if (v == end) break;
        int letter = cop_utf8_length(v, (size_t)(end - v));  // an empty text is between all characters
        COP_TRY(cop_jinja_put(r, &b, v, (size_t)letter));
        v += letter;
    }
    COP_TRY(cop_jinja_put(r, &b, v, (size_t)(end - v)));
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = text.markup;
    return COP_OK;
}

static cop_status replace(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t count = -1;
    if (a->v[0].kind != J_TEXT) return wrong_type(r, "replace", a->v[0]);
    if (a->v[1].kind != J_TEXT) return wrong_type(r, "replace", a->v[1]);
    if (a->given[2] && !cop_jinja_integer(a->v[2], &count)) return wrong_type(r, "replace", a->v[2]);
    return cop_jinja_replace(r, self, a->v[0], a->v[1], count, out);
}

static cop_status join(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    jbuffer b = {0};
    COP_TRY(cop_jinja_elements(r, a->v[0], &l));
    for (size_t i = 0; i < l->n; i++) {
        jvalue v = l->v[i];
        if (v.kind != J_TEXT && !self.markup) return wrong_type(r, "join", v);
        if (self.markup) COP_TRY(cop_jinja_escape(r, v, &v));
        if (i) COP_TRY(cop_jinja_put_value(r, &b, self));
        COP_TRY(cop_jinja_put_value(r, &b, v));
    }
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

// side: '<' text first, '>' text last, '^' in the middle, '0' zeros behind a sign.
static cop_status pad(jrun *r, jvalue self, const jbinding *a, char side, jvalue *out) {
    int64_t width = 0;
    jbuffer b = {0};
    const jtext *t = self.text;
    const char *fill = side == '0' ? "0" : " ";
    size_t fill_bytes = 1, sign = side == '0' && t->n && (*t->v == '-' || *t->v == '+');
    if (!cop_jinja_integer(a->v[0], &width)) return wrong_type(r, "ljust", a->v[0]);
    if (a->given[1]) {
        if (a->v[1].kind != J_TEXT || a->v[1].text->points != 1) return wrong_type(r, "ljust", a->v[1]);
        fill = a->v[1].text->v;
        fill_bytes = a->v[1].text->n;
    }
    int64_t room = width - (int64_t)t->points;
    if (room < 0) room = 0;
    int64_t left = side == '<' ? 0 : side == '^' ? room / 2 + (room & width & 1) : room;
    COP_TRY(cop_jinja_put(r, &b, t->v, sign));
    for (int64_t i = 0; i < left; i++) COP_TRY(cop_jinja_put(r, &b, fill, fill_bytes));
    COP_TRY(cop_jinja_put(r, &b, t->v + sign, t->n - sign));
    for (int64_t i = left; i < room; i++) COP_TRY(cop_jinja_put(r, &b, fill, fill_bytes));
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

static cop_status ljust(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return pad(r, self, a, '<', out); }
static cop_status rjust(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return pad(r, self, a, '>', out); }
static cop_status center(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return pad(r, self, a, '^', out); }
static cop_status zfill(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return pad(r, self, a, '0', out); }

static const jmethod text_methods[] = {
    {"strip", "chars", 0, strip}, {"lstrip", "chars", 0, lstrip}, {"rstrip", "chars", 0, rstrip}, {"split", "sep maxsplit", 0, split},
    {"rsplit", "sep maxsplit", 0, rsplit}, {"splitlines", "keepends", 0, splitlines}, {"startswith", "prefix start end", 1, startswith},
    {"endswith", "suffix start end", 1, endswith}, {"upper", "", 0, upper}, {"lower", "", 0, lower}, {"casefold", "", 0, lower},
    {"title", "", 0, title}, {"capitalize", "", 0, capitalize}, {"swapcase", "", 0, swapcase}, {"replace", "old new count", 2, replace},
    {"join", "iterable", 1, join}, {"format", "*", 0, cop_jinja_braces}, {"find", "sub start end", 1, find}, {"rfind", "sub start end", 1, rfind},
    {"index", "sub start end", 1, text_index}, {"rindex", "sub start end", 1, text_rindex}, {"count", "sub", 1, text_count},
    {"partition", "sep", 1, partition}, {"rpartition", "sep", 1, rpartition}, {"removeprefix", "prefix", 1, removeprefix},
    {"removesuffix", "suffix", 1, removesuffix}, {"ljust", "width fillchar", 1, ljust}, {"rjust", "width fillchar", 1, rjust},
    {"center", "width fillchar", 1, center}, {"zfill", "width", 1, zfill}, {"islower", "", 0, all_lower}, {"isupper", "", 0, all_upper},
    {"istitle", "", 0, all_titled}, {"isalpha", "", 0, all_letters}, {"isdigit", "", 0, all_digits}, {"isdecimal", "", 0, all_decimal},
    {"isnumeric", "", 0, all_numeric}, {"isalnum", "", 0, all_alphanumeric}, {"isspace", "", 0, all_blank}, {"isascii", "", 0, all_ascii},
    {"encode", "*", 0, NULL}, {"expandtabs", "*", 0, NULL}, {"format_map", "*", 0, NULL}, {"isidentifier", "*", 0, NULL},
    {"isprintable", "*", 0, NULL}, {"maketrans", "*", 0, NULL}, {"translate", "*", 0, NULL}, {0},
};

const jmethod *cop_jinja_find_row(const jmethod *table, const jtext *name) {
    for (; table->name; table++)
        if (strlen(table->name) == name->n && !memcmp(table->name, name->v, name->n)) return table;
    return NULL;
}

const jmethod *cop_jinja_find_text_method(const jtext *name) { return cop_jinja_find_row(text_methods, name); }
