// How much of an object or array is left to write, at least; and which names may be written that are no members.
#include "guide/schema_rest.h"

// ---- names that are no members ----

static cop_rx cond_rx(schema *s, const schema_cond *c) { return c->inverted ? cop_rx_not(s->regexes, c->pattern) : c->pattern; }

// Bytes of a shortest name of a language, closing quote included.
static cop_status name_rest(schema *s, cop_rx names, int32_t *rest) {
    cop_dfa *dfa;
    *rest = SCHEMA_FAR;
    if (names == COP_RX_NONE) return COP_OK;
    COP_TRY(cop_schema_dfa(s, cop_schema_quoted(s, names), &dfa));
    cop_dfa_state q = cop_dfa_start(dfa);
    if (q != COP_DFA_DEAD) *rest = cop_dfa_distance(dfa, q);
    return COP_OK;
}

static cop_status forbid_names(schema *s, schema_object *o) {
    cop_regex_set *r = s->regexes;
    bool empty[64];
    uint32_t n = o->n_rules < 64 ? o->n_rules : 64;
    for (uint32_t i = 0; i < o->n_rules; i++) {
        uint32_t goal;
        int32_t min;
        COP_TRY(cop_schema_goal(s, &o->rules[i].lit, 1, &goal));
        COP_TRY(cop_schema_min(s, goal, &min));
        if (i < n) empty[i] = min == SCHEMA_FAR;
        if (min == SCHEMA_FAR) o->extra_rx = cop_rx_minus(r, o->extra_rx, cond_rx(s, cond_at(s, o->rules[i].cond)));
    }
    for (uint32_t i = 0; i < n && n <= 24; i++)
        for (uint32_t j = 0; j < i; j++) {
            uint32_t goal;
            int32_t min;
            if (empty[i] || empty[j] || o->rules[i].lit == o->rules[j].lit) continue;
            COP_TRY(cop_schema_goal(s, (int32_t[]){o->rules[i].lit, o->rules[j].lit}, 2, &goal));
            COP_TRY(cop_schema_min(s, goal, &min));
            if (min < SCHEMA_FAR) continue;
            cop_rx both = cop_rx_and(r, cond_rx(s, cond_at(s, o->rules[i].cond)), cond_rx(s, cond_at(s, o->rules[j].cond)));
            o->extra_rx = cop_rx_minus(r, o->extra_rx, both);
        }
    for (uint32_t i = 0; i < o->n && o->n <= 64 && o->extra_rx != s->any_string; i++) {
        const schema_member *m = &o->members[i];
        if (cop_rx_matches(r, o->extra_rx, m->name, m->bytes)) o->extra_rx = cop_rx_minus(r, o->extra_rx, cop_rx_literal(r, m->name, m->bytes));
    }
    return COP_OK;
}

// Names by which pattern they match: none (which = n_rules), or only that of rule `which`.
static cop_status class_of(schema *s, const schema_object *o, uint32_t which, cop_rx *names, uint32_t *goal, const int32_t *more, uint32_t n_more) {
    int32_t lits[600];
    uint32_t n = 0;
    if (o->n_rules + n_more > 600) return cop_fail(COP_ERR_LIMIT, "schema: more than 600 rules for one member");
    const schema_cond *mine = which < o->n_rules ? cond_at(s, o->rules[which].cond) : NULL;
    *names = mine ? cop_rx_and(s->regexes, o->extra_rx, mine->pattern) : o->extra_rx;
    for (uint32_t i = 0; i < o->n_rules; i++) {
        const schema_cond *c = cond_at(s, o->rules[i].cond);
        bool same = mine && c->pattern == mine->pattern;
        if (c->pattern != COP_RX_NONE && !same) {
            // A name of this class may also match: then it must, when the classes cannot be told apart.
            cop_rx without = cop_rx_minus(s->regexes, *names, c->pattern);
            if (cop_rx_is_empty(s->regexes, without)) same = true;
            else *names = without;
        }
        if (same != c->inverted) lits[n++] = o->rules[i].lit;
    }
    for (uint32_t i = 0; i < n_more; i++) lits[n++] = more[i];
    return cop_schema_goal(s, lits, n, goal);
}

