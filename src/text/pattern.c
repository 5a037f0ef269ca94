// From Oniguruma's Ruby syntax to PCRE2's: ^ and $ are about lines, \h is a hexadecimal digit, \s and \w
// mean Unicode's properties, \p{Han} is the script and not its extensions.  Sources: the syntax
// documents of both libraries.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <string.h>

#include "base/array.h"
#include "text/utf8.h"

#define MOST_REWRITTEN (64 * COP_MAX_PATTERN)
#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"

struct cop_pattern {
    char *text;
    pcre2_general_context *memory;
    pcre2_code *code;
};

struct cop_pattern_work {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_match_data *match;
};

static void *take_memory(PCRE2_SIZE bytes, void *unused) {
    (void)unused;
    return cop_alloc(bytes);
}
static void give_memory(void *p, void *unused) {
    (void)unused;
    cop_free(p);
}

// ---- rewriting ----

typedef struct rewriter {
    const char *text;
    size_t bytes, at;
    int class_depth;
    COP_ARRAY(char) out;
} rewriter;

static cop_status put(rewriter *r, const char *text, size_t bytes) {
    COP_TRY(cop_array_reserve(&r->out, bytes));
    memcpy(r->out.v + r->out.n, text, bytes);
    r->out.n += bytes;
    return COP_OK;
}

static cop_status put_text(rewriter *r, const char *text) { return put(r, text, strlen(text)); }

static cop_status refuse(const rewriter *r, const char *what) {
    return cop_fail(COP_ERR_UNSUPPORTED, "pattern \"%.60s\": %s at byte %zu is not supported", r->text, what, r->at);
}

// A shorthand for a set, inside a class or as one; what is not in the set cannot stand inside.
static cop_status put_set(rewriter *r, const char *set, bool inverted) {
    if (r->class_depth && inverted) return refuse(r, "an inverted shorthand within a class");
    if (r->class_depth) return put_text(r, set);
    COP_TRY(put_text(r, inverted ? "[^" : "["));
    COP_TRY(put_text(r, set));
    return put_text(r, "]");
}

// \p{Name}: categories have one or two letters; the rest are scripts, by their own letters only.
static cop_status put_property(rewriter *r) {
    static const char *const flags[] = {"Alphabetic", "Any", "White_Space", "Uppercase", "Lowercase", "Emoji"};
    const char *name = r->text + r->at + 3, *end = memchr(name, '}', r->bytes - r->at - 3);
    if (!end || end == name || end - name > 40) return refuse(r, "a property without a name");
    size_t n = (size_t)(end - name);
    bool negated = *name == '^', plain = n - negated <= 2;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        plain = plain || (strlen(flags[i]) == n - negated && !memcmp(flags[i], name + negated, n - negated));
    for (size_t i = negated; i < n; i++)
        if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= 'A' && name[i] <= 'Z') && name[i] != '_' && name[i] != '&')
            return refuse(r, "a property with a sign in its name");
    COP_TRY(put(r, r->text + r->at, 3));
    if (negated) COP_TRY(put_text(r, "^"));
    if (!plain) COP_TRY(put_text(r, "sc:"));
    COP_TRY(put(r, name + negated, n - negated));
    r->at += 3 + n + 1;
    return put_text(r, "}");
}

// \uXXXX and \x{...} and \xXX.
static cop_status put_code(rewriter *r, size_t digits) {
    if (r->bytes - r->at < 2 + digits) return refuse(r, "a short code");
    for (size_t i = 0; i < digits; i++)
        if (!strchr("0123456789abcdefABCDEF", r->text[r->at + 2 + i])) return refuse(r, "a code that is not hexadecimal");
    COP_TRY(put_text(r, "\\x{"));
    COP_TRY(put(r, r->text + r->at + 2, digits));
    r->at += 2 + digits;
    return put_text(r, "}");
}

static cop_status put_escape(rewriter *r) {
    if (r->at + 1 >= r->bytes) return refuse(r, "a lone backslash");
    char c = r->text[r->at + 1];
    bool brace = r->at + 2 < r->bytes && r->text[r->at + 2] == '{';
    if ((c == 'p' || c == 'P') && brace) return put_property(r);
    if (c == 'u') return put_code(r, 4);
    if (c == 'x' && !brace) return put_code(r, 2);
    switch (c) {
    case 's': COP_TRY(put_set(r, COP_PATTERN_SPACE, false)); break;
    case 'S': COP_TRY(put_set(r, COP_PATTERN_SPACE, true)); break;
    case 'w': COP_TRY(put_set(r, WORD, false)); break;
    case 'W': COP_TRY(put_set(r, WORD, true)); break;
    case 'd': COP_TRY(put_set(r, "\\p{Nd}", false)); break;
    case 'D': COP_TRY(put_set(r, "\\p{Nd}", true)); break;
    case 'h': COP_TRY(put_set(r, "0-9a-fA-F", false)); break;
    default:
        // Letters and digits that mean the same to both; every sign stands for itself.
        if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) && !strchr("tnrfvaexzA", c))
            return refuse(r, "an escape");
        if ((c == 'z' || c == 'A') && r->class_depth) return refuse(r, "an escape");
        COP_TRY(put(r, r->text + r->at, 2));
    }
    r->at += 2;
    return COP_OK;
}

// (?: (?= (?! (?<= (?<! (?> and (?i: mean the same; other options do not.
static cop_status put_group(rewriter *r) {
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)"};
    if (r->at + 1 < r->bytes && r->text[r->at + 1] == '?') {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            size_t n = strlen(known[i]);
            if (r->bytes - r->at < n || memcmp(r->text + r->at, known[i], n) != 0) continue;
            r->at += n;
            return put_text(r, known[i]);
        }
        return refuse(r, "a group with options");
    }
    r->at++;
    return put_text(r, "(?:");  // nothing refers to groups
}

