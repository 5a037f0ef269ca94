// Statements of a template: the tags {% … %}, and the parsing of a whole template.
#include <string.h>

#include "base/alloc.h"
#include "text/jinja_private.h"

#define MOST_MEMORY ((size_t)256 << 20)  // of a tree

static cop_status parse_statement(jparser *p, jnode **out);

static bool at_end_tag(const jparser *p, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (cop_jinja_at_name(p, *ends)) return true;
    return false;
}

static cop_status unclosed(const jparser *p, const char *tag, uint32_t line) {
    return cop_jinja_syntax(&(jtoken){.line = line}, "{%% %s %%} is not closed before the end of the template (line %u)", tag, p->token->line);
}

// Statements up to a tag of `ends` (its name is then the current token), or to the end of the template.
static cop_status parse_body(jparser *p, const char *tag, uint32_t line, const char *const *ends, jnodes *out) {
    for (;;) {
        const jtoken *t = p->token;
        jnode *node;
        if (t->kind == T_END) return ends ? unclosed(p, tag, line) : COP_OK;
        p->token++;
        if (t->kind == T_DATA) {
            jtext *text;
            COP_TRY(cop_jinja_node(p, N_DATA, t->line, &node));
            COP_TRY(TAKE(&p->t->arena, text));
            *text = (jtext){.v = t->v, .n = t->n};
            node->value = cop_jinja_text(text);
        } else if (t->kind == T_PRINT_BEGIN) {
            COP_TRY(cop_jinja_node(p, N_PRINT, t->line, &node));
            COP_TRY(cop_jinja_parse_tuple(p, false, &node->a));
            COP_TRY(cop_jinja_expect(p, T_PRINT_END, "}}"));
        } else {
            if (at_end_tag(p, ends)) return COP_OK;
            COP_TRY(parse_statement(p, &node));
            COP_TRY(cop_jinja_expect(p, T_BLOCK_END, "%}"));
        }
        COP_TRY(cop_jinja_add_node(p, out, node));
    }
}

// The body behind the current tag's %}, and its end tag.  soft: what `soft` of the parser is inside.
static cop_status parse_block(jparser *p, const char *tag, uint32_t line, const char *const *ends, bool soft, jnodes *out) {
    bool outer = p->soft;
    COP_TRY(cop_jinja_expect(p, T_BLOCK_END, "%}"));
    p->soft = soft;
    COP_TRY(parse_body(p, tag, line, ends, out));
    p->soft = outer;
    return COP_OK;
}

// list: one N_CONDITION for each branch, b its condition (NULL: else) and body.
static cop_status parse_if(jparser *p, jnode *node) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    bool outer = p->soft, last = false;
    while (!cop_jinja_at_name(p, "endif")) {
        jnode *branch;
        if (last) return cop_jinja_syntax(p->token, "expected {%% endif %%} behind {%% else %%}");
        COP_TRY(cop_jinja_node(p, N_CONDITION, p->token->line, &branch));
        last = cop_jinja_at_name(p, "else");
        p->token++;
        p->soft = true;
        if (!last) COP_TRY(cop_jinja_parse_tuple(p, false, &branch->b));
        COP_TRY(parse_block(p, "if", node->line, ends, true, &branch->body));
        COP_TRY(cop_jinja_add_node(p, &node->list, branch));
    }
    p->soft = outer;
    p->token++;
    return COP_OK;
}

// a: target, b: what is iterated, c: filter or NULL, body, other: else; flag: recursive.
static cop_status parse_for(jparser *p, jnode *node) {
    static const char *const ends[] = {"endfor", "else", NULL}, *const end[] = {"endfor", NULL};
    p->token++;
    COP_TRY(cop_jinja_parse_target(p, false, &node->a));
    if (!cop_jinja_at_name(p, "in")) return cop_jinja_syntax(p->token, "expected in behind the names of {%% for %%}");
    p->token++;
    COP_TRY(cop_jinja_parse_iterable(p, &node->b));
    if (cop_jinja_at_name(p, "if")) {
        p->token++;
        COP_TRY(cop_jinja_parse_expression(p, &node->c));
    }
    if (cop_jinja_at_name(p, "recursive")) {
        node->flag = true;
        p->token++;
    }
    p->loops++;
    COP_TRY(parse_block(p, "for", node->line, ends, false, &node->body));
    p->loops--;
    if (cop_jinja_at_name(p, "else")) {
        p->token++;
        COP_TRY(parse_block(p, "for", node->line, end, false, &node->other));
    }
    p->token++;
    return COP_OK;
}

