// What a call is made of, in each style of tool_formats.c; a part of tool_parser.c.
// JSON is passed on as it comes, checked byte by byte; parameters between tags and literals of Python become JSON.
#include <string.h>

#include "serve/tool_parser_private.h"

static void arguments(cop_tool_parser *p, const char *text, size_t bytes) { cop_parser_put(p, COP_TOOL_ARGUMENTS, text, bytes); }

static bool is_name(const char *name, size_t n) {
    if (!n || n > COP_PARSER_MOST_NAME) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || strchr("\"'<>{}[]()=,;`\\", c)) return false;
    }
    return true;
}

static bool set_name(cop_tool_parser *p, const char *name, size_t n) {
    if (!is_name(name, n)) return false;
    memcpy(p->name, name, n);
    p->name[n] = 0;
    return true;
}

static bool keep(cop_tool_parser *p, cop_char_array *to, char c) {
    if (p->status) return false;
    if (to->n >= COP_PARSER_MOST_HELD) return false;
    p->status = cop_array_push(to, c);
    return !p->status;
}

void cop_parser_begin_call(cop_tool_parser *p) {
    static const cop_parse_state first[] = {COP_PARSE_JSON, COP_PARSE_NAME, COP_PARSE_TAG_NAME, COP_PARSE_FUNCTION};
    p->state = first[p->options.format->style];
    p->value.n = 0;
    p->name[0] = p->id[0] = 0;
}

// ---- behind a call ----

static void end_object(cop_tool_parser *p) {
    cop_parser_end_call(p, true);
    p->mark = p->at;
    p->blanks = 0;
    p->state = COP_PARSE_AFTER;
}

static void read_after(cop_tool_parser *p, char c) {
    size_t from = p->mark;
    while (from < p->at && cop_is_blank(p->buf.v[from])) from++;
    p->at++;
    if (from == p->at - 1) {
        if (cop_is_blank(c) && p->at - p->mark <= COP_PARSER_MOST_BLANKS) return;
        bool more = !p->single;
        if (p->list && c == ']') {
            p->list = false;
            p->single = true;
            p->mark = p->at;
            return;
        }
        if (more && (c == ',' || (c == ';' && !p->list))) {
            p->state = COP_PARSE_JSON;
            return;
        }
        if (more && !p->list && c == '{') {
            p->at--;
            p->state = COP_PARSE_JSON;
            return;
        }
    }
    const char *ends[] = {p->bare && p->fence ? "```" : p->options.format->end};
    int which;
    cop_match m = cop_parser_match(p->buf.v + from, p->at - from, ends, 1, &which);
    if (m == COP_MATCH_PART) return;
    if (m == COP_MATCH_FULL) p->mark = p->at;
    cop_parser_free_text(p, true);
}

// ---- JSON ----

static void begin_json(cop_tool_parser *p, char c) {
    if (cop_is_blank(c)) {
        p->at++;
    } else if (c == '{') {
        p->at++;
        p->state = COP_PARSE_MEMBER;
        p->nest = 0;
        p->arguments_seen = false;
        p->arguments.n = 0;
        p->name[0] = p->id[0] = 0;
    } else if (c == '[' && !p->list && !p->single) {
        p->at++;
        p->list = true;
    } else if (!p->bare && c != ']' && p->options.format->begin[0] && !strcmp(p->options.format->begin[0], "<|python_tag|>")) {
        p->state = COP_PARSE_FUNCTION;
        p->value.n = 0;
    } else {
        cop_parser_fail(p);
    }
}

static void begin_member(cop_tool_parser *p, char c) {
    if (!cop_is_blank(c) && c != '"' && c != '}') {
        cop_parser_fail(p);
        return;
    }
    if (c == '}') {
        p->state = COP_PARSE_BEHIND;
        return;
    }
    p->at++;
    if (c != '"') return;
    p->value.n = 0;
    cop_json_scan_start(&p->scan);
    cop_json_scan_byte(&p->scan, '"');
    keep(p, &p->value, '"');
    p->state = COP_PARSE_KEY;
}

// The text of a JSON string, in place; false when it has none of a length that is of use here.
static bool read_text(cop_tool_parser *p, char *to, size_t most) {
    json_t *text = json_loadb(p->value.v, p->value.n, JSON_DECODE_ANY, NULL);
    const char *s = json_string_value(text);
    bool good = s && strlen(s) <= most;
    if (good) memcpy(to, s, strlen(s) + 1);
    json_decref(text);
    return good;
}