static cop_status put_class(rewriter *r, char c) {
    if (c == '[') {
        if (r->at + 1 < r->bytes && r->text[r->at + 1] == ':') return refuse(r, "a class by name");
        if (r->class_depth) return refuse(r, "a class within a class");
        r->class_depth = 1;
        r->at++;
        COP_TRY(put_text(r, "["));
        if (r->at < r->bytes && r->text[r->at] == '^') {
            r->at++;
            COP_TRY(put_text(r, "^"));
        }
        if (r->at < r->bytes && r->text[r->at] == ']') return refuse(r, "an empty class");
        return COP_OK;
    }
    if (c == '&' && r->at + 1 < r->bytes && r->text[r->at + 1] == '&') return refuse(r, "an intersection");
    if (c == ']') r->class_depth = 0;
    r->at++;
    return put(r, &c, 1);
}

static cop_status rewrite(rewriter *r) {
    while (r->at < r->bytes) {
        char c = r->text[r->at];
        if (c == '\\') {
            COP_TRY(put_escape(r));
        } else if (r->class_depth || c == '[') {
            COP_TRY(put_class(r, c));
        } else if (c == '(') {
            COP_TRY(put_group(r));
        } else if (c == '}' && r->at + 1 < r->bytes && r->text[r->at + 1] == '+') {
            return refuse(r, "a sign after an interval");
        } else {
            COP_TRY(put(r, &c, 1));
            r->at++;
        }
    }
    return COP_OK;
}

// ---- compiling ----

static cop_status compile(cop_pattern *p, const char *text, size_t bytes, uint32_t options) {
    int code;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    if (!context) return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 50);
    p->code = pcre2_compile((PCRE2_SPTR)text, bytes, PCRE2_UTF | options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!p->code) {
        char why[120];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return cop_fail(code == PCRE2_ERROR_HEAP_FAILED ? COP_ERR_NOMEM : COP_ERR_UNSUPPORTED, "pattern \"%.60s\": %s",
                        p->text, why);
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);  // without it the interpreter serves, some 10 times slower
    return COP_OK;
}

static cop_status fill(cop_pattern *p, const char *text, size_t bytes, bool literal) {
    if (bytes > COP_MAX_PATTERN) return cop_fail(COP_ERR_LIMIT, "pattern: %zu bytes, at most %d", bytes, COP_MAX_PATTERN);
    if (!bytes) return cop_fail(COP_ERR_FORMAT, "pattern: it is empty");
    p->text = cop_text_copy(text, bytes);
    p->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    if (!p->text || !p->memory) return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    if (literal) return compile(p, text, bytes, PCRE2_LITERAL);
    rewriter r = {.text = p->text, .bytes = bytes, .out.most = MOST_REWRITTEN};
    cop_status st = rewrite(&r);
    if (!st) st = compile(p, r.out.v, r.out.n, PCRE2_UCP | PCRE2_MULTILINE);
    cop_array_fini(&r.out);
    return st;
}

static cop_status make(cop_pattern **out, const char *text, size_t bytes, bool literal) {
    *out = NULL;
    cop_pattern *p = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    cop_status st = fill(p, text, bytes, literal);
    if (st) {
        cop_pattern_free(p);
        return st;
    }
    *out = p;
    return COP_OK;
}

cop_status cop_pattern_new(cop_pattern **out, const char *text, size_t bytes) { return make(out, text, bytes, false); }
cop_status cop_pattern_new_literal(cop_pattern **out, const char *text, size_t bytes) {
    return make(out, text, bytes, true);
}

void cop_pattern_free(cop_pattern *p) {
    if (!p) return;
    cop_free(p->text);
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->memory);
    cop_free(p);
}

const char *cop_pattern_text(const cop_pattern *p) { return p->text; }

// ---- matching ----

cop_status cop_pattern_work_new(cop_pattern_work **out) {
    *out = NULL;
    cop_pattern_work *w = cop_alloc(sizeof *w);
    if (w) w->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    if (w && w->memory) w->limits = pcre2_match_context_create(w->memory);
    if (w && w->memory) w->match = pcre2_match_data_create(1, w->memory);
    if (!w || !w->limits || !w->match) {
        cop_pattern_work_free(w);
        return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    }
    *out = w;
    return COP_OK;
}

void cop_pattern_work_free(cop_pattern_work *w) {
    if (!w) return;
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->limits);
    pcre2_general_context_free(w->memory);
    cop_free(w);
}

// The limit grows with the text: what a published pattern backtracks over is its own match only.
cop_status cop_pattern_find(const cop_pattern *p, cop_pattern_work *w, const char *text, size_t bytes, size_t from,
                            size_t *begin, size_t *end, bool *found) {
    uint64_t steps = 1000000 + 8 * (uint64_t)bytes;
    pcre2_set_match_limit(w->limits, steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps);
    int got = pcre2_match(p->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK, w->match, w->limits);
    if (got == PCRE2_ERROR_JIT_STACKLIMIT)
        got = pcre2_match(p->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w->match, w->limits);
    *begin = *end = bytes;
    *found = false;
    if (got == PCRE2_ERROR_NOMATCH) return COP_OK;
    if (got == PCRE2_ERROR_NOMEMORY) return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    if (got < 0) return cop_fail(COP_ERR_LIMIT, "pattern \"%.60s\": gave up on a text of %zu bytes (%d)", p->text, bytes, got);
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(w->match);
    *begin = range[0];
    *end = range[1] < range[0] ? range[0] : range[1];
    *found = true;
    return COP_OK;
}
