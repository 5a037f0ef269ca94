// Expressions of a template: tokens to tree, by recursive descent with the precedence of jinja2, which is
// not Python's: ~ binds tighter than +, ** goes left to right, a filter binds tighter than a minus before it.
#include <string.h>

#include "text/jinja_private.h"

#define MOST_CHAIN 400  // operators, subscripts or filters in a row: each is a level of evaluation

static cop_status enter(jparser *p) {
    if (++p->depth > COP_JINJA_MOST_NESTING) return cop_jinja_syntax(p->token, "nested too deeply, at most %d", COP_JINJA_MOST_NESTING);
    return COP_OK;
}

static cop_status count(jparser *p, int *n) {
    if (++*n > MOST_CHAIN) return cop_jinja_syntax(p->token, "more than %d operators in a row", MOST_CHAIN);
    return COP_OK;
}

static cop_status unexpected(const jparser *p, const char *wanted) {
    const jtoken *t = p->token;
    const char *what = t->kind == T_END ? "the end of the template" : t->kind == T_PRINT_END ? "}}" : t->kind == T_BLOCK_END ? "%}" : NULL;
    int n = t->n > 40 ? 40 : (int)t->n;
    if (what) return cop_jinja_syntax(t, "expected %s, found %s", wanted, what);
    return cop_jinja_syntax(t, "expected %s, found '%.*s'", wanted, n, t->v);
}

cop_status cop_jinja_expect(jparser *p, jtoken_kind kind, const char *what) {
    if (p->token->kind != kind) return unexpected(p, what);
    p->token++;
    return COP_OK;
}

cop_status cop_jinja_node(jparser *p, jnode_kind kind, uint32_t line, jnode **out) {
    COP_TRY(TAKE(&p->t->arena, *out));
    (*out)->kind = (uint8_t)kind;
    (*out)->line = line;
    return COP_OK;
}

cop_status cop_jinja_add_node(jparser *p, jnodes *list, jnode *node) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        void *grown;
        COP_TRY(cop_jinja_take(&p->t->arena, cap * sizeof(jnode *), &grown));
        if (list->n) memcpy(grown, list->v, list->n * sizeof(jnode *));
        list->v = grown;
        list->cap = cap;
    }
    list->v[list->n++] = node;
    return COP_OK;
}

static cop_status new_text(jparser *p, const char *v, size_t n, const jtext **out) {
    jtext *t;
    COP_TRY(TAKE(&p->t->arena, t));
    *t = (jtext){.v = v, .n = n, .points = cop_jinja_count_points(v, n)};
    *out = t;
    return COP_OK;
}

cop_status cop_jinja_symbol(jparser *p, const char *name, size_t bytes, int *out) {
    cop_jinja *t = p->t;
    for (size_t i = 0; i < t->n_symbols; i++)
        if (t->symbols[i]->n == bytes && !memcmp(t->symbols[i]->v, name, bytes)) {
            *out = (int)i;
            return COP_OK;
        }
    if (t->n_symbols == 2000) return cop_jinja_syntax(p->token, "more than 2000 different names");
    if (t->n_symbols == t->cap_symbols) {
        size_t cap = t->cap_symbols ? t->cap_symbols * 2 : 32;
        void *grown;
        COP_TRY(cop_jinja_take(&t->arena, cap * sizeof *t->symbols, &grown));
        if (t->n_symbols) memcpy(grown, t->symbols, t->n_symbols * sizeof *t->symbols);
        t->symbols = grown;
        t->cap_symbols = cap;
    }
    COP_TRY(new_text(p, name, bytes, &t->symbols[t->n_symbols]));
    *out = (int)t->n_symbols++;
    return COP_OK;
}

// A filter or test that does not exist fails where the template is read, unless a condition guards it.
static cop_status note_unknown(jparser *p, jnode *node) {
    if (p->soft) return COP_OK;
    if (p->n_maybe == p->cap_maybe) {
        size_t cap = p->cap_maybe ? p->cap_maybe * 2 : 8;
        void *grown;
        COP_TRY(cop_jinja_take(&p->t->arena, cap * sizeof *p->maybe, &grown));
        if (p->n_maybe) memcpy(grown, p->maybe, p->n_maybe * sizeof *p->maybe);
        p->maybe = grown;
        p->cap_maybe = cap;
    }
    p->maybe[p->n_maybe++] = node;
    return COP_OK;
}

