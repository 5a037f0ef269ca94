// Evaluating expressions: names, literals, operators, calls.
#include <math.h>
#include <string.h>

#include "text/jinja_private.h"

static cop_status lookup(jrun *r, const jnode *n, jvalue *out) {
    for (const jscope *s = r->scope; s; s = s->parent) {
        if (s->root) {
            *out = s->v[n->symbol];
            return COP_OK;
        }
        for (size_t i = s->n; i-- > 0;)
            if (s->names[i] == n->symbol) {
                *out = s->v[i];
                return COP_OK;
            }
    }
    *out = cop_jinja_undefined(J_WHY_NAME, J_NONE, r->t->symbols[n->symbol]);
    return COP_OK;
}

static cop_status eval_list(jrun *r, const jnode *n, jvalue *out) {
    jlist *l;
    COP_TRY(cop_jinja_new_list(r, n->list.n, &l));
    for (size_t i = 0; i < n->list.n; i++) {
        jvalue v;
        COP_TRY(cop_jinja_eval(r, n->list.v[i], &v));
        COP_TRY(cop_jinja_push(r, l, v));
    }
    *out = cop_jinja_list(l, n->kind == N_TUPLE ? J_TUPLE : J_LIST);
    return COP_OK;
}

static cop_status eval_dict(jrun *r, const jnode *n, jvalue *out) {
    jdict *d;
    COP_TRY(cop_jinja_new_dict(r, &d));
    for (size_t i = 0; i < n->list.n; i += 2) {
        jvalue key, value;
        COP_TRY(cop_jinja_eval(r, n->list.v[i], &key));
        COP_TRY(cop_jinja_eval(r, n->list.v[i + 1], &value));
        COP_TRY(cop_jinja_dict_set(r, d, key, value));
    }
    *out = (jvalue){.kind = J_DICT, .dict = d};
    return COP_OK;
}

static cop_status eval_slice(jrun *r, const jnode *n, jvalue *out) {
    jvalue object, bounds[3];
    COP_TRY(cop_jinja_eval(r, n->a, &object));
    for (int i = 0; i < 3; i++) {
        bounds[i] = J_NOTHING;
        if (n->body.v[i]) COP_TRY(cop_jinja_eval(r, n->body.v[i], &bounds[i]));
    }
    return cop_jinja_slice(r, object, bounds, out);
}

// ---- arithmetic ----

static cop_status too_large(jrun *r) { return cop_jinja_fail(r, COP_ERR_LIMIT, "an integer beyond 64 bits"); }

static cop_status no_meaning(jrun *r, const char *op, jvalue a, jvalue b) {
    if (a.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, a);
    if (b.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, b);
    return cop_jinja_fail(r, COP_ERR_ARG, "%s between %s and %s has no meaning", op, cop_jinja_type_name(a), cop_jinja_type_name(b));
}

static int64_t floor_divide(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static cop_status integer_power(jrun *r, int64_t base, int64_t exponent, jvalue *out) {
    int64_t result = 1;
    if (exponent < 0) {
        if (!base) return cop_jinja_fail(r, COP_ERR_ARG, "0 to a negative power");
        *out = cop_jinja_float(pow((double)base, (double)exponent));
        return COP_OK;
    }
    while (exponent) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) return too_large(r);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) return too_large(r);
    }
    *out = cop_jinja_int(result);
    return COP_OK;
}

static cop_status integer_binary(jrun *r, jop op, int64_t a, int64_t b, jvalue *out) {
    int64_t result = 0;
    bool over = false, divides = op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD;
    if (divides && !b) return cop_jinja_fail(r, COP_ERR_ARG, "division by zero");
    if ((op == OP_FLOORDIV || op == OP_MOD) && a == INT64_MIN && b == -1) return too_large(r);
    switch (op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, &result); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, &result); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, &result); break;
    case OP_FLOORDIV: result = floor_divide(a, b); break;
    case OP_MOD: result = a - floor_divide(a, b) * b; break;
    case OP_POW: return integer_power(r, a, b, out);
    default: *out = cop_jinja_float((double)a / (double)b); return COP_OK;
    }
    if (over) return too_large(r);
    *out = cop_jinja_int(result);
    return COP_OK;
}

static cop_status float_binary(jrun *r, jop op, double a, double b, jvalue *out) {
    double result = 0;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0) return cop_jinja_fail(r, COP_ERR_ARG, "division by zero");
    switch (op) {
    case OP_ADD: result = a + b; break;
    case OP_SUB: result = a - b; break;
    case OP_MUL: result = a * b; break;
    case OP_DIV: result = a / b; break;
    case OP_POW: result = pow(a, b); break;
    default: {
        double mod = fmod(a, b);
        if (mod != 0 && (b < 0) != (mod < 0)) mod += b;
        result = op == OP_MOD ? mod : floor((a - mod) / b + 0.5);
    }
    }
    *out = cop_jinja_float(result);
    return COP_OK;
}

