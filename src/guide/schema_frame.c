// Frames, tapes and states by number, and how far each is from its end.
#include "guide/schema_frame.h"

void cop_schema_fail(schema_text *t, cop_status st) {
    if (!st || t->status) return;
    t->status = st;
    cop_error_get(&t->failure);
}

uint32_t cop_schema_frame(schema_text *t, const frame *f) {
    uint32_t id = cop_schema_intern(&t->frames, f, sizeof *f);
    if (!id) return cop_schema_fail(t, COP_ERR_LIMIT), 0;
    if (!t->rests.most) t->rests.most = UINT32_MAX / 8;
    while (t->rests.n < id) {
        cop_status st = cop_array_push(&t->rests, -1);
        if (st) return cop_schema_fail(t, st), 0;
    }
    return id;
}

static uint32_t add_datum(schema_text *t, const void *v, size_t bytes) {
    uint32_t id = cop_schema_intern(&t->data, v, bytes);
    if (!id) cop_schema_fail(t, COP_ERR_LIMIT);
    return id;
}

uint32_t cop_schema_tape(schema_text *t, uint32_t tape, uint8_t byte) {
    datum d = {D_TAPE, tape, tape ? datum_at(t, tape)->n + 1 : 1, byte};
    return add_datum(t, &d, sizeof d);
}

uint32_t cop_schema_list(schema_text *t, uint32_t list, uint32_t v, uint32_t node) {
    datum d = {D_LIST, list, node, v};
    return add_datum(t, &d, sizeof d);
}

uint32_t cop_schema_words(schema_text *t, const uint32_t *v, uint32_t n) {
    uint32_t *copy = cop_alloc_array((size_t)n + 4, sizeof *copy);
    if (!copy) return cop_schema_fail(t, cop_fail(COP_ERR_NOMEM, "schema: cannot allocate")), 0;
    copy[0] = D_WORDS;
    copy[2] = n;
    if (n) memcpy(copy + 4, v, n * sizeof *v);
    uint32_t id = add_datum(t, copy, ((size_t)n + 4) * sizeof *copy);
    cop_free(copy);
    return id;
}

char *cop_schema_tape_text(schema_text *t, uint32_t tape, uint32_t from, size_t *bytes) {
    uint32_t n = tape ? datum_at(t, tape)->n : 0;
    *bytes = n - from;
    char *text = cop_alloc((size_t)n - from + 1);
    if (!text) return cop_schema_fail(t, cop_fail(COP_ERR_NOMEM, "schema: cannot allocate")), NULL;
    for (uint32_t i = n; i > from; i--) {
        const datum *d = datum_at(t, tape);
        text[i - from - 1] = (char)d->v;
        tape = d->before;
    }
    return text;
}

uint32_t cop_schema_state(schema_text *t, const config *list, uint32_t n) {
    if (!n) return COP_GUIDE_DEAD;
    uint32_t id = cop_schema_intern(&t->states, list, n * sizeof *list);
    if (!id) cop_schema_fail(t, COP_ERR_LIMIT);
    return id;
}

schema_progress cop_schema_progress_of(const schema_text *t, const frame *f) {
    return (schema_progress){f->a, f->b ? &datum_at(t, f->b)->v + 1 : NULL, f->d, f->e};
}

// ---- how far ----

// A member and what comes behind it, when the member may be what some `exists` asks for: for none of them, one, or all.
static cop_status rest_with_exists(schema *s, schema_object *o, const schema_progress *p, const schema_member *m, int32_t cost, int32_t *best) {
    uint32_t fit = 0;
    for (uint32_t i = 0; i < o->n_exists; i++)
        if (!(p->satisfied >> i & 1) && cop_schema_cond_fits(s, o->exists[i].cond, m->name, m->bytes)) fit |= 1u << i;
    *best = SCHEMA_FAR;
    for (int32_t k = -2; k < (int32_t)o->n_exists; k++) {
        uint32_t bits = k == -2 ? 0 : k == -1 ? fit : fit & 1u << k, n = 0, goal = m->goal;
        int32_t lits[32], min, rest;
        if (!bits && k != -2) continue;
        for (uint32_t i = 0; i < o->n_exists; i++)
            if (bits >> i & 1) lits[n++] = o->exists[i].lit;
        schema_progress after = *p;
        after.satisfied |= bits;
        if (n) {
            COP_TRY(cop_schema_and_goal(s, goal, lits, n, &goal));
            COP_TRY(cop_schema_min(s, goal, &min));
            cost = add_far(min, (int32_t)m->spelt_bytes + 3);
        }
        if (cost == SCHEMA_FAR) continue;
        COP_TRY(cop_schema_object_rest(s, o, &after, &rest));
        if (add_far(rest, cost) < *best) *best = add_far(rest, cost);
    }
    return COP_OK;
}

