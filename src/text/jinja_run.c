// Running the statements of a template, and a rendering as a whole.
// Scopes are jinja2's: if and call share the surrounding one, a loop's body has a fresh one in each turn, with
// and macros have their own; a macro sees the variables of where it stands as they are when it is called.
#include <string.h>

#include "text/jinja_private.h"

#define MOST_CALLS 150  // macros and recursive loops inside one another

static cop_status run_body(jrun *r, const jnodes *body);

cop_jinja_options cop_jinja_defaults(void) {
    return (cop_jinja_options){.max_steps = 100 * 1000 * 1000, .max_memory = (size_t)256 << 20, .max_output = (size_t)64 << 20};
}

// ---- scopes ----

static cop_status assign(jrun *r, jscope *s, int symbol, jvalue v) {
    if (s->root) {
        s->v[symbol] = v;
        return COP_OK;
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->names[i] == symbol) {
            s->v[i] = v;
            return COP_OK;
        }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        void *names, *values;
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *s->names, &names));
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *s->v, &values));
        if (s->n) {
            memcpy(names, s->names, s->n * sizeof *s->names);
            memcpy(values, s->v, s->n * sizeof *s->v);
        }
        s->names = names;
        s->v = values;
        s->cap = cap;
    }
    s->names[s->n] = symbol;
    s->v[s->n++] = v;
    return COP_OK;
}

static cop_status new_scope(jrun *r, jscope *parent, jscope **out) {
    COP_TRY(TAKE(&r->arena, *out));
    (*out)->parent = parent;
    return COP_OK;
}

static void capture_scope(jrun *r) {
    for (jscope *s = r->scope; s && !s->captured; s = s->parent) s->captured = true;
}

static cop_status assign_target(jrun *r, const jnode *target, jvalue v) {
    if (target->kind == N_NAME) return assign(r, r->scope, target->symbol, v);
    if (target->kind == N_FIELD) {
        jvalue object;
        const jnode name = {.kind = N_NAME, .line = target->line, .symbol = target->symbol};
        COP_TRY(cop_jinja_eval(r, &name, &object));
        if (object.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, object);
        if (object.kind != J_NAMESPACE) return cop_jinja_fail(r, COP_ERR_ARG, "only a namespace has attributes to assign to");
        if (target->name->n && target->name->v[0] == '_') return cop_jinja_fail(r, COP_ERR_ARG, "a namespace's attribute must not begin with _");
        return cop_jinja_dict_set(r, object.dict, cop_jinja_text(target->name), v);
    }
    jlist *l;
    COP_TRY(cop_jinja_elements(r, v, &l));
    if (l->n != target->list.n) return cop_jinja_fail(r, COP_ERR_ARG, "%zu values for %zu names", l->n, target->list.n);
    for (size_t i = 0; i < l->n; i++) COP_TRY(assign_target(r, target->list.v[i], l->v[i]));
    return COP_OK;
}

// ---- printing ----

static cop_status print(jrun *r, jvalue v) {
    COP_TRY(cop_jinja_put_value(r, r->out, v));
    if (r->out->used <= r->options->max_output) return COP_OK;
    return cop_jinja_fail(r, COP_ERR_LIMIT, "more than %zu bytes of output", r->options->max_output);
}

// What a body prints, as a text.
static cop_status capture(jrun *r, const jnodes *body, jvalue *out) {
    jbuffer b = {0}, *before = r->out;
    r->out = &b;
    cop_status st = run_body(r, body);
    r->out = before;
    COP_TRY(st);
    return cop_jinja_buffer_text(r, &b, out);
}

// ---- statements ----

static cop_status run_if(jrun *r, const jnode *n) {
    for (size_t i = 0; i < n->list.n; i++) {
        const jnode *branch = n->list.v[i];
        jvalue v = cop_jinja_bool(true);
        bool yes;
        if (branch->b) COP_TRY(cop_jinja_eval(r, branch->b, &v));
        COP_TRY(cop_jinja_truth(r, v, &yes));
        if (yes) return run_body(r, &branch->body);
    }
    return COP_OK;
}

// The items that pass the loop's filter.
static cop_status filter_items(jrun *r, const jnode *n, jlist *items, jlist **out) {
    jscope *outer = r->scope, *scope;
    if (!n->c) {
        *out = items;
        return COP_OK;
    }
    COP_TRY(cop_jinja_new_list(r, 0, out));
    COP_TRY(new_scope(r, outer, &scope));
    r->scope = scope;
    for (size_t i = 0; i < items->n; i++) {
        jvalue v;
        bool yes;
        COP_TRY(assign_target(r, n->a, items->v[i]));
        COP_TRY(cop_jinja_eval(r, n->c, &v));
        COP_TRY(cop_jinja_truth(r, v, &yes));
        if (yes) COP_TRY(cop_jinja_push(r, *out, items->v[i]));
    }
    r->scope = outer;
    return COP_OK;
}