static bool take_name(jparser *p, const char *name) {
    if (!cop_jinja_at_name(p, name)) return false;
    p->token++;
    return true;
}

// ---- calls, subscripts, filters, tests ----

// ( positional, name=value, *more, **named ): list, keywords, b and c of the node.
static cop_status parse_arguments(jparser *p, jnode *call) {
    jkeyword **last = &call->keywords;
    bool comma = false;
    COP_TRY(cop_jinja_expect(p, T_LPAREN, "("));
    while (p->token->kind != T_RPAREN) {
        if (comma) COP_TRY(cop_jinja_expect(p, T_COMMA, ", or )"));
        if (p->token->kind == T_RPAREN) break;
        comma = true;
        if (p->token->kind == T_MUL && !call->b && !call->c) {
            p->token++;
            COP_TRY(cop_jinja_parse_expression(p, &call->b));
        } else if (p->token->kind == T_POW && !call->c) {
            p->token++;
            COP_TRY(cop_jinja_parse_expression(p, &call->c));
        } else if (p->token->kind == T_NAME && p->token[1].kind == T_ASSIGN && !call->c) {
            COP_TRY(TAKE(&p->t->arena, *last));
            COP_TRY(new_text(p, p->token->v, p->token->n, &(*last)->name));
            p->token += 2;
            COP_TRY(cop_jinja_parse_expression(p, &(*last)->value));
            last = &(*last)->next;
        } else {
            jnode *argument;
            if (call->b || call->c || call->keywords) return cop_jinja_syntax(p->token, "an argument without a name behind one with a name");
            COP_TRY(cop_jinja_parse_expression(p, &argument));
            COP_TRY(cop_jinja_add_node(p, &call->list, argument));
        }
    }
    p->token++;
    return COP_OK;
}

static cop_status parse_call(jparser *p, jnode **node) {
    jnode *call;
    COP_TRY(cop_jinja_node(p, N_CALL, p->token->line, &call));
    call->a = *node;
    *node = call;
    return parse_arguments(p, call);
}

// One bound of a slice, NULL when left out.
static cop_status parse_bound(jparser *p, jnode **out) {
    *out = NULL;
    if (p->token->kind == T_COLON || p->token->kind == T_RBRACKET || p->token->kind == T_COMMA) return COP_OK;
    return cop_jinja_parse_expression(p, out);
}

// a[b] or a[b:c:d]: a slice keeps its bounds in body.v[0..3).
static cop_status parse_bracket(jparser *p, jnode **node) {
    jnode *item, *bounds[3] = {0};
    COP_TRY(cop_jinja_node(p, N_ITEM, p->token->line, &item));
    item->a = *node;
    *node = item;
    p->token++;
    COP_TRY(parse_bound(p, &bounds[0]));
    if (p->token->kind != T_COLON) {
        if (!bounds[0]) return unexpected(p, "a subscript");
        item->b = bounds[0];
        return cop_jinja_expect(p, T_RBRACKET, "]");
    }
    item->kind = N_SLICE;
    for (int i = 1; i < 3 && p->token->kind == T_COLON; i++) {
        p->token++;
        COP_TRY(parse_bound(p, &bounds[i]));
    }
    for (int i = 0; i < 3; i++) COP_TRY(cop_jinja_add_node(p, &item->body, bounds[i]));
    return cop_jinja_expect(p, T_RBRACKET, "]");
}

static cop_status parse_dot(jparser *p, jnode **node) {
    jnode *made;
    uint32_t line = (p->token++)->line;
    const jtoken *t = p->token;
    if (t->kind == T_NAME) {
        COP_TRY(cop_jinja_node(p, N_ATTRIBUTE, line, &made));
        COP_TRY(new_text(p, t->v, t->n, &made->name));
    } else if (t->kind == T_INT) {
        COP_TRY(cop_jinja_node(p, N_ITEM, line, &made));
        COP_TRY(cop_jinja_node(p, N_CONST, line, &made->b));
        made->b->value = cop_jinja_int(t->integer);
    } else {
        return unexpected(p, "a name or a number behind the dot");
    }
    p->token++;
    made->a = *node;
    *node = made;
    return COP_OK;
}

static cop_status parse_postfix(jparser *p, jnode **node) {
    for (int n = 0;;) {
        COP_TRY(count(p, &n));
        if (p->token->kind == T_DOT) COP_TRY(parse_dot(p, node));
        else if (p->token->kind == T_LBRACKET) COP_TRY(parse_bracket(p, node));
        else if (p->token->kind == T_LPAREN) COP_TRY(parse_call(p, node));
        else return COP_OK;
    }
}