static cop_member member_of(const char *key) {
    if (!strcmp(key, "name") || !strcmp(key, "tool_name")) return COP_MEMBER_NAME;
    if (!strcmp(key, "arguments") || !strcmp(key, "parameters")) return COP_MEMBER_ARGUMENTS;
    return !strcmp(key, "id") || !strcmp(key, "tool_call_id") ? COP_MEMBER_ID : COP_MEMBER_OTHER;
}

static void read_key(cop_tool_parser *p, char c) {
    p->at++;
    cop_scan got = cop_json_scan_byte(&p->scan, (unsigned char)c);
    if (got == COP_SCAN_BAD || p->value.n > 4 * COP_PARSER_MOST_NAME || !keep(p, &p->value, c)) {
        p->at--;
        cop_parser_fail(p);
        return;
    }
    if (got != COP_SCAN_DONE) return;
    if (!read_text(p, p->key, COP_PARSER_MOST_NAME)) p->key[0] = 0;
    p->member = member_of(p->key);
    // What begins like no call is not held back until its end.
    bool known = p->member != COP_MEMBER_OTHER || !strcmp(p->key, "type") || !strcmp(p->key, "function");
    if (p->bare && !known && !p->name[0])
        cop_parser_fail(p);
    else
        p->state = COP_PARSE_COLON;
}

// Everything that is known says that this is a call.
static bool announce(cop_tool_parser *p) {
    if (p->bare && !cop_tool_named(p->options.tools, p->name)) return false;
    cop_parser_announce(p);
    return true;
}

static void begin_value(cop_tool_parser *p, char c) {
    if (cop_is_blank(c)) {
        p->at++;
        return;
    }
    if (c == '{' && !strcmp(p->key, "function") && !p->nest && !p->announced && !p->arguments_seen) {
        p->at++;
        p->nest++;
        p->state = COP_PARSE_MEMBER;
        return;
    }
    if (p->member == COP_MEMBER_ARGUMENTS && (p->arguments_seen || c == 'n')) p->member = COP_MEMBER_OTHER;
    if ((p->member == COP_MEMBER_NAME && (c != '"' || p->name[0])) || (p->member == COP_MEMBER_ID && c != '"'))
        p->member = COP_MEMBER_OTHER;
    if (p->member == COP_MEMBER_ARGUMENTS) {
        p->arguments_seen = true;
        p->as_text = c == '"';
        p->n_escape = 0;
        p->high = 0;
        cop_json_scan_start(&p->inner);
        if ((c != '{' && c != '"') || (p->name[0] && !announce(p))) {
            cop_parser_fail(p);
            return;
        }
    }
    p->value.n = 0;
    cop_json_scan_start(&p->scan);
    p->state = COP_PARSE_IN_VALUE;
}

static void pass(cop_tool_parser *p, const char *text, size_t bytes) {
    if (p->announced) {
        arguments(p, text, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        if (!keep(p, &p->arguments, text[i])) return;
}

// One byte of the arguments; control characters in texts are written as JSON wants them.
static bool pass_byte(cop_tool_parser *p, cop_json_scan *scan, char c) {
    bool in_text = cop_json_scan_in_text(scan);
    cop_scan got = cop_json_scan_byte(scan, (unsigned char)c);
    if (got == COP_SCAN_BAD || got == COP_SCAN_BEFORE) return false;
    if (!in_text || (unsigned char)c >= ' ') {
        pass(p, &c, 1);
        return true;
    }
    cop_char_array escaped = {.most = 16};
    if (!p->status) p->status = cop_json_put_escaped(&escaped, (unsigned char)c);
    pass(p, escaped.v, escaped.n);
    cop_array_fini(&escaped);
    return true;
}

static bool pass_point(cop_tool_parser *p, uint32_t c) {
    char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) u[i] = (char)(0x80 | (c & 0x3F));
    u[0] = (char)(n == 1 ? c : (0xF00 >> n & 0xFF) | c);
    for (size_t i = 0; i < n; i++)
        if (!pass_byte(p, &p->inner, u[i])) return false;
    return true;
}

// One byte of a text that holds the arguments: its escapes are undone first. The scanner has seen it.
static bool pass_inner(cop_tool_parser *p, char c) {
    static const char from[] = "bfnrt", is[] = "\b\f\n\r\t";
    if (!p->n_escape && c != '\\') return pass_byte(p, &p->inner, c);
    p->escape[p->n_escape++] = c;
    if (p->n_escape == 1 || (p->escape[1] == 'u' && p->n_escape < 6)) return true;
    p->n_escape = 0;
    if (c && p->escape[1] != 'u') {
        const char *at = strchr(from, c);
        return pass_byte(p, &p->inner, at ? is[at - from] : c);
    }
    uint32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        char h = p->escape[i];
        unit = unit << 4 | (uint32_t)(h <= '9' ? h - '0' : (h | 32) - 'a' + 10);
    }
    if (unit >= 0xD800 && unit < 0xDC00) {
        p->high = unit;
        return true;
    }
    if (unit >= 0xDC00 && unit < 0xE000) unit = 0x10000 + ((p->high - 0xD800) << 10) + (unit - 0xDC00);
    return pass_point(p, unit);
}

