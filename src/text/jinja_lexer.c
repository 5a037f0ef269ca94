// From a template's bytes to tokens, after jinja2's lexer: line ends become \n, one at the very end is
// dropped, a tag's line end is dropped (trim_blocks), blanks between a line's beginning and a tag are
// dropped (lstrip_blocks), '-' inside a tag drops all blanks beside it and '+' keeps them.
// One pass, linear; every token points into the text or into the template's arena.
#include <math.h>
#include <string.h>

#include "base/option.h"
#include "text/jinja_private.h"
#include "text/utf8.h"

typedef struct lexer {
    jarena *arena;
    const char *v;      // the text with \n only
    size_t n, at;
    uint32_t line;
    bool fresh;         // what was read last ended a line, or nothing was
    char open[COP_JINJA_MOST_NESTING];
    int n_open;
    jtokens *out;
} lexer;

cop_status cop_jinja_syntax(const jtoken *at, const char *fmt, ...) {
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127) *c = ' ';
    return cop_fail(COP_ERR_FORMAT, "chat template, line %u: %s", at->line, text);
}

static cop_status fail(const lexer *x, const char *what) {
    return cop_jinja_syntax(&(jtoken){.line = x->line}, "%s", what);
}

static cop_status add(lexer *x, jtoken_kind kind, const char *v, size_t n, jtoken **made) {
    jtokens *t = x->out;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        void *grown;
        COP_TRY(cop_jinja_take(x->arena, cap * sizeof *t->v, &grown));
        if (t->n) memcpy(grown, t->v, t->n * sizeof *t->v);
        t->v = grown;
        t->cap = cap;
    }
    t->v[t->n] = (jtoken){.kind = kind, .line = x->line, .v = v, .n = n};
    if (made) *made = &t->v[t->n];
    t->n++;
    return COP_OK;
}

static void pass(lexer *x, size_t n) {
    for (size_t i = 0; i < n; i++) x->line += x->v[x->at + i] == '\n';
    x->at += n;
    if (n) x->fresh = x->v[x->at - 1] == '\n';
}

static size_t blank_at(const char *v, size_t n) {
    int length = cop_utf8_length(v, n);
    return length && cop_jinja_is_blank(cop_utf8_decode(v, length)) ? (size_t)length : 0;
}

static size_t count_blanks(const char *v, size_t n) {
    size_t at = 0;
    for (size_t length; at < n && (length = blank_at(v + at, n - at)); at += length) {}
    return at;
}

static bool next_is(const lexer *x, size_t at, const char *what) {
    size_t n = strlen(what);
    return n <= x->n - at && !memcmp(x->v + at, what, n);
}

static size_t trim_end(const char *v, size_t n) {
    size_t keep = 0;
    for (size_t i = 0; i < n;) {
        size_t blank = blank_at(v + i, n - i);
        int length = blank ? (int)blank : cop_utf8_length(v + i, n - i);
        i += length ? (size_t)length : 1;
        if (!blank) keep = i;
    }
    return keep;
}

// Text of n bytes before a tag whose sign is '-', '+' or nothing; strips: is it a block or a comment.
static cop_status add_data(lexer *x, const char *v, size_t n, char sign, bool strips) {
    if (sign == '-') {
        n = trim_end(v, n);
    } else if (sign != '+' && strips) {
        size_t start = n;
        while (start && v[start - 1] != '\n') start--;
        if ((start || x->fresh) && count_blanks(v + start, n - start) == n - start) n = start;
    }
    return n ? add(x, T_DATA, v, n, NULL) : COP_OK;
}

// Blanks and a line end that go with a tag's end: `end` at the current place, with or without a sign.
static bool take_end(lexer *x, const char *end, bool trims, bool plus) {
    size_t at = x->at;
    char sign = x->v[at];
    if ((sign == '-' || (sign == '+' && plus)) && next_is(x, at + 1, end)) at++;
    else if (!next_is(x, at, end)) return false;
    else sign = 0;
    at += strlen(end);
    if (sign == '-') at += count_blanks(x->v + at, x->n - at);
    else if (!sign && trims && at < x->n && x->v[at] == '\n') at++;
    pass(x, at - x->at);
    return true;
}

static char sign_at(const lexer *x, size_t at) {
    return at < x->n && (x->v[at] == '-' || x->v[at] == '+') ? x->v[at] : 0;
}

