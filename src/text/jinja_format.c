// Texts with holes: "%s" % x and "{}".format(x), with Python's format of numbers and texts.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/utf8.h"

#define MOST_WIDTH 10000

// [[fill]align][sign][#][0][width][,][.precision][type]; %-formats use the same.
typedef struct spec {
    char fill[5], align, sign, type, group;
    bool alternate, zero;
    int width, precision;  // precision -1: none
} spec;

static cop_status wrong(jrun *r, const char *what) { return cop_jinja_fail(r, COP_ERR_ARG, "format: %s", what); }

static cop_status read_number(jrun *r, const char **v, const char *end, int *out) {
    *out = 0;
    for (; *v < end && **v >= '0' && **v <= '9'; (*v)++) {
        *out = *out * 10 + (**v - '0');
        if (*out > MOST_WIDTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "format: a width of more than %d", MOST_WIDTH);
    }
    return COP_OK;
}

static cop_status read_spec(jrun *r, const char *v, const char *end, spec *s) {
    *s = (spec){.fill = " ", .precision = -1};
    int n = v < end ? cop_utf8_length(v, (size_t)(end - v)) : 0;
    if (n && v + n < end && strchr("<>=^", v[n])) {
        memcpy(s->fill, v, (size_t)n);
        s->fill[n] = 0;
        s->align = v[n];
        v += n + 1;
    } else if (v < end && strchr("<>=^", *v)) {
        s->align = *v++;
    }
    if (v < end && strchr("+- ", *v)) s->sign = *v++;
    if (v < end && *v == '#') s->alternate = *v++;
    if (v < end && *v == '0') {
        s->zero = *v++;
        if (!s->align) s->align = '=', s->fill[0] = '0', s->fill[1] = 0;
    }
    COP_TRY(read_number(r, &v, end, &s->width));
    if (v < end && (*v == ',' || *v == '_')) s->group = *v++;
    if (v < end && *v == '.') {
        v++;
        if (v == end || *v < '0' || *v > '9') return wrong(r, "the precision is missing");
        COP_TRY(read_number(r, &v, end, &s->precision));
    }
    if (v < end) s->type = *v++;
    return v == end ? COP_OK : wrong(r, "invalid specifier");
}

// sign and prefix, then the rest, filled up to the width.
static cop_status put_padded(jrun *r, jbuffer *b, const spec *s, const char *prefix, const char *v, size_t n, char natural) {
    size_t points = cop_jinja_count_points(v, n) + strlen(prefix), room = points < (size_t)s->width ? (size_t)s->width - points : 0;
    char align = s->align ? s->align : natural;
    size_t left = align == '<' ? 0 : align == '^' ? room / 2 : room;
    if (align == '=') COP_TRY(cop_jinja_put_text(r, b, prefix));
    for (size_t i = 0; i < left; i++) COP_TRY(cop_jinja_put_text(r, b, s->fill));
    if (align != '=') COP_TRY(cop_jinja_put_text(r, b, prefix));
    COP_TRY(cop_jinja_put(r, b, v, n));
    for (size_t i = left; i < room; i++) COP_TRY(cop_jinja_put_text(r, b, s->fill));
    return COP_OK;
}

static cop_status put_text_spec(jrun *r, jbuffer *b, const spec *s, jvalue text) {
    const jvalue bounds[3] = {J_NOTHING, cop_jinja_int(s->precision), J_NOTHING};
    if (s->precision >= 0) COP_TRY(cop_jinja_slice(r, text, bounds, &text));
    return put_padded(r, b, s, "", text.text->v, text.text->n, '<');
}

// Digits with a separator after every third (of the integer part).
static void group_digits(const char *digits, char separator, char *out, size_t most) {
    size_t n = strspn(digits, "0123456789"), used = 0;
    for (size_t i = 0; digits[i] && used + 2 < most; i++) {
        if (i && i < n && (n - i) % 3 == 0) out[used++] = separator;
        out[used++] = digits[i];
    }
    out[used] = 0;
}

static cop_status put_digits(jrun *r, jbuffer *b, const spec *s, bool minus, const char *base, const char *digits) {
    char grouped[1200], prefix[8];
    snprintf(prefix, sizeof prefix, "%s%s", minus ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "", base);
    if (s->group) group_digits(digits, s->group, grouped, sizeof grouped);
    else snprintf(grouped, sizeof grouped, "%s", digits);
    return put_padded(r, b, s, prefix, grouped, strlen(grouped), '>');
}