static int find_symbol(const jrun *r, const char *name) {
    for (size_t i = 0; i < r->t->n_symbols; i++)
        if (cop_jinja_is_text(cop_jinja_text(r->t->symbols[i]), name)) return (int)i;
    return -1;
}

// *finished: some turn ran to its end. jinja2 counts those only when it decides about else.
static cop_status run_turns(jrun *r, const jnode *n, struct jloop *loop, bool *finished) {
    jscope *outer = r->scope, *scope = NULL;
    for (loop->at = 0; loop->at < loop->items->n; loop->at++) {
        COP_TRY(cop_jinja_charge(r, 1));
        if (!scope || scope->captured) COP_TRY(new_scope(r, outer, &scope));
        scope->n = 0;
        r->scope = scope;
        COP_TRY(assign_target(r, n->a, loop->items->v[loop->at]));
        if (r->loop_symbol >= 0) COP_TRY(assign(r, scope, r->loop_symbol, (jvalue){.kind = J_LOOP, .loop = loop}));
        COP_TRY(run_body(r, &n->body));
        jnode_kind jump = r->jump;
        r->jump = 0;
        *finished |= !jump;
        if (jump == N_BREAK) break;
    }
    r->scope = outer;
    return COP_OK;
}

static cop_status run_items(jrun *r, const jnode *n, jvalue iterable, size_t depth) {
    struct jloop *loop;
    jlist *items;
    COP_TRY(cop_jinja_elements(r, iterable, &items));
    COP_TRY(TAKE(&r->arena, loop));
    *loop = (struct jloop){.node = n, .scope = r->scope, .depth = depth};
    COP_TRY(filter_items(r, n, items, &loop->items));
    jscope *outer = r->scope;
    bool finished = false;
    COP_TRY(run_turns(r, n, loop, &finished));
    if (finished || !n->other.n) return COP_OK;
    COP_TRY(new_scope(r, outer, &r->scope));
    COP_TRY(run_body(r, &n->other));
    r->scope = outer;
    return COP_OK;
}

static cop_status run_for(jrun *r, const jnode *n) {
    jvalue iterable;
    COP_TRY(cop_jinja_eval(r, n->b, &iterable));
    return run_items(r, n, iterable, 1);
}

static cop_status enter_call(jrun *r) {
    if (++r->calls > MOST_CALLS) return cop_jinja_fail(r, COP_ERR_LIMIT, "more than %d macros inside one another", MOST_CALLS);
    return COP_OK;
}

// loop(items) inside a recursive loop: what its body prints for these items.
cop_status cop_jinja_call_loop(jrun *r, const jloop *loop, jvalue items, jvalue *out) {
    if (!loop->node->flag) return cop_jinja_fail(r, COP_ERR_ARG, "only a recursive loop can be called");
    jbuffer b = {0}, *before = r->out;
    jscope *scope = r->scope;
    COP_TRY(enter_call(r));
    r->out = &b;
    r->scope = loop->scope;
    cop_status st = run_items(r, loop->node, items, loop->depth + 1);
    r->out = before;
    r->scope = scope;
    r->calls--;
    COP_TRY(st);
    return cop_jinja_buffer_text(r, &b, out);
}

static cop_status run_set(jrun *r, const jnode *n) {
    jvalue v;
    if (n->kind == N_SET_BLOCK) {
        jscope *outer = r->scope;
        COP_TRY(new_scope(r, outer, &r->scope));
        COP_TRY(capture(r, &n->body, &v));
        r->scope = outer;
        r->captured = v;
    }
    COP_TRY(cop_jinja_eval(r, n->b, &v));
    return assign_target(r, n->a, v);
}

static cop_status run_macro(jrun *r, const jnode *n) {
    struct jmacro *m;
    COP_TRY(TAKE(&r->arena, m));
    *m = (struct jmacro){.node = n, .scope = r->scope};
    capture_scope(r);
    return assign(r, r->scope, n->symbol, (jvalue){.kind = J_MACRO, .macro = m});
}

static cop_status run_call_block(jrun *r, const jnode *n) {
    struct jmacro *caller;
    jargs args = {0};
    jvalue callee, v, self;
    COP_TRY(cop_jinja_eval(r, n->a->a, &callee));
    COP_TRY(cop_jinja_arguments(r, n->a, &args));
    COP_TRY(TAKE(&r->arena, caller));
    *caller = (struct jmacro){.node = n, .scope = r->scope};
    capture_scope(r);
    self = (jvalue){.kind = J_MACRO, .macro = caller};
    if (callee.kind == J_MACRO) COP_TRY(cop_jinja_call_macro(r, callee.macro, &args, &self, &v));
    else COP_TRY(cop_jinja_call(r, callee, &args, &v));
    return print(r, v);
}

