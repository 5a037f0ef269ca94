// The dialect of Lark that llguidance reads: rules in lower case, terminals in upper case, "text"i, "a".."z", /regex/is,
// ( ) [ ] | & ~ ? * + {m,n} ~n..m, %ignore, %import common.X, %json { schema }, %regex { substring }, <token>, and
// the attributes lazy, stop and suffix. Terminals are cut out of the text in any way that fits, not by the longest match:
// what is accepted is every text that has a reading. Refused by name: what changes sampling (temperature, max_tokens), templates.
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"

#define MAX_NESTING 200
#define MAX_CHUNKS 4000

static const char *const common[][2] = {
    {"DIGIT", "[0-9]"}, {"HEXDIGIT", "[0-9a-fA-F]"}, {"INT", "[0-9]+"}, {"SIGNED_INT", "[+-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"}, {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_FLOAT", "[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"NUMBER", "[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_NUMBER", "[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\""}, {"LCASE_LETTER", "[a-z]"}, {"UCASE_LETTER", "[A-Z]"}, {"LETTER", "[a-zA-Z]"},
    {"WORD", "[a-zA-Z]+"}, {"CNAME", "[a-zA-Z_][a-zA-Z0-9_]*"}, {"WS_INLINE", "[ \\t]+"}, {"WS", "[ \\t\\f\\r\\n]+"}, {"CR", "\\r"}, {"LF", "\\n"},
    {"NEWLINE", "(\\r?\\n)+"}, {"SH_COMMENT", "#[^\\n]*"}, {"CPP_COMMENT", "//[^\\n]*"}, {"SQL_COMMENT", "--[^\\n]*"},
    {"C_COMMENT", "/\\*([^*]|\\*+[^*/])*\\*+/"}};

static char peek(const cop_gr_source *s) { return s->at < s->bytes ? s->text[s->at] : 0; }
static bool take(cop_gr_source *s, const char *text) {
    size_t n = strlen(text);
    if (s->bytes - s->at < n || memcmp(s->text + s->at, text, n) != 0) return false;
    s->at += n;
    return true;
}
static bool is_name(char c) { return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

static void skip_space(cop_gr_source *s, bool lines) {
    for (; s->at < s->bytes; s->at++) {
        char c = s->text[s->at];
        if (c == '#' || (c == '/' && s->at + 1 < s->bytes && s->text[s->at + 1] == '/'))
            while (s->at + 1 < s->bytes && s->text[s->at + 1] != '\n') s->at++;
        else if (c == '\n' && lines) s->line++;
        else if (c != ' ' && c != '\t' && c != '\r' && !(lines && c == '\n')) return;
    }
}

static size_t read_name(cop_gr_source *s) {
    size_t from = s->at;
    while (is_name(peek(s))) s->at++;
    return s->at - from;
}

static bool is_terminal(const char *name, size_t bytes) {
    while (bytes && *name == '_') name++, bytes--;
    return bytes && *name >= 'A' && *name <= 'Z';
}

// In a rule each terminal is a lexeme; in a terminal it is a part of one.
static cop_status wrap(cop_gr_source *s, uint32_t *node) {
    uint32_t inner = *node;
    if (s->in_terminal) return COP_OK;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_LEXEME}, node));
    cop_gr_append(s, *node, inner);
    return COP_OK;
}

static cop_status add_rx(cop_gr_source *s, cop_rx rx, uint32_t *out) {
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RX, .value = rx}, out));
    return wrap(s, out);
}

static cop_status parse_pattern(cop_gr_source *s, const char *pattern, size_t bytes, cop_rx *out) {
    cop_status st = cop_rx_parse(s->set, pattern, bytes, COP_RX_WHOLE_LINE, out);
    if (st) cop_fail_note("%s grammar, line %d", s->kind, s->line);
    return st;
}

// ---- atoms ----