static void finish_member(cop_tool_parser *p) {
    p->state = COP_PARSE_BEHIND;
    bool good = true;
    if (p->member == COP_MEMBER_ID && !read_text(p, p->id, sizeof p->id - 1)) p->id[0] = 0;
    if (p->member == COP_MEMBER_NAME) good = read_text(p, p->key, COP_PARSER_MOST_NAME) && set_name(p, p->key, strlen(p->key));
    if (p->member == COP_MEMBER_NAME && p->bare) good = good && cop_tool_named(p->options.tools, p->name);
    if (!good) cop_parser_fail(p);
}

// Inside a member's value. The byte that ends a number is not consumed.
static void read_value(cop_tool_parser *p, char c) {
    cop_scan got;
    bool good = true;
    if (p->member == COP_MEMBER_ARGUMENTS && !p->as_text) {
        bool in_text = cop_json_scan_in_text(&p->scan);
        cop_json_scan before = p->scan;
        got = cop_json_scan_byte(&p->scan, (unsigned char)c);
        if (got == COP_SCAN_BAD || in_text) p->scan = before;
        if (got != COP_SCAN_BAD && in_text) good = pass_byte(p, &p->scan, c);
        else if (got != COP_SCAN_BAD) pass(p, &c, 1);
    } else {
        bool opened = p->scan.state != 0;
        got = cop_json_scan_byte(&p->scan, (unsigned char)c);
        if (p->member == COP_MEMBER_ARGUMENTS) {
            if (got == COP_SCAN_MORE && opened) good = pass_inner(p, c);
            if (got == COP_SCAN_DONE) good = p->inner.state && !p->inner.depth && p->inner.objects;
        } else if (p->member != COP_MEMBER_OTHER && got != COP_SCAN_BAD) {
            good = p->value.n < 8 * COP_PARSER_MOST_NAME && keep(p, &p->value, c);
        }
    }
    if (got == COP_SCAN_BAD || !good) {
        cop_parser_fail(p);
        return;
    }
    if (got != COP_SCAN_BEFORE) p->at++;
    if (p->announced) p->mark = p->at;
    if (got == COP_SCAN_MORE) return;
    if (p->options.format->style == COP_CALL_NAMED && p->single)
        end_object(p);
    else
        finish_member(p);
}

static void behind_member(cop_tool_parser *p, char c) {
    if (cop_is_blank(c)) {
        p->at++;
    } else if (c == ',') {
        p->at++;
        p->state = COP_PARSE_MEMBER;
    } else if (c == '}' && p->nest) {
        p->at++;
        p->nest--;
    } else if (c == '}' && (p->announced || (p->name[0] && (p->arguments_seen || !p->bare)))) {
        bool told = p->announced;
        if (!told && !announce(p)) {
            cop_parser_fail(p);
            return;
        }
        if (!told && p->arguments.n) arguments(p, p->arguments.v, p->arguments.n);
        else if (!p->arguments_seen) arguments(p, "{}", 2);
        p->at++;
        end_object(p);
    } else {
        cop_parser_fail(p);
    }
    if (p->announced) p->mark = p->at;
}

// ---- a name, a separator, an object ----