static cop_status put_integer(jrun *r, jbuffer *b, const spec *s, int64_t i) {
    char digits[80];
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    const char *base = "";
    size_t at = sizeof digits - 1;
    unsigned radix = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    const char *letters = s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    digits[at] = 0;
    do digits[--at] = letters[u % radix];
    while (u /= radix);
    if (s->alternate) base = s->type == 'x' ? "0x" : s->type == 'X' ? "0X" : s->type == 'o' ? "0o" : s->type == 'b' ? "0b" : "";
    return put_digits(r, b, s, i < 0, base, digits + at);
}

static cop_status put_float(jrun *r, jbuffer *b, const spec *s, double f) {
    char digits[1000], format[8] = "%.*";
    int precision = s->precision < 0 ? 6 : s->precision > 600 ? 600 : s->precision;
    char type = s->type ? s->type : 'g';
    if (type == '%') f *= 100;
    snprintf(format + 3, 4, "%c", type == '%' ? 'f' : type == 'n' ? 'g' : type);
    if (!s->type && s->precision < 0) cop_jinja_print_float(fabs(f), digits);
    else snprintf(digits, sizeof digits - 1, format, precision, fabs(f));
    if (isinf(f) || isnan(f)) snprintf(digits, sizeof digits, isnan(f) ? "nan" : "inf");
    if (type == '%') strncat(digits, "%", 2);
    return put_digits(r, b, s, signbit(f) && !isnan(f), "", digits);
}

static cop_status put_spec(jrun *r, jbuffer *b, const spec *s, jvalue v) {
    int64_t i;
    double f;
    if (v.kind == J_UNDEFINED) COP_TRY(cop_jinja_str(r, v, &v));
    if (v.kind == J_TEXT) return s->type && s->type != 's' ? wrong(r, "a text where a number is asked for") : put_text_spec(r, b, s, v);
    bool wants_float = s->type && strchr("eEfFgGn%", s->type), wants_integer = s->type && strchr("dxXobc", s->type);
    if (s->type == 'c') {
        jbuffer letter = {0};
        if (!cop_jinja_integer(v, &i) || i < 0 || i > 0x10FFFF || (i >= 0xD800 && i < 0xE000)) return wrong(r, "not a character");
        COP_TRY(cop_jinja_put_point(r, &letter, (uint32_t)i));
        return put_padded(r, b, s, "", letter.v, letter.used, '<');
    }
    if (wants_float && cop_jinja_number(v, &f)) return put_float(r, b, s, f);
    if (cop_jinja_integer(v, &i) && (wants_integer || (!s->type && v.kind == J_INT))) return put_integer(r, b, s, i);
    if (v.kind == J_FLOAT && !s->type) return put_float(r, b, s, v.f);
    if (s->type && s->type != 's') return wrong(r, "a value of another type than the format asks for");
    COP_TRY(cop_jinja_str(r, v, &v));
    return put_text_spec(r, b, s, v);
}

// ---- str.format ----

typedef struct fields {
    const jargs *args;
    size_t next;        // {}: number of the next argument
    bool automatic, manual, markup;
    int depth;
} fields;

static cop_status argument(jrun *r, fields *f, const char *v, size_t n, jvalue *out) {
    size_t at = 0;
    bool digits = n > 0;
    for (size_t i = 0; i < n; i++) digits = digits && v[i] >= '0' && v[i] <= '9';
    if (!n || digits) {
        f->automatic |= !n;
        f->manual |= n > 0;
        if (f->automatic && f->manual) return wrong(r, "{} and {0} do not mix");
        for (size_t i = 0; i < n && at < 100000; i++) at = at * 10 + (size_t)(v[i] - '0');
        if (!n) at = f->next++;
        if (at >= f->args->n || f->args->names[at]) return wrong(r, "too few arguments");
        *out = f->args->v[at];
        return COP_OK;
    }
    for (size_t i = 0; i < f->args->n; i++)
        if (f->args->names[i] && f->args->names[i]->n == n && !memcmp(f->args->names[i]->v, v, n)) {
            *out = f->args->v[i];
            return COP_OK;
        }
    return cop_jinja_fail(r, COP_ERR_ARG, "format: no argument '%.*s'", n > 60 ? 60 : (int)n, v);
}

