// Which goals have an instance, and how short it is: the least fixpoint over everything that is required. Goals of
// optional members take no part until a text comes to them.
#include "guide/schema_rest.h"

typedef struct search {
    schema *s;
    uint32_t mark;
    int32_t min;  // of the first goal
    COP_ARRAY(uint32_t) goals;
    COP_ARRAY(int32_t) before;  // their lengths, as far as a search around this one knows them
} search;

static cop_status want(search *x, uint32_t goal) {
    schema_goal *g = goal_at(x->s, goal);
    if (g->settled || g->mark == x->mark) return COP_OK;
    g->mark = x->mark;
    if (x->goals.n > 20000) return cop_fail(COP_ERR_LIMIT, "schema: more than 20000 subschemas are required in one another");
    COP_TRY(cop_array_push(&x->before, g->min));
    return cop_array_push(&x->goals, goal);
}

// What the minimum of a goal depends on.
static cop_status want_below(search *x, uint32_t goal) {
    schema *s = x->s;
    COP_TRY(cop_schema_expand(s, goal));
    for (uint32_t i = 0; i < goal_at(s, goal)->n_records; i++) {
        schema_record *r = record_at(s, goal_at(s, goal)->records[i]);
        if (r->type == T_OBJECT) {
            const schema_object *o = &r->u.object;
            bool all = o->min > o->n_required || o->n_exists;
            for (uint32_t k = 0; k < o->n; k++)
                if (o->members[k].required || (all && !o->members[k].forbidden)) COP_TRY(want(x, o->members[k].goal));
            continue;
        }
        schema_array *a = &r->u.array;
        uint32_t most = a->n_contains ? a->prefix + 1 : a->min < a->prefix + 1 ? a->min : a->prefix + 1, item;
        for (uint32_t k = 0; k < most; k++) {
            COP_TRY(cop_schema_item_goal(s, a, k, NULL, 0, &item));
            COP_TRY(want(x, item));
            for (uint32_t c = 0; c < a->n_contains; c++) {
                if (a->contains[c].from > k) continue;
                COP_TRY(cop_schema_item_goal(s, a, k, &a->contains[c].lit, 1, &item));
                COP_TRY(want(x, item));
            }
        }
    }
    return COP_OK;
}

static cop_status scalar_min(schema *s, schema_goal *g, int32_t *min) {
    *min = SCHEMA_FAR;
    COP_TRY(cop_schema_scalars(s, g));
    if (g->scalars) *min = cop_dfa_distance(g->scalars, cop_dfa_start(g->scalars));
    if (g->counted_numbers) {
        int32_t counted = cop_schema_count_rest(s, g, "", 0);
        if (counted < *min) *min = counted;
    }
    return cop_regex_set_failed(s->regexes);
}

static cop_status compute(schema *s, uint32_t goal, int32_t *min) {
    schema_goal *g = goal_at(s, goal);
    COP_TRY(scalar_min(s, g, min));
    for (uint32_t i = 0; i < g->n_records; i++) {
        int32_t rest;
        schema_record *r = record_at(s, g->records[i]);
        if (r->type == T_OBJECT) COP_TRY(cop_schema_object_rest(s, &r->u.object, &(schema_progress){0}, &rest));
        else COP_TRY(cop_schema_array_rest(s, &r->u.array, &(schema_items){0}, &rest));
        if (rest < SCHEMA_FAR - 1 && rest + 1 < *min) *min = rest + 1;
    }
    return COP_OK;
}

// A goal that is being taken apart right now may have any instance: what depends on it is a lower bound, not settled.
static cop_status settle(search *x) {
    bool changed = true, sure = true;
    for (size_t i = 0; i < x->goals.n; i++) {
        schema_goal *g = goal_at(x->s, x->goals.v[i]);
        if (g->phase == GOAL_WORKING) sure = false, g->min = 1;
        else COP_TRY(want_below(x, x->goals.v[i]));
    }
    for (size_t round = 0; changed; round++) {
        changed = false;
        for (size_t i = x->goals.n; i-- > 0;) {
            int32_t min;
            schema_goal *g = goal_at(x->s, x->goals.v[i]);
            if (g->settled || g->phase == GOAL_WORKING) continue;  // settled: by a search inside this one
            COP_TRY(compute(x->s, x->goals.v[i], &min));
            if (min < g->min) g->min = min, changed = true;
        }
        if (round > 2000) return cop_fail(COP_ERR_LIMIT, "schema: lengths do not settle");
    }
    for (size_t i = 0; i < x->goals.n; i++) {
        schema_goal *g = goal_at(x->s, x->goals.v[i]);
        if (i == 0) x->min = g->min;
        if (sure) g->settled = true;
        else if (!g->settled) g->min = x->before.v[i];
    }
    return COP_OK;
}

cop_status cop_schema_min(schema *s, uint32_t goal, int32_t *min) {
    schema_goal *g = goal_at(s, goal);
    *min = g->min;
    if (g->settled) return COP_OK;
    if (g->phase == GOAL_WORKING || s->min_depth > 30) return *min = 1, COP_OK;
    s->min_depth++;
    search x = {.s = s, .mark = ++s->mark, .min = 1, .goals.most = 100000, .before.most = 100000};
    cop_status st = want(&x, goal);
    if (!st) st = settle(&x);
    cop_array_fini(&x.goals);
    cop_array_fini(&x.before);
    s->min_depth--;
    *min = x.min;
    return st;
}

// ---- goals of parts ----

