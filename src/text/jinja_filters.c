// Filters on single values; those on sequences are in jinja_sequences.c.  One row each: parameters by name,
// how many of them are required.  Meaning: jinja2's filters without autoescape.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "text/jinja_private.h"
#include "text/utf8.h"

static cop_status default_value(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    bool falsy = false, yes = true;
    if (a->given[1]) COP_TRY(cop_jinja_truth(r, a->v[1], &falsy));
    if (falsy) COP_TRY(cop_jinja_truth(r, self, &yes));
    *out = self;
    if (self.kind != J_UNDEFINED && yes) return COP_OK;
    if (a->given[0]) *out = a->v[0];
    else return cop_jinja_view_text(r, "", 0, out);
    return COP_OK;
}

static cop_status text_of(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    return cop_jinja_str(r, self, out);
}

static cop_status upper(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    return cop_jinja_change_case(r, self, "upper", out);
}

static cop_status lower(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    return cop_jinja_change_case(r, self, "lower", out);
}

static cop_status capitalize(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    return cop_jinja_change_case(r, self, "capitalize", out);
}

// Words begin behind blanks and -({[<, not, as in str.title, behind whatever is not a letter.
static cop_status title(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jbuffer b = {0};
    jvalue word, part;
    (void)a;
    COP_TRY(cop_jinja_str(r, self, &self));
    const jtext *t = self.text;
    for (size_t i = 0; i < t->n;) {
        size_t start = i;
        int n = 0;
        for (; i < t->n; i += (size_t)n) {
            n = cop_utf8_length(t->v + i, t->n - i);
            if (strchr("-({[<", t->v[i]) || cop_jinja_is_blank(cop_utf8_decode(t->v + i, n))) break;
        }
        COP_TRY(cop_jinja_view_text(r, t->v + start, i - start, &word));
        COP_TRY(cop_jinja_change_case(r, word, "capitalize", &part));
        COP_TRY(cop_jinja_put_value(r, &b, part));
        if (i < t->n) COP_TRY(cop_jinja_put(r, &b, t->v + i, (size_t)n));
        i += i < t->n ? (size_t)n : 0;
    }
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

static cop_status trim(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    COP_TRY(cop_jinja_str(r, self, &self));
    return cop_jinja_strip(r, self, a->given[0] && a->v[0].kind != J_NONE ? &a->v[0] : NULL, true, true, out);
}

static cop_status replace(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jvalue old, new;
    int64_t count = -1;
    COP_TRY(cop_jinja_str(r, self, &self));
    COP_TRY(cop_jinja_str(r, a->v[0], &old));
    COP_TRY(cop_jinja_str(r, a->v[1], &new));
    if (a->given[2] && a->v[2].kind != J_NONE && !cop_jinja_integer(a->v[2], &count)) return cop_jinja_fail(r, COP_ERR_ARG, "replace: a count that is no integer");
    self.markup = old.markup = new.markup = false;
    return cop_jinja_replace(r, self, old, new, count, out);
}

// The text of `width`: that many blanks, or itself.
static cop_status indentation(jrun *r, const jbinding *a, jvalue *out) {
    int64_t width = 4;
    jbuffer b = {0};
    if (a->given[0] && a->v[0].kind == J_TEXT) {
        *out = a->v[0];
        return COP_OK;
    }
    if (a->given[0] && !cop_jinja_integer(a->v[0], &width)) return cop_jinja_fail(r, COP_ERR_ARG, "indent: a width that is no integer");
    if (width > 1000) return cop_jinja_fail(r, COP_ERR_LIMIT, "indent: a width of more than 1000");
    for (int64_t i = 0; i < width; i++) COP_TRY(cop_jinja_put(r, &b, " ", 1));
    return cop_jinja_buffer_text(r, &b, out);
}

static cop_status indent(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    bool first = false, blank = false;
    jvalue by;
    jlist *lines;
    jbuffer b = {0};
    if (self.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, self);
    if (self.kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "indent: a value of type %s", cop_jinja_type_name(self));
    COP_TRY(indentation(r, a, &by));
    if (a->given[1]) COP_TRY(cop_jinja_truth(r, a->v[1], &first));
    if (a->given[2]) COP_TRY(cop_jinja_truth(r, a->v[2], &blank));
    jvalue ended;
    const jtext newline = {.v = "\n", .n = 1, .points = 1};
    COP_TRY(cop_jinja_join_texts(r, self.text, &newline, &ended));
    COP_TRY(cop_jinja_split_lines(r, ended, false, &lines));
    for (size_t i = 0; i < lines->n; i++) {
        if (i) COP_TRY(cop_jinja_put(r, &b, "\n", 1));
        if (i ? blank || lines->v[i].text->n : first) COP_TRY(cop_jinja_put_value(r, &b, by));
        COP_TRY(cop_jinja_put_value(r, &b, lines->v[i]));
    }
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

static cop_status safe(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    COP_TRY(cop_jinja_str(r, self, out));
    out->markup = true;
    return COP_OK;
}

static cop_status escape(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    return cop_jinja_escape(r, self, out);
}

static cop_status force_escape(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)a;
    self.markup = false;
    return cop_jinja_escape(r, self, out);
}

// ---- numbers ----

static bool read_float(const jtext *t, double *out) {
    const char *v = t->v, *end = t->v + t->n;
    while (v < end && cop_jinja_is_blank((uint8_t)*v)) v++;
    while (end > v && cop_jinja_is_blank((uint8_t)end[-1])) end--;
    for (const char *c = v; c < end; c++)
        if (!strchr("+-0123456789.eEinfatyINFATY", *c) || !*c) return false;  // no hexadecimal floats
    if (end - v == 3 && (v[0] | 32) == 'n' && (v[1] | 32) == 'a' && (v[2] | 32) == 'n') {
        *out = NAN;
        return true;
    }
    return end > v && !cop_parse_number("number", v, (size_t)(end - v), -HUGE_VAL, HUGE_VAL, out);
}

static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99; }

