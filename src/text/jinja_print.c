// Values as text: Python's str() and repr(), JSON out and in, HTML escapes.
// Floats print with the fewest digits that read back as the same number, laid out as Python does.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_private.h"
#include "text/utf8.h"

// The digits of "%.*e" without point, in a locale that may write a comma; returns the decimal exponent.
static int shortest_digits(double f, char digits[24]) {
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, f);
        if (strtod(text, NULL) == f) break;
    }
    int n = 0;
    const char *c = text;
    for (; *c && *c != 'e'; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = 0;
    return *c ? (int)strtol(c + 1, NULL, 10) : 0;
}

size_t cop_jinja_print_float(double f, char out[32]) {
    char digits[24];
    if (isnan(f)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 32, f < 0 ? "-inf" : "inf");
    const char *sign = signbit(f) ? "-" : "";
    int e = shortest_digits(fabs(f), digits), n = (int)strlen(digits);
    if (e < -4 || e >= 16)
        return (size_t)snprintf(out, 32, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1, e < 0 ? '-' : '+', abs(e));
    if (e < 0) return (size_t)snprintf(out, 32, "%s0.%.*s%s", sign, -e - 1, "0000", digits);
    if (n <= e + 1) return (size_t)snprintf(out, 32, "%s%s%.*s.0", sign, digits, e + 1 - n, "0000000000000000");
    return (size_t)snprintf(out, 32, "%s%.*s.%s", sign, e + 1, digits, digits + e + 1);
}

static bool prints(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS: case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: return false;
    case UTF8PROC_CATEGORY_ZS: return c == ' ';
    default: return true;
    }
}

static cop_status put_escape(jrun *r, jbuffer *b, uint32_t c) {
    char text[16];
    snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    return cop_jinja_put_text(r, b, text);
}

static cop_status put_text_repr(jrun *r, jbuffer *b, const jtext *t) {
    char quote = memchr(t->v, '\'', t->n) && !memchr(t->v, '"', t->n) ? '"' : '\'';
    COP_TRY(cop_jinja_put(r, b, &quote, 1));
    for (size_t i = 0; i < t->n;) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        uint32_t c = cop_utf8_decode(t->v + i, n);
        const char *simple = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : c == '\\' ? "\\\\" : NULL;
        if (simple) COP_TRY(cop_jinja_put_text(r, b, simple));
        else if (c == (uint32_t)quote) COP_TRY(cop_jinja_put_text(r, b, "\\'"));
        else if (!prints(c)) COP_TRY(put_escape(r, b, c));
        else COP_TRY(cop_jinja_put(r, b, t->v + i, (size_t)n));
        i += (size_t)n;
    }
    return cop_jinja_put(r, b, &quote, 1);
}

static cop_status put_list(jrun *r, jbuffer *b, const jlist *l, const char *open, const char *close) {
    COP_TRY(cop_jinja_put_text(r, b, open));
    for (size_t i = 0; i < l->n; i++) {
        if (i) COP_TRY(cop_jinja_put(r, b, ", ", 2));
        COP_TRY(cop_jinja_put_repr(r, b, l->v[i]));
    }
    if (l->n == 1 && *open == '(') COP_TRY(cop_jinja_put(r, b, ",", 1));
    return cop_jinja_put_text(r, b, close);
}

static cop_status put_dict(jrun *r, jbuffer *b, const jdict *d, const char *open, const char *close) {
    COP_TRY(cop_jinja_put_text(r, b, open));
    for (size_t i = 0; i < d->n; i++) {
        if (i) COP_TRY(cop_jinja_put(r, b, ", ", 2));
        COP_TRY(cop_jinja_put_repr(r, b, d->v[i].key));
        COP_TRY(cop_jinja_put(r, b, ": ", 2));
        COP_TRY(cop_jinja_put_repr(r, b, d->v[i].value));
    }
    return cop_jinja_put_text(r, b, close);
}

static cop_status put_view(jrun *r, jbuffer *b, jvalue v) {
    jlist *l;
    char open[20];
    snprintf(open, sizeof open, "%s([", cop_jinja_type_name(v));
    COP_TRY(cop_jinja_elements(r, v, &l));
    return put_list(r, b, l, open, "])");
}