static void read_named(cop_tool_parser *p, char c) {
    cop_char_array *v = &p->value;
    bool blank = !v->n && cop_is_blank(c);
    if (!v->n && (c == '[' || c == '{')) {  // Mistral's list
        p->state = COP_PARSE_JSON;
        return;
    }
    if (c != '{') {
        if (!blank && (v->n > 2 * COP_PARSER_MOST_NAME || !keep(p, v, c)))
            cop_parser_fail(p);
        else
            p->at++;
        return;
    }
    const char *separator = p->options.format->separator;
    size_t n = v->n, m = strlen(separator);
    if (n >= m && !memcmp(v->v + n - m, separator, m)) n -= m;
    while (n && cop_is_blank(v->v[n - 1])) n--;
    for (size_t i = 0; i + 9 < n; i++)
        if (!memcmp(v->v + i, "[CALL_ID]", 9)) {
            size_t id = n - i - 9 < sizeof p->id ? n - i - 9 : 0;
            memcpy(p->id, v->v + i + 9, id);
            p->id[id] = 0;
            n = i;
        }
    size_t digits = n;
    while (digits && v->v[digits - 1] >= '0' && v->v[digits - 1] <= '9') digits--;
    if (digits && digits < n && v->v[digits - 1] == ':') n = digits - 1;  // Kimi numbers its calls
    size_t prefix = n > 10 && !memcmp(v->v, "functions.", 10) ? 10 : 0;
    if (!n || !set_name(p, v->v + prefix, n - prefix)) {
        cop_parser_fail(p);
        return;
    }
    cop_parser_announce(p);
    p->member = COP_MEMBER_ARGUMENTS;
    p->as_text = false;
    p->single = true;
    cop_json_scan_start(&p->scan);
    p->state = COP_PARSE_IN_VALUE;
}

// ---- tags around parameters ----

static void read_tag_name(cop_tool_parser *p, char c) {
    cop_char_array *v = &p->value;
    const char *separator = p->options.format->separator;
    bool whole = false;
    if (!separator) {
        whole = v->n && (cop_is_blank(c) || c == '<');
        if (!whole && cop_is_blank(c)) {
            p->at++;
            return;
        }
    }
    if (!whole && (v->n > 2 * COP_PARSER_MOST_NAME || !keep(p, v, c))) {
        cop_parser_fail(p);
        return;
    }
    if (!whole) p->at++;
    size_t m = separator ? strlen(separator) : 0;
    if (separator) whole = v->n >= m && !memcmp(v->v + v->n - m, separator, m);
    if (!whole) return;
    if (!set_name(p, v->v, v->n - m)) {
        cop_parser_fail(p);
        return;
    }
    cop_parser_announce(p);
    arguments(p, "{", 1);
    p->first = true;
    p->state = COP_PARSE_TAG_BODY;
}

static void end_function(cop_tool_parser *p) {
    arguments(p, "}", 1);
    p->mark = p->at;
    cop_parser_end_call(p, true);
    cop_parser_free_text(p, true);
}

static void read_tag_body(cop_tool_parser *p, char c) {
    const cop_tool_format *f = p->options.format;
    p->at++;
    if (p->mark == p->at - 1 && cop_is_blank(c)) {
        p->mark = p->at;
        return;
    }
    const char *tags[] = {f->key, f->end};
    int which;
    cop_match m = cop_parser_match(p->buf.v + p->mark, p->at - p->mark, tags, 2, &which);
    if (m == COP_MATCH_NONE) {
        p->at = p->mark;
        cop_parser_fail(p);
    } else if (m == COP_MATCH_FULL && which == 1) {
        end_function(p);
    } else if (m == COP_MATCH_FULL) {
        p->mark = p->at;
        p->value.n = 0;
        p->state = COP_PARSE_TAG_KEY;
    }
}

static void begin_parameter(cop_tool_parser *p) {
    cop_char_array text = {.most = COP_PARSER_MOST_BYTES};
    if (!p->status) p->status = cop_json_put_string(&text, p->key, strlen(p->key));
    if (!p->first) arguments(p, ", ", 2);
    arguments(p, text.v, text.n);
    arguments(p, ": ", 2);
    cop_array_fini(&text);
    p->first = false;
    p->first_byte = true;
    p->is_text = cop_tool_is_text(p->options.tools, p->name, p->key);
    if (p->is_text) arguments(p, "\"", 1);
    p->value.n = 0;
    p->mark = p->at;
}

static bool set_key(cop_tool_parser *p, size_t n) {
    if (!n || n > COP_PARSER_MOST_NAME || memchr(p->value.v, 0, n)) return false;
    memcpy(p->key, p->value.v, n);
    p->key[n] = 0;
    return true;
}