// The name of a filter or test, which may have dots.
static cop_status parse_dotted(jparser *p, const jtext **out) {
    const jtoken *first = p->token;
    COP_TRY(cop_jinja_expect(p, T_NAME, "a name"));
    while (p->token->kind == T_DOT) {
        p->token++;
        COP_TRY(cop_jinja_expect(p, T_NAME, "a name"));
    }
    return new_text(p, first->v, (size_t)(p->token[-1].v + p->token[-1].n - first->v), out);
}

cop_status cop_jinja_parse_filters(jparser *p, jnode *base, bool inlined, jnode **out) {
    *out = base;
    for (int n = 0; inlined || p->token->kind == T_PIPE; inlined = false) {
        jnode *filter;
        COP_TRY(count(p, &n));
        if (!inlined) p->token++;
        COP_TRY(cop_jinja_node(p, N_FILTER, p->token->line, &filter));
        COP_TRY(parse_dotted(p, &filter->name));
        filter->a = *out;
        filter->callee = cop_jinja_find_filter(filter->name->v, filter->name->n);
        if (!filter->callee) COP_TRY(note_unknown(p, filter));
        if (p->token->kind == T_LPAREN) COP_TRY(parse_arguments(p, filter));
        *out = filter;
    }
    return COP_OK;
}

static bool begins_test_argument(const jparser *p) {
    switch (p->token->kind) {
    case T_NAME: return !cop_jinja_at_name(p, "else") && !cop_jinja_at_name(p, "or") && !cop_jinja_at_name(p, "and");
    case T_TEXT: case T_INT: case T_FLOAT: case T_LPAREN: case T_LBRACKET: case T_LBRACE: return true;
    default: return false;
    }
}

static cop_status parse_primary(jparser *p, bool field, jnode **out);

// Behind "is".
static cop_status parse_test(jparser *p, jnode **node) {
    jnode *test, *argument;
    uint32_t line = p->token[-1].line;
    bool negated = take_name(p, "not");
    COP_TRY(cop_jinja_node(p, N_TEST, line, &test));
    COP_TRY(parse_dotted(p, &test->name));
    test->a = *node;
    test->callee = cop_jinja_find_test(test->name->v, test->name->n);
    if (!test->callee) COP_TRY(note_unknown(p, test));
    if (p->token->kind == T_LPAREN) {
        COP_TRY(parse_arguments(p, test));
    } else if (begins_test_argument(p)) {
        if (cop_jinja_at_name(p, "is")) return cop_jinja_syntax(p->token, "tests cannot be chained with is");
        COP_TRY(parse_primary(p, false, &argument));
        COP_TRY(parse_postfix(p, &argument));
        COP_TRY(cop_jinja_add_node(p, &test->list, argument));
    }
    *node = test;
    if (!negated) return COP_OK;
    COP_TRY(cop_jinja_node(p, N_NOT, line, node));
    (*node)->a = test;
    return COP_OK;
}

static cop_status parse_filters_and_tests(jparser *p, jnode **node) {
    for (int n = 0;;) {
        COP_TRY(count(p, &n));
        if (p->token->kind == T_PIPE) COP_TRY(cop_jinja_parse_filters(p, *node, false, node));
        else if (take_name(p, "is")) COP_TRY(parse_test(p, node));
        else if (p->token->kind == T_LPAREN) COP_TRY(parse_call(p, node));
        else return COP_OK;
    }
}

// ---- literals and names ----

static cop_status parse_list(jparser *p, jnode **out) {
    COP_TRY(cop_jinja_node(p, N_LIST, (p->token++)->line, out));
    while (p->token->kind != T_RBRACKET) {
        jnode *item;
        if ((*out)->list.n) COP_TRY(cop_jinja_expect(p, T_COMMA, ", or ]"));
        if (p->token->kind == T_RBRACKET) break;
        COP_TRY(cop_jinja_parse_expression(p, &item));
        COP_TRY(cop_jinja_add_node(p, &(*out)->list, item));
    }
    p->token++;
    return COP_OK;
}