static cop_status put_other(jrun *r, jbuffer *b, jvalue v) {
    char text[96];
    switch (v.kind) {
    case J_RANGE:
        if (v.range->step == 1) snprintf(text, sizeof text, "range(%lld, %lld)", (long long)v.range->start, (long long)v.range->stop);
        else snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)v.range->start, (long long)v.range->stop, (long long)v.range->step);
        break;
    case J_LOOP: snprintf(text, sizeof text, "<LoopContext %zu/%zu>", v.loop->at + 1, v.loop->items->n); break;
    case J_MACRO:
        COP_TRY(cop_jinja_put_text(r, b, "<Macro "));
        if (v.macro->node->name) COP_TRY(put_text_repr(r, b, v.macro->node->name));
        else COP_TRY(cop_jinja_put_text(r, b, "anonymous"));
        return cop_jinja_put_text(r, b, ">");
    case J_METHOD: snprintf(text, sizeof text, "<built-in method %s of %s object>", v.method->method->name, cop_jinja_type_name(v.method->self)); break;
    case J_FUNCTION: snprintf(text, sizeof text, "<function %s>", v.function->name); break;
    default: snprintf(text, sizeof text, "<%s object>", cop_jinja_type_name(v));
    }
    return cop_jinja_put_text(r, b, text);
}

static cop_status put_repr(jrun *r, jbuffer *b, jvalue v) {
    char text[32];
    switch (v.kind) {
    case J_UNDEFINED: return cop_jinja_put_text(r, b, "Undefined");
    case J_NONE: return cop_jinja_put_text(r, b, "None");
    case J_BOOL: return cop_jinja_put_text(r, b, v.b ? "True" : "False");
    case J_INT: snprintf(text, sizeof text, "%lld", (long long)v.i); return cop_jinja_put_text(r, b, text);
    case J_FLOAT: return cop_jinja_put(r, b, text, cop_jinja_print_float(v.f, text));
    case J_TEXT:
        if (!v.markup) return put_text_repr(r, b, v.text);
        COP_TRY(cop_jinja_put_text(r, b, "Markup("));
        COP_TRY(put_text_repr(r, b, v.text));
        return cop_jinja_put_text(r, b, ")");
    case J_LIST: return put_list(r, b, v.list, "[", "]");
    case J_TUPLE: return put_list(r, b, v.list, "(", ")");
    case J_DICT: return put_dict(r, b, v.dict, "{", "}");
    case J_NAMESPACE: return put_dict(r, b, v.dict, "<Namespace {", "}>");
    case J_KEYS: case J_VALUES: case J_ITEMS: return put_view(r, b, v);
    default: return put_other(r, b, v);
    }
}

cop_status cop_jinja_put_repr(jrun *r, jbuffer *b, jvalue v) {
    COP_TRY(cop_jinja_charge(r, 1));
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply");
    COP_TRY(put_repr(r, b, v));
    r->depth--;
    return COP_OK;
}

cop_status cop_jinja_put_value(jrun *r, jbuffer *b, jvalue v) {
    if (v.kind == J_TEXT) return cop_jinja_put(r, b, v.text->v, v.text->n);
    if (v.kind == J_UNDEFINED) return COP_OK;
    return cop_jinja_put_repr(r, b, v);
}

cop_status cop_jinja_str(jrun *r, jvalue v, jvalue *out) {
    jbuffer b = {0};
    if (v.kind == J_TEXT) {
        *out = v;
        return COP_OK;
    }
    COP_TRY(cop_jinja_put_value(r, &b, v));
    return cop_jinja_buffer_text(r, &b, out);
}

cop_status cop_jinja_escape(jrun *r, jvalue v, jvalue *out) {
    static const char special[] = "&<>'\"";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    jbuffer b = {0};
    if (v.kind == J_TEXT && v.markup) {
        *out = v;
        return COP_OK;
    }
    COP_TRY(cop_jinja_str(r, v, &v));
    for (size_t i = 0; i < v.text->n; i++) {
        const char *at = memchr(special, v.text->v[i], sizeof special - 1);
        if (at) COP_TRY(cop_jinja_put_text(r, &b, escapes[at - special]));
        else COP_TRY(cop_jinja_put(r, &b, v.text->v + i, 1));
    }
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = true;
    return COP_OK;
}

// ---- JSON out: json.dumps ----

typedef struct writer {
    jbuffer *b;
    bool ascii, sort;
    jvalue indent;          // none, or a text that stands before each level
    const jtext *comma, *colon;
} writer;

static cop_status put_json_text(jrun *r, const writer *w, const jtext *t) {
    static const char named[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    char text[32];
    COP_TRY(cop_jinja_put(r, w->b, "\"", 1));
    for (size_t i = 0; i < t->n;) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        uint32_t c = cop_utf8_decode(t->v + i, n);
        const char *at = c < 128 ? memchr(named, (int)c, sizeof named - 1) : NULL;
        if (at) snprintf(text, sizeof text, "\\%c", letters[at - named]);
        else if (c < 32 || (w->ascii && c > 126 && c < 0x10000)) snprintf(text, sizeof text, "\\u%04x", c);
        else if (w->ascii && c > 126) snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 | (c & 0x3FF));
        else text[0] = 0;
        if (w->ascii && c == 127) text[0] = 0;
        if (text[0]) COP_TRY(cop_jinja_put_text(r, w->b, text));
        else COP_TRY(cop_jinja_put(r, w->b, t->v + i, (size_t)n));
        i += (size_t)n;
    }
    return cop_jinja_put(r, w->b, "\"", 1);
}