static cop_status read_string(cop_gr_source *s, uint32_t *out) {
    size_t from = s->at, end = from + 1;
    cop_rx rx;
    while (end < s->bytes && s->text[end] != '"' && s->text[end] != '\n') end += s->text[end] == '\\' ? 2 : 1;
    bool any_case = end + 1 < s->bytes && s->text[end + 1] == 'i' && !(end + 2 < s->bytes && is_name(s->text[end + 2]));
    s->at++;
    COP_TRY(cop_gr_read_text(s, '"', &rx, any_case));
    s->at += any_case;
    if (take(s, "..")) {
        const char *low = s->text + from + 1, *high = s->text + s->at + 1;
        bool ascii = end == from + 2 && s->at + 2 < s->bytes && high[-1] == '"' && high[1] == '"' && (uint8_t)*low < 128 && (uint8_t)*high < 128;
        if (!ascii || *low > *high) return cop_gr_fail(s, COP_ERR_FORMAT, "a range must be \"a\"..\"z\", of single ASCII characters in order");
        const uint32_t range[1][2] = {{(uint8_t)*low, (uint8_t)*high}};
        rx = cop_rx_characters(s->set, range, 1);
        s->at += 3;
    }
    return add_rx(s, rx, out);
}

static cop_status read_regex(cop_gr_source *s, uint32_t *out) {
    size_t from = ++s->at, n;
    char flags[8] = "";
    cop_rx rx;
    while (s->at < s->bytes && s->text[s->at] != '/' && s->text[s->at] != '\n') s->at += s->text[s->at] == '\\' ? 2 : 1;
    if (s->at >= s->bytes || s->text[s->at] != '/') return cop_gr_fail(s, COP_ERR_FORMAT, "a regular expression without its second /");
    size_t bytes = s->at++ - from;
    for (n = 0; n < 6 && strchr("imslux", peek(s)) && peek(s); n++) flags[n] = s->text[s->at++];
    if (strpbrk(flags, "mxl")) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "flags of regular expressions other than i, s and u");
    char *pattern = cop_alloc(bytes + 16);
    if (!pattern) return cop_fail(COP_ERR_NOMEM, "grammar: cannot allocate");
    const char *head = strchr(flags, 'i') ? (strchr(flags, 's') ? "(?is)" : "(?i)") : strchr(flags, 's') ? "(?s)" : "";
    memcpy(pattern, head, strlen(head));
    memcpy(pattern + strlen(head), s->text + from, bytes);
    cop_status st = parse_pattern(s, pattern, strlen(head) + bytes, &rx);
    cop_free(pattern);
    return st ? st : add_rx(s, rx, out);
}

// s->at behind a directive: the JSON object that follows.
static cop_status read_object(cop_gr_source *s, const char **text, size_t *bytes) {
    skip_space(s, true);
    size_t from = s->at;
    int depth = 0;
    bool quoted = false;
    if (peek(s) != '{') return cop_gr_fail(s, COP_ERR_FORMAT, "a directive needs { ... } behind it");
    for (; s->at < s->bytes; s->at++) {
        char c = s->text[s->at];
        if (c == '\n') s->line++;
        if (quoted && c == '\\') s->at++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[')) depth++;
        else if (!quoted && (c == '}' || c == ']') && --depth == 0) break;
    }
    if (s->at >= s->bytes) return cop_gr_fail(s, COP_ERR_FORMAT, "{ without } behind a directive");
    s->at++;
    *text = s->text + from;
    *bytes = s->at - from;
    return COP_OK;
}

static cop_status read_json(cop_gr_source *s, uint32_t *out) {
    const char *text;
    size_t bytes;
    cop_language *l;
    COP_TRY(read_object(s, &text, &bytes));
    if (s->in_terminal) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "%json inside a terminal");
    cop_status st = cop_language_json_schema(&l, text, bytes, NULL, NULL, NULL);
    if (st) cop_fail_note("%s grammar, line %d", s->kind, s->line);
    if (st) return st;
    if ((st = cop_array_push(&s->json, l))) return l->type->close(l), st;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_JSON, .value = (uint32_t)s->json.n - 1}, out));
    return wrap(s, out);
}

static bool is_word(char c) { return is_name(c) || (c & 0x80); }

// Every run of neighbouring chunks of the text: (c1 (c2 (c3 …)?)?)? | (c2 (c3 …)?)? | …
static cop_status make_substrings(cop_gr_source *s, const char *text, size_t bytes, bool words, cop_rx *out) {
    COP_ARRAY(cop_rx) ways = {.most = MAX_CHUNKS};
    cop_rx tail = COP_RX_EMPTY;
    cop_status st = COP_OK;
    for (size_t end = bytes; end > 0 && !st;) {
        size_t from = end - 1;
        while (from > 0 && ((uint8_t)text[from] & 0xC0) == 0x80) from--;
        if (words && is_word(text[from])) while (from > 0 && is_word(text[from - 1])) from--;
        tail = cop_rx_maybe(s->set, cop_rx_concat(s->set, cop_rx_literal(s->set, text + from, end - from), tail));
        st = cop_array_push(&ways, tail);
        end = from;
    }
    *out = st || !ways.n ? COP_RX_EMPTY : cop_rx_or_all(s->set, ways.v, ways.n);
    cop_array_fini(&ways);
    return st ? st : cop_regex_set_failed(s->set);
}