static bool read_integer(const jtext *t, int64_t base, int64_t *out) {
    const char *v = t->v, *end = t->v + t->n;
    bool minus = false, digit = false;
    *out = 0;
    while (v < end && cop_jinja_is_blank((uint8_t)*v)) v++;
    while (end > v && cop_jinja_is_blank((uint8_t)end[-1])) end--;
    if (v < end && (*v == '-' || *v == '+')) minus = *v++ == '-';
    if (end - v > 2 && *v == '0' && ((base == 16 && (v[1] | 32) == 'x') || (base == 8 && (v[1] | 32) == 'o') || (base == 2 && (v[1] | 32) == 'b'))) v += 2;
    for (; v < end; v++) {
        if (*v == '_' && digit && v + 1 < end) {
            digit = false;
            continue;
        }
        if (digit_of(*v) >= base) return false;
        digit = true;
        if (__builtin_mul_overflow(*out, base, out) || __builtin_sub_overflow(*out, digit_of(*v), out)) return false;
    }
    if (!minus && *out == INT64_MIN) return false;
    if (!minus) *out = -*out;
    return digit;
}

static bool truncate_float(double f, int64_t *out) {
    if (!(f > -9.2e18 && f < 9.2e18)) return false;
    *out = (int64_t)f;
    return true;
}

static cop_status to_int(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t base = 10, i;
    double f;
    if (a->given[1] && (!cop_jinja_integer(a->v[1], &base) || base < 2 || base > 36)) return cop_jinja_fail(r, COP_ERR_ARG, "int: base must be 2 to 36");
    if (self.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, self);
    bool fine = cop_jinja_integer(self, &i) || (self.kind == J_FLOAT && truncate_float(self.f, &i)) ||
                (self.kind == J_TEXT && (read_integer(self.text, base, &i) || (read_float(self.text, &f) && truncate_float(f, &i))));
    *out = fine ? cop_jinja_int(i) : a->given[0] ? a->v[0] : cop_jinja_int(0);
    return COP_OK;
}

static cop_status to_float(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    double f;
    if (self.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, self);
    bool fine = cop_jinja_number(self, &f) || (self.kind == J_TEXT && read_float(self.text, &f));
    *out = fine ? cop_jinja_float(f) : a->given[0] ? a->v[0] : cop_jinja_float(0);
    return COP_OK;
}

static cop_status absolute(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t i;
    (void)a;
    if (cop_jinja_integer(self, &i) && i != INT64_MIN) *out = cop_jinja_int(i < 0 ? -i : i);
    else if (self.kind == J_FLOAT) *out = cop_jinja_float(fabs(self.f));
    else if (self.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, self);
    else return cop_jinja_fail(r, COP_ERR_ARG, "abs: a value of type %s", cop_jinja_type_name(self));
    return COP_OK;
}

// To so many decimals, halves to even as printf does on the exact value.
static double round_decimals(double f, int64_t precision) {
    char text[400];
    if (precision > 300 || !isfinite(f)) return f;
    if (precision < 0) {
        double unit = pow(10, (double)-precision);
        return nearbyint(f / unit) * unit;
    }
    snprintf(text, sizeof text, "%.*f", precision > 30 ? 30 : (int)precision, f);
    return strtod(text, NULL);
}

