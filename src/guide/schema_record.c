// An alternative that is complete becomes part of its goal: scalars join those of the others, an object or an array becomes
// a record, the same one when its content is the same.
#include <stdlib.h>

#include "guide/schema_expand.h"

// ---- unevaluated… ----

static bool is_inside(const scope *inner, const scope *outer) {
    while (inner && inner != outer) inner = inner->outer;
    return inner != NULL;
}

typedef struct gathered {
    bool all_properties, all_items;
    uint32_t prefix, n_names, n_contains;
    cop_rx pattern;
    const json_t *names[256];
    int32_t contains[64];
} gathered;

static cop_status gather(expansion *e, const draft_record *r, const scope *sc, gathered *g) {
    for (const cell *c = r->scopes; c; c = c->next) {
        if (c->scope == sc || !is_inside(c->scope, sc)) continue;
        g->all_properties |= c->scope->properties;
        g->all_items |= c->scope->items;
    }
    for (const evaluated *v = r->evaluated; v; v = v->next) {
        if (!is_inside(v->scope, sc)) continue;
        const schema_keyword *p = cop_schema_word(v->node, W_properties), *q = cop_schema_word(v->node, W_patternProperties);
        g->all_properties |= v->all_properties;
        g->all_items |= v->all_items;
        if (v->prefix > g->prefix) g->prefix = v->prefix;
        for (uint32_t i = 0; q && i < q->n; i++) g->pattern = cop_rx_or(e->s->regexes, g->pattern, q->rxs[i]);
        if (g->n_names == 256 || g->n_contains == 64) return cop_fail(COP_ERR_UNSUPPORTED, "schema: %s: unevaluated… over too many subschemas", v->node->pointer);
        if (p) g->names[g->n_names++] = p->v;
        if (v->contains >= 0) g->contains[g->n_contains++] = v->contains;
    }
    return COP_OK;
}

static cop_status close_properties(expansion *e, draft_record *r, const scope *sc, const gathered *g) {
    if (sc->no_properties) r->types &= g->all_properties ? 0 : T_OBJECT;
    if (g->all_properties) return COP_OK;
    schema_cond c;
    memset(&c, 0, sizeof c);
    c.inverted = true;
    c.pattern = g->pattern;
    if (g->n_names) {
        uint32_t list = cop_schema_intern(&e->s->consts, g->names, g->n_names * sizeof *g->names);
        if (!list) return COP_ERR_LIMIT;
        c.names = pool_at(&e->s->consts, list)->v;
        c.n_names = g->n_names;
    }
    atom a = {.kind = sc->no_properties ? A_EXISTS : A_RULE, .a = cop_schema_intern(&e->s->conds, &c, sizeof c)};
    a.lit = LIT(cop_schema_word(sc->node, W_unevaluatedProperties)->node, sc->no_properties);
    return a.a ? cop_schema_apply(e, r, &a) : COP_ERR_LIMIT;
}

static cop_status close_items(expansion *e, draft_record *r, const scope *sc, gathered *g) {
    if (sc->no_items) r->types &= g->all_items ? 0 : T_ARRAY;
    if (g->all_items) return COP_OK;
    int32_t lit = LIT(cop_schema_word(sc->node, W_unevaluatedItems)->node, 0);
    if (g->n_contains) {
        uint32_t node;
        g->contains[g->n_contains] = lit;
        COP_TRY(cop_schema_any_of(e->s, g->contains, g->n_contains + 1, &node));
        lit = LIT(node, 0);
    }
    atom a = {.kind = sc->no_items ? A_CONTAINS : A_RANGE, .a = g->prefix, .b = sc->no_items ? 1 : UINT32_MAX, .c = UINT32_MAX};
    a.lit = sc->no_items ? lit ^ 1 : lit;
    return cop_schema_apply(e, r, &a);
}