static cop_status run_filter_block(jrun *r, const jnode *n) {
    jvalue v;
    jscope *outer = r->scope;
    COP_TRY(new_scope(r, outer, &r->scope));
    COP_TRY(capture(r, &n->body, &v));
    r->scope = outer;
    r->captured = v;
    COP_TRY(cop_jinja_eval(r, n->b, &v));
    return print(r, v);
}

// The values are those of outside: no target sees another.
static cop_status run_with(jrun *r, const jnode *n) {
    jscope *outer = r->scope, *scope;
    COP_TRY(new_scope(r, outer, &scope));
    for (size_t i = 0; i < n->list.n; i++) {
        jvalue v;
        COP_TRY(cop_jinja_eval(r, n->other.v[i], &v));
        COP_TRY(assign(r, scope, n->list.v[i]->symbol, v));
    }
    r->scope = scope;
    COP_TRY(run_body(r, &n->body));
    r->scope = outer;
    return COP_OK;
}

static cop_status run_print(jrun *r, const jnode *n) {
    jvalue v;
    for (size_t i = 0; i < n->list.n; i++) {
        COP_TRY(cop_jinja_eval(r, n->list.v[i], &v));
        COP_TRY(print(r, v));
    }
    if (!n->a) return COP_OK;
    COP_TRY(cop_jinja_eval(r, n->a, &v));
    return print(r, v);
}

static cop_status run_statement(jrun *r, const jnode *n) {
    switch ((jnode_kind)n->kind) {
    case N_DATA: return print(r, n->value);
    case N_PRINT: return run_print(r, n);
    case N_IF: return run_if(r, n);
    case N_FOR: return run_for(r, n);
    case N_SET: case N_SET_BLOCK: return run_set(r, n);
    case N_MACRO: return run_macro(r, n);
    case N_CALL_BLOCK: return run_call_block(r, n);
    case N_FILTER_BLOCK: return run_filter_block(r, n);
    case N_WITH: return run_with(r, n);
    case N_BODY: {
        jscope *outer = r->scope;
        COP_TRY(new_scope(r, outer, &r->scope));
        COP_TRY(run_body(r, &n->body));
        r->scope = outer;
        return COP_OK;
    }
    default: r->jump = (jnode_kind)n->kind; return COP_OK;
    }
}

static cop_status run_body(jrun *r, const jnodes *body) {
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply, or a macro that calls itself without end");
    for (size_t i = 0; i < body->n && !r->jump; i++) {
        r->line = body->v[i]->line;
        COP_TRY(cop_jinja_charge(r, 1));
        COP_TRY(run_statement(r, body->v[i]));
    }
    r->depth--;
    return COP_OK;
}

// ---- macros ----

// Arguments without a parameter: varargs and kwargs, where the macro uses those names; a caller that it does not
// call is one of them.
static cop_status bind_rest(jrun *r, const jmacro *m, const jargs *args, const bool *used, const jvalue *caller, jscope *scope) {
    static const jtext caller_name = {.v = "caller", .n = 6, .points = 6};
    jlist *list;
    jdict *dict;
    const char *name = m->node->name ? m->node->name->v : "caller";
    int n = m->node->name ? cop_jinja_shown(m->node->name) : 6;
    bool takes_list = m->node->op & COP_JINJA_VARARGS, takes_dict = m->node->op & COP_JINJA_KWARGS;
    COP_TRY(cop_jinja_new_list(r, 0, &list));
    COP_TRY(cop_jinja_new_dict(r, &dict));
    for (size_t i = 0; i < args->n; i++) {
        if (used[i]) continue;
        if (!args->names[i]) {
            if (!takes_list) return cop_jinja_fail(r, COP_ERR_ARG, "macro %.*s takes at most %zu arguments", n, name, m->node->list.n);
            COP_TRY(cop_jinja_push(r, list, args->v[i]));
        } else {
            if (!takes_dict)
                return cop_jinja_fail(r, COP_ERR_ARG, "macro %.*s has no parameter '%.*s'", n, name, cop_jinja_shown(args->names[i]), args->names[i]->v);
            COP_TRY(cop_jinja_dict_set(r, dict, cop_jinja_text(args->names[i]), args->v[i]));
        }
    }
    if (caller && !takes_dict) return cop_jinja_fail(r, COP_ERR_ARG, "macro %.*s does not use its caller", n, name);
    if (caller) COP_TRY(cop_jinja_dict_set(r, dict, cop_jinja_text(&caller_name), *caller));
    if (takes_list) COP_TRY(assign(r, scope, find_symbol(r, "varargs"), cop_jinja_list(list, J_TUPLE)));
    if (takes_dict) COP_TRY(assign(r, scope, find_symbol(r, "kwargs"), (jvalue){.kind = J_DICT, .dict = dict}));
    return COP_OK;
}