// Is there a tag {% word %} at `at`, up to its word; returns the place behind the word, or 0.
static size_t word_tag(const lexer *x, size_t at, const char *word) {
    if (!next_is(x, at, "{%")) return 0;
    at += 2;
    if (sign_at(x, at)) at++;
    at += count_blanks(x->v + at, x->n - at);
    if (!next_is(x, at, word)) return 0;
    at += strlen(word);
    return at + count_blanks(x->v + at, x->n - at);
}

static bool raw_tag(const lexer *x, size_t at, size_t *end) {
    size_t behind = word_tag(x, at, "raw");
    if (!behind || (!next_is(x, behind, "-%}") && !next_is(x, behind, "%}"))) return false;
    *end = behind;
    return true;
}

// Behind {% raw %}: all of it is data up to {% endraw %}.
static cop_status read_raw(lexer *x) {
    size_t start = x->at;
    for (size_t at = start; at < x->n; at++) {
        size_t behind = x->v[at] == '{' ? word_tag(x, at, "endraw") : 0;
        if (!behind || (!next_is(x, behind, "%}") && !next_is(x, behind, "-%}") && !next_is(x, behind, "+%}"))) continue;
        COP_TRY(add_data(x, x->v + start, at - start, sign_at(x, at + 2), true));
        pass(x, behind - x->at);
        take_end(x, "%}", true, true);
        return COP_OK;
    }
    return fail(x, "{% raw %} is not closed by {% endraw %}");
}

static cop_status read_comment(lexer *x, size_t start) {
    for (size_t at = start; at + 1 < x->n; at++) {
        if (x->v[at] != '#' || x->v[at + 1] != '}') continue;
        if (at > start && sign_at(x, at - 1)) at--;
        pass(x, at - x->at);
        take_end(x, "#}", true, true);
        return COP_OK;
    }
    return fail(x, "the comment that begins here is not closed by #}");
}

// ---- inside a tag ----

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80; }

static size_t count_digits(const char *v, size_t n) {
    size_t at = 0;
    while (at < n && (is_digit(v[at]) || (v[at] == '_' && at && at + 1 < n && is_digit(v[at + 1]) && is_digit(v[at - 1])))) at++;
    return at;
}

// Digits of a number without the underscores, NUL-terminated; false when it is too long.
static bool copy_digits(const char *v, size_t n, char *out, size_t most) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i] == '_') continue;
        if (used + 1 >= most) return false;
        out[used++] = v[i];
    }
    out[used] = 0;
    return true;
}

static size_t exponent(const char *v, size_t n) {
    if (!n || (v[0] != 'e' && v[0] != 'E')) return 0;
    size_t sign = n > 1 && (v[1] == '+' || v[1] == '-'), digits = count_digits(v + 1 + sign, n - 1 - sign);
    return digits ? 1 + sign + digits : 0;
}

static cop_status read_based(lexer *x, int base, size_t n) {
    int64_t value = 0;
    for (size_t i = 2; i < n; i++) {
        char c = x->v[x->at + i];
        if (c == '_') continue;
        int digit = is_digit(c) ? c - '0' : (c | 32) - 'a' + 10;
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value)) return fail(x, "integer beyond 64 bits");
    }
    jtoken *t;
    COP_TRY(add(x, T_INT, x->v + x->at, n, &t));
    t->integer = value;
    pass(x, n);
    return COP_OK;
}

static size_t based_length(const char *v, size_t n, int *base) {
    if (n < 3 || v[0] != '0') return 0;
    char kind = v[1] | 32;
    *base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    size_t at = 2;
    if (!*base) return 0;
    for (; at < n; at++) {
        char c = v[at];
        int digit = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
        if (c == '_' ? at + 1 >= n || !is_name(v[at + 1]) : digit >= *base) break;
    }
    return at > 2 ? at : 0;
}

static cop_status read_number(lexer *x) {
    const char *v = x->v + x->at;
    size_t left = x->n - x->at, n = count_digits(v, left), more = 0;
    int base;
    size_t based = based_length(v, left, &base);
    if (based) return read_based(x, base, based);
    bool after_dot = x->at && v[-1] == '.';
    if (!after_dot) {
        size_t fraction = n + 1 < left && v[n] == '.' ? count_digits(v + n + 1, left - n - 1) : 0;
        more = fraction ? 1 + fraction : 0;
        more += exponent(v + n + more, left - n - more);
    }
    char digits[400];
    jtoken *t;
    if (!copy_digits(v, n + more, digits, sizeof digits)) return fail(x, "number of more than 400 digits");
    COP_TRY(add(x, more ? T_FLOAT : T_INT, v, n + more, &t));
    cop_status st = more ? cop_parse_number("number", digits, strlen(digits), -HUGE_VAL, HUGE_VAL, &t->number)
                         : cop_parse_int("number", digits, strlen(digits), 0, INT64_MAX, &t->integer);
    if (st) return fail(x, more ? "number out of range" : "integer beyond 64 bits");
    pass(x, n + more);
    return COP_OK;
}