// The cheapest name that is no member and fits all of n `exists`, with its value.
static cop_status cheapest_extra(schema *s, schema_object *o, const schema_rule *const *exists, uint32_t n, int32_t *cost, int32_t *worst) {
    int32_t lits[32];
    *cost = SCHEMA_FAR;
    for (uint32_t k = 0; k < n; k++) lits[k] = exists[k]->lit;
    for (uint32_t i = 0; i <= o->n_rules && o->extra_rx != COP_RX_NONE; i++) {
        cop_rx names;
        uint32_t goal;
        int32_t name, min;
        if (i < o->n_rules && cond_at(s, o->rules[i].cond)->pattern == COP_RX_NONE) continue;
        COP_TRY(class_of(s, o, i, &names, &goal, lits, n));
        for (uint32_t k = 0; k < n; k++) names = cop_rx_and(s->regexes, names, cond_rx(s, cond_at(s, exists[k]->cond)));
        COP_TRY(cop_schema_min(s, goal, &min));
        COP_TRY(name_rest(s, names, &name));
        if (min < SCHEMA_FAR && worst && name < SCHEMA_FAR && min > *worst) *worst = min;
        int32_t all = add_far(add_far(name, min), 2);
        if (all < *cost) *cost = all;
    }
    return COP_OK;
}

cop_status cop_schema_extra_cost(schema *s, schema_object *o, uint32_t exists, int32_t *cost) {
    const schema_rule *list[32];
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n_exists; i++)
        if (exists >> i & 1) list[n++] = &o->exists[i];
    return cheapest_extra(s, o, list, n, cost, NULL);
}

cop_status cop_schema_exists_names(schema *s, schema_object *o, uint32_t exists, cop_dfa **out) {
    cop_rx rx = o->extra_rx;
    for (uint32_t i = 0; i < o->n_exists; i++)
        if (exists >> i & 1) rx = cop_rx_and(s->regexes, rx, cond_rx(s, cond_at(s, o->exists[i].cond)));
    *out = NULL;
    if (rx == COP_RX_NONE) return COP_OK;
    COP_TRY(cop_schema_dfa(s, cop_schema_quoted(s, rx), out));
    if (cop_dfa_start(*out) == COP_DFA_DEAD) *out = NULL;
    return COP_OK;
}

cop_status cop_schema_object_plan(schema *s, schema_object *o) {
    if (o->planned || o->planning) return COP_OK;
    o->planning = true;
    cop_rx none;
    o->extra_rx = o->names;
    o->extra_cost = SCHEMA_FAR;
    cop_status st = forbid_names(s, o);
    if (!st) st = class_of(s, o, o->n_rules, &none, &o->extra_goal, NULL, 0);
    if (!st) st = cheapest_extra(s, o, NULL, 0, &o->extra_cost, &o->extra_worst);
    if (!st && o->extra_cost < SCHEMA_FAR) st = name_rest(s, o->extra_rx, &o->extra_cost);
    if (!st && o->extra_cost < SCHEMA_FAR) o->extra_cost = add_far(o->extra_cost, o->extra_worst + 2);
    if (!st && o->extra_rx != COP_RX_NONE && o->max > 0) {
        st = cop_schema_dfa(s, cop_schema_quoted(s, o->extra_rx), &o->extra);
        if (!st && cop_dfa_start(o->extra) == COP_DFA_DEAD) o->extra = NULL;
    }
    o->planning = false;
    if (!st && !s->depth) o->planned = true;  // else some lengths are lower bounds
    return st ? st : cop_regex_set_failed(s->regexes);
}

// ---- objects ----

static cop_status member_cost(schema *s, schema_member *m, int32_t *cost) {
    int32_t min;
    *cost = SCHEMA_FAR;
    if (m->forbidden) return COP_OK;
    if (m->cost) return *cost = m->cost, COP_OK;
    const schema_goal *g = goal_at(s, m->goal);
    if (g->settled || s->min_depth) min = g->min;
    else COP_TRY(cop_schema_min(s, m->goal, &min));
    *cost = add_far(min, (int32_t)m->spelt_bytes + 3);
    if (goal_at(s, m->goal)->settled) m->cost = *cost;
    return COP_OK;
}

cop_status cop_schema_member_cost(schema *s, schema_member *m, int32_t *cost) {
    int32_t min;
    if (!m->forbidden && !m->cost) COP_TRY(cop_schema_min(s, m->goal, &min));
    return member_cost(s, m, cost);
}

