// Which alternatives are still open. One that the record implies already settles its choice; one that contradicts the record
// is none. So overlapping schemas cost as many records as they have differences, not as they have keywords.
#include "guide/schema_expand.h"

typedef enum verdict { OPEN, IMPLIED, CLOSED } verdict;

static const cell *find(const cell *list, uint32_t a) {
    while (list && list->a != a) list = list->next;
    return list;
}

cop_status cop_schema_clash(expansion *e, int32_t a, int32_t b, bool *out) {
    *out = a == (b ^ 1) || a == LIT_FALSE || b == LIT_FALSE;
    if (*out || a == b || e->s->depth > 12) return COP_OK;
    return cop_schema_apart(e->s, a, b, out);
}

static verdict judge_types(const draft_record *r, const atom *a) {
    uint8_t types = r->types & (uint8_t)a->a;
    if (!types) return CLOSED;
    if (types != r->types) return OPEN;
    if (!(types & T_NUMBER) || !a->b || r->integer == a->b) return IMPLIED;
    return types == T_NUMBER && r->integer ? CLOSED : OPEN;
}

static verdict judge_literal(const draft_record *r, const atom *a) {
    if (a->lit == LIT_TRUE) return IMPLIED;
    if (a->lit == LIT_FALSE || a->lit == (LIT_TRUE | 1)) return CLOSED;
    for (const cell *d = r->done; d; d = d->next) {
        if (d->lit == (a->lit ^ 1)) return CLOSED;
        if (d->lit == a->lit && d->scope == a->scope) return IMPLIED;
    }
    return OPEN;
}

// The goal of a member that may be there.
static cop_status judge_property(expansion *e, const draft_record *r, const atom *a, verdict *v) {
    bool apart, required = find(r->required, a->a) != NULL;
    *v = OPEN;
    if (find(r->forbidden, a->a) || a->lit == LIT_TRUE) return *v = IMPLIED, COP_OK;
    for (const cell *p = r->properties; p; p = p->next) {
        if (p->a != a->a) continue;
        if (p->lit == a->lit) return *v = IMPLIED, COP_OK;
        COP_TRY(cop_schema_clash(e, p->lit, a->lit, &apart));
        if (apart && required) return *v = CLOSED, COP_OK;
        if (!LIT_NO(a->lit)) continue;
        COP_TRY(cop_schema_clash(e, p->lit, a->lit ^ 1, &apart));
        if (apart) return *v = IMPLIED, COP_OK;  // what holds excludes what must not hold
    }
    return COP_OK;
}

static verdict judge_count(const draft_record *r, const atom *a) {
    switch (a->kind) {
    case A_MIN_PROPERTIES: return a->a <= r->min_properties ? IMPLIED : a->a > r->max_properties ? CLOSED : OPEN;
    case A_MAX_PROPERTIES: return a->a >= r->max_properties ? IMPLIED : a->a < r->min_properties ? CLOSED : OPEN;
    case A_MIN_ITEMS: return a->a <= r->min_items ? IMPLIED : a->a > r->max_items ? CLOSED : OPEN;
    case A_MAX_ITEMS: return a->a >= r->max_items ? IMPLIED : a->a < r->min_items ? CLOSED : OPEN;
    default: return OPEN;
    }
}

static cop_status judge_atom(expansion *e, const draft_record *r, const atom *a, verdict *v) {
    bool object = r->types == T_OBJECT;
    const cell *c;
    *v = OPEN;
    switch (a->kind) {
    case A_TYPES: *v = judge_types(r, a); break;
    case A_LIT: *v = judge_literal(r, a); break;
    case A_REQUIRE: *v = find(r->required, a->a) ? IMPLIED : find(r->forbidden, a->a) && object ? CLOSED : OPEN; break;
    case A_FORBID: *v = find(r->forbidden, a->a) ? IMPLIED : find(r->required, a->a) && object ? CLOSED : OPEN; break;
    case A_PROPERTY: return judge_property(e, r, a, v);
    case A_RULE:
    case A_EXISTS:
        for (c = a->kind == A_RULE ? r->rules : r->exists; c && *v == OPEN; c = c->next)
            if (c->a == a->a && c->lit == a->lit) *v = IMPLIED;
        for (c = r->rules; c && *v == OPEN && a->kind == A_EXISTS; c = c->next)
            if (c->a == a->a && c->lit == (a->lit ^ 1) && object) *v = CLOSED;
        break;
    case A_STRING:
        if (a->a == r->strings) *v = IMPLIED;
        else if (r->types == T_STRING && cop_rx_and(e->s->regexes, r->strings, a->a) == COP_RX_NONE) *v = CLOSED;
        break;
    default: *v = judge_count(r, a);
    }
    return cop_regex_set_failed(e->s->regexes);
}

static cop_status judge(expansion *e, const draft_record *r, const atom *list, verdict *v) {
    *v = IMPLIED;
    for (; list && *v != CLOSED; list = list->next) {
        verdict one;
        COP_TRY(judge_atom(e, r, list, &one));
        if (one == CLOSED) *v = CLOSED;
        if (one == OPEN) *v = OPEN;
        // What follows is about one type only; when it is not the record's only one, the rest has to be tried.
    }
    return COP_OK;
}

// The open alternatives of a choice; *implied: it is settled.
static cop_status narrow(expansion *e, const draft_record *r, const atom *choice, atom *out, bool *implied) {
    const atom **open = cop_schema_take(&e->mem, (choice->n_choice + 1) * sizeof *open);
    if (!open) return COP_ERR_LIMIT;
    *implied = false;
    out->choice = open;
    out->n_choice = 0;
    for (uint32_t i = 0; i < choice->n_choice; i++) {
        verdict v;
        COP_TRY(judge(e, r, choice->choice[i], &v));
        e->steps++;
        if (v == IMPLIED) return *implied = true, COP_OK;
        if (v == OPEN) open[out->n_choice++] = choice->choice[i];
    }
    return COP_OK;
}

cop_status cop_schema_choose(expansion *e, const draft_record *r, const atom **later, const atom **best) {
    const atom *left = NULL, *chosen = NULL;
    for (const atom *c = *later; c; c = c->next) {
        bool implied;
        atom *narrowed = cop_schema_atom(e, left, A_CHOICE);
        if (!narrowed) return COP_ERR_LIMIT;
        COP_TRY(narrow(e, r, c, narrowed, &implied));
        if (implied) continue;
        left = narrowed;
        if (!chosen || narrowed->n_choice < chosen->n_choice) chosen = narrowed;
    }
    const atom *rest = NULL;  // all but the chosen one, in the order they had
    for (const atom *c = left; c; c = c->next) {
        if (c == chosen) continue;
        atom *copy = cop_schema_atom(e, rest, A_CHOICE);
        if (!copy) return COP_ERR_LIMIT;
        copy->choice = c->choice;
        copy->n_choice = c->n_choice;
        rest = copy;
    }
    *later = rest;
    *best = chosen;
    return COP_OK;
}