static cop_status read_substring(cop_gr_source *s, uint32_t *out) {
    const char *text;
    size_t bytes;
    cop_rx rx = COP_RX_NONE;
    COP_TRY(read_object(s, &text, &bytes));
    json_t *object = json_loadb(text, bytes, 0, NULL);
    json_t *words = json_object_get(object, "substring_words"), *characters = json_object_get(object, "substring_chars");
    json_t *chosen = words ? words : characters;
    cop_status st = json_object_size(object) != 1 || !json_is_string(chosen)
                        ? cop_gr_fail(s, COP_ERR_UNSUPPORTED, "%regex needs one of \"substring_words\" and \"substring_chars\", a text")
                        : make_substrings(s, json_string_value(chosen), json_string_length(chosen), words != NULL, &rx);
    json_decref(object);
    return st ? st : add_rx(s, rx, out);
}

// ---- expressions ----

static cop_status read_alternatives(cop_gr_source *s, bool nested, uint32_t *out);

static cop_status read_group(cop_gr_source *s, const char *close, uint32_t *out) {
    if (++s->depth > MAX_NESTING) return cop_gr_fail(s, COP_ERR_LIMIT, "groups are nested too deeply");
    s->at++;
    skip_space(s, true);
    COP_TRY(read_alternatives(s, true, out));
    s->depth--;
    if (!take(s, close)) return cop_gr_fail(s, COP_ERR_FORMAT, "a bracket is not closed");
    if (*close == ')') return COP_OK;
    uint32_t inner = *out;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_REPEAT, .low = 0, .high = 1}, out));
    cop_gr_append(s, *out, inner);
    return COP_OK;
}

static cop_status read_reference(cop_gr_source *s, uint32_t *out) {
    const char *name = s->text + s->at;
    size_t bytes = read_name(s);
    uint32_t rule;
    if (peek(s) == '{' && s->at + 1 < s->bytes && is_name(s->text[s->at + 1]) && (s->text[s->at + 1] < '0' || s->text[s->at + 1] > '9'))
        return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "templates, name{...}");
    COP_TRY(cop_gr_rule_of(s, name, bytes, &rule));
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RULE, .value = rule}, out));
    return is_terminal(name, bytes) ? wrap(s, out) : COP_OK;
}

// *out 0: there is none here.
static cop_status read_atom(cop_gr_source *s, uint32_t *out) {
    char c = peek(s);
    *out = 0;
    if (c == '"') return read_string(s, out);
    if (c == '/') return read_regex(s, out);
    if (c == '(') return read_group(s, ")", out);
    if (c == '[') return read_group(s, "]", out);
    if (c == '<') {
        if (s->in_terminal) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "a token inside a terminal");
        COP_TRY(cop_gr_read_token(s, false, out));
        return wrap(s, out);
    }
    if (c == '%') {
        if (take(s, "%json")) return read_json(s, out);
        if (take(s, "%regex")) return read_substring(s, out);
        return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "a directive that is not %json or %regex inside a rule");
    }
    if (c == '~') {
        uint32_t inner;
        s->at++;
        skip_space(s, false);
        if (!s->in_terminal) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "~ outside a terminal");
        if (++s->depth > MAX_NESTING) return cop_gr_fail(s, COP_ERR_LIMIT, "groups are nested too deeply");
        COP_TRY(read_atom(s, &inner));
        s->depth--;
        if (!inner) return cop_gr_fail(s, COP_ERR_FORMAT, "~ of nothing");
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_NOT}, out));
        cop_gr_append(s, *out, inner);
        return COP_OK;
    }
    return is_name(c) ? read_reference(s, out) : COP_OK;
}

static bool read_number(cop_gr_source *s, uint32_t *out) {
    size_t from = s->at;
    for (*out = 0; peek(s) >= '0' && peek(s) <= '9'; s->at++)
        if (*out < 100000000) *out = *out * 10 + (uint32_t)(peek(s) - '0');
    return s->at > from;
}