// name.attribute[item] …
static cop_status field_value(jrun *r, fields *f, const char *v, const char *end, jvalue *out) {
    const char *stop = v;
    while (stop < end && *stop != '.' && *stop != '[') stop++;
    COP_TRY(argument(r, f, v, (size_t)(stop - v), out));
    while (stop < end) {
        bool item = *stop++ == '[';
        const char *start = stop;
        jvalue key;
        while (stop < end && (item ? *stop != ']' : *stop != '.' && *stop != '[')) stop++;
        if (item && stop == end) return wrong(r, "a bracket is not closed");
        COP_TRY(cop_jinja_new_text(r, start, (size_t)(stop - start), &key));
        if (item) COP_TRY(cop_jinja_path(r, *out, key, NULL, out));
        else COP_TRY(cop_jinja_attribute(r, *out, key.text, out));
        stop += item;
    }
    return COP_OK;
}

static cop_status put_fields(jrun *r, fields *f, jbuffer *b, const char *v, const char *end);

static cop_status put_field(jrun *r, fields *f, jbuffer *b, const char *v, const char *end) {
    const char *colon = v, *bang;
    int depth = 0;
    for (; colon < end && (depth || *colon != ':'); colon++) depth += (*colon == '[') - (*colon == ']');
    for (bang = v; bang < colon && *bang != '!';) bang++;
    jvalue value;
    jbuffer text = {0};
    spec s;
    COP_TRY(field_value(r, f, v, bang, &value));
    if (bang < colon) {
        if (colon - bang != 2 || !strchr("rsa", bang[1])) return wrong(r, "a conversion must be !r, !s or !a");
        if (bang[1] == 's') COP_TRY(cop_jinja_put_value(r, &text, value));
        else COP_TRY(cop_jinja_put_repr(r, &text, value));
        COP_TRY(cop_jinja_buffer_text(r, &text, &value));
        text = (jbuffer){0};
    }
    if (f->markup) COP_TRY(cop_jinja_escape(r, value, &value));
    if (colon == end) return cop_jinja_put_value(r, b, value);
    if (++f->depth > 2) return wrong(r, "fields inside fields inside fields");
    COP_TRY(put_fields(r, f, &text, colon + 1, end));
    f->depth--;
    const char *format = text.v ? text.v : "";
    COP_TRY(read_spec(r, format, format + text.used, &s));
    return put_spec(r, b, &s, value);
}

static cop_status put_fields(jrun *r, fields *f, jbuffer *b, const char *v, const char *end) {
    while (v < end) {
        const char *start = v;
        while (v < end && *v != '{' && *v != '}') v++;
        COP_TRY(cop_jinja_put(r, b, start, (size_t)(v - start)));
        if (v == end) return COP_OK;
        if (v + 1 < end && v[0] == v[1]) {
            COP_TRY(cop_jinja_put(r, b, v, 1));
            v += 2;
            continue;
        }
        if (*v == '}') return wrong(r, "a single }");
        int open = 1;
        for (start = ++v; v < end && open; v++) open += (*v == '{') - (*v == '}');
        if (open) return wrong(r, "a { is not closed");
        COP_TRY(cop_jinja_charge(r, 1));
        COP_TRY(put_field(r, f, b, start, v - 1));
    }
    return COP_OK;
}