static cop_status put_line(jrun *r, const writer *w, int level) {
    if (w->indent.kind == J_NONE) return COP_OK;
    COP_TRY(cop_jinja_put(r, w->b, "\n", 1));
    for (int i = 0; i < level; i++) COP_TRY(cop_jinja_put(r, w->b, w->indent.text->v, w->indent.text->n));
    return COP_OK;
}

static cop_status put_json(jrun *r, const writer *w, jvalue v, int level);

static cop_status put_json_list(jrun *r, const writer *w, const jlist *l, int level) {
    if (!l->n) return cop_jinja_put(r, w->b, "[]", 2);
    COP_TRY(cop_jinja_put(r, w->b, "[", 1));
    for (size_t i = 0; i < l->n; i++) {
        if (i) COP_TRY(cop_jinja_put(r, w->b, w->comma->v, w->comma->n));
        COP_TRY(put_line(r, w, level + 1));
        COP_TRY(put_json(r, w, l->v[i], level + 1));
    }
    COP_TRY(put_line(r, w, level));
    return cop_jinja_put(r, w->b, "]", 1);
}

// Keys that are numbers, truth values or none are written as texts.
static cop_status put_json_key(jrun *r, const writer *w, jvalue key) {
    jbuffer b = {0};
    writer plain = *w;
    if (key.kind == J_TEXT) return put_json_text(r, w, key.text);
    if (key.kind != J_NONE && key.kind != J_BOOL && key.kind != J_INT && key.kind != J_FLOAT)
        return cop_jinja_fail(r, COP_ERR_ARG, "tojson: a key of type %s", cop_jinja_type_name(key));
    plain.b = &b;
    COP_TRY(put_json(r, &plain, key, 0));
    COP_TRY(cop_jinja_buffer_text(r, &b, &key));
    return put_json_text(r, w, key.text);
}

static cop_status put_json_dict(jrun *r, const writer *w, const jdict *d, int level) {
    if (!d->n) return cop_jinja_put(r, w->b, "{}", 2);
    jlist *keys, *order;
    COP_TRY(cop_jinja_new_list(r, d->n, &keys));
    COP_TRY(cop_jinja_new_list(r, d->n, &order));
    for (size_t i = 0; i < d->n; i++) {
        COP_TRY(cop_jinja_push(r, keys, d->v[i].key));
        COP_TRY(cop_jinja_push(r, order, cop_jinja_int((int64_t)i)));
    }
    if (w->sort) COP_TRY(cop_jinja_sort(r, keys, order, false));
    COP_TRY(cop_jinja_put(r, w->b, "{", 1));
    for (size_t i = 0; i < d->n; i++) {
        const jpair *pair = &d->v[order->v[i].i];
        if (i) COP_TRY(cop_jinja_put(r, w->b, w->comma->v, w->comma->n));
        COP_TRY(put_line(r, w, level + 1));
        COP_TRY(put_json_key(r, w, pair->key));
        COP_TRY(cop_jinja_put(r, w->b, w->colon->v, w->colon->n));
        COP_TRY(put_json(r, w, pair->value, level + 1));
    }
    COP_TRY(put_line(r, w, level));
    return cop_jinja_put(r, w->b, "}", 1);
}

static cop_status put_json_number(jrun *r, const writer *w, double f) {
    char text[32];
    if (isnan(f)) return cop_jinja_put_text(r, w->b, "NaN");
    if (isinf(f)) return cop_jinja_put_text(r, w->b, f < 0 ? "-Infinity" : "Infinity");
    return cop_jinja_put(r, w->b, text, cop_jinja_print_float(f, text));
}

static cop_status put_json(jrun *r, const writer *w, jvalue v, int level) {
    COP_TRY(cop_jinja_charge(r, 1));
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply");
    switch (v.kind) {
    case J_NONE: COP_TRY(cop_jinja_put_text(r, w->b, "null")); break;
    case J_BOOL: COP_TRY(cop_jinja_put_text(r, w->b, v.b ? "true" : "false")); break;
    case J_INT: COP_TRY(cop_jinja_put_repr(r, w->b, v)); break;
    case J_FLOAT: COP_TRY(put_json_number(r, w, v.f)); break;
    case J_TEXT: COP_TRY(put_json_text(r, w, v.text)); break;
    case J_LIST: case J_TUPLE: COP_TRY(put_json_list(r, w, v.list, level)); break;
    case J_DICT: COP_TRY(put_json_dict(r, w, v.dict, level)); break;
    case J_UNDEFINED: return cop_jinja_fail_undefined(r, v);
    default: return cop_jinja_fail(r, COP_ERR_ARG, "tojson: a value of type %s", cop_jinja_type_name(v));
    }
    r->depth--;
    return COP_OK;
}

