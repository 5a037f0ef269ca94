// A goal becomes alternatives without applicators. The method is a tableau: what must hold is a list of atoms; those that
// are alternatives wait, each of them in turn goes on with a copy of the record.
#include "guide/schema_expand.h"

atom *cop_schema_atom(expansion *e, const atom *next, atom_kind kind) {
    atom *a = cop_schema_take(&e->mem, sizeof *a);
    if (a) *a = (atom){.next = next, .kind = (uint8_t)kind};
    return a;
}

static cop_status put(expansion *e, const cell **list, cell c) {
    cell *p = cop_schema_take(&e->mem, sizeof *p);
    if (!p) return COP_ERR_LIMIT;
    *p = c;
    p->next = *list;
    *list = p;
    return COP_OK;
}

static bool has(const cell *list, uint32_t a) {
    while (list && list->a != a) list = list->next;
    return list != NULL;
}

static void apply_types(draft_record *r, uint8_t mask, uint8_t integer, bool literal) {
    r->types &= mask;
    r->literal |= literal;
    if (!integer) return;
    if (r->integer && r->integer != integer) r->types &= (uint8_t)~T_NUMBER;
    r->integer = integer;
}

static void apply_bound(draft_record *r, bool low, const schema_dec *v, bool open) {
    const schema_dec *mine = low ? r->low : r->high;
    bool has_it = low ? r->has_low : r->has_high, mine_open = low ? r->low_open : r->high_open;
    int c = has_it ? cop_schema_dec_compare(v, mine) : 0;
    if (has_it && ((low ? c < 0 : c > 0) || (!c && mine_open))) return;
    if (low) r->has_low = true, r->low = v, r->low_open = open;
    else r->has_high = true, r->high = v, r->high_open = open;
    if (!r->has_low || !r->has_high) return;
    c = cop_schema_dec_compare(r->low, r->high);
    if (c > 0 || (!c && (r->low_open || r->high_open))) r->types &= (uint8_t)~T_NUMBER;
}

static cop_status apply_counts(draft_record *r, const atom *a) {
    if (a->kind == A_MIN_PROPERTIES && a->a > r->min_properties) r->min_properties = a->a;
    if (a->kind == A_MAX_PROPERTIES && a->a < r->max_properties) r->max_properties = a->a;
    if (a->kind == A_MIN_ITEMS && a->a > r->min_items) r->min_items = a->a;
    if (a->kind == A_MAX_ITEMS && a->a < r->max_items) r->max_items = a->a;
    if (r->min_properties > r->max_properties) r->types &= (uint8_t)~T_OBJECT;
    if (r->min_items > r->max_items) r->types &= (uint8_t)~T_ARRAY;
    return COP_OK;
}

// A member whose goals cannot be met together is one that must be missing.
static cop_status apply_property(expansion *e, draft_record *r, cell c) {
    for (const cell *p = r->properties; p; p = p->next) {
        bool apart = false;
        if (p->a != c.a) continue;
        if (p->lit == c.lit) return COP_OK;
        COP_TRY(cop_schema_clash(e, p->lit, c.lit, &apart));
        if (!apart) continue;
        COP_TRY(put(e, &r->properties, c));
        if (has(r->required, c.a)) r->types &= (uint8_t)~T_OBJECT;
        return has(r->forbidden, c.a) ? COP_OK : put(e, &r->forbidden, c);
    }
    return put(e, &r->properties, c);
}

cop_status cop_schema_apply(expansion *e, draft_record *r, const atom *a) {
    cell c = {.a = a->a, .b = a->b, .c = a->c, .lit = a->lit, .number = a->number};
    switch (a->kind) {
    case A_TYPES: return apply_types(r, (uint8_t)a->a, (uint8_t)a->b, a->lit == 1), COP_OK;
    case A_LOW:
    case A_HIGH: return apply_bound(r, a->kind == A_LOW, a->number, a->b), COP_OK;
    case A_MULTIPLE: return put(e, &r->multiples, c);
    case A_NOT_NUMBER: return put(e, &r->not, c);
    case A_ONLY: return put(e, &r->only, c);
    case A_STRING:
        r->strings = cop_rx_and(e->s->regexes, r->strings, a->a);
        if (r->strings == COP_RX_NONE) r->types &= (uint8_t)~T_STRING;
        return COP_OK;
    case A_REQUIRE:
        if (has(r->forbidden, a->a)) r->types &= (uint8_t)~T_OBJECT;
        return has(r->required, a->a) ? COP_OK : put(e, &r->required, c);
    case A_FORBID:
        if (has(r->required, a->a)) r->types &= (uint8_t)~T_OBJECT;
        return has(r->forbidden, a->a) ? COP_OK : put(e, &r->forbidden, c);
    case A_PROPERTY: return apply_property(e, r, c);
    case A_RULE: return put(e, &r->rules, c);
    case A_EXISTS: return put(e, &r->exists, c);
    case A_NAMES: return r->names = cop_rx_and(e->s->regexes, r->names, a->a), COP_OK;
    case A_RANGE: return put(e, &r->ranges, c);
    case A_CONTAINS: return put(e, &r->contains, c);
    case A_UNIQUE:
        if (r->unique && r->unique != a->a) r->types &= (uint8_t)~T_ARRAY;
        r->unique = (uint8_t)a->a;
        return COP_OK;
    default: return apply_counts(r, a);
    }
}