bool cop_schema_may_come(schema_text *t, const frame *object, uint32_t member, frame *after, int32_t *rest) {
    schema *s = t->s;
    schema_object *o = &record_at(s, object->what)->u.object;
    schema_progress p = cop_schema_progress_of(t, object);
    schema_member *m = &o->members[member];
    int32_t cost, more = SCHEMA_FAR;
    if (m->forbidden || is_seen(&p, member)) return false;
    if (!s->options.any_order && o->n_required_from && o->n_required_from[p.next] != o->n_required_from[member]) return false;
    for (uint32_t i = p.next; !s->options.any_order && !o->n_required_from && i < member; i++)
        if (o->members[i].required) return false;
    cop_schema_fail(t, cop_schema_member_cost(s, m, &cost));
    if (t->status || cost == SCHEMA_FAR) return false;
    uint32_t bits[1024];
    *after = *object;
    after->phase = P_AFTER;
    after->space = 0;
    after->d++;
    p.count++;
    if (s->options.any_order) {
        if (o->n > 32 * 1024) return cop_schema_fail(t, cop_fail(COP_ERR_LIMIT, "schema: an object of more than 32768 named members")), false;
        uint32_t words = (o->n + 31) / 32;
        if (p.seen) memcpy(bits, p.seen, words * sizeof *bits);
        else memset(bits, 0, words * sizeof *bits);
        bits[member / 32] |= 1u << member % 32;
        p.seen = bits;
        if (!rest) after->b = cop_schema_words(t, bits, words);
    } else {
        p.next = after->a = member + 1;
    }
    cop_schema_fail(t, rest_with_exists(s, o, &p, m, cost, &more));
    if (rest) *rest = more;
    return !t->status && more < SCHEMA_FAR;
}

bool cop_schema_owes_members(const schema_text *t, const frame *object) {
    const schema_object *o = &record_at(t->s, object->what)->u.object;
    for (uint32_t i = object->a; i < o->n && !t->s->options.any_order; i++)
        if (o->members[i].required) return true;
    return false;
}

// What comes behind a name that is no member and its value, when it is not what some `exists` asks for.
static int32_t extra_rest(schema_text *t, const frame *object) {
    schema *s = t->s;
    schema_object *o = &record_at(s, object->what)->u.object;
    schema_progress p = cop_schema_progress_of(t, object);
    int32_t more = SCHEMA_FAR;
    cop_schema_fail(t, cop_schema_object_plan(s, o));
    if (t->status || !o->extra || o->extra_cost == SCHEMA_FAR) return SCHEMA_FAR;
    if (cop_schema_owes_members(t, object)) return SCHEMA_FAR;
    if (!s->options.any_order) p.next = o->n;
    p.count++;
    cop_schema_fail(t, cop_schema_object_rest(s, o, &p, &more));
    return t->status ? SCHEMA_FAR : more;
}