static cop_status close_scopes(expansion *e, draft_record *r) {
    gathered *g = r->scopes ? cop_schema_take(&e->mem, sizeof *g + sizeof(int32_t)) : NULL;
    if (r->scopes && !g) return COP_ERR_LIMIT;
    for (const cell *c = r->scopes; c; c = c->next) {
        memset(g, 0, sizeof *g);
        COP_TRY(gather(e, r, c->scope, g));
        if (c->scope->properties || c->scope->no_properties) COP_TRY(close_properties(e, r, c->scope, g));
        if (c->scope->items || c->scope->no_items) COP_TRY(close_items(e, r, c->scope, g));
    }
    return COP_OK;
}

// ---- numbers ----

static cop_status keep_dec(schema *s, schema_dec *out, const schema_dec *d) {
    char *digits = cop_schema_take(&s->mem, (size_t)d->n + 1);
    if (!digits) return COP_ERR_LIMIT;
    memcpy(digits, d->digits, (size_t)d->n);
    *out = *d;
    out->digits = digits;
    return COP_OK;
}

static bool in_all(const cell *lists, const schema_dec *d) {
    for (; lists; lists = lists->next) {
        uint32_t i = 0;
        while (i < lists->a && cop_schema_dec_compare(&lists->number[i], d)) i++;
        if (i == lists->a) return false;
    }
    return true;
}

static cop_status keep_lists(schema *s, const draft_record *r, schema_numbers *n) {
    int count = 0;
    for (const cell *c = r->multiples; c; c = c->next) count++;
    schema_multiple *m = cop_schema_take(&s->mem, ((size_t)count + 1) * sizeof *m);
    n->multiples = m;
    for (const cell *c = r->multiples; c && m; c = c->next) {
        COP_TRY(keep_dec(s, &m[n->n_multiples].of, c->number));
        m[n->n_multiples++].no = c->b;
    }
    count = 0;
    for (const cell *c = r->not; c; c = c->next) count++;
    schema_dec *not = cop_schema_take(&s->mem, ((size_t)count + 1) * sizeof *not);
    n->not = not;
    for (const cell *c = r->not; c && not; c = c->next) COP_TRY(keep_dec(s, &not[n->n_not++], c->number));
    if (!m || !not) return COP_ERR_LIMIT;
    if (!r->only) return COP_OK;
    schema_dec *only = cop_schema_take(&s->mem, (r->only->a + 1) * sizeof *only);
    if (!only) return COP_ERR_LIMIT;
    for (uint32_t i = 0; i < r->only->a; i++)
        if (in_all(r->only->next, &r->only->number[i])) COP_TRY(keep_dec(s, &only[n->n_only++], &r->only->number[i]));
    n->only = only;
    return COP_OK;
}

static cop_status emit_numbers(expansion *e, schema_goal *g, const draft_record *r) {
    schema *s = e->s;
    schema_numbers n = {.has_low = r->has_low, .has_high = r->has_high, .low_open = r->low_open, .high_open = r->high_open, .integer = r->integer, .literal = r->literal};
    if (r->has_low) COP_TRY(keep_dec(s, &n.low, r->low));
    if (r->has_high) COP_TRY(keep_dec(s, &n.high, r->high));
    COP_TRY(keep_lists(s, r, &n));
    if (n.only && !n.n_only) return COP_OK;
    bool simple = !n.n_multiples && !n.n_not && !n.only;
    if (simple && !n.has_low && !n.has_high && !n.integer) g->free_numbers = true;
    for (uint32_t i = 0; i < g->n_numbers && simple; i++) {
        const schema_numbers *o = &g->numbers[i];
        bool same = !o->n_multiples && !o->n_not && !o->only && o->integer == n.integer && o->literal == n.literal && o->has_low == n.has_low && o->has_high == n.has_high;
        same = same && (!n.has_low || (!cop_schema_dec_compare(&o->low, &n.low) && o->low_open == n.low_open));
        if (same && (!n.has_high || (!cop_schema_dec_compare(&o->high, &n.high) && o->high_open == n.high_open))) return COP_OK;
    }
    schema_numbers *grown = g->numbers;
    if ((g->n_numbers & (g->n_numbers - 1)) == 0) {  // a power of two: full
        grown = cop_schema_take(&s->mem, (g->n_numbers ? 2 * (size_t)g->n_numbers : 1) * sizeof *grown);
        if (!grown) return COP_ERR_LIMIT;
        if (g->n_numbers) memcpy(grown, g->numbers, g->n_numbers * sizeof *grown);
        g->numbers = grown;
    }
    grown[g->n_numbers++] = n;
    return COP_OK;
}