// ---- literals ----

static cop_status assert_literal(expansion *e, draft_record *r, const atom *a, const atom **more) {
    schema *s = e->s;
    if (a->lit == LIT_TRUE || a->lit == (LIT_FALSE | 1)) return COP_OK;
    if (a->lit == LIT_FALSE || a->lit == (LIT_TRUE | 1)) return r->types = 0, COP_OK;
    for (const cell *d = r->done; d; d = d->next) {
        if (d->lit == (a->lit ^ 1)) return r->types = 0, COP_OK;
        if (d->lit == a->lit && d->scope == a->scope) return COP_OK;
    }
    COP_TRY(put(e, &r->done, (cell){.lit = a->lit, .scope = a->scope}));
    const schema_node *n = s->nodes.v[LIT_NODE(a->lit)];
    if (!LIT_NO(a->lit)) return cop_schema_assert(e, r, n, a->scope, more);
    return cop_schema_negate(e, LIT_NODE(a->lit), more);
}

// A node of which everything holds but unevaluated…, which fails.
static cop_status assert_rest(expansion *e, draft_record *r, const atom *a, const atom **more) {
    scope *sc = cop_schema_take(&e->mem, sizeof *sc);
    if (!sc) return COP_ERR_LIMIT;
    const schema_node *n = e->s->nodes.v[LIT_NODE(a->lit)];
    *sc = (scope){.node = n, .no_properties = a->kind == A_REST_PROPERTIES, .no_items = a->kind == A_REST_ITEMS};
    COP_TRY(put(e, &r->scopes, (cell){.scope = sc}));
    return cop_schema_assert(e, r, n, sc, more);
}

cop_status cop_schema_too_many(const expansion *e, const char *what, unsigned most) {
    static const schema_word words[] = {W_oneOf, W_anyOf, W_if, W_not, W_dependencies, W_dependentRequired, W_dependentSchemas, W_allOf, W__ref};
    const schema_goal *g = goal_at(e->s, e->goal);
    const schema_node *n = e->s->nodes.v[g->n_lits ? LIT_NODE(g->lits[0]) : 0];
    static const char *const names[] = {"oneOf", "anyOf", "if", "not", "dependencies", "dependentRequired", "dependentSchemas", "allOf", "$ref"};
    size_t i = 0;
    while (i < sizeof words / sizeof *words - 1 && !cop_schema_word(n, words[i])) i++;
    return cop_fail(COP_ERR_UNSUPPORTED, "schema: %s: keyword %s: alternatives that overlap, more than %u %s", *n->pointer ? n->pointer : "/", names[i], most, what);
}

// `now` is worked off first; alternatives wait in `later`. Then the one with the fewest that are still open is next.
static cop_status run(expansion *e, draft_record r, const atom *now, const atom *later) {
    for (;;) {
        while (now && r.types) {
            const atom *a = now, *more = NULL;
            now = now->next;
            if (++e->steps > SCHEMA_MOST_STEPS)
                return cop_schema_too_many(e, "steps", SCHEMA_MOST_STEPS);
            if (a->kind == A_CHOICE) {
                atom *copy = cop_schema_atom(e, later, A_CHOICE);
                if (!copy) return COP_ERR_LIMIT;
                copy->choice = a->choice;
                copy->n_choice = a->n_choice;
                later = copy;
                continue;
            }
            if (a->kind == A_LIT) COP_TRY(assert_literal(e, &r, a, &more));
            else if (a->kind == A_REST_PROPERTIES || a->kind == A_REST_ITEMS) COP_TRY(assert_rest(e, &r, a, &more));
            else COP_TRY(cop_schema_apply(e, &r, a));
            if (!more) continue;
            atom *end = (atom *)more;  // newly made, so nobody else has it
            while (end->next) end = (atom *)end->next;
            end->next = now;
            now = more;
        }
        if (!r.types) return COP_OK;
        if (!later) return cop_schema_emit(e, &r);
        const atom *best = NULL;
        COP_TRY(cop_schema_choose(e, &r, &later, &best));
        if (!best) continue;
        if (best->n_choice != 1) {
            for (uint32_t i = 0; i < best->n_choice; i++) COP_TRY(run(e, r, best->choice[i], later));
            return COP_OK;
        }
        now = best->choice[0];
    }
}