uint32_t cop_schema_extra_names(schema_text *t, const frame *object, cop_dfa **dfa) {
    schema *s = t->s;
    schema_object *o = &record_at(s, object->what)->u.object;
    cop_schema_fail(t, cop_schema_object_plan(s, o));
    if (t->status || !o->extra) return 0;
    cop_rx rx = o->extra_rx;
    for (uint32_t l = object->c; l && rx != s->any_string && !t->status; l = datum_at(t, l)->before) {
        const uint32_t *words = &datum_at(t, datum_at(t, l)->v)->v + 1;
        rx = cop_rx_minus(s->regexes, rx, cop_rx_literal(s->regexes, (const char *)(words + 1), words[0]));
    }
    cop_schema_fail(t, cop_schema_dfa(s, cop_schema_quoted(s, rx), dfa));
    if (t->status || cop_dfa_start(*dfa) == COP_DFA_DEAD) return 0;
    cop_rx key = cop_schema_quoted(s, rx);
    return cop_schema_intern(&s->dfa_keys, &key, sizeof key);
}

// Bytes to the end of a name of any letters: one more than its quote when it is taken as it is.
static int32_t any_name_rest(schema_text *t, const frame *object, cop_dfa_state q, uint32_t tape, cop_dfa *dfa) {
    int32_t rest = cop_dfa_distance(dfa, q);
    return rest == 1 && !cop_schema_name_is_free(t, object, tape) ? 2 : rest;
}

// When some member must exist, the name in hand may be its: the way leads over the names that fit. SCHEMA_FAR: none does.
static int32_t exists_rest(schema_text *t, const frame *object, uint32_t tape) {
    schema *s = t->s;
    schema_object *o = &record_at(s, object->what)->u.object;
    int32_t best = SCHEMA_FAR;
    size_t bytes;
    char *text = o->n_exists && !cop_schema_owes_members(t, object) ? cop_schema_tape_text(t, tape, 1, &bytes) : NULL;
    for (int32_t i = -1; text && i < (int32_t)o->n_exists && !t->status; i++) {  // -1: all of them at once
        schema_progress p = cop_schema_progress_of(t, object);
        uint32_t bits = (i < 0 ? (1u << o->n_exists) - 1 : 1u << i) & ~p.satisfied;
        cop_dfa *dfa;
        int32_t cost, rest = SCHEMA_FAR;
        if (!bits) continue;
        cop_schema_fail(t, cop_schema_exists_names(s, o, bits, &dfa));
        cop_schema_fail(t, cop_schema_extra_cost(s, o, bits, &cost));
        if (t->status || !dfa || cost == SCHEMA_FAR) continue;
        cop_dfa_state q = cop_dfa_start(dfa);
        cost -= cop_dfa_distance(dfa, q);
        for (size_t k = 0; k < bytes && q != COP_DFA_DEAD; k++) q = cop_dfa_step(dfa, q, (uint8_t)text[k]);
        if (q == COP_DFA_DEAD) continue;
        p.satisfied |= bits;
        p.count++;
        if (!s->options.any_order) p.next = o->n;
        cop_schema_fail(t, cop_schema_object_rest(s, o, &p, &rest));
        rest = add_far(rest, (cost > 1 ? cost - 1 : 1) + cop_dfa_distance(dfa, q));
        if (rest < best) best = rest;
    }
    cop_free(text);
    return best;
}

static int32_t name_rest(schema_text *t, const frame *object, uint32_t from, uint32_t to, uint32_t written) {
    schema_object *o = &record_at(t->s, object->what)->u.object;
    int32_t best = SCHEMA_FAR, rest;
    frame after;
    for (uint32_t i = from; i < to && !t->status; i++)
        if (cop_schema_may_come(t, object, o->sorted[i], &after, &rest) && rest - (int32_t)written < best) best = rest - (int32_t)written;
    return best;
}