// indent=4 is four spaces, indent='\t' is that text.
static cop_status read_indent(jrun *r, jvalue given, jvalue *out) {
    int64_t n;
    jbuffer b = {0};
    *out = given;
    if (given.kind == J_NONE || given.kind == J_TEXT) return COP_OK;
    if (!cop_jinja_integer(given, &n)) return cop_jinja_fail(r, COP_ERR_ARG, "tojson: indent of type %s", cop_jinja_type_name(given));
    if (n > 1000) return cop_jinja_fail(r, COP_ERR_LIMIT, "tojson: indent of more than 1000");
    for (int64_t i = 0; i < n; i++) COP_TRY(cop_jinja_put(r, &b, " ", 1));
    return cop_jinja_buffer_text(r, &b, out);
}

// params: ensure_ascii indent separators sort_keys
cop_status cop_jinja_to_json(jrun *r, jvalue self, const jbinding *args, jvalue *out) {
    static const jtext spaced = {.v = ", ", .n = 2}, bare = {.v = ",", .n = 1}, colon = {.v = ": ", .n = 2};
    jbuffer b = {0};
    writer w = {.b = &b, .comma = &spaced, .colon = &colon, .indent = J_NOTHING};
    if (args->given[0]) COP_TRY(cop_jinja_truth(r, args->v[0], &w.ascii));
    if (args->given[1]) COP_TRY(read_indent(r, args->v[1], &w.indent));
    if (w.indent.kind != J_NONE) w.comma = &bare;
    if (args->given[2] && args->v[2].kind != J_NONE) {
        jvalue pair = args->v[2];
        bool fits = (pair.kind == J_TUPLE || pair.kind == J_LIST) && pair.list->n == 2 && pair.list->v[0].kind == J_TEXT && pair.list->v[1].kind == J_TEXT;
        if (!fits) return cop_jinja_fail(r, COP_ERR_ARG, "tojson: separators must be two texts");
        w.comma = pair.list->v[0].text;
        w.colon = pair.list->v[1].text;
    }
    if (args->given[3]) COP_TRY(cop_jinja_truth(r, args->v[3], &w.sort));
    COP_TRY(put_json(r, &w, self, 0));
    return cop_jinja_buffer_text(r, &b, out);
}

// ---- JSON in ----

static cop_status from_json(jrun *r, const json_t *json, int depth, jvalue *out) {
    size_t i;
    const json_t *item;
    const char *key;
    if (depth > COP_JINJA_MOST_NESTING) return cop_jinja_fail(r, COP_ERR_LIMIT, "the variables are nested too deeply, at most %d", COP_JINJA_MOST_NESTING);
    switch (json_typeof(json)) {
    case JSON_STRING: return cop_jinja_view_text(r, json_string_value(json), json_string_length(json), out);
    case JSON_INTEGER: *out = cop_jinja_int(json_integer_value(json)); return COP_OK;
    case JSON_REAL: *out = cop_jinja_float(json_real_value(json)); return COP_OK;
    case JSON_TRUE: case JSON_FALSE: *out = cop_jinja_bool(json_is_true(json)); return COP_OK;
    case JSON_ARRAY: {
        jlist *l;
        COP_TRY(cop_jinja_new_list(r, json_array_size(json), &l));
        json_array_foreach(json, i, item) {
            jvalue v;
            COP_TRY(from_json(r, item, depth + 1, &v));
            COP_TRY(cop_jinja_push(r, l, v));
        }
        *out = cop_jinja_list(l, J_LIST);
        return COP_OK;
    }
    case JSON_OBJECT: {
        jdict *d;
        COP_TRY(cop_jinja_new_dict(r, &d));
        void *at = json_object_iter((json_t *)(uintptr_t)json);
        for (; at; at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
            jvalue name, v;
            key = json_object_iter_key(at);
            COP_TRY(cop_jinja_view_text(r, key, strlen(key), &name));
            COP_TRY(from_json(r, json_object_iter_value(at), depth + 1, &v));
            COP_TRY(cop_jinja_dict_set(r, d, name, v));
        }
        *out = (jvalue){.kind = J_DICT, .dict = d};
        return COP_OK;
    }
    default: *out = J_NOTHING; return COP_OK;
    }
}

cop_status cop_jinja_from_json(jrun *r, const json_t *json, jvalue *out) { return from_json(r, json, 0, out); }