static cop_status add_texts(jrun *r, jvalue a, jvalue b, jvalue *out) {
    bool markup = a.markup || b.markup;
    if (markup) {
        COP_TRY(cop_jinja_escape(r, a, &a));
        COP_TRY(cop_jinja_escape(r, b, &b));
    }
    COP_TRY(cop_jinja_join_texts(r, a.text, b.text, out));
    out->markup = markup;
    return COP_OK;
}

static cop_status add_lists(jrun *r, jvalue a, jvalue b, jvalue *out) {
    jlist *l;
    COP_TRY(cop_jinja_new_list(r, a.list->n + b.list->n, &l));
    for (size_t i = 0; i < a.list->n; i++) COP_TRY(cop_jinja_push(r, l, a.list->v[i]));
    for (size_t i = 0; i < b.list->n; i++) COP_TRY(cop_jinja_push(r, l, b.list->v[i]));
    *out = cop_jinja_list(l, (jkind)a.kind);
    return COP_OK;
}

static cop_status repeat(jrun *r, jvalue what, int64_t times, jvalue *out) {
    jbuffer b = {0};
    jlist *l;
    if (what.kind == J_TEXT) {
        if (!what.text->n) times = 0;
        for (int64_t i = 0; i < times; i++) {
            COP_TRY(cop_jinja_charge(r, 1));
            COP_TRY(cop_jinja_put(r, &b, what.text->v, what.text->n));
        }
        COP_TRY(cop_jinja_buffer_text(r, &b, out));
        out->markup = what.markup;
        return COP_OK;
    }
    if (!what.list->n) times = 0;
    COP_TRY(cop_jinja_new_list(r, 0, &l));
    for (int64_t i = 0; i < times; i++)
        for (size_t j = 0; j < what.list->n; j++) COP_TRY(cop_jinja_push(r, l, what.list->v[j]));
    *out = cop_jinja_list(l, (jkind)what.kind);
    return COP_OK;
}

static bool is_sequence(jvalue v) { return v.kind == J_TEXT || v.kind == J_LIST || v.kind == J_TUPLE; }

cop_status cop_jinja_binary(jrun *r, jop op, jvalue a, jvalue b, jvalue *out) {
    static const char *const names[] = {"", "+", "-", "*", "/", "//", "%", "**"};
    int64_t i, j;
    double x, y;
    if (cop_jinja_integer(a, &i) && cop_jinja_integer(b, &j)) return integer_binary(r, op, i, j, out);
    if (cop_jinja_number(a, &x) && cop_jinja_number(b, &y)) return float_binary(r, op, x, y, out);
    if (op == OP_ADD && a.kind == b.kind && a.kind == J_TEXT) return add_texts(r, a, b, out);
    if (op == OP_ADD && a.kind == b.kind && is_sequence(a)) return add_lists(r, a, b, out);
    if (op == OP_MUL && is_sequence(a) && cop_jinja_integer(b, &j)) return repeat(r, a, j, out);
    if (op == OP_MUL && is_sequence(b) && cop_jinja_integer(a, &i)) return repeat(r, b, i, out);
    if (op == OP_MOD && a.kind == J_TEXT) return cop_jinja_percent(r, a, b, out);
    return no_meaning(r, names[op], a, b);
}

cop_status cop_jinja_compare(jrun *r, jop op, jvalue a, jvalue b, bool *out) {
    static const char *const names[] = {"<", "<=", ">", ">="};
    int order = 0;
    switch (op) {
    case OP_EQ: return cop_jinja_equal(r, a, b, out);
    case OP_NE: COP_TRY(cop_jinja_equal(r, a, b, out)); *out = !*out; return COP_OK;
    case OP_IN: return cop_jinja_contains(r, b, a, out);
    case OP_NOT_IN: COP_TRY(cop_jinja_contains(r, b, a, out)); *out = !*out; return COP_OK;
    default: break;
    }
    COP_TRY(cop_jinja_order(r, a, b, names[op - OP_LT], &order));
    *out = order != 2 && (op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0);
    return COP_OK;
}

