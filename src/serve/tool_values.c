// Values of arguments: JSON recognised byte by byte as it is written, and what is not JSON made into it.
#include <string.h>

#include "serve/tools_private.h"

// ---- JSON, byte by byte (RFC 8259) ----

enum { VALUE, FIRST_ITEM, FIRST_KEY, KEY, COLON, AFTER, TEXT, ESCAPE, HEX, LITERAL, MINUS, ZERO, DIGITS, POINT, FRACTION, E, E_SIGN, EXPONENT };
static const char *const literals[] = {"true", "false", "null"};

void cop_json_scan_start(cop_json_scan *s) { *s = (cop_json_scan){.state = VALUE}; }
bool cop_json_scan_in_text(const cop_json_scan *s) { return s->state == TEXT; }

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

bool cop_json_scan_may_end(const cop_json_scan *s) {
    return !s->depth && (s->state == ZERO || s->state == DIGITS || s->state == FRACTION || s->state == EXPONENT);
}

static cop_scan finish_value(cop_json_scan *s) {
    s->state = AFTER;
    return s->depth ? COP_SCAN_MORE : COP_SCAN_DONE;
}

static cop_scan to(cop_json_scan *s, int state) {
    s->state = (uint8_t)state;
    return COP_SCAN_MORE;
}

static cop_scan open_container(cop_json_scan *s, bool object) {
    if (s->depth == COP_SCAN_MOST_DEPTH) return COP_SCAN_BAD;
    uint64_t bit = (uint64_t)1 << s->depth++;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    return to(s, object ? FIRST_KEY : FIRST_ITEM);
}

static cop_scan close_container(cop_json_scan *s, bool object) {
    if (!s->depth || (s->objects >> (s->depth - 1) & 1) != object) return COP_SCAN_BAD;
    s->depth--;
    return finish_value(s);
}

static cop_scan begin_text(cop_json_scan *s, bool key) {
    s->key = key;
    s->high = false;
    return to(s, TEXT);
}

static cop_scan begin_value(cop_json_scan *s, unsigned char c) {
    if (is_blank(c)) return COP_SCAN_MORE;
    if (c == '{' || c == '[') return open_container(s, c == '{');
    if (c == ']' && s->state == FIRST_ITEM) return close_container(s, false);
    if (c == '"') return begin_text(s, false);
    if (c == '-') return to(s, MINUS);
    if (is_digit(c)) return to(s, c == '0' ? ZERO : DIGITS);
    for (uint8_t i = 0; i < 3; i++)
        if (c == (unsigned char)literals[i][0]) {
            s->literal = i;
            s->literal_at = 1;
            return to(s, LITERAL);
        }
    return COP_SCAN_BAD;
}

static cop_scan between(cop_json_scan *s, unsigned char c) {
    if (is_blank(c)) return COP_SCAN_MORE;
    if (s->state == COLON) return c == ':' ? to(s, VALUE) : COP_SCAN_BAD;
    if (s->state == FIRST_KEY && c == '}') return close_container(s, true);
    if (s->state != AFTER) return c == '"' ? begin_text(s, true) : COP_SCAN_BAD;
    if (c == ',' && s->depth) return to(s, s->objects >> (s->depth - 1) & 1 ? KEY : VALUE);
    return c == '}' || c == ']' ? close_container(s, c == '}') : COP_SCAN_BAD;
}

static cop_scan text_byte(cop_json_scan *s, unsigned char c) {
    if (c == '\\') return to(s, ESCAPE);
    if (s->high) return COP_SCAN_BAD;
    if (c == '"') return s->key ? to(s, COLON) : finish_value(s);
    return COP_SCAN_MORE;  // a control character is written anew by those who pass the text on
}

static cop_scan escaped_byte(cop_json_scan *s, unsigned char c) {
    if (c == 'u') {
        s->hex = 0;
        s->unit = 0;
        return to(s, HEX);
    }
    if (s->high || !strchr("\"\\/bfnrt", c) || !c) return COP_SCAN_BAD;
    return to(s, TEXT);
}

static cop_scan hex_byte(cop_json_scan *s, unsigned char c) {
    int v = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (v < 0) return COP_SCAN_BAD;
    s->unit = (uint16_t)(s->unit << 4 | v);
    if (++s->hex < 4) return COP_SCAN_MORE;
    bool low = s->unit >= 0xDC00 && s->unit <= 0xDFFF;
    if (low != s->high) return COP_SCAN_BAD;
    s->high = s->unit >= 0xD800 && s->unit <= 0xDBFF;
    return to(s, TEXT);
}