// item ~ 2..4, with s->at at the ~; false: it is the ~ of the next item.
static bool read_lark_count(cop_gr_source *s, uint32_t *low, uint32_t *high) {
    size_t at = s->at++;
    skip_space(s, false);
    if (!read_number(s, low)) return s->at = at, false;
    *high = *low;
    if (take(s, "..")) return read_number(s, high) && *low <= *high;
    return true;
}

static cop_status read_item(cop_gr_source *s, bool nested, uint32_t *item) {
    COP_TRY(read_atom(s, item));
    if (!*item) return COP_OK;
    for (;;) {
        skip_space(s, nested);
        char c = peek(s);
        uint32_t low = c == '+', high = c == '?' ? 1 : COP_RX_MANY, inner = *item;
        if (c == '~') {
            if (!read_lark_count(s, &low, &high)) return COP_OK;
        } else if (c == '{') {
            s->at++;
            COP_TRY(cop_gr_read_count(s, &low, &high));
        } else if (c == '*' || c == '+' || c == '?') {
            s->at++;
        } else {
            return COP_OK;
        }
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_REPEAT, .low = low, .high = high}, item));
        cop_gr_append(s, *item, inner);
    }
}

static cop_status read_sequence(cop_gr_source *s, bool nested, uint32_t *out) {
    uint32_t item;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_SEQUENCE}, out));
    for (;;) {
        COP_TRY(read_item(s, nested, &item));
        if (!item) break;
        cop_gr_append(s, *out, item);
    }
    if (take(s, "->")) skip_space(s, false), read_name(s), skip_space(s, nested);
    return COP_OK;
}

// A new line goes on with the rule when it begins with | or &.
static bool goes_on(cop_gr_source *s, char with) {
    size_t at = s->at;
    int line = s->line;
    skip_space(s, true);
    if (peek(s) == with) return s->at++, skip_space(s, true), true;
    s->at = at;
    s->line = line;
    return false;
}

static cop_status read_conjunction(cop_gr_source *s, bool nested, uint32_t *out) {
    uint32_t part, first;
    COP_TRY(read_sequence(s, nested, &first));
    *out = first;
    if (!goes_on(s, '&')) return COP_OK;
    if (!s->in_terminal) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "& outside a terminal");
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_AND}, out));
    cop_gr_append(s, *out, first);
    do {
        COP_TRY(read_sequence(s, nested, &part));
        cop_gr_append(s, *out, part);
    } while (goes_on(s, '&'));
    return COP_OK;
}

static cop_status read_alternatives(cop_gr_source *s, bool nested, uint32_t *out) {
    uint32_t part;
    COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_OR}, out));
    do {
        COP_TRY(read_conjunction(s, nested, &part));
        cop_gr_append(s, *out, part);
    } while (goes_on(s, '|'));
    return COP_OK;
}

// ---- statements ----

// name[lazy, stop="x"]: what the rule's text ends with, 0: nothing.
static cop_status read_attributes(cop_gr_source *s, bool *lazy, uint32_t *stop) {
    while (take(s, "[") || take(s, ",")) {
        skip_space(s, true);
        const char *name = s->text + s->at;
        size_t bytes = read_name(s);
        bool stops = (bytes == 4 && !memcmp(name, "stop", 4)) || (bytes == 6 && !memcmp(name, "suffix", 6));
        skip_space(s, true);
        if (stops && take(s, "=")) {
            skip_space(s, true);
            s->in_terminal = *lazy = true;
            COP_TRY(read_atom(s, stop));
            if (!*stop) return cop_gr_fail(s, COP_ERR_FORMAT, "stop and suffix need a text or a regular expression");
        } else if (bytes == 4 && !memcmp(name, "lazy", 4)) {
            *lazy = true;
        } else if (bytes == 7 && !memcmp(name, "capture", 7)) {
            uint32_t unused;
            skip_space(s, true);
            if (take(s, "=")) {
                skip_space(s, true);
                COP_TRY(read_atom(s, &unused));
            }
        } else {
            return cop_fail(COP_ERR_UNSUPPORTED, "%s grammar, line %d: attribute %.*s", s->kind, s->line, (int)(bytes < 40 ? bytes : 40), name);
        }
        skip_space(s, true);
        if (take(s, "]")) return COP_OK;
    }
    return COP_OK;
}