cop_status cop_schema_expand(schema *s, uint32_t goal) {
    schema_goal *g = goal_at(s, goal);
    if (g->phase != GOAL_NEW) return COP_OK;
    if (s->depth > 60) return cop_fail(COP_ERR_LIMIT, "schema: oneOf inside oneOf, deeper than 60");
    g->phase = GOAL_WORKING;
    s->depth++;
    expansion e = {.s = s, .goal = goal};
    const atom *list = NULL;
    cop_status st = COP_OK;
    for (uint32_t i = g->n_lits; i-- && !st;) {
        atom *a = cop_schema_atom(&e, list, A_LIT);
        if (!a) st = COP_ERR_LIMIT;
        else a->lit = g->lits[i], list = a;
    }
    draft_record r = {.types = T_ALL, .strings = s->any_string, .names = s->any_string, .max_properties = UINT32_MAX, .max_items = UINT32_MAX};
    if (!st) st = run(&e, r, list, NULL);
    cop_schema_arena_fini(&e.mem);
    s->depth--;
    g->phase = GOAL_DONE;
    return st;
}

cop_status cop_schema_goal(schema *s, const int32_t *lits, uint32_t n, uint32_t *goal) {
    int32_t small[32], *list = n <= 32 ? small : cop_schema_take(&s->mem, n * sizeof *list);
    if (!list) return COP_ERR_LIMIT;
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t v = lits[i] == 1 ? LIT_FALSE : lits[i];
        if (v == LIT_TRUE || v == (LIT_FALSE | 1)) continue;
        uint32_t at = m;
        while (at && list[at - 1] > v) at--;
        if (at && list[at - 1] == v) continue;
        memmove(list + at + 1, list + at, (m - at) * sizeof *list);
        list[at] = v;
        m++;
    }
    for (uint32_t i = 0; i < m; i++)
        if (list[i] == LIT_FALSE || (i + 1 < m && (list[i] ^ 1) == list[i + 1])) list[0] = LIT_FALSE, m = 1;
    uint32_t before = (uint32_t)s->goal_keys.blobs.n, id = cop_schema_intern(&s->goal_keys, list, m * sizeof *list);
    if (!id) return COP_ERR_LIMIT;
    *goal = id;
    if (id <= before) return COP_OK;
    if (id > SCHEMA_MOST_GOALS) return cop_fail(COP_ERR_LIMIT, "schema: more than %u combinations of subschemas", SCHEMA_MOST_GOALS);
    schema_goal *g = cop_schema_take(&s->mem, sizeof *g);
    if (!g) return COP_ERR_LIMIT;
    *g = (schema_goal){.lits = pool_at(&s->goal_keys, id)->v, .n_lits = m, .min = SCHEMA_FAR};
    return cop_array_push(&s->goals, g);
}

static uint8_t plain_types(const schema *s, int32_t lit) {
    const schema_node *n = s->nodes.v[LIT_NODE(lit)];
    uint8_t integer;
    const schema_keyword *k = LIT_NO(lit) ? NULL : cop_schema_word(n, W_type);
    return k ? cop_schema_types(k, &integer) : T_ALL;
}

cop_status cop_schema_apart(schema *s, int32_t a, int32_t b, bool *out) {
    *out = !(plain_types(s, a) & plain_types(s, b));
    if (*out || a == b || s->depth > 40) return COP_OK;
    uint32_t goal;
    int32_t min;
    COP_TRY(cop_schema_goal(s, (int32_t[]){a, b}, 2, &goal));
    if (goal_at(s, goal)->phase == GOAL_WORKING) return COP_OK;
    COP_TRY(cop_schema_min(s, goal, &min));
    *out = min == SCHEMA_FAR;
    return COP_OK;
}