// list: key, value, key, value …
static cop_status parse_dict(jparser *p, jnode **out) {
    COP_TRY(cop_jinja_node(p, N_DICT, (p->token++)->line, out));
    while (p->token->kind != T_RBRACE) {
        jnode *key, *value;
        if ((*out)->list.n) COP_TRY(cop_jinja_expect(p, T_COMMA, ", or }"));
        if (p->token->kind == T_RBRACE) break;
        COP_TRY(cop_jinja_parse_expression(p, &key));
        COP_TRY(cop_jinja_expect(p, T_COLON, ":"));
        COP_TRY(cop_jinja_parse_expression(p, &value));
        COP_TRY(cop_jinja_add_node(p, &(*out)->list, key));
        COP_TRY(cop_jinja_add_node(p, &(*out)->list, value));
    }
    p->token++;
    return COP_OK;
}

// Texts beside one another are one text.
static cop_status parse_texts(jparser *p, jnode **out) {
    const jtoken *first = p->token;
    size_t n = 0, used = 0;
    COP_TRY(cop_jinja_node(p, N_CONST, first->line, out));
    for (; p->token->kind == T_TEXT; p->token++) n += p->token->n;
    const char *v = first->v;
    if (p->token - first > 1) {
        void *memory;
        COP_TRY(cop_jinja_take(&p->t->arena, n, &memory));
        for (const jtoken *t = first; t < p->token; used += t->n, t++) memcpy((char *)memory + used, t->v, t->n);
        v = memory;
    }
    const jtext *text;
    COP_TRY(new_text(p, v, n, &text));
    (*out)->value = cop_jinja_text(text);
    return COP_OK;
}

static bool name_is(const jtoken *t, const char *a, const char *b) {
    return (t->n == strlen(a) && !memcmp(t->v, a, t->n)) || (t->n == strlen(b) && !memcmp(t->v, b, t->n));
}

static cop_status parse_name(jparser *p, bool field, jnode **out) {
    const jtoken *t = p->token++;
    bool yes = name_is(t, "true", "True");
    COP_TRY(cop_jinja_node(p, N_CONST, t->line, out));
    if (yes || name_is(t, "false", "False")) {
        (*out)->value = cop_jinja_bool(yes);
    } else if (name_is(t, "none", "None")) {
        (*out)->value = J_NOTHING;
    } else {
        (*out)->kind = N_NAME;
        p->specials |= name_is(t, "varargs", "") ? COP_JINJA_VARARGS : name_is(t, "kwargs", "") ? COP_JINJA_KWARGS : name_is(t, "caller", "") ? COP_JINJA_CALLER : 0;
        COP_TRY(cop_jinja_symbol(p, t->v, t->n, &(*out)->symbol));
    }
    if (!field || (*out)->kind != N_NAME || p->token->kind != T_DOT) return COP_OK;
    (*out)->kind = N_FIELD;  // symbol.name, to assign to
    p->token++;
    COP_TRY(new_text(p, p->token->v, p->token->n, &(*out)->name));
    return cop_jinja_expect(p, T_NAME, "a name");
}

static cop_status parse_primary(jparser *p, bool field, jnode **out) {
    const jtoken *t = p->token;
    switch (t->kind) {
    case T_NAME: return parse_name(p, field, out);
    case T_TEXT: return parse_texts(p, out);
    case T_INT: case T_FLOAT:
        COP_TRY(cop_jinja_node(p, N_CONST, t->line, out));
        (*out)->value = t->kind == T_INT ? cop_jinja_int(t->integer) : cop_jinja_float(t->number);
        p->token++;
        return COP_OK;
    case T_LPAREN:
        p->token++;
        COP_TRY(cop_jinja_parse_tuple(p, true, out));
        return cop_jinja_expect(p, T_RPAREN, ")");
    case T_LBRACKET: return parse_list(p, out);
    case T_LBRACE: return parse_dict(p, out);
    default: return unexpected(p, "an expression");
    }
}

// ---- operators, loosest last ----

static cop_status parse_unary(jparser *p, bool filters, jnode **out) {
    COP_TRY(enter(p));
    jtoken_kind kind = p->token->kind;
    if (kind == T_SUB || kind == T_ADD) {
        COP_TRY(cop_jinja_node(p, kind == T_SUB ? N_MINUS : N_PLUS, (p->token++)->line, out));
        COP_TRY(parse_unary(p, false, &(*out)->a));
    } else {
        COP_TRY(parse_primary(p, false, out));
    }
    COP_TRY(parse_postfix(p, out));
    if (filters) COP_TRY(parse_filters_and_tests(p, out));
    p->depth--;
    return COP_OK;
}