static void read_tag_key(cop_tool_parser *p, char c) {
    const cop_tool_format *f = p->options.format;
    size_t m = strlen(f->key_end);
    cop_char_array *v = &p->value;
    if (v->n > 2 * COP_PARSER_MOST_NAME || !keep(p, v, c)) {
        cop_parser_fail(p);
        return;
    }
    p->at++;
    if (v->n < m || memcmp(v->v + v->n - m, f->key_end, m)) return;
    if (!set_key(p, v->n - m)) {
        cop_parser_fail(p);
        return;
    }
    p->mark = p->at;
    p->state = f->value ? COP_PARSE_TAG_OPEN : COP_PARSE_TAG_VALUE;
    if (!f->value) begin_parameter(p);
}

static void read_tag_open(cop_tool_parser *p, char c) {
    p->at++;
    if (p->mark == p->at - 1 && cop_is_blank(c)) {
        p->mark = p->at;
        return;
    }
    int which;
    cop_match m = cop_parser_match(p->buf.v + p->mark, p->at - p->mark, &p->options.format->value, 1, &which);
    if (m == COP_MATCH_NONE) {
        p->at = p->mark;
        cop_parser_fail(p);
    } else if (m == COP_MATCH_FULL) {
        p->state = COP_PARSE_TAG_VALUE;
        begin_parameter(p);
    }
}

static void put_value_byte(cop_tool_parser *p, char c) {
    if (p->first_byte && c == '\n' && p->options.format->lines) {
        p->first_byte = false;
        return;
    }
    p->first_byte = false;
    if (!p->is_text) {
        if (!keep(p, &p->value, c)) cop_parser_fail(p);
        return;
    }
    cop_char_array escaped = {.most = 16};
    if (!p->status) p->status = cop_json_put_escaped(&escaped, (unsigned char)c);
    arguments(p, escaped.v, escaped.n);
    cop_array_fini(&escaped);
}

static void end_value(cop_tool_parser *p) {
    if (p->is_text) {
        arguments(p, "\"", 1);
    } else {
        cop_char_array json = {.most = COP_PARSER_MOST_BYTES};
        if (!p->status) p->status = cop_value_to_json(&json, p->value.v ? p->value.v : "", p->value.n);
        arguments(p, json.v, json.n);
        cop_array_fini(&json);
    }
    p->value.n = 0;
    p->mark = p->at;
}

static void read_tag_value(cop_tool_parser *p) {
    const char *ends[] = {p->options.format->value_end, p->line_end[0] ? p->line_end : NULL};
    p->at++;
    while (p->mark < p->at && p->state == COP_PARSE_TAG_VALUE) {
        int which;
        cop_match m = cop_parser_match(p->buf.v + p->mark, p->at - p->mark, ends, 2, &which);
        if (m == COP_MATCH_PART) return;
        if (m == COP_MATCH_FULL) {
            end_value(p);
            p->state = COP_PARSE_TAG_BODY;
            return;
        }
        put_value_byte(p, p->buf.v[p->mark++]);
    }
}

// ---- calls as Python writes them ----

static void read_function(cop_tool_parser *p, char c) {
    cop_char_array *v = &p->value;
    if (!v->n && cop_is_blank(c)) {
        p->at++;
    } else if (!v->n && c == '[' && !p->list) {
        p->at++;
        p->list = true;
    } else if (c != '(') {
        if (v->n > COP_PARSER_MOST_NAME || !keep(p, v, c)) cop_parser_fail(p);
        else p->at++;
    } else {
        size_t n = v->n;
        if (n > 5 && !memcmp(v->v + n - 5, ".call", 5)) n -= 5;
        if (!n || !set_name(p, v->v, n)) {
            cop_parser_fail(p);
            return;
        }
        p->at++;
        cop_parser_announce(p);
        arguments(p, "{", 1);
        p->first = true;
        v->n = 0;
        p->state = COP_PARSE_ARGUMENT;
    }
}

static void end_python(cop_tool_parser *p) {
    arguments(p, "}", 1);
    p->mark = p->at;
    p->blanks = 0;
    cop_parser_end_call(p, true);
    p->state = COP_PARSE_NEXT;
}