static cop_status round_number(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t precision = 0, i;
    double f;
    if (a->given[0] && !cop_jinja_integer(a->v[0], &precision)) return cop_jinja_fail(r, COP_ERR_ARG, "round: a precision that is no integer");
    if (!cop_jinja_number(self, &f))
        return self.kind == J_UNDEFINED ? cop_jinja_fail_undefined(r, self) : cop_jinja_fail(r, COP_ERR_ARG, "round: a value of type %s", cop_jinja_type_name(self));
    bool up = a->given[1] && cop_jinja_is_text(a->v[1], "ceil"), down = a->given[1] && cop_jinja_is_text(a->v[1], "floor");
    if (a->given[1] && !up && !down && !cop_jinja_is_text(a->v[1], "common")) return cop_jinja_fail(r, COP_ERR_ARG, "round: method must be common, ceil or floor");
    if (up || down) {
        double unit = pow(10, (double)precision);
        *out = cop_jinja_float((up ? ceil(f * unit) : floor(f * unit)) / unit);
    } else if (cop_jinja_integer(self, &i) && precision >= 0) {
        *out = cop_jinja_int(i);
    } else {
        *out = cop_jinja_float(round_decimals(f, precision));
        if (self.kind != J_FLOAT) *out = cop_jinja_int((int64_t)out->f);
    }
    return COP_OK;
}

// ---- the rest ----

static cop_status format(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    jdict *d;
    COP_TRY(cop_jinja_str(r, self, &self));
    COP_TRY(cop_jinja_new_list(r, 0, &l));
    COP_TRY(cop_jinja_new_dict(r, &d));
    for (size_t i = 0; i < a->all->n; i++) {
        if (a->all->names[i]) COP_TRY(cop_jinja_dict_set(r, d, cop_jinja_text(a->all->names[i]), a->all->v[i]));
        else COP_TRY(cop_jinja_push(r, l, a->all->v[i]));
    }
    if (d->n && l->n) return cop_jinja_fail(r, COP_ERR_ARG, "format: arguments with and without names");
    return cop_jinja_percent(r, self, d->n ? (jvalue){.kind = J_DICT, .dict = d} : cop_jinja_list(l, J_TUPLE), out);
}

static cop_status attribute(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jvalue name;
    COP_TRY(cop_jinja_str(r, a->v[0], &name));
    if (self.kind == J_DICT) {  // an attribute only, never an item
        jdict none = {0};
        jvalue bare = {.kind = J_DICT, .dict = &none};
        COP_TRY(cop_jinja_attribute(r, bare, name.text, out));
        if (out->kind == J_METHOD) out->method->self = self;
        return COP_OK;
    }
    return cop_jinja_attribute(r, self, name.text, out);
}

static cop_status center(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t width = 80;
    jbuffer b = {0};
    COP_TRY(cop_jinja_str(r, self, &self));
    if (a->given[0] && !cop_jinja_integer(a->v[0], &width)) return cop_jinja_fail(r, COP_ERR_ARG, "center: a width that is no integer");
    int64_t room = width - (int64_t)self.text->points;
    int64_t left = room > 0 ? room / 2 + (room & width & 1) : 0;
    for (int64_t i = 0; i < left; i++) COP_TRY(cop_jinja_put(r, &b, " ", 1));
    COP_TRY(cop_jinja_put_value(r, &b, self));
    for (int64_t i = left; i < room; i++) COP_TRY(cop_jinja_put(r, &b, " ", 1));
    COP_TRY(cop_jinja_buffer_text(r, &b, out));
    out->markup = self.markup;
    return COP_OK;
}

static bool is_word(const char *v, int n) {
    return n > 1 ? !cop_jinja_is_blank(cop_utf8_decode(v, n)) : (*v >= '0' && *v <= '9') || ((*v | 32) >= 'a' && (*v | 32) <= 'z') || *v == '_';
}

static cop_status count_words(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t words = 0;
    bool inside = false;
    (void)a;
    COP_TRY(cop_jinja_str(r, self, &self));
    for (size_t i = 0; i < self.text->n;) {
        int n = cop_utf8_length(self.text->v + i, self.text->n - i);
        bool word = is_word(self.text->v + i, n);
        words += word && !inside;
        inside = word;
        i += (size_t)n;
    }
    *out = cop_jinja_int(words);
    return COP_OK;
}