// Which member is to be the one that each `exists` asks for, and what that costs. One member may be it for several.
typedef struct choice {
    uint32_t member[32];  // UINT32_MAX: a name that is no member
    bool chosen[32];
    int32_t cost[32];     // of that member with all that is asked of it, at its first `exists`
} choice;

#define EXTRA UINT32_MAX

// The cost of a member that is it for `which` and for those that chose it before; -1: nobody did.
static cop_status shared_cost(schema *s, schema_object *o, const choice *c, uint32_t which, uint32_t member, int32_t *cost, int *first) {
    const schema_rule *list[32];
    int32_t lits[32], min;
    uint32_t n = 0, goal;
    *first = -1;
    for (uint32_t k = 0; k <= which; k++) {
        if (k < which && !(c->chosen[k] && c->member[k] == member)) continue;
        if (k < which && *first < 0) *first = (int)k;
        list[n] = &o->exists[k];
        lits[n++] = o->exists[k].lit;
    }
    if (member == EXTRA) return cheapest_extra(s, o, list, n, cost, NULL);
    COP_TRY(cop_schema_and_goal(s, o->members[member].goal, lits, n, &goal));
    COP_TRY(cop_schema_min(s, goal, &min));
    return *cost = add_far(min, (int32_t)o->members[member].spelt_bytes + 3), COP_OK;
}

// `crowded`: members are scarce, so sharing goes before cost.
static cop_status choose(schema *s, schema_object *o, const schema_progress *p, uint32_t which, bool crowded, choice *c, int32_t *more, bool *new_member) {
    int32_t best = SCHEMA_FAR, cost, own;
    int first, best_first = -1;
    const schema_rule *x = &o->exists[which];
    for (uint32_t i = 0; i <= o->n; i++) {
        uint32_t member = i < o->n ? i : EXTRA;
        bool is_new = true;
        if (i < o->n && (o->members[i].forbidden || is_seen(p, i) || !cop_schema_cond_fits(s, x->cond, o->members[i].name, o->members[i].bytes))) continue;
        COP_TRY(shared_cost(s, o, c, which, member, &cost, &first));
        if (cost == SCHEMA_FAR) continue;
        if (first >= 0) cost -= c->cost[first], is_new = false;
        else if (i < o->n && o->members[i].required) {
            COP_TRY(member_cost(s, &o->members[i], &own));
            if (own == SCHEMA_FAR) continue;
            cost -= own;
            is_new = false;
        }
        if (crowded && is_new) cost += 100000;
        if (cost >= best) continue;
        best = cost;
        best_first = first;
        *new_member = is_new;
        c->member[which] = member;
    }
    if (best == SCHEMA_FAR) return *more = SCHEMA_FAR, COP_OK;
    c->chosen[which] = true;
    COP_TRY(shared_cost(s, o, c, which, c->member[which], &cost, &first));
    if (best_first >= 0) c->cost[best_first] = cost;
    else c->cost[which] = cost;
    return *more = crowded && *new_member ? best - 100000 : best, COP_OK;
}

static cop_status exists_cost(schema *s, schema_object *o, const schema_progress *p, bool crowded, int32_t *sum, uint32_t *count) {
    choice c = {.cost = {0}};
    int32_t cost;
    for (uint32_t i = 0; i < o->n_exists; i++) {
        bool more = false;
        if (p->satisfied >> i & 1) continue;
        COP_TRY(choose(s, o, p, i, crowded, &c, &cost, &more));
        *sum = add_far(*sum, cost == SCHEMA_FAR ? cost : cost + more);
        *count += more;
        if (*sum == SCHEMA_FAR) return COP_OK;
    }
    return COP_OK;
}