// a: target; b: value, or (N_SET_BLOCK) filters over N_CAPTURED, and body.
static cop_status parse_set(jparser *p, jnode *node) {
    static const char *const end[] = {"endset", NULL};
    p->token++;
    COP_TRY(cop_jinja_parse_target(p, true, &node->a));
    if (p->token->kind == T_ASSIGN) {
        p->token++;
        return cop_jinja_parse_tuple(p, false, &node->b);
    }
    node->kind = N_SET_BLOCK;
    jnode *captured;
    COP_TRY(cop_jinja_node(p, N_CAPTURED, node->line, &captured));
    COP_TRY(cop_jinja_parse_filters(p, captured, false, &node->b));
    COP_TRY(parse_block(p, "set", node->line, end, false, &node->body));
    p->token++;
    return COP_OK;
}

// ( name, name=default ): list of N_NAME, other: their defaults or NULL.
static cop_status parse_signature(jparser *p, jnode *node) {
    bool defaults = false;
    COP_TRY(cop_jinja_expect(p, T_LPAREN, "("));
    while (p->token->kind != T_RPAREN) {
        jnode *name, *value = NULL;
        if (node->list.n) COP_TRY(cop_jinja_expect(p, T_COMMA, ", or )"));
        if (node->list.n == 64) return cop_jinja_syntax(p->token, "more than 64 parameters");
        COP_TRY(cop_jinja_node(p, N_NAME, p->token->line, &name));
        COP_TRY(cop_jinja_symbol(p, p->token->v, p->token->n, &name->symbol));
        COP_TRY(cop_jinja_expect(p, T_NAME, "a parameter's name"));
        if (p->token->kind == T_ASSIGN) {
            p->token++;
            defaults = true;
            COP_TRY(cop_jinja_parse_expression(p, &value));
        } else if (defaults) {
            return cop_jinja_syntax(p->token, "a parameter without a default behind one with a default");
        }
        COP_TRY(cop_jinja_add_node(p, &node->list, name));
        COP_TRY(cop_jinja_add_node(p, &node->other, value));
    }
    p->token++;
    return COP_OK;
}

// The body of what becomes a macro: break and continue have no loop in it.  op: which COP_JINJA_… names it uses.
static cop_status parse_outside_loops(jparser *p, const char *tag, jnode *node, const char *const *ends) {
    int loops = p->loops, specials = p->specials;
    p->loops = p->specials = 0;
    COP_TRY(parse_block(p, tag, node->line, ends, false, &node->body));
    node->op = (uint8_t)p->specials;
    p->loops = loops;
    p->specials |= specials;  // what an inner macro uses counts for the outer one, as in jinja2
    p->token++;
    return COP_OK;
}

// symbol: its name; list, other: parameters and defaults.
static cop_status parse_macro(jparser *p, jnode *node) {
    static const char *const end[] = {"endmacro", NULL};
    p->token++;
    COP_TRY(cop_jinja_symbol(p, p->token->v, p->token->n, &node->symbol));
    node->name = p->t->symbols[node->symbol];
    COP_TRY(cop_jinja_expect(p, T_NAME, "the macro's name"));
    COP_TRY(parse_signature(p, node));
    return parse_outside_loops(p, "macro", node, end);
}

// a: the call that gets the body as its caller; list, other: the caller's parameters.
static cop_status parse_call_block(jparser *p, jnode *node) {
    static const char *const end[] = {"endcall", NULL};
    p->token++;
    if (p->token->kind == T_LPAREN) COP_TRY(parse_signature(p, node));
    COP_TRY(cop_jinja_parse_expression(p, &node->a));
    if (node->a->kind != N_CALL) return cop_jinja_syntax(p->token, "expected a call in {%% call %%}");
    return parse_outside_loops(p, "call", node, end);
}

static cop_status parse_filter_block(jparser *p, jnode *node) {
    static const char *const end[] = {"endfilter", NULL};
    jnode *captured;
    p->token++;
    COP_TRY(cop_jinja_node(p, N_CAPTURED, node->line, &captured));
    COP_TRY(cop_jinja_parse_filters(p, captured, true, &node->b));
    COP_TRY(parse_block(p, "filter", node->line, end, false, &node->body));
    p->token++;
    return COP_OK;
}

// list: targets, other: their values.
static cop_status parse_with(jparser *p, jnode *node) {
    static const char *const end[] = {"endwith", NULL};
    p->token++;
    while (p->token->kind != T_BLOCK_END) {
        jnode *target, *value;
        if (node->list.n) COP_TRY(cop_jinja_expect(p, T_COMMA, ","));
        COP_TRY(cop_jinja_node(p, N_NAME, p->token->line, &target));
        COP_TRY(cop_jinja_symbol(p, p->token->v, p->token->n, &target->symbol));
        COP_TRY(cop_jinja_expect(p, T_NAME, "a name"));
        COP_TRY(cop_jinja_expect(p, T_ASSIGN, "="));
        COP_TRY(cop_jinja_parse_expression(p, &value));
        COP_TRY(cop_jinja_add_node(p, &node->list, target));
        COP_TRY(cop_jinja_add_node(p, &node->other, value));
    }
    COP_TRY(parse_block(p, "with", node->line, end, false, &node->body));
    p->token++;
    return COP_OK;
}