static cop_status eval_binary(jrun *r, const jnode *n, jvalue *out) {
    jvalue a, b;
    COP_TRY(cop_jinja_eval(r, n->a, &a));
    COP_TRY(cop_jinja_eval(r, n->b, &b));
    r->line = n->line;
    return cop_jinja_binary(r, (jop)n->op, a, b, out);
}

static cop_status eval_comparison(jrun *r, const jnode *n, jvalue *out) {
    jvalue a, b;
    bool yes = true;
    COP_TRY(cop_jinja_eval(r, n->a, &a));
    for (size_t i = 0; i < n->list.n && yes; i++, a = b) {
        COP_TRY(cop_jinja_eval(r, n->list.v[i]->b, &b));
        r->line = n->line;
        COP_TRY(cop_jinja_compare(r, (jop)n->list.v[i]->op, a, b, &yes));
    }
    *out = cop_jinja_bool(yes);
    return COP_OK;
}

static cop_status eval_sign(jrun *r, const jnode *n, jvalue *out) {
    int64_t i;
    COP_TRY(cop_jinja_eval(r, n->a, out));
    if (cop_jinja_integer(*out, &i)) {
        if (i == INT64_MIN) return too_large(r);
        *out = cop_jinja_int(n->kind == N_MINUS ? -i : i);
    } else if (out->kind == J_FLOAT) {
        if (n->kind == N_MINUS) out->f = -out->f;
    } else {
        return out->kind == J_UNDEFINED ? cop_jinja_fail_undefined(r, *out)
                                        : cop_jinja_fail(r, COP_ERR_ARG, "a sign before a value of type %s", cop_jinja_type_name(*out));
    }
    return COP_OK;
}

// The values themselves, not their truth: as Python's and, or.
static cop_status eval_series(jrun *r, const jnode *n, jvalue *out) {
    bool yes;
    for (size_t i = 0; i < n->list.n; i++) {
        COP_TRY(cop_jinja_eval(r, n->list.v[i], out));
        if (i + 1 == n->list.n) break;
        COP_TRY(cop_jinja_truth(r, *out, &yes));
        if (yes == (n->kind == N_OR)) break;
    }
    return COP_OK;
}

static cop_status eval_concat(jrun *r, const jnode *n, jvalue *out) {
    jbuffer b = {0};
    jvalue v, first;
    COP_TRY(cop_jinja_eval(r, n->list.v[0], &first));
    if (first.kind == J_TEXT && n->list.n == 2) {  // the common case of a text that grows
        COP_TRY(cop_jinja_eval(r, n->list.v[1], &v));
        COP_TRY(cop_jinja_str(r, v, &v));
        return cop_jinja_join_texts(r, first.text, v.text, out);
    }
    COP_TRY(cop_jinja_put_value(r, &b, first));
    for (size_t i = 1; i < n->list.n; i++) {
        COP_TRY(cop_jinja_eval(r, n->list.v[i], &v));
        COP_TRY(cop_jinja_put_value(r, &b, v));
    }
    return cop_jinja_buffer_text(r, &b, out);
}

static cop_status eval_condition(jrun *r, const jnode *n, jvalue *out) {
    jvalue v;
    bool yes;
    COP_TRY(cop_jinja_eval(r, n->b, &v));
    COP_TRY(cop_jinja_truth(r, v, &yes));
    if (yes) return cop_jinja_eval(r, n->a, out);
    if (n->c) return cop_jinja_eval(r, n->c, out);
    *out = cop_jinja_undefined(J_WHY_CONDITION, J_NONE, NULL);
    return COP_OK;
}

// ---- calls ----

cop_status cop_jinja_add_argument(jrun *r, jargs *args, const jtext *name, jvalue v) {
    if (args->n == args->cap) {
        size_t cap = args->cap ? args->cap * 2 : 4;
        void *values, *names;
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *args->v, &values));
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *args->names, &names));
        if (args->n) {
            memcpy(values, args->v, args->n * sizeof *args->v);
            memcpy(names, args->names, args->n * sizeof *args->names);
        }
        args->v = values;
        args->names = names;
        args->cap = cap;
    }
    args->names[args->n] = name;
    args->v[args->n++] = v;
    return COP_OK;
}

static cop_status add_named(jrun *r, jvalue more, jargs *out) {
    if (more.kind != J_DICT) return cop_jinja_fail(r, COP_ERR_ARG, "** needs a dict, not a value of type %s", cop_jinja_type_name(more));
    for (size_t i = 0; i < more.dict->n; i++) {
        if (more.dict->v[i].key.kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "** needs keys that are texts");
        COP_TRY(cop_jinja_add_argument(r, out, more.dict->v[i].key.text, more.dict->v[i].value));
    }
    return COP_OK;
}