// `need` more members, whichever are cheapest.
static cop_status cheapest(schema *s, schema_object *o, const schema_progress *p, uint32_t need, int32_t *sum) {
    int32_t picked = 0, last = -1;
    uint32_t last_at = 0;
    if (o->extra_cost && o->extra_cost < SCHEMA_FAR && need > 100000) return *sum = SCHEMA_FAR, COP_OK;
    while (need) {  // selection by (cost, index); few are ever needed
        int32_t best = SCHEMA_FAR, cost;
        uint32_t at = 0;
        for (uint32_t i = 0; i < o->n; i++) {
            if (o->members[i].required || is_seen(p, i)) continue;
            COP_TRY(member_cost(s, &o->members[i], &cost));
            if (cost < best && (cost > last || (cost == last && i > last_at))) best = cost, at = i;
        }
        if (o->extra_cost < SCHEMA_FAR && o->extra_cost + 2 <= best) {
            int32_t each = o->extra_cost + 5;  // names get longer when short ones are taken
            return *sum = (int64_t)each * need + picked < SCHEMA_FAR / 2 ? each * (int32_t)need + picked : SCHEMA_FAR, COP_OK;
        }
        if (best == SCHEMA_FAR) return *sum = SCHEMA_FAR, COP_OK;
        picked += best + 1;
        last = best;
        last_at = at;
        need--;
    }
    return *sum = picked, COP_OK;
}

cop_status cop_schema_object_rest(schema *s, schema_object *o, const schema_progress *p, int32_t *rest) {
    int32_t sum = 0, cost;
    uint32_t count = p->count;
    *rest = SCHEMA_FAR;
    if (!p->seen && o->required_from) {
        sum = o->required_from[p->next];
        count += o->n_required_from[p->next];
    } else {
        for (uint32_t i = p->next; i < o->n; i++) {
            if (!o->members[i].required || is_seen(p, i)) continue;
            COP_TRY(member_cost(s, &o->members[i], &cost));
            sum = add_far(sum, add_far(cost, 1));
            count++;
        }
    }
    if (sum == SCHEMA_FAR) return COP_OK;
    if (o->n_exists || o->min > count) COP_TRY(cop_schema_object_plan(s, o));
    if (o->n_exists) {
        int32_t before = sum;
        uint32_t required = count;
        COP_TRY(exists_cost(s, o, p, false, &sum, &count));
        if (count > o->max || sum == SCHEMA_FAR) {
            sum = before;
            count = required;
            COP_TRY(exists_cost(s, o, p, true, &sum, &count));
        }
    }
    if (o->min > count && sum < SCHEMA_FAR) {
        COP_TRY(cheapest(s, o, p, o->min - count, &cost));
        sum = add_far(sum, cost);
        count = o->min;
    }
    if (count > o->max || sum == SCHEMA_FAR) return COP_OK;
    *rest = sum + 1 - (p->count == 0 && count > 0);  // the first one has no comma
    return COP_OK;
}

// Sums over the required members from each one on, when all costs are known.
cop_status cop_schema_object_sums(schema *s, schema_object *o) {
    if (o->required_from) return COP_OK;
    int32_t *sums = cop_schema_take(&s->mem, (o->n + 1) * sizeof *sums), *counts = cop_schema_take(&s->mem, (o->n + 1) * sizeof *counts);
    if (!sums || !counts) return COP_ERR_LIMIT;
    for (uint32_t i = o->n; i-- > 0;) {
        int32_t cost = 0;
        if (o->members[i].required) COP_TRY(cop_schema_member_cost(s, &o->members[i], &cost));
        sums[i] = add_far(sums[i + 1], o->members[i].required ? add_far(cost, 1) : 0);
        counts[i] = counts[i + 1] + o->members[i].required;
        if (o->members[i].required && !o->members[i].cost) return COP_OK;  // not settled
    }
    o->required_from = sums;
    o->n_required_from = counts;
    return COP_OK;
}

// ---- arrays ----

static cop_status item_min(schema *s, uint32_t goal, int32_t *min) {
    const schema_goal *g = goal_at(s, goal);
    if (s->min_depth && !g->settled) return *min = g->min, COP_OK;
    return cop_schema_min(s, goal, min);
}