static cop_scan number_byte(cop_json_scan *s, unsigned char c) {
    switch (s->state) {
    case MINUS: return is_digit(c) ? to(s, c == '0' ? ZERO : DIGITS) : COP_SCAN_BAD;
    case POINT: return is_digit(c) ? to(s, FRACTION) : COP_SCAN_BAD;
    case E: return is_digit(c) ? to(s, EXPONENT) : c == '+' || c == '-' ? to(s, E_SIGN) : COP_SCAN_BAD;
    case E_SIGN: return is_digit(c) ? to(s, EXPONENT) : COP_SCAN_BAD;
    default: break;
    }
    if (is_digit(c)) return s->state == ZERO ? COP_SCAN_BAD : COP_SCAN_MORE;
    if (c == '.' && (s->state == ZERO || s->state == DIGITS)) return to(s, POINT);
    if ((c == 'e' || c == 'E') && s->state != EXPONENT) return to(s, E);
    s->state = AFTER;
    return s->depth ? between(s, c) : COP_SCAN_BEFORE;
}

cop_scan cop_json_scan_byte(cop_json_scan *s, unsigned char c) {
    switch (s->state) {
    case VALUE:
    case FIRST_ITEM: return begin_value(s, c);
    case FIRST_KEY:
    case KEY:
    case COLON:
    case AFTER: return between(s, c);
    case TEXT: return text_byte(s, c);
    case ESCAPE: return escaped_byte(s, c);
    case HEX: return hex_byte(s, c);
    case LITERAL:
        if (c != (unsigned char)literals[s->literal][s->literal_at]) return COP_SCAN_BAD;
        return literals[s->literal][++s->literal_at] ? COP_SCAN_MORE : finish_value(s);
    default: return number_byte(s, c);
    }
}

bool cop_json_is_value(const char *text, size_t bytes) {
    cop_json_scan s;
    cop_json_scan_start(&s);
    cop_scan got = COP_SCAN_MORE;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (got == COP_SCAN_DONE) {
            if (!is_blank(c)) return false;
            continue;
        }
        if (c < ' ' && cop_json_scan_in_text(&s)) return false;
        got = cop_json_scan_byte(&s, c);
        if (got == COP_SCAN_BEFORE) got = is_blank(c) ? COP_SCAN_DONE : COP_SCAN_BAD;
        if (got == COP_SCAN_BAD) return false;
    }
    return got == COP_SCAN_DONE || cop_json_scan_may_end(&s);
}

// ---- writing ----

static cop_status put(cop_char_array *out, const char *text, size_t bytes) {
    COP_TRY(cop_array_reserve(out, bytes + 1));
    if (bytes) memcpy(out->v + out->n, text, bytes);
    out->n += bytes;
    return COP_OK;
}