cop_status cop_jinja_arguments(jrun *r, const jnode *n, jargs *out) {
    jvalue v;
    jlist *more;
    for (size_t i = 0; i < n->list.n; i++) {
        COP_TRY(cop_jinja_eval(r, n->list.v[i], &v));
        COP_TRY(cop_jinja_add_argument(r, out, NULL, v));
    }
    if (n->b) {
        COP_TRY(cop_jinja_eval(r, n->b, &v));
        COP_TRY(cop_jinja_elements(r, v, &more));
        for (size_t i = 0; i < more->n; i++) COP_TRY(cop_jinja_add_argument(r, out, NULL, more->v[i]));
    }
    for (const jkeyword *k = n->keywords; k; k = k->next) {
        COP_TRY(cop_jinja_eval(r, k->value, &v));
        COP_TRY(cop_jinja_add_argument(r, out, k->name, v));
    }
    if (!n->c) return COP_OK;
    COP_TRY(cop_jinja_eval(r, n->c, &v));
    return add_named(r, v, out);
}

// Place of a name in a list of names separated by spaces, or -1.
static int find_parameter(const char *params, const jtext *name) {
    for (int i = 0; *params; i++) {
        size_t n = strcspn(params, " ");
        if (n == name->n && !memcmp(params, name->v, n)) return i;
        params += n + (params[n] == ' ');
    }
    return -1;
}

static size_t count_parameters(const char *params) {
    size_t n = *params != 0;
    for (; *params; params++) n += *params == ' ';
    return n;
}

cop_status cop_jinja_bind(jrun *r, const char *what, const char *name, const char *params, size_t required, const jargs *args, jbinding *out) {
    size_t n = count_parameters(params);
    *out = (jbinding){.all = args};
    if (!strcmp(params, "*")) return COP_OK;
    for (size_t i = 0; i < args->n; i++) {
        int at = args->names[i] ? find_parameter(params, args->names[i]) : (int)i;
        if (!args->names[i] && i >= n) return cop_jinja_fail(r, COP_ERR_ARG, "%s %s takes at most %zu arguments", what, name, n);
        if (at < 0) return cop_jinja_fail(r, COP_ERR_ARG, "%s %s has no parameter '%.*s'", what, name, cop_jinja_shown(args->names[i]), args->names[i]->v);
        if (out->given[at]) return cop_jinja_fail(r, COP_ERR_ARG, "%s %s got a parameter twice", what, name);
        out->v[at] = args->v[i];
        out->given[at] = true;
    }
    for (size_t i = 0; i < required; i++)
        if (!out->given[i]) return cop_jinja_fail(r, COP_ERR_ARG, "%s %s needs %zu arguments", what, name, required);
    return COP_OK;
}

static cop_status call_method(jrun *r, const struct jbound *m, const jargs *args, jvalue *out) {
    jbinding binding;
    const jmethod *row = m->method;
    if (!row->call) return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "the method %s is not supported", row->name);
    COP_TRY(cop_jinja_bind(r, "method", row->name, row->params, row->required, args, &binding));
    return row->call(r, m->self, &binding, out);
}

cop_status cop_jinja_call(jrun *r, jvalue callee, const jargs *args, jvalue *out) {
    jbinding binding;
    COP_TRY(cop_jinja_charge(r, 1));
    switch (callee.kind) {
    case J_UNDEFINED: return cop_jinja_fail_undefined(r, callee);
    case J_METHOD: return call_method(r, callee.method, args, out);
    case J_MACRO: return cop_jinja_call_macro(r, callee.macro, args, NULL, out);
    case J_LOOP:
        if (args->n != 1) return cop_jinja_fail(r, COP_ERR_ARG, "loop takes what to iterate");
        return cop_jinja_call_loop(r, callee.loop, args->v[0], out);
    case J_FUNCTION:
        COP_TRY(cop_jinja_bind(r, "function", callee.function->name, callee.function->params, callee.function->required, args, &binding));
        return callee.function->call(r, callee, &binding, out);
    case J_JOINER:
        if (callee.turn->at++) *out = callee.turn->separator;
        else COP_TRY(cop_jinja_view_text(r, "", 0, out));
        return COP_OK;
    default: return cop_jinja_fail(r, COP_ERR_ARG, "a value of type %s cannot be called", cop_jinja_type_name(callee));
    }
}

static cop_status eval_call(jrun *r, const jnode *n, jvalue *out) {
    jvalue callee;
    jargs args = {0};
    COP_TRY(cop_jinja_eval(r, n->a, &callee));
    COP_TRY(cop_jinja_arguments(r, n, &args));
    r->line = n->line;
    return cop_jinja_call(r, callee, &args, out);
}