static void read_argument(cop_tool_parser *p, char c) {
    cop_char_array *v = &p->value;
    if (cop_is_blank(c)) {
        p->at++;
    } else if (!v->n && c == ')') {
        p->at++;
        end_python(p);
    } else if (c == '=') {
        if (!set_key(p, v->n) || !is_name(p->key, strlen(p->key))) {
            cop_parser_fail(p);
            return;
        }
        p->at++;
        begin_parameter(p);
        if (p->is_text && p->out.n) p->out.n--;  // the literal brings its own quotes
        p->quote = 0;
        p->escaped = false;
        p->depth = 0;
        p->state = COP_PARSE_LITERAL;
    } else if (!is_name(&c, 1) || v->n > COP_PARSER_MOST_NAME || !keep(p, v, c)) {
        cop_parser_fail(p);
    } else {
        p->at++;
    }
}

static void read_literal(cop_tool_parser *p, char c) {
    bool ends = !p->quote && !p->depth && (c == ',' || c == ')');
    if (!ends) {
        if (!keep(p, &p->value, c)) {
            cop_parser_fail(p);
            return;
        }
        if (p->escaped) p->escaped = false;
        else if (p->quote && c == '\\') p->escaped = true;
        else if (p->quote) p->quote = c == p->quote ? 0 : p->quote;
        else if (c == '"' || c == '\'') p->quote = c;
        else if (c == '(' || c == '[' || c == '{') p->depth++;
        else if (c == ')' || c == ']' || c == '}') p->depth--;
        p->at++;
        p->mark = p->at;
        return;
    }
    p->at++;
    p->is_text = false;
    end_value(p);
    p->state = COP_PARSE_ARGUMENT;
    if (c == ')') end_python(p);
}

static void read_next(cop_tool_parser *p, char c) {
    if (p->list && c == ',') {
        p->at++;
        p->value.n = 0;
        p->state = COP_PARSE_FUNCTION;
    } else if (p->list && cop_is_blank(c)) {
        p->at++;
    } else {
        if (p->list && c == ']') p->mark = ++p->at;
        p->list = false;
        p->single = true;
        p->at = p->mark;
        p->state = COP_PARSE_AFTER;
    }
}

// ---- the whole ----

void cop_parser_read_call(cop_tool_parser *p, char c) {
    switch (p->state) {
    case COP_PARSE_JSON: begin_json(p, c); break;
    case COP_PARSE_MEMBER: begin_member(p, c); break;
    case COP_PARSE_KEY: read_key(p, c); break;
    case COP_PARSE_COLON:
        if (c == ':') p->state = COP_PARSE_VALUE;
        if (c == ':' || cop_is_blank(c)) p->at++;
        else cop_parser_fail(p);
        break;
    case COP_PARSE_VALUE: begin_value(p, c); break;
    case COP_PARSE_IN_VALUE: read_value(p, c); break;
    case COP_PARSE_BEHIND: behind_member(p, c); break;
    case COP_PARSE_AFTER: read_after(p, c); break;
    case COP_PARSE_NAME: read_named(p, c); break;
    case COP_PARSE_TAG_NAME: read_tag_name(p, c); break;
    case COP_PARSE_TAG_BODY: read_tag_body(p, c); break;
    case COP_PARSE_TAG_KEY: read_tag_key(p, c); break;
    case COP_PARSE_TAG_OPEN: read_tag_open(p, c); break;
    case COP_PARSE_TAG_VALUE: read_tag_value(p); break;
    case COP_PARSE_FUNCTION: read_function(p, c); break;
    case COP_PARSE_ARGUMENT: read_argument(p, c); break;
    case COP_PARSE_LITERAL: read_literal(p, c); break;
    case COP_PARSE_NEXT: read_next(p, c); break;
    default: cop_parser_fail(p);
    }
}

void cop_parser_cut(cop_tool_parser *p) {
    if (p->state == COP_PARSE_AFTER || p->state == COP_PARSE_NEXT) {
        cop_parser_free_text(p, true);
        return;
    }
    bool in_object = p->state >= COP_PARSE_MEMBER && p->state <= COP_PARSE_BEHIND;
    if (!p->announced && in_object && p->name[0] && !p->bare && !p->arguments_seen) cop_parser_announce(p);
    if (p->announced) {
        p->at = p->mark = p->buf.n;
        cop_parser_end_call(p, false);
        cop_parser_free_text(p, false);
        return;
    }
    cop_parser_fail(p);
}