static int hex_value(const char *v, size_t n, size_t digits, uint32_t *out) {
    *out = 0;
    if (n < digits) return 0;
    for (size_t i = 0; i < digits; i++) {
        char c = v[i];
        int digit = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) return 0;
        *out = *out << 4 | (uint32_t)digit;
    }
    return 1;
}

static size_t put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(c | (n == 2 ? 0xC0u : n == 3 ? 0xE0u : 0xF0u));
    return n;
}

// One escape of Python's strings at v (behind the backslash): bytes read, and what it stands for.
static size_t read_escape(const char *v, size_t n, char *to, size_t *made) {
    static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    const char *simple = strchr(names, v[0]);
    uint32_t point = 0;
    *made = 1;
    if (simple && v[0]) {
        to[0] = values[simple - names];
        return 1;
    }
    if (v[0] == '\n') {
        *made = 0;
        return 1;
    }
    if (v[0] >= '0' && v[0] <= '7') {
        size_t i = 0;
        for (; i < 3 && i < n && v[i] >= '0' && v[i] <= '7'; i++) point = point * 8 + (uint32_t)(v[i] - '0');
        *made = put_utf8(to, point);
        return i;
    }
    size_t digits = v[0] == 'x' ? 2 : v[0] == 'u' ? 4 : v[0] == 'U' ? 8 : 0;
    if (!digits || !hex_value(v + 1, n - 1, digits, &point) || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
        to[0] = '\\';  // not an escape: it stays, as Python keeps it
        return digits ? SIZE_MAX : 0;
    }
    *made = put_utf8(to, point);
    return 1 + digits;
}

static cop_status read_string(lexer *x) {
    const char *v = x->v + x->at;
    size_t left = x->n - x->at, n = 1, used = 0;
    for (; n < left && v[n] != v[0]; n++)
        if (v[n] == '\\') n++;
    if (n >= left) return fail(x, "a text that begins here has no closing quote");
    void *memory;
    COP_TRY(cop_jinja_take(x->arena, n + 8, &memory));
    char *text = memory;
    for (size_t i = 1; i < n;) {
        if (v[i] != '\\') {
            text[used++] = v[i++];
            continue;
        }
        size_t made, read = read_escape(v + i + 1, n - i - 1, text + used, &made);
        if (read == SIZE_MAX) return fail(x, "a text has a damaged \\x, \\u or \\U escape");
        used += made;
        i += 1 + read;
    }
    COP_TRY(add(x, T_TEXT, text, used, NULL));
    pass(x, n + 1);
    return COP_OK;
}

static const struct { const char *text; jtoken_kind kind; } operators[] = {
    {"//", T_FLOORDIV}, {"**", T_POW}, {"==", T_EQ}, {"!=", T_NE}, {">=", T_GE}, {"<=", T_LE}, {"+", T_ADD}, {"-", T_SUB},
    {"*", T_MUL}, {"/", T_DIV}, {"%", T_MOD}, {"~", T_TILDE}, {"[", T_LBRACKET}, {"]", T_RBRACKET}, {"(", T_LPAREN},
    {")", T_RPAREN}, {"{", T_LBRACE}, {"}", T_RBRACE}, {">", T_GT}, {"<", T_LT}, {"=", T_ASSIGN}, {".", T_DOT}, {":", T_COLON},
    {"|", T_PIPE}, {",", T_COMMA}, {";", T_SEMICOLON},
};

static cop_status balance(lexer *x, char c) {
    static const char opening[] = "([{", closing[] = ")]}";
    const char *at = strchr(opening, c);
    if (at && c) {
        if (x->n_open == COP_JINJA_MOST_NESTING) return fail(x, "brackets are nested too deeply, at most 200");
        x->open[x->n_open++] = closing[at - opening];
        return COP_OK;
    }
    if (!strchr(closing, c) || !c) return COP_OK;
    char what[64];
    if (x->n_open && x->open[x->n_open - 1] == c) {
        x->n_open--;
        return COP_OK;
    }
    if (x->n_open) snprintf(what, sizeof what, "unexpected '%c', expected '%c'", c, x->open[x->n_open - 1]);
    else snprintf(what, sizeof what, "unexpected '%c'", c);
    return fail(x, what);
}