// Parameters by place, then by name, then their defaults, which may use earlier parameters.
static cop_status bind_macro(jrun *r, const jmacro *m, const jargs *args, bool *used) {
    const jnode *n = m->node;
    for (size_t i = 0; i < n->list.n; i++) {
        int symbol = n->list.v[i]->symbol;
        const jtext *name = r->t->symbols[symbol];
        jvalue v = cop_jinja_undefined(J_WHY_PARAMETER, J_NONE, name);
        size_t found = args->n;
        if (i < args->n && !args->names[i]) found = i;
        for (size_t j = 0; j < args->n && found == args->n; j++)
            if (args->names[j] && args->names[j]->n == name->n && !memcmp(args->names[j]->v, name->v, name->n)) found = j;
        if (found < args->n) {
            v = args->v[found];
            used[found] = true;
        } else if (n->other.v[i]) {
            COP_TRY(cop_jinja_eval(r, n->other.v[i], &v));
        }
        COP_TRY(assign(r, r->scope, symbol, v));
    }
    return COP_OK;
}

cop_status cop_jinja_call_macro(jrun *r, const jmacro *m, const jargs *args, const jvalue *caller, jvalue *out) {
    jscope *outer = r->scope;
    void *used;
    int symbol = m->node->op & COP_JINJA_CALLER ? find_symbol(r, "caller") : -1;
    COP_TRY(enter_call(r));
    COP_TRY(cop_jinja_charge(r, args->n));
    COP_TRY(cop_jinja_take(&r->arena, args->n, &used));
    COP_TRY(new_scope(r, m->scope, &r->scope));
    COP_TRY(bind_macro(r, m, args, used));
    COP_TRY(bind_rest(r, m, args, used, symbol < 0 ? caller : NULL, r->scope));
    if (symbol >= 0 && (caller || m->node->kind == N_MACRO))
        COP_TRY(assign(r, r->scope, symbol, caller ? *caller : cop_jinja_undefined(J_WHY_NAME, J_NONE, r->t->symbols[symbol])));
    COP_TRY(capture(r, &m->node->body, out));
    r->scope = outer;
    r->calls--;
    return COP_OK;
}

// ---- a rendering ----

// The outermost scope: the given variables, then the functions that every template has.
static cop_status open_scope(jrun *r, const json_t *variables) {
    void *v;
    size_t n = r->t->n_symbols;
    COP_TRY(new_scope(r, NULL, &r->scope));
    COP_TRY(cop_jinja_take(&r->arena, n * sizeof(jvalue), &v));
    *r->scope = (jscope){.v = v, .n = n, .root = true};
    for (size_t i = 0; i < n; i++) {
        const jtext *name = r->t->symbols[i];
        const json_t *given = json_object_getn(variables, name->v, name->n);
        const jfunction *function = cop_jinja_find_function(name);
        r->scope->v[i] = cop_jinja_undefined(J_WHY_NAME, J_NONE, name);
        if (given) COP_TRY(cop_jinja_from_json(r, given, &r->scope->v[i]));
        else if (function) r->scope->v[i] = (jvalue){.kind = J_FUNCTION, .function = function};
    }
    r->loop_symbol = find_symbol(r, "loop");
    return COP_OK;
}

static cop_status render(jrun *r, const json_t *variables, cop_char_array *out) {
    COP_TRY(open_scope(r, variables));
    COP_TRY(run_body(r, &r->t->root->body));
    COP_TRY(cop_array_reserve(out, r->output.used));
    if (r->output.used) memcpy(out->v + out->n, r->output.v, r->output.used);
    out->n += r->output.used;
    return COP_OK;
}

cop_status cop_jinja_render(const cop_jinja *t, const json_t *variables, const cop_jinja_options *options, cop_char_array *out) {
    cop_jinja_options defaults = cop_jinja_defaults();
    jrun r = {.t = t, .options = options ? options : &defaults, .line = 1};
    r.arena.most = r.options->max_memory;
    r.arena.line = &r.line;
    r.out = &r.output;
    for (int i = 0; i < 128; i++) {
        r.letters[i] = (char)i;
        r.ascii[i] = (jtext){.v = &r.letters[i], .n = 1, .points = 1};
    }
    cop_status st = render(&r, variables, out);
    cop_jinja_arena_fini(&r.arena);
    return st;
}