cop_status cop_jinja_braces(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jbuffer b = {0};
    fields f = {.args = a->all, .markup = self.markup};
    COP_TRY(put_fields(r, &f, &b, self.text->v, self.text->v + self.text->n));
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

// ---- format % args ----

typedef struct holes {
    jvalue args;
    size_t next;
} holes;

static cop_status next_argument(jrun *r, holes *h, jvalue *out) {
    bool many = h->args.kind == J_TUPLE;
    if (h->next >= (many ? h->args.list->n : 1)) return wrong(r, "too few arguments");
    *out = many ? h->args.list->v[h->next] : h->args;
    h->next++;
    return COP_OK;
}

static cop_status star_or_number(jrun *r, holes *h, const char **v, const char *end, int *out) {
    jvalue given;
    int64_t i;
    if (*v >= end || **v != '*') return read_number(r, v, end, out);
    (*v)++;
    COP_TRY(next_argument(r, h, &given));
    if (!cop_jinja_integer(given, &i) || i < -MOST_WIDTH || i > MOST_WIDTH) return wrong(r, "* needs an integer");
    *out = (int)i;
    return COP_OK;
}

// One conversion behind '%'; *v is left behind it.
static cop_status put_hole(jrun *r, holes *h, jbuffer *b, const char **v, const char *end) {
    spec s = {.fill = " ", .precision = -1, .align = '>'};
    jvalue value = J_NOTHING;
    jbuffer text = {0};
    bool named = *v < end && **v == '(';
    if (named) {
        const char *close = memchr(*v, ')', (size_t)(end - *v));
        jvalue key;
        if (!close) return wrong(r, "a ( is not closed");
        if (h->args.kind != J_DICT) return wrong(r, "names need a dict");
        COP_TRY(cop_jinja_new_text(r, *v + 1, (size_t)(close - *v - 1), &key));
        COP_TRY(cop_jinja_item(r, h->args, key, &value));
        if (value.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, value);
        *v = close + 1;
        h->next = 1;
    }
    for (; *v < end && strchr("-+ #0", **v); (*v)++) {
        if (**v == '-') s.align = '<';
        else if (**v == '#') s.alternate = true;
        else if (**v == '0') s.zero = true;
        else if (s.sign != '+') s.sign = **v;
    }
    COP_TRY(star_or_number(r, h, v, end, &s.width));
    if (s.width < 0) s.width = -s.width, s.align = '<';
    if (*v < end && **v == '.') {
        (*v)++;
        COP_TRY(star_or_number(r, h, v, end, &s.precision));
    }
    while (*v < end && strchr("hlL", **v)) (*v)++;
    if (*v == end) return wrong(r, "the format ends inside a conversion");
    char type = *(*v)++;
    if (type == '%') return cop_jinja_put(r, b, "%", 1);
    if (!named) COP_TRY(next_argument(r, h, &value));
    if (strchr("srac", type) && type != 'c') {
        if (type == 's') COP_TRY(cop_jinja_put_value(r, &text, value));
        else COP_TRY(cop_jinja_put_repr(r, &text, value));
        COP_TRY(cop_jinja_buffer_text(r, &text, &value));
        return put_text_spec(r, b, &s, value);
    }
    if (type == 'c' && value.kind == J_TEXT) return put_text_spec(r, b, &s, value);
    s.type = type == 'i' || type == 'u' ? 'd' : type;
    if (!strchr("dxXoceEfFgG", s.type)) return wrong(r, "an unknown conversion");
    if (s.zero && s.align == '>') s.align = '=', s.fill[0] = '0';
    if (strchr("dxXo", s.type)) s.precision = -1;
    if (s.type == 'd' && value.kind == J_FLOAT && fabs(value.f) < 9e18) value = cop_jinja_int((int64_t)value.f);
    if (value.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, value);
    return put_spec(r, b, &s, value);
}

cop_status cop_jinja_percent(jrun *r, jvalue format, jvalue args, jvalue *out) {
    jbuffer b = {0};
    holes h = {.args = args};
    if (format.markup) {
        jlist *escaped;
        if (args.kind == J_TEXT) COP_TRY(cop_jinja_escape(r, args, &h.args));
        if (args.kind == J_TUPLE) {
            COP_TRY(cop_jinja_new_list(r, 0, &escaped));
            for (size_t i = 0; i < args.list->n; i++) {
                jvalue v = args.list->v[i];
                if (v.kind == J_TEXT) COP_TRY(cop_jinja_escape(r, v, &v));
                COP_TRY(cop_jinja_push(r, escaped, v));
            }
            h.args = cop_jinja_list(escaped, J_TUPLE);
        }
    }
    const char *v = format.text->v, *end = v + format.text->n;
    while (v < end) {
        const char *at = memchr(v, '%', (size_t)(end - v));
        COP_TRY(cop_jinja_put(r, &b, v, (size_t)((at ? at : end) - v)));
        if (!at) break;
        v = at + 1;
        COP_TRY(cop_jinja_charge(r, 1));
        COP_TRY(put_hole(r, &h, &b, &v, end));
    }
    bool unused = args.kind == J_TUPLE ? h.next < args.list->n : !h.next && args.kind != J_DICT && args.kind != J_LIST && args.kind != J_UNDEFINED;
    if (unused) return wrong(r, "not all arguments are used");
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = format.markup;
    return COP_OK;
}