static cop_status url_encode(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jbuffer b = {0};
    char text[8];
    (void)a;
    if (self.kind == J_DICT || self.kind == J_LIST || self.kind == J_TUPLE) return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "urlencode: a value of type %s", cop_jinja_type_name(self));
    COP_TRY(cop_jinja_str(r, self, &self));
    for (size_t i = 0; i < self.text->n; i++) {
        char c = self.text->v[i];
        bool plain = digit_of(c) < 36 || (c && strchr("_.-~/", c));
        snprintf(text, sizeof text, plain ? "%c" : "%%%02X", plain ? c : (uint8_t)c);
        COP_TRY(cop_jinja_put_text(r, &b, text));
    }
    return cop_jinja_buffer_text(r, &b, out);
}

static cop_status pretty(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jbuffer b = {0};
    (void)a;
    COP_TRY(cop_jinja_put_repr(r, &b, self));
    return cop_jinja_buffer_text(r, &b, out);
}

// Cut to `length` characters with `end` behind them, at a blank unless killwords; a little longer is let through.
static cop_status truncate_text(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t length = 255, leeway = 5;
    size_t points;
    bool kill = false;
    jvalue end, head, bounds[3] = {J_NOTHING, J_NOTHING, J_NOTHING};
    COP_TRY(cop_jinja_view_text(r, "...", 3, &end));
    if (a->given[0] && !cop_jinja_integer(a->v[0], &length)) return cop_jinja_fail(r, COP_ERR_ARG, "truncate: a length that is no integer");
    if (a->given[1]) COP_TRY(cop_jinja_truth(r, a->v[1], &kill));
    if (a->given[2]) COP_TRY(cop_jinja_str(r, a->v[2], &end));
    if (a->given[3] && a->v[3].kind != J_NONE && !cop_jinja_integer(a->v[3], &leeway)) return cop_jinja_fail(r, COP_ERR_ARG, "truncate: a leeway that is no integer");
    *out = self;
    if (length < (int64_t)end.text->points || leeway < 0 || leeway > 1 << 20 || length > 1 << 30) return cop_jinja_fail(r, COP_ERR_ARG, "truncate: a length out of range");
    COP_TRY(cop_jinja_length(r, self, &points));
    if ((int64_t)points <= length + leeway) return COP_OK;
    if (self.kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "truncate: a value of type %s", cop_jinja_type_name(self));
    bounds[1] = cop_jinja_int(length - (int64_t)end.text->points);
    COP_TRY(cop_jinja_slice(r, self, bounds, &head));
    if (!kill) {
        const char *blank = head.text->n ? memrchr(head.text->v, ' ', head.text->n) : NULL;
        if (blank) COP_TRY(cop_jinja_view_text(r, head.text->v, (size_t)(blank - head.text->v), &head));
    }
    return cop_jinja_join_texts(r, head.text, end.text, out);
}

static cop_status unsupported(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)self, (void)a, (void)out;
    return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "this filter is not supported");
}

static const jfilter filters[] = {
    {"default", "default_value boolean", 0, default_value},
    {"d", "default_value boolean", 0, default_value},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, cop_jinja_to_json},
    {"trim", "chars", 0, trim},
    {"string", "", 0, text_of},
    {"upper", "", 0, upper},
    {"lower", "", 0, lower},
    {"capitalize", "", 0, capitalize},
    {"title", "", 0, title},
    {"replace", "old new count", 2, replace},
    {"indent", "width first blank", 0, indent},
    {"safe", "", 0, safe},
    {"escape", "", 0, escape},
    {"e", "", 0, escape},
    {"forceescape", "", 0, force_escape},
    {"int", "default base", 0, to_int},
    {"float", "default", 0, to_float},
    {"abs", "", 0, absolute},
    {"round", "precision method", 0, round_number},
    {"format", "*", 0, format},
    {"attr", "name", 1, attribute},
    {"center", "width", 0, center},
    {"wordcount", "", 0, count_words},
    {"urlencode", "", 0, url_encode},
    {"pprint", "", 0, pretty},
    {"truncate", "length killwords end leeway", 0, truncate_text},
    {"filesizeformat", "*", 0, unsupported},
    {"random", "*", 0, unsupported},
    {"striptags", "*", 0, unsupported},
    {"urlize", "*", 0, unsupported},
    {"wordwrap", "*", 0, unsupported},
    {"xmlattr", "*", 0, unsupported},
};

const jfilter *cop_jinja_find_filter(const char *name, size_t bytes) {
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (strlen(filters[i].name) == bytes && !memcmp(filters[i].name, name, bytes)) return &filters[i];
    return cop_jinja_find_sequence_filter(name, bytes);
}