// ---- records ----

static cop_status add_record(expansion *e, schema_goal *g, const uint32_t *key, size_t n, bool *is_new, uint32_t *record) {
    schema *s = e->s;
    uint32_t before = (uint32_t)s->record_keys.blobs.n, id = cop_schema_intern(&s->record_keys, key, n * sizeof *key);
    if (!id) return COP_ERR_LIMIT;
    *record = id;
    *is_new = id > before;
    for (uint32_t i = 0; i < g->n_records; i++)
        if (g->records[i] == id) return COP_OK;
    if (g->n_records == SCHEMA_MOST_RECORDS)
        return cop_schema_too_many(e, "in all", SCHEMA_MOST_RECORDS);
    if ((g->n_records & (g->n_records - 1)) == 0) {
        uint32_t *grown = cop_schema_take(&s->mem, (g->n_records ? 2 * (size_t)g->n_records : 1) * sizeof *grown);
        if (!grown) return COP_ERR_LIMIT;
        if (g->n_records) memcpy(grown, g->records, g->n_records * sizeof *grown);
        g->records = grown;
    }
    g->records[g->n_records++] = id;
    return COP_OK;
}

typedef struct mention {  // of a name
    uint32_t name, order;
    int32_t lit;
    bool required, forbidden;
    uint32_t goal;
} mention;
typedef COP_ARRAY(mention) mentions;