bool cop_schema_cond_fits(schema *s, uint32_t cond, const char *name, size_t bytes) {
    const schema_cond *c = cond_at(s, cond);
    bool in = false;
    for (uint32_t i = 0; i < c->n_names && !in; i++) in = json_object_getn(c->names[i], name, bytes) != NULL;
    if (!in && c->pattern != COP_RX_NONE) in = cop_rx_matches(s->regexes, c->pattern, name, bytes);
    return in != c->inverted;
}

cop_status cop_schema_member_goal(schema *s, const schema_object *o, const char *name, size_t bytes, const int32_t *more,
                                  uint32_t n_more, uint32_t *goal) {
    int32_t lits[600];
    uint32_t n = 0;
    if (o->n_rules + n_more > 600) return cop_fail(COP_ERR_LIMIT, "schema: more than 600 rules for one member");
    for (uint32_t i = 0; i < o->n_rules; i++)
        if (cop_schema_cond_fits(s, o->rules[i].cond, name, bytes)) lits[n++] = o->rules[i].lit;
    for (uint32_t i = 0; i < n_more; i++) lits[n++] = more[i];
    return cop_schema_goal(s, lits, n, goal);
}

cop_status cop_schema_and_goal(schema *s, uint32_t goal, const int32_t *more, uint32_t n_more, uint32_t *out) {
    const schema_goal *g = goal_at(s, goal);
    int32_t lits[600];
    if (g->n_lits + n_more > 600) return cop_fail(COP_ERR_LIMIT, "schema: more than 600 subschemas for one value");
    memcpy(lits, g->lits, g->n_lits * sizeof *lits);
    if (n_more) memcpy(lits + g->n_lits, more, n_more * sizeof *lits);
    return cop_schema_goal(s, lits, g->n_lits + n_more, out);
}

cop_status cop_schema_item_goal(schema *s, schema_array *a, uint32_t index, const int32_t *more, uint32_t n_more, uint32_t *goal) {
    uint32_t at = index < a->prefix ? index : a->prefix;
    if (!a->goals[at]) {
        int32_t lits[600];
        uint32_t n = 0;
        for (uint32_t i = 0; i < a->n_ranges; i++) {
            if (at < a->ranges[i].from || (at > a->ranges[i].to && a->ranges[i].to != UINT32_MAX)) continue;
            if (n == 600) return cop_fail(COP_ERR_LIMIT, "schema: more than 600 rules for one item");
            lits[n++] = a->ranges[i].lit;
        }
        COP_TRY(cop_schema_goal(s, lits, n, &a->goals[at]));
    }
    if (!n_more) return *goal = a->goals[at], COP_OK;
    return cop_schema_and_goal(s, a->goals[at], more, n_more, goal);
}

// ---- scalars as one automaton ----

cop_status cop_schema_dfa(schema *s, cop_rx rx, cop_dfa **out) {
    uint32_t id = cop_schema_intern(&s->dfa_keys, &rx, sizeof rx);
    if (!id) return COP_ERR_LIMIT;
    if (id > s->dfas.n) {  // one that failed before has a number and no automaton
        cop_dfa *dfa;
        COP_TRY(cop_dfa_new(&dfa, s->regexes, rx));
        if (id != s->dfas.n + 1) return cop_dfa_free(dfa), cop_fail(COP_ERR_LIMIT, "schema: an automaton failed before");
        if (!s->dfas.most) s->dfas.most = 1000000;
        cop_status st = cop_array_push(&s->dfas, dfa);
        if (st) return cop_dfa_free(dfa), st;
    }
    *out = s->dfas.v[id - 1];
    return COP_OK;
}

cop_rx cop_schema_quoted(schema *s, cop_rx characters) {
    cop_rx inside = cop_rx_encode(s->regexes, characters, s->options.checker ? COP_RX_JSON_ANY : COP_RX_JSON);
    return cop_rx_concat(s->regexes, inside, cop_rx_byte_text(s->regexes, "\"", 1));
}

cop_status cop_schema_scalars(schema *s, schema_goal *g) {
    if (g->has_scalars) return COP_OK;
    cop_regex_set *r = s->regexes;
    cop_rx all = COP_RX_NONE;
    if (g->types & T_NULL) all = cop_rx_or(r, all, cop_rx_byte_text(r, "null", 4));
    if (g->types & T_TRUE) all = cop_rx_or(r, all, cop_rx_byte_text(r, "true", 4));
    if (g->types & T_FALSE) all = cop_rx_or(r, all, cop_rx_byte_text(r, "false", 5));
    if (g->strings != COP_RX_NONE) all = cop_rx_or(r, all, cop_rx_concat(r, cop_rx_byte_text(r, "\"", 1), cop_schema_quoted(s, g->strings)));
    g->counted_numbers = s->options.checker && g->n_numbers;
    for (uint32_t i = 0; i < g->n_numbers && !s->options.checker; i++) {
        cop_rx some;
        bool exact;
        COP_TRY(cop_schema_numbers_rx(s, &g->numbers[i], &some, &exact));
        if (exact) all = cop_rx_or(r, all, some);
        else g->counted_numbers = true;
    }
    COP_TRY(cop_regex_set_failed(r));
    cop_dfa *dfa = NULL;
    if (all != COP_RX_NONE) COP_TRY(cop_schema_dfa(s, all, &dfa));
    g->scalars = dfa && cop_dfa_start(dfa) != COP_DFA_DEAD ? dfa : NULL;
    g->has_scalars = true;
    return COP_OK;
}