static int32_t object_rest(schema_text *t, const frame *f) {
    schema *s = t->s;
    schema_object *o = &record_at(s, f->what)->u.object;
    schema_progress p = cop_schema_progress_of(t, f);
    int32_t rest = SCHEMA_FAR, min = 0;
    if (f->phase == P_COMMA) {
        if (s->options.checker) return 8;
        int32_t extra = extra_rest(t, f);
        rest = name_rest(t, f, 0, o->n, 0);
        cop_dfa *dfa;
        uint32_t quote = cop_schema_tape(t, 0, '"');
        if (extra < SCHEMA_FAR && cop_schema_extra_names(t, f, &dfa)) extra = add_far(extra, any_name_rest(t, f, cop_dfa_start(dfa), quote, dfa) + 2 + o->extra_worst);
        else extra = SCHEMA_FAR;
        int32_t wanted = o->n_exists ? add_far(exists_rest(t, f, quote), 1) : SCHEMA_FAR;
        if (wanted < extra) extra = wanted;
        return extra < rest ? extra : rest;
    }
    cop_schema_fail(t, cop_schema_object_rest(s, o, &p, &rest));
    if (t->status) return SCHEMA_FAR;
    if (f->phase == P_COLON) {
        cop_schema_fail(t, cop_schema_min(s, f->goal, &min));
        return add_far(add_far(rest, min), 1);
    }
    if (f->phase == P_AFTER_SPACE && !s->options.checker && rest != 1) return SCHEMA_FAR;
    return rest;
}

uint32_t cop_schema_taken(const schema_text *t, const frame *array, int32_t *out, uint32_t most) {
    uint32_t n = 0;
    if (!record_at(t->s, array->what)->u.array.domain) return 0;
    for (uint32_t l = array->c; l && n < most; l = datum_at(t, l)->before)
        if (datum_at(t, l)->n) out[n++] = LIT(datum_at(t, l)->n, 1);
    return n;
}

static int32_t array_rest(schema_text *t, const frame *f) {
    schema_array *a = &record_at(t->s, f->what)->u.array;
    int32_t rest = SCHEMA_FAR, lits[SCHEMA_MOST_DOMAIN];
    schema_items items = {f->a, f->b ? &datum_at(t, f->b)->v + 1 : NULL, f->phase == P_COMMA, lits, 0};
    items.n_taken = cop_schema_taken(t, f, lits, SCHEMA_MOST_DOMAIN);
    cop_schema_fail(t, cop_schema_array_rest(t->s, a, &items, &rest));
    return f->phase == P_AFTER_SPACE && !t->s->options.checker && rest != 1 ? SCHEMA_FAR : rest;
}

static int32_t own_rest(schema_text *t, const frame *f) {
    schema *s = t->s;
    int32_t min = SCHEMA_FAR, own;
    const frame *object;
    size_t bytes;
    char *text;
    switch (f->kind) {
    case F_END: return 0;
    case F_VALUE: cop_schema_fail(t, cop_schema_min(s, f->what, &min)); return min;
    case F_SCALAR: return cop_dfa_distance(goal_at(s, f->what)->scalars, f->a);
    case F_NUMBER:
        text = cop_schema_tape_text(t, f->a, 0, &bytes);
        if (text) min = cop_schema_count_rest(s, goal_at(s, f->what), text, bytes);
        cop_free(text);
        return min;
    case F_OBJECT: return object_rest(t, f);
    case F_NAME: return name_rest(t, frame_at(t, f->parent), f->a, f->b, f->c + 1);
    case F_EXTRA:
        object = frame_at(t, f->parent);
        min = add_far(extra_rest(t, object), record_at(s, object->what)->u.object.extra_worst + 1);
        min = add_far(min, any_name_rest(t, object, f->a, f->b, s->dfas.v[f->what - 1]));
        own = exists_rest(t, object, f->b);
        return own < min ? own : min;
    case F_KEY: return 7;
    case F_ARRAY: return array_rest(t, f);
    default: return SCHEMA_FAR;
    }
}

int32_t cop_schema_frame_rest(schema_text *t, uint32_t id) {
    if (t->rests.v[id - 1] >= 0) return t->rests.v[id - 1];
    frame f = *frame_at(t, id);
    int32_t above = 0, own;
    bool in_object = f.kind == F_NAME || f.kind == F_EXTRA || f.kind == F_KEY;
    uint32_t parent = in_object ? frame_at(t, f.parent)->parent : f.parent;
    if (parent) above = cop_schema_frame_rest(t, parent);
    own = above < SCHEMA_FAR ? own_rest(t, &f) : SCHEMA_FAR;
    if (t->status) return SCHEMA_FAR;
    return t->rests.v[id - 1] = add_far(own, above);
}