static cop_status read_operator(lexer *x) {
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (!next_is(x, x->at, operators[i].text)) continue;
        size_t n = strlen(operators[i].text);
        if (n == 1) COP_TRY(balance(x, operators[i].text[0]));
        COP_TRY(add(x, operators[i].kind, x->v + x->at, n, NULL));
        pass(x, n);
        return COP_OK;
    }
    char what[40];
    snprintf(what, sizeof what, "unexpected character '%c'", x->v[x->at]);
    return fail(x, what);
}

// From behind {{ or {% to behind its end.
static cop_status read_tag(lexer *x, bool block) {
    uint32_t line = x->line;
    x->n_open = 0;
    while (x->at < x->n) {
        if (!x->n_open && take_end(x, block ? "%}" : "}}", block, block)) return add(x, block ? T_BLOCK_END : T_PRINT_END, "", 0, NULL);
        size_t blanks = count_blanks(x->v + x->at, x->n - x->at);
        char c = x->v[x->at];
        if (blanks) {
            pass(x, blanks);
        } else if (is_digit(c)) {
            COP_TRY(read_number(x));
        } else if (is_name(c)) {
            size_t n = 1;
            while (x->at + n < x->n && is_name(x->v[x->at + n])) n++;
            COP_TRY(add(x, T_NAME, x->v + x->at, n, NULL));
            pass(x, n);
        } else {
            COP_TRY(c == '\'' || c == '"' ? read_string(x) : read_operator(x));
        }
    }
    x->line = line;
    return fail(x, block ? "the tag that begins here is not closed by %}" : "the tag that begins here is not closed by }}");
}

// ---- outside tags ----

static cop_status read_root(lexer *x) {
    size_t start = x->at, at = start, behind;
    while (at + 1 < x->n && !(x->v[at] == '{' && strchr("{%#", x->v[at + 1]))) at++;
    if (at + 1 >= x->n) {
        COP_TRY(add(x, T_DATA, x->v + start, x->n - start, NULL));
        pass(x, x->n - start);
        return COP_OK;
    }
    char kind = x->v[at + 1], sign = sign_at(x, at + 2);
    COP_TRY(add_data(x, x->v + start, at - start, sign, kind != '{'));
    if (raw_tag(x, at, &behind)) {
        pass(x, behind - x->at);
        take_end(x, "%}", false, false);
        return read_raw(x);
    }
    pass(x, at - x->at);
    if (kind == '#') return read_comment(x, at + 2 + (sign != 0));
    COP_TRY(add(x, kind == '%' ? T_BLOCK_BEGIN : T_PRINT_BEGIN, x->v + at, 2, NULL));
    pass(x, 2 + (size_t)(sign != 0));
    return read_tag(x, kind == '%');
}

// The text with \r\n and \r as \n, and without a line end at its end.
static cop_status read_lines(lexer *x, const char *text, size_t bytes) {
    void *memory;
    COP_TRY(cop_jinja_take(x->arena, bytes + 1, &memory));
    char *to = memory;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\r' && i + 1 < bytes && text[i + 1] == '\n') continue;
        to[x->n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (x->n && to[x->n - 1] == '\n') x->n--;
    x->v = to;
    return COP_OK;
}

static cop_status check_utf8(const lexer *x) {
    uint32_t line = 1;
    for (size_t i = 0; i < x->n;) {
        int n = cop_utf8_length(x->v + i, x->n - i);
        if (!n) return cop_jinja_syntax(&(jtoken){.line = line}, "the template is not UTF-8");
        line += x->v[i] == '\n';
        i += (size_t)n;
    }
    return COP_OK;
}

cop_status cop_jinja_tokenise(jarena *arena, const char *text, size_t bytes, jtokens *out) {
    lexer x = {.arena = arena, .line = 1, .fresh = true, .out = out};
    COP_TRY(read_lines(&x, text, bytes));
    COP_TRY(check_utf8(&x));
    while (x.at < x.n) COP_TRY(read_root(&x));
    return add(&x, T_END, "", 0, NULL);
}