static cop_status make_binary(jparser *p, jop op, jnode **left, cop_status (*next)(jparser *, jnode **)) {
    jnode *made;
    COP_TRY(cop_jinja_node(p, N_BINARY, (p->token++)->line, &made));
    made->op = (uint8_t)op;
    made->a = *left;
    *left = made;
    return next(p, &made->b);
}

static cop_status parse_signed(jparser *p, jnode **out) { return parse_unary(p, true, out); }

static cop_status parse_power(jparser *p, jnode **out) {
    int n = 0;
    COP_TRY(parse_signed(p, out));
    while (p->token->kind == T_POW) {
        COP_TRY(count(p, &n));
        COP_TRY(make_binary(p, OP_POW, out, parse_signed));
    }
    return COP_OK;
}

static cop_status parse_product(jparser *p, jnode **out) {
    COP_TRY(parse_power(p, out));
    for (int n = 0;;) {
        jtoken_kind kind = p->token->kind;
        jop op = kind == T_MUL ? OP_MUL : kind == T_DIV ? OP_DIV : kind == T_FLOORDIV ? OP_FLOORDIV : OP_MOD;
        if (op == OP_MOD && kind != T_MOD) return COP_OK;
        COP_TRY(count(p, &n));
        COP_TRY(make_binary(p, op, out, parse_power));
    }
}

static cop_status parse_concat(jparser *p, jnode **out) {
    COP_TRY(parse_product(p, out));
    if (p->token->kind != T_TILDE) return COP_OK;
    jnode *made, *part = *out;
    COP_TRY(cop_jinja_node(p, N_CONCAT, p->token->line, &made));
    COP_TRY(cop_jinja_add_node(p, &made->list, part));
    while (p->token->kind == T_TILDE) {
        p->token++;
        COP_TRY(parse_product(p, &part));
        COP_TRY(cop_jinja_add_node(p, &made->list, part));
    }
    *out = made;
    return COP_OK;
}

static cop_status parse_sum(jparser *p, jnode **out) {
    int n = 0;
    COP_TRY(parse_concat(p, out));
    while (p->token->kind == T_ADD || p->token->kind == T_SUB) {
        COP_TRY(count(p, &n));
        COP_TRY(make_binary(p, p->token->kind == T_ADD ? OP_ADD : OP_SUB, out, parse_concat));
    }
    return COP_OK;
}

static jop comparison(jparser *p) {
    switch (p->token->kind) {
    case T_EQ: return OP_EQ;
    case T_NE: return OP_NE;
    case T_LT: return OP_LT;
    case T_LE: return OP_LE;
    case T_GT: return OP_GT;
    case T_GE: return OP_GE;
    default: break;
    }
    if (cop_jinja_at_name(p, "in")) return OP_IN;
    bool behind_in = p->token[0].kind == T_NAME && p->token[1].kind == T_NAME && p->token[1].n == 2 && !memcmp(p->token[1].v, "in", 2);
    if (!cop_jinja_at_name(p, "not") || !behind_in) return 0;
    p->token++;
    return OP_NOT_IN;
}

// a, then list of N_BINARY nodes that hold the operator and its right side.
static cop_status parse_comparison(jparser *p, jnode **out) {
    COP_TRY(parse_sum(p, out));
    jnode *made = NULL, *part;
    for (jop op; (op = comparison(p)) != 0;) {
        if (!made) COP_TRY(cop_jinja_node(p, N_COMPARE, p->token->line, &made));
        COP_TRY(cop_jinja_node(p, N_BINARY, p->token->line, &part));
        part->op = (uint8_t)op;
        p->token++;
        COP_TRY(parse_sum(p, &part->b));
        COP_TRY(cop_jinja_add_node(p, &made->list, part));
    }
    if (!made) return COP_OK;
    made->a = *out;
    *out = made;
    return COP_OK;
}

static cop_status parse_not(jparser *p, jnode **out) {
    if (!cop_jinja_at_name(p, "not")) return parse_comparison(p, out);
    COP_TRY(enter(p));
    COP_TRY(cop_jinja_node(p, N_NOT, (p->token++)->line, out));
    COP_TRY(parse_not(p, &(*out)->a));
    p->depth--;
    return COP_OK;
}