// An item that fits as many of the `contains` that are still short as possible: all of them, or one. It fits none of those
// that have had their most.
static cop_status helpful_item(schema *s, schema_array *a, uint32_t index, uint32_t *short_of, uint32_t *room, int32_t *min) {
    for (int32_t only = -1; only < (int32_t)a->n_contains; only++) {
        int32_t lits[64];
        uint32_t n = 0, goal, wanted = 0;
        for (uint32_t i = 0; i < a->n_contains; i++) {
            if (index < a->contains[i].from) continue;
            bool want = short_of[i] && (only < 0 || only == (int32_t)i);
            if (want) lits[n++] = a->contains[i].lit;
            else if (!room[i]) lits[n++] = a->contains[i].lit ^ 1;
            wanted += want;
        }
        if (only >= 0 && !wanted) continue;
        COP_TRY(cop_schema_item_goal(s, a, index, lits, n, &goal));
        COP_TRY(n > 1 || (n && !wanted) ? cop_schema_min(s, goal, min) : item_min(s, goal, min));
        if (*min == SCHEMA_FAR) continue;
        for (uint32_t i = 0; i < a->n_contains; i++)
            if (index >= a->contains[i].from && short_of[i] && (only < 0 || only == (int32_t)i)) short_of[i]--, room[i] -= room[i] != UINT32_MAX;
        return COP_OK;
    }
    uint32_t goal, n = 0;
    int32_t lits[64];
    for (uint32_t i = 0; i < a->n_contains; i++)
        if (index >= a->contains[i].from && !room[i]) lits[n++] = a->contains[i].lit ^ 1;
    COP_TRY(cop_schema_item_goal(s, a, index, lits, n, &goal));
    return n ? cop_schema_min(s, goal, min) : item_min(s, goal, min);
}

// All items differ and can have few values: the next one costs what is left for it, those behind it at most the longest.
static cop_status few_values_rest(schema *s, schema_array *a, const schema_items *items, uint32_t least, int32_t *rest) {
    uint32_t goal;
    int32_t min = 0, sum = items->forced ? 0 : 1;
    if (least > a->domain || least > a->max) return COP_OK;
    if (least <= items->index) return *rest = 1, COP_OK;
    COP_TRY(cop_schema_item_goal(s, a, items->index, items->taken, items->n_taken, &goal));
    COP_TRY(items->n_taken ? cop_schema_min(s, goal, &min) : item_min(s, goal, &min));
    sum = add_far(sum, add_far(min, items->index > 0));
    *rest = add_far(sum, (int32_t)(least - items->index - 1) * (a->longest + 1));
    return COP_OK;
}

cop_status cop_schema_array_rest(schema *s, schema_array *a, const schema_items *items, int32_t *rest) {
    uint32_t index = items->index;
    const uint32_t *counts = items->counts;
    bool forced = items->forced;
    uint32_t short_of[64], room[64], i = index, spare = a->prefix + 64, least = forced && a->min <= index ? index + 1 : a->min;
    int32_t sum = forced ? 0 : 1, min;
    *rest = SCHEMA_FAR;
    if (a->domain && !a->n_contains) return few_values_rest(s, a, items, least, rest);
    if (a->n_contains > 64) return cop_fail(COP_ERR_UNSUPPORTED, "schema: more than 64 contains for one array");
    for (uint32_t c = 0; c < a->n_contains; c++) {
        uint32_t done = counts ? counts[c] : 0;
        short_of[c] = a->contains[c].min > done ? a->contains[c].min - done : 0;
        room[c] = a->contains[c].max == UINT32_MAX ? UINT32_MAX : a->contains[c].max - done;
        spare += short_of[c];
    }
    for (;; i++) {
        bool missing = i < least;
        for (uint32_t c = 0; c < a->n_contains; c++) missing |= short_of[c] > 0;
        if (!missing) break;
        if (i >= a->max || i - index > spare + (least < 100000 ? least : 100000)) return COP_OK;
        if (!a->n_contains && i >= a->prefix) {  // all that are left cost the same
            uint32_t goal;
            COP_TRY(cop_schema_item_goal(s, a, i, NULL, 0, &goal));
            COP_TRY(item_min(s, goal, &min));
            min = add_far(min, a->unique ? 5 : 1);
            if (least > a->max || (int64_t)min * (least - i) > SCHEMA_FAR / 2) return COP_OK;
            sum = add_far(sum, min * (int32_t)(least - i));
            return *rest = sum - (index == 0 && i == 0), COP_OK;
        }
        COP_TRY(helpful_item(s, a, i, short_of, room, &min));
        sum = add_far(sum, add_far(min, i > 0));
        if (sum == SCHEMA_FAR) return COP_OK;
    }
    return *rest = sum, COP_OK;
}