static cop_status read_rule(cop_gr_source *s) {
    uint32_t rule, body, stop = 0, whole;
    bool lazy = false;
    if (peek(s) == '?' || peek(s) == '!') s->at++;
    const char *name = s->text + s->at;
    size_t bytes = read_name(s);
    if (!bytes) return cop_gr_fail(s, COP_ERR_FORMAT, "a rule's name is missing");
    bool terminal = is_terminal(name, bytes);
    COP_TRY(cop_gr_rule_of(s, name, bytes, &rule));
    if (s->rules.v[rule].body) return cop_fail(COP_ERR_FORMAT, "lark grammar, line %d: rule %s is there twice", s->line, s->rules.v[rule].name);
    if (take(s, ".")) read_number(s, &(uint32_t){0});  // a priority does not change what is accepted
    COP_TRY(read_attributes(s, &lazy, &stop));
    skip_space(s, false);
    if (!take(s, ":")) return cop_gr_fail(s, COP_ERR_FORMAT, ": is missing behind a rule's name");
    skip_space(s, true);
    s->in_terminal = terminal || lazy;
    COP_TRY(read_alternatives(s, false, &body));
    if (lazy) {
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_LAZY}, &whole));
        cop_gr_append(s, whole, body);
        if (stop) cop_gr_append(s, whole, stop);
        body = whole;
        s->in_terminal = terminal;
        COP_TRY(wrap(s, &body));
    }
    s->in_terminal = false;
    s->rules.v[rule].body = body;
    s->rules.v[rule].terminal = terminal;
    return COP_OK;
}

static cop_status import_one(cop_gr_source *s, const char *name, size_t bytes, const char *as, size_t as_bytes) {
    uint32_t rule, node;
    cop_rx rx;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        if (strlen(common[i][0]) != bytes || memcmp(common[i][0], name, bytes) != 0) continue;
        COP_TRY(parse_pattern(s, common[i][1], strlen(common[i][1]), &rx));
        COP_TRY(cop_gr_rule_of(s, as, as_bytes, &rule));
        COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_RX, .value = rx}, &node));
        s->rules.v[rule].body = node;
        s->rules.v[rule].terminal = true;
        return COP_OK;
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "lark grammar, line %d: %%import of %.*s", s->line, (int)(bytes < 40 ? bytes : 40), name);
}

static cop_status read_import(cop_gr_source *s) {
    skip_space(s, false);
    if (!take(s, "common")) return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "%import of something other than common");
    bool list = false;
    if (!take(s, ".")) skip_space(s, false), list = take(s, "(");
    do {
        skip_space(s, list);
        const char *name = s->text + s->at, *as = name;
        size_t bytes = read_name(s), as_bytes = bytes;
        skip_space(s, list);
        if (take(s, "->")) {
            skip_space(s, false);
            as = s->text + s->at;
            as_bytes = read_name(s);
        }
        COP_TRY(import_one(s, name, bytes, as, as_bytes));
        skip_space(s, list);
    } while (list && take(s, ","));
    return list && !take(s, ")") ? cop_gr_fail(s, COP_ERR_FORMAT, "a bracket is not closed") : COP_OK;
}

static cop_status read_ignore(cop_gr_source *s) {
    uint32_t what;
    skip_space(s, false);
    s->in_terminal = true;
    COP_TRY(read_alternatives(s, false, &what));
    s->in_terminal = false;
    if (!s->ignored) COP_TRY(cop_gr_add(s, (cop_gr_node){.kind = COP_GR_OR}, &s->ignored));
    cop_gr_append(s, s->ignored, what);
    return COP_OK;
}

cop_status cop_gr_read_lark(cop_gr_source *s) {
    for (skip_space(s, true); s->at < s->bytes; skip_space(s, true)) {
        const char *text;
        size_t bytes, from = s->at;
        if (take(s, "%ignore")) COP_TRY(read_ignore(s));
        else if (take(s, "%import")) COP_TRY(read_import(s));
        else if (take(s, "%llguidance")) COP_TRY(read_object(s, &text, &bytes));
        else if (peek(s) == '%') return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "a directive that is not %ignore or %import");
        else COP_TRY(read_rule(s));
        skip_space(s, false);
        if (s->at < s->bytes && peek(s) != '\n') return cop_gr_fail(s, COP_ERR_FORMAT, "what is this behind a rule?");
        if (s->at == from) return cop_gr_fail(s, COP_ERR_FORMAT, "what is this?");
    }
    return cop_gr_rule_of(s, "start", 5, &s->start);
}