// The parts of an answer that training looks at: here just a block.
static cop_status parse_generation(jparser *p, jnode *node) {
    static const char *const end[] = {"endgeneration", NULL};
    p->token++;
    return parse_outside_loops(p, "generation", node, end);
}

// list: one after another.
static cop_status parse_print(jparser *p, jnode *node) {
    p->token++;
    while (p->token->kind != T_BLOCK_END) {
        jnode *part;
        if (node->list.n) COP_TRY(cop_jinja_expect(p, T_COMMA, ", or %}"));
        COP_TRY(cop_jinja_parse_expression(p, &part));
        COP_TRY(cop_jinja_add_node(p, &node->list, part));
    }
    return COP_OK;
}

static cop_status parse_jump(jparser *p, jnode *node) {
    (void)node;
    if (!p->loops) return cop_jinja_syntax(p->token, "%.*s outside of a loop", (int)p->token->n, p->token->v);
    p->token++;
    return COP_OK;
}

static const struct { const char *name; jnode_kind kind; cop_status (*parse)(jparser *, jnode *); } statements[] = {
    {"if", N_IF, parse_if}, {"for", N_FOR, parse_for}, {"set", N_SET, parse_set}, {"macro", N_MACRO, parse_macro},
    {"call", N_CALL_BLOCK, parse_call_block}, {"filter", N_FILTER_BLOCK, parse_filter_block}, {"with", N_WITH, parse_with},
    {"generation", N_BODY, parse_generation}, {"print", N_PRINT, parse_print}, {"break", N_BREAK, parse_jump}, {"continue", N_CONTINUE, parse_jump},
};

static cop_status refuse_statement(const jparser *p) {
    static const char *const known[] = {"include", "import", "from", "extends", "block", "autoescape", NULL};
    const jtoken *t = p->token;
    if (t->kind != T_NAME) return cop_jinja_syntax(t, "expected a statement behind {%%");
    if (at_end_tag(p, known))
        return cop_fail(COP_ERR_UNSUPPORTED, "chat template, line %u: {%% %.*s %%} is not supported", t->line, (int)t->n, t->v);
    return cop_jinja_syntax(t, "unknown or misplaced tag '%.*s'", t->n > 40 ? 40 : (int)t->n, t->v);
}

static cop_status parse_statement(jparser *p, jnode **out) {
    if (++p->depth > COP_JINJA_MOST_NESTING) return cop_jinja_syntax(p->token, "nested too deeply, at most %d", COP_JINJA_MOST_NESTING);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!cop_jinja_at_name(p, statements[i].name)) continue;
        COP_TRY(cop_jinja_node(p, statements[i].kind, p->token->line, out));
        COP_TRY(statements[i].parse(p, *out));
        p->depth--;
        return COP_OK;
    }
    return refuse_statement(p);
}

static cop_status parse_template(jparser *p) {
    COP_TRY(cop_jinja_node(p, N_BODY, 1, &p->t->root));
    COP_TRY(parse_body(p, NULL, 1, NULL, &p->t->root->body));
    if (!p->n_maybe) return COP_OK;
    const jnode *unknown = p->maybe[0];
    return cop_jinja_syntax(&(jtoken){.line = unknown->line}, "no %s named '%.*s'", unknown->kind == N_FILTER ? "filter" : "test",
                            unknown->name->n > 40 ? 40 : (int)unknown->name->n, unknown->name->v);
}

cop_status cop_jinja_parse(cop_jinja **out, const char *text, size_t bytes) {
    *out = NULL;
    if (bytes > COP_JINJA_MOST_TEMPLATE)
        return cop_fail(COP_ERR_LIMIT, "chat template: %zu bytes, at most %zu", bytes, COP_JINJA_MOST_TEMPLATE);
    cop_jinja *t = cop_alloc(sizeof *t);
    if (!t) return cop_fail(COP_ERR_NOMEM, "chat template: cannot allocate");
    t->arena.most = MOST_MEMORY;
    jtokens tokens = {0};
    jparser p = {.t = t};
    cop_status st = cop_jinja_tokenise(&t->arena, text, bytes, &tokens);
    p.token = tokens.v;
    if (!st) st = parse_template(&p);
    if (st) {
        cop_jinja_free(t);
        return st;
    }
    *out = t;
    return COP_OK;
}

void cop_jinja_free(cop_jinja *t) {
    if (!t) return;
    cop_jinja_arena_fini(&t->arena);
    cop_free(t);
}