cop_status cop_json_put_escaped(cop_char_array *out, unsigned char c) {
    static const char hex[] = "0123456789abcdef", short_of[] = "btn\0fr";
    if (c == '"' || c == '\\') return put(out, (char[]){'\\', (char)c}, 2);
    if (c >= ' ') return put(out, (char[]){(char)c}, 1);
    if (c >= '\b' && c <= '\r' && short_of[c - '\b']) return put(out, (char[]){'\\', short_of[c - '\b']}, 2);
    return put(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

cop_status cop_json_put_string(cop_char_array *out, const char *text, size_t bytes) {
    COP_TRY(put(out, "\"", 1));
    for (size_t i = 0; i < bytes; i++) COP_TRY(cop_json_put_escaped(out, (unsigned char)text[i]));
    return put(out, "\"", 1);
}

typedef struct sink {
    cop_char_array *out;
    cop_status status;  // the library forgets some failures
} sink;

static int put_part(const char *text, size_t bytes, void *user) {
    sink *s = user;
    if (!s->status) s->status = put(s->out, text, bytes);
    return s->status ? -1 : 0;
}

cop_status cop_json_put_value(cop_char_array *out, const json_t *value) {
    sink s = {.out = out};
    int failed = json_dump_callback(value, put_part, &s, JSON_ENCODE_ANY);
    if (s.status) return s.status;
    return failed ? cop_fail(COP_ERR_NOMEM, "no memory for JSON") : COP_OK;
}

// ---- literals of Python ----

typedef struct reader {
    const char *at, *end;
    cop_char_array *out;
    int depth;
    cop_status status;  // of writing
} reader;

static bool write(reader *r, const char *text, size_t bytes) {
    if (!r->status) r->status = put(r->out, text, bytes);
    return !r->status;
}

static void skip_blanks(reader *r) {
    while (r->at < r->end && is_blank((unsigned char)*r->at)) r->at++;
}

static bool take(reader *r, char c) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool put_point(reader *r, uint32_t c) {
    char u[4];
    if (c < 0x80) {
        if (!r->status) r->status = cop_json_put_escaped(r->out, (unsigned char)c);
        return !r->status;
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return write(r, "\xEF\xBF\xBD", 3);
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) u[i] = (char)(0x80 | (c & 0x3F));
    u[0] = (char)((0xF00 >> n & 0xFF) | c);
    return write(r, u, n);
}

static bool read_hex(reader *r, int digits) {
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        if (r->at == r->end) return false;
        char c = *r->at++;
        int d = is_digit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return false;
        v = v << 4 | (uint32_t)d;
    }
    return put_point(r, v);
}

static bool read_escape(reader *r) {
    static const char from[] = "nrtbf0av\\'\"/", is[] = "\n\r\t\b\f\0\a\v\\'\"/";
    if (r->at == r->end) return false;
    char c = *r->at++;
    if (c == 'x') return read_hex(r, 2);
    if (c == 'u') return read_hex(r, 4);
    if (c == 'U') return read_hex(r, 8);
    if (c == '\n') return true;
    for (size_t i = 0; i < sizeof from - 1; i++)
        if (c == from[i]) return put_point(r, (unsigned char)is[i]);
    if (!put_point(r, '\\')) return false;
    r->at--;
    return true;
}

static bool read_string(reader *r) {
    char quote = *r->at++;
    write(r, "\"", 1);
    while (r->at < r->end && *r->at != quote) {
        char c = *r->at++;
        if (c == '\\') {
            if (!read_escape(r)) return false;
        } else if (r->status || (r->status = cop_json_put_escaped(r->out, (unsigned char)c))) {
            return false;
        }
    }
    if (r->at == r->end) return false;
    r->at++;
    return write(r, "\"", 1);
}

static bool read_word(reader *r) {
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}, {"true", "true"}, {"false", "false"}, {"null", "null"}};
    const char *from = r->at;
    while (r->at < r->end && !strchr(",:]})", *r->at) && !is_blank((unsigned char)*r->at)) r->at++;
    size_t n = (size_t)(r->at - from);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n == strlen(words[i][0]) && !memcmp(from, words[i][0], n)) return write(r, words[i][1], strlen(words[i][1]));
    return n && (is_digit((unsigned char)*from) || *from == '-') && cop_json_is_value(from, n) && write(r, from, n);
}

static bool read_value(reader *r);

static bool read_items(reader *r, char close, bool pairs) {
    r->at++;
    write(r, pairs ? "{" : "[", 1);
    for (bool first = true; !take(r, close); first = false) {
        if (!first && !take(r, ',')) return false;
        if (!first && take(r, close)) break;
        if (!first) write(r, ", ", 2);
        skip_blanks(r);
        if (pairs && (r->at == r->end || (*r->at != '"' && *r->at != '\'') || !read_string(r) || !take(r, ':') || !write(r, ": ", 2)))
            return false;
        if (!read_value(r)) return false;
    }
    return write(r, pairs ? "}" : "]", 1);
}

static bool read_value(reader *r) {
    skip_blanks(r);
    if (r->at == r->end || r->depth >= COP_SCAN_MOST_DEPTH) return false;
    r->depth++;
    char c = *r->at;
    bool good = c == '"' || c == '\'' ? read_string(r) : c == '[' ? read_items(r, ']', false) : c == '(' ? read_items(r, ')', false) : c == '{' ? read_items(r, '}', true) : read_word(r);
    r->depth--;
    return good;
}

cop_status cop_value_to_json(cop_char_array *out, const char *text, size_t bytes) {
    const char *from = text, *end = text + bytes;
    while (from < end && is_blank((unsigned char)*from)) from++;
    while (end > from && is_blank((unsigned char)end[-1])) end--;
    if (cop_json_is_value(from, (size_t)(end - from))) return put(out, from, (size_t)(end - from));
    size_t n = out->n;
    reader r = {.at = from, .end = end, .out = out};
    if (read_value(&r) && r.at == end) return COP_OK;
    if (r.status) return r.status;
    out->n = n;
    return cop_json_put_string(out, text, bytes);
}