static int by_name(const void *a, const void *b) {
    const mention *x = a, *y = b;
    if (x->name != y->name) return x->name < y->name ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b) {
    const mention *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static cop_status mention_cond(expansion *e, mentions *m, uint32_t cond) {
    const schema_cond *c = cond_at(e->s, cond);
    for (uint32_t i = 0; i < c->n_names; i++) {
        const char *key;
        json_t *v;
        uint32_t id;
        json_object_foreach((json_t *)c->names[i], key, v) {
            COP_TRY(cop_schema_name(e->s, key, strlen(key), &id));
            COP_TRY(cop_array_push(m, ((mention){.name = id, .order = 0x80000000u + (uint32_t)m->n, .lit = LIT_TRUE})));
        }
    }
    return COP_OK;
}

static cop_status collect(expansion *e, const draft_record *r, mentions *m) {
    uint32_t n = 0;
    for (const cell *c = r->properties; c; c = c->next) n++;
    for (const cell *c = r->properties; c; c = c->next) COP_TRY(cop_array_push(m, ((mention){.name = c->a, .order = n--, .lit = c->lit})));
    for (const cell *c = r->required; c; c = c->next) n++;
    for (const cell *c = r->required; c; c = c->next)
        COP_TRY(cop_array_push(m, ((mention){.name = c->a, .order = 0x40000000u + n--, .lit = LIT_TRUE, .required = true})));
    for (const cell *c = r->forbidden; c; c = c->next)
        COP_TRY(cop_array_push(m, ((mention){.name = c->a, .order = 0x80000000u, .lit = LIT_TRUE, .forbidden = true})));
    for (const cell *c = r->rules; c; c = c->next) COP_TRY(mention_cond(e, m, c->a));
    for (const cell *c = r->exists; c; c = c->next) COP_TRY(mention_cond(e, m, c->a));
    return COP_OK;
}

// Mentions of the same name become one, with the goal of its value.
static cop_status merge(expansion *e, const draft_record *r, mentions *m, bool *possible) {
    schema *s = e->s;
    COP_ARRAY(int32_t) lits = {.most = 1000000};
    cop_status st = COP_OK;
    size_t out = 0;
    if (m->n) qsort(m->v, m->n, sizeof *m->v, by_name);
    for (size_t i = 0; i < m->n && !st;) {
        mention one = m->v[i];
        lits.n = 0;
        for (; i < m->n && m->v[i].name == one.name && !st; i++) {
            one.required |= m->v[i].required;
            one.forbidden |= m->v[i].forbidden;
            st = cop_array_push(&lits, m->v[i].lit);
        }
        const schema_blob *name = pool_at(&s->names, one.name);
        for (const cell *c = r->rules; c && !st; c = c->next)
            if (cop_schema_cond_fits(s, c->a, name->v, name->bytes)) st = cop_array_push(&lits, c->lit);
        if (!st && r->names != s->any_string && !cop_rx_matches(s->regexes, r->names, name->v, name->bytes)) one.forbidden = true;
        if (!st) st = cop_schema_goal(s, lits.v, (uint32_t)lits.n, &one.goal);
        const schema_goal *g = st ? NULL : goal_at(s, one.goal);
        if (g && g->n_lits == 1 && g->lits[0] == LIT_FALSE) one.forbidden = true;
        if (one.required && one.forbidden) *possible = false;
        m->v[out++] = one;
    }
    m->n = out;
    if (m->n && !st) qsort(m->v, m->n, sizeof *m->v, by_order);
    cop_array_fini(&lits);
    return st;
}

static cop_status build_object(expansion *e, const draft_record *r, const mentions *m, schema_object *o);

static cop_status emit_object(expansion *e, schema_goal *g, const draft_record *r) {
    mentions m = {.most = 1000000};
    COP_ARRAY(uint32_t) key = {.most = 8000000};
    bool possible = true, is_new;
    uint32_t record;
    cop_status st = collect(e, r, &m);
    if (!st) st = merge(e, r, &m, &possible);
    const uint32_t head[] = {T_OBJECT, r->min_properties, r->max_properties, r->names, (uint32_t)m.n};
    for (size_t i = 0; i < sizeof head / sizeof *head && !st; i++) st = cop_array_push(&key, head[i]);
    for (size_t i = 0; i < m.n && !st; i++) {
        st = cop_array_push(&key, m.v[i].name);
        if (!st) st = cop_array_push(&key, m.v[i].goal * 4 + m.v[i].required * 2u + m.v[i].forbidden);
    }
    for (int k = 0; k < 2 && !st; k++) {
        for (const cell *c = k ? r->exists : r->rules; c && !st; c = c->next) {
            st = cop_array_push(&key, c->a);
            if (!st) st = cop_array_push(&key, (uint32_t)c->lit);
        }
        if (!st) st = cop_array_push(&key, 0);
    }
    if (!st && possible) {
        st = add_record(e, g, key.v, key.n, &is_new, &record);
        schema_record *rec = st || !is_new ? NULL : cop_schema_take(&e->s->mem, sizeof *rec);
        if (!st && is_new) st = rec ? build_object(e, r, &m, &rec->u.object) : COP_ERR_LIMIT;
        if (!st && is_new) rec->type = T_OBJECT, st = cop_array_push(&e->s->records, rec);
    }
    cop_array_fini(&m);
    cop_array_fini(&key);
    return st;
}

typedef struct sorter {
    const schema_member *members;
    bool spelt;
} sorter;

static int compare_members(const void *a, const void *b, void *arg) {
    const sorter *s = arg;
    const schema_member *x = &s->members[*(const uint32_t *)a], *y = &s->members[*(const uint32_t *)b];
    uint32_t n = s->spelt ? x->spelt_bytes : x->bytes, k = s->spelt ? y->spelt_bytes : y->bytes;
    int c = memcmp(s->spelt ? x->spelt : x->name, s->spelt ? y->spelt : y->name, n < k ? n : k);
    return c ? c : (n > k) - (n < k);
}

static cop_status keep_rules(schema *s, const cell *list, schema_rule **out, uint32_t *n) {
    for (const cell *c = list; c; c = c->next) ++*n;
    *out = cop_schema_take(&s->mem, (*n + 1) * sizeof **out);
    if (!*out) return COP_ERR_LIMIT;
    uint32_t i = *n;
    for (const cell *c = list; c; c = c->next) (*out)[--i] = (schema_rule){c->a, c->lit};
    return COP_OK;
}

static cop_status build_object(expansion *e, const draft_record *r, const mentions *m, schema_object *o) {
    schema *s = e->s;
    uint32_t n = (uint32_t)m->n, *sorted = cop_schema_take(&s->mem, (n + 1) * sizeof *sorted), *named = cop_schema_take(&s->mem, (n + 1) * sizeof *named);
    o->members = cop_schema_take(&s->mem, (n + 1) * sizeof *o->members);
    if (!sorted || !named || !o->members) return COP_ERR_LIMIT;
    o->n = n;
    o->min = r->min_properties;
    o->max = r->max_properties;
    o->names = r->names;
    for (uint32_t i = 0; i < n; i++) {
        const schema_blob *name = pool_at(&s->names, m->v[i].name);
        schema_member *out = &o->members[i];
        *out = (schema_member){.name = name->v, .bytes = name->bytes, .required = m->v[i].required, .forbidden = m->v[i].forbidden, .goal = m->v[i].goal};
        out->spelt = cop_schema_spell(&s->mem, out->name, out->bytes, &out->spelt_bytes);
        if (!out->spelt) return COP_ERR_LIMIT;
        o->n_required += out->required;
        sorted[i] = named[i] = i;
    }
    qsort_r(sorted, n, sizeof *sorted, compare_members, &(sorter){o->members, true});
    qsort_r(named, n, sizeof *named, compare_members, &(sorter){o->members, false});
    o->sorted = sorted;
    o->by_name = named;
    COP_TRY(keep_rules(s, r->rules, &o->rules, &o->n_rules));
    COP_TRY(keep_rules(s, r->exists, &o->exists, &o->n_exists));
    if (o->n_exists > 31) return cop_fail(COP_ERR_UNSUPPORTED, "schema: more than 31 members that must exist");
    return COP_OK;
}

// How many values a subschema has at most, when that can be seen at once; 0: many.
static uint32_t count_values(const schema *s, int32_t lit, int32_t *longest) {
    const schema_node *n = s->nodes.v[LIT_NODE(lit)];
    const schema_keyword *k = LIT_NO(lit) || n->kind != NODE_JSON ? NULL : cop_schema_word(n, W_enum);
    uint8_t integer;
    *longest = 5;
    if (k && json_array_size(k->v) <= SCHEMA_MOST_DOMAIN) {
        for (size_t i = 0; i < json_array_size(k->v); i++) {
            int32_t bytes = (int32_t)json_dumpb(json_array_get(k->v, i), NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
            if (bytes > *longest) *longest = bytes;
        }
        return (uint32_t)json_array_size(k->v);
    }
    k = LIT_NO(lit) || n->kind != NODE_JSON ? NULL : cop_schema_word(n, W_type);
    uint8_t types = k ? cop_schema_types(k, &integer) : T_ALL;
    return types & ~(T_NULL | T_TRUE | T_FALSE) ? 0 : (uint32_t)__builtin_popcount(types);
}

static void count_domain(const schema *s, schema_array *a) {
    for (uint32_t i = 0; i < a->n_ranges && a->unique; i++) {
        int32_t longest;
        uint32_t n = count_values(s, a->ranges[i].lit, &longest);
        if (a->ranges[i].from || a->ranges[i].to != UINT32_MAX || !n || (a->domain && a->domain <= n)) continue;
        a->domain = n;
        a->longest = longest;
    }
    if (a->prefix) a->domain = 0;
}

static cop_status emit_array(expansion *e, schema_goal *g, const draft_record *r) {
    schema *s = e->s;
    COP_ARRAY(uint32_t) key = {.most = 8000000};
    schema_array a = {.min = r->min_items, .max = r->max_items, .unique = r->unique};
    cop_status st = COP_OK;
    if (r->unique == 2) return cop_fail(COP_ERR_UNSUPPORTED, "schema: keyword uniqueItems: under not");
    for (const cell *c = r->ranges; c; c = c->next) {
        if (c->lit == LIT_TRUE || c->a > c->b) continue;
        uint32_t last = c->b == UINT32_MAX ? c->a : c->b + 1;
        if (last > a.prefix) a.prefix = last;
        a.n_ranges++;
    }
    for (const cell *c = r->contains; c; c = c->next) {
        if (c->b > c->c) return COP_OK;
        if (c->a > a.prefix) a.prefix = c->a;
        a.n_contains++;
    }
    if (a.prefix > 100000) return cop_fail(COP_ERR_LIMIT, "schema: a list of more than 100000 items");
    const uint32_t head[] = {T_ARRAY, a.min, a.max, a.unique, a.n_ranges, a.n_contains};
    for (size_t i = 0; i < sizeof head / sizeof *head && !st; i++) st = cop_array_push(&key, head[i]);
    for (int k = 0; k < 2; k++)
        for (const cell *c = k ? r->contains : r->ranges; c && !st; c = c->next) {
            if (!k && (c->lit == LIT_TRUE || c->a > c->b)) continue;
            const uint32_t words[] = {c->a, c->b, k ? c->c : 0, (uint32_t)c->lit};
            for (size_t i = 0; i < 4 && !st; i++) st = cop_array_push(&key, words[i]);
        }
    bool is_new = false;
    uint32_t record;
    if (!st) st = add_record(e, g, key.v, key.n, &is_new, &record);
    if (!st && is_new) {
        schema_record *rec = cop_schema_take(&s->mem, sizeof *rec);
        a.ranges = cop_schema_take(&s->mem, (a.n_ranges + 1) * sizeof *a.ranges);
        a.contains = cop_schema_take(&s->mem, (a.n_contains + 1) * sizeof *a.contains);
        a.goals = cop_schema_take(&s->mem, (a.prefix + 1) * sizeof *a.goals);
        st = rec && a.ranges && a.contains && a.goals ? COP_OK : COP_ERR_LIMIT;
        for (uint32_t i = 0; i < a.n_ranges + a.n_contains && !st; i++) {
            const uint32_t *w = key.v + 6 + 4 * i;
            if (i < a.n_ranges) a.ranges[i] = (schema_range){w[0], w[1], (int32_t)w[3]};
            else a.contains[i - a.n_ranges] = (schema_contains){w[0], w[1], w[2], (int32_t)w[3]};
        }
        if (!st) {
            count_domain(s, &a);
            rec->type = T_ARRAY;
            rec->u.array = a;
            st = cop_array_push(&s->records, rec);
        }
    }
    cop_array_fini(&key);
    return st;
}

cop_status cop_schema_emit(expansion *e, draft_record *r) {
    COP_TRY(close_scopes(e, r));
    schema_goal *g = goal_at(e->s, e->goal);
    g->types |= r->types & (T_NULL | T_TRUE | T_FALSE);
    if (r->types & T_STRING) g->strings = cop_rx_or(e->s->regexes, g->strings, r->strings);
    if (r->types & T_NUMBER && !g->free_numbers) COP_TRY(emit_numbers(e, g, r));
    if (r->types & T_OBJECT) COP_TRY(emit_object(e, g, r));
    return r->types & T_ARRAY ? emit_array(e, g, r) : COP_OK;
}