// One after another in list: N_AND, N_OR.
static cop_status parse_series(jparser *p, jnode_kind kind, const char *word, cop_status (*next)(jparser *, jnode **), jnode **out) {
    COP_TRY(next(p, out));
    jnode *made = NULL, *part = *out;
    while (cop_jinja_at_name(p, word)) {
        if (!made) {
            COP_TRY(cop_jinja_node(p, kind, p->token->line, &made));
            COP_TRY(cop_jinja_add_node(p, &made->list, part));
        }
        p->token++;
        COP_TRY(next(p, &part));
        COP_TRY(cop_jinja_add_node(p, &made->list, part));
    }
    if (made) *out = made;
    return COP_OK;
}

static cop_status parse_and(jparser *p, jnode **out) { return parse_series(p, N_AND, "and", parse_not, out); }
static cop_status parse_or(jparser *p, jnode **out) { return parse_series(p, N_OR, "or", parse_and, out); }

// a if b else c: b is the condition, a and c the results, c may be NULL.
cop_status cop_jinja_parse_expression(jparser *p, jnode **out) {
    size_t n_maybe = p->n_maybe;
    int n = 0;
    COP_TRY(enter(p));
    COP_TRY(parse_or(p, out));
    while (take_name(p, "if")) {
        jnode *made;
        COP_TRY(count(p, &n));
        COP_TRY(cop_jinja_node(p, N_CONDITION, p->token[-1].line, &made));
        made->a = *out;
        *out = made;
        COP_TRY(parse_or(p, &made->b));
        if (take_name(p, "else")) COP_TRY(cop_jinja_parse_expression(p, &made->c));
        p->n_maybe = n_maybe;
    }
    p->depth--;
    return COP_OK;
}

static bool ends_tuple(const jparser *p) {
    jtoken_kind kind = p->token->kind;
    return kind == T_PRINT_END || kind == T_BLOCK_END || kind == T_RPAREN || cop_jinja_at_name(p, "recursive");
}

static cop_status parse_elements(jparser *p, bool parentheses, cop_status (*next)(jparser *, jnode **), jnode **out) {
    jnode *tuple = NULL;
    uint32_t line = p->token->line;
    if (!ends_tuple(p)) {
        COP_TRY(next(p, out));
        if (p->token->kind != T_COMMA) return COP_OK;
    } else if (!parentheses) {
        return unexpected(p, "an expression");
    }
    bool first = !ends_tuple(p);
    COP_TRY(cop_jinja_node(p, N_TUPLE, line, &tuple));
    if (first) COP_TRY(cop_jinja_add_node(p, &tuple->list, *out));
    while (p->token->kind == T_COMMA) {
        p->token++;
        if (ends_tuple(p)) break;
        COP_TRY(next(p, out));
        COP_TRY(cop_jinja_add_node(p, &tuple->list, *out));
    }
    *out = tuple;
    return COP_OK;
}

cop_status cop_jinja_parse_tuple(jparser *p, bool parentheses, jnode **out) {
    return parse_elements(p, parentheses, cop_jinja_parse_expression, out);
}

// Behind "in" an "if" is the loop's filter, not a conditional expression.
cop_status cop_jinja_parse_iterable(jparser *p, jnode **out) { return parse_elements(p, false, parse_or, out); }

// A name, ns.name where `field` allows it, or names between commas (N_TUPLE).
cop_status cop_jinja_parse_target(jparser *p, bool field, jnode **out) {
    jnode *tuple = NULL, *part;
    uint32_t line = p->token->line;
    for (bool more = true; more;) {
        if (tuple && (cop_jinja_at_name(p, "in") || p->token->kind == T_ASSIGN || p->token->kind == T_BLOCK_END)) break;
        if (p->token->kind == T_LPAREN) {
            p->token++;
            COP_TRY(enter(p));
            COP_TRY(cop_jinja_parse_target(p, false, &part));
            p->depth--;
            COP_TRY(cop_jinja_expect(p, T_RPAREN, ")"));
        } else {
            if (p->token->kind != T_NAME) return unexpected(p, "a name to assign to");
            COP_TRY(parse_name(p, field, &part));
        }
        if (part->kind == N_CONST) return cop_jinja_syntax(p->token, "true, false and none cannot be assigned to");
        more = p->token->kind == T_COMMA;
        if (more && !tuple) COP_TRY(cop_jinja_node(p, N_TUPLE, line, &tuple));
        if (tuple) COP_TRY(cop_jinja_add_node(p, &tuple->list, part));
        if (more) p->token++;
    }
    *out = tuple ? tuple : part;
    return COP_OK;
}