cop_status cop_jinja_apply(jrun *r, const jfilter *filter, jvalue self, const jargs *args, jvalue *out) {
    jbinding binding;
    COP_TRY(cop_jinja_charge(r, 1));
    COP_TRY(cop_jinja_bind(r, "filter", filter->name, filter->params, filter->required, args, &binding));
    return filter->call(r, self, &binding, out);
}

static cop_status eval_filter(jrun *r, const jnode *n, jvalue *out) {
    jvalue self;
    jargs args = {0};
    COP_TRY(cop_jinja_eval(r, n->a, &self));
    COP_TRY(cop_jinja_arguments(r, n, &args));
    r->line = n->line;
    if (!n->callee) return cop_jinja_fail(r, COP_ERR_ARG, "no filter named '%.*s'", cop_jinja_shown(n->name), n->name->v);
    return cop_jinja_apply(r, n->callee, self, &args, out);
}

cop_status cop_jinja_check(jrun *r, const jtest *test, jvalue self, const jargs *args, bool *out) {
    COP_TRY(cop_jinja_charge(r, 1));
    if (args->n != test->n_args) return cop_jinja_fail(r, COP_ERR_ARG, "test %s takes %zu arguments", test->name, test->n_args);
    return test->call(r, self, args->v, out);
}

static cop_status eval_test(jrun *r, const jnode *n, jvalue *out) {
    jvalue self;
    jargs args = {0};
    bool yes;
    COP_TRY(cop_jinja_eval(r, n->a, &self));
    COP_TRY(cop_jinja_arguments(r, n, &args));
    r->line = n->line;
    if (!n->callee) return cop_jinja_fail(r, COP_ERR_ARG, "no test named '%.*s'", cop_jinja_shown(n->name), n->name->v);
    COP_TRY(cop_jinja_check(r, n->callee, self, &args, &yes));
    *out = cop_jinja_bool(yes);
    return COP_OK;
}

static cop_status eval_not(jrun *r, const jnode *n, jvalue *out) {
    bool yes;
    COP_TRY(cop_jinja_eval(r, n->a, out));
    COP_TRY(cop_jinja_truth(r, *out, &yes));
    *out = cop_jinja_bool(!yes);
    return COP_OK;
}

static cop_status eval_attribute(jrun *r, const jnode *n, jvalue *out) {
    jvalue object;
    COP_TRY(cop_jinja_eval(r, n->a, &object));
    r->line = n->line;
    return cop_jinja_attribute(r, object, n->name, out);
}

static cop_status eval_item(jrun *r, const jnode *n, jvalue *out) {
    jvalue object, key;
    COP_TRY(cop_jinja_eval(r, n->a, &object));
    COP_TRY(cop_jinja_eval(r, n->b, &key));
    r->line = n->line;
    return cop_jinja_item(r, object, key, out);
}

static cop_status eval(jrun *r, const jnode *n, jvalue *out) {
    switch ((jnode_kind)n->kind) {
    case N_CONST: *out = n->value; return COP_OK;
    case N_NAME: return lookup(r, n, out);
    case N_CAPTURED: *out = r->captured; return COP_OK;
    case N_LIST: case N_TUPLE: return eval_list(r, n, out);
    case N_DICT: return eval_dict(r, n, out);
    case N_ATTRIBUTE: return eval_attribute(r, n, out);
    case N_ITEM: return eval_item(r, n, out);
    case N_SLICE: return eval_slice(r, n, out);
    case N_CALL: return eval_call(r, n, out);
    case N_FILTER: return eval_filter(r, n, out);
    case N_TEST: return eval_test(r, n, out);
    case N_NOT: return eval_not(r, n, out);
    case N_MINUS: case N_PLUS: return eval_sign(r, n, out);
    case N_AND: case N_OR: return eval_series(r, n, out);
    case N_BINARY: return eval_binary(r, n, out);
    case N_CONCAT: return eval_concat(r, n, out);
    case N_COMPARE: return eval_comparison(r, n, out);
    case N_CONDITION: return eval_condition(r, n, out);
    default: return cop_jinja_fail(r, COP_ERR_FORMAT, "not an expression");
    }
}

cop_status cop_jinja_eval(jrun *r, const jnode *n, jvalue *out) {
    r->line = n->line;
    COP_TRY(cop_jinja_charge(r, 1));
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply, or a macro that calls itself without end");
    COP_TRY(eval(r, n, out));
    r->depth--;
    return COP_OK;
}
