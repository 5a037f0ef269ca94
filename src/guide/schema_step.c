// One byte more. JSON is LL(1) over bytes, so a configuration knows by its next byte what begins or ends; several
// configurations are alternatives of the schema. One that has no way to its end is dropped at once.
#include "guide/schema_frame.h"

static void keep(schema_text *t, uint32_t f, uint32_t tape) {
    if (!f || t->status || cop_schema_frame_rest(t, f) == SCHEMA_FAR) return;
    for (size_t i = 0; i < t->next.n; i++)
        if (t->next.v[i].frame == f && t->next.v[i].tape == tape) return;
    if (t->next.n >= SCHEMA_MOST_CONFIGS) {
        cop_schema_fail(t, cop_fail(COP_ERR_LIMIT, "schema: more than %u alternatives are alive", SCHEMA_MOST_CONFIGS));
        return;
    }
    t->next.most = SCHEMA_MOST_CONFIGS + 1;
    cop_schema_fail(t, cop_array_push(&t->next, ((config){f, tape})));
}

static void keep_frame(schema_text *t, const frame *f, uint32_t tape) { keep(t, cop_schema_frame(t, f), tape); }

static bool is_space(uint8_t byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

// White space where a run of `space` bytes stands already: one blank, or a line feed and what indents.
static bool takes_space(const schema_text *t, frame *f, uint8_t byte) {
    const cop_schema_options *o = &t->s->options;
    if (!is_space(byte)) return false;
    if (o->checker) return true;
    if (f->space >= o->whitespace || f->space == UINT8_MAX) return false;
    if (!f->space ? byte == ' ' : false) return f->space = UINT8_MAX, true;
    if (!f->space ? byte != '\n' : byte != ' ' && byte != '\t') return false;
    f->space++;
    return true;
}

// ---- values end ----

// The item that has ended differs from all before it?
static bool add_item(schema_text *t, frame *array, uint32_t *tape) {
    size_t bytes;
    char *text = cop_schema_tape_text(t, *tape, array->d, &bytes);
    uint32_t v = text ? cop_schema_canonical(t, text, bytes) : 0, node = 0;
    json_t *value = v && record_at(t->s, array->what)->u.array.domain ? json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (value) cop_schema_fail(t, cop_schema_const(t->s, value, &node));
    json_decref(value);
    cop_free(text);
    if (!v || t->status) return false;
    for (uint32_t l = array->c; l; l = datum_at(t, l)->before)
        if (datum_at(t, l)->v == v) return false;
    array->c = cop_schema_list(t, array->c, v, node);
    if (array->fresh) *tape = 0;
    array->d = array->fresh = 0;
    return array->c != 0;
}

static config value_done(schema_text *t, uint32_t parent, uint32_t tape) {
    frame f = *frame_at(t, parent);
    if (f.kind == F_ARRAY && record_at(t->s, f.what)->u.array.unique) {
        if (!add_item(t, &f, &tape)) return (config){0, 0};
        parent = cop_schema_frame(t, &f);
    }
    return (config){parent, tape};
}

static void done(schema_text *t, uint32_t parent, uint32_t tape) {
    config c = value_done(t, parent, tape);
    if (c.frame) keep(t, c.frame, c.tape);
}

// ---- values begin ----

static uint32_t depth_of(const schema_text *t, uint32_t parent) {
    const frame *f = frame_at(t, parent);
    return f->kind == F_OBJECT || f->kind == F_ARRAY ? f->depth + 1 : 0;
}

static void begin_container(schema_text *t, uint32_t goal, uint32_t parent, uint32_t tape, uint8_t type) {
    schema *s = t->s;
    if (depth_of(t, parent) > SCHEMA_MOST_NESTING) return;
    for (uint32_t i = 0; i < goal_at(s, goal)->n_records && !t->status; i++) {
        uint32_t id = goal_at(s, goal)->records[i];
        if (record_at(s, id)->type != type) continue;
        frame f = {.parent = parent, .kind = type == T_OBJECT ? F_OBJECT : F_ARRAY, .phase = P_OPEN, .what = id, .depth = depth_of(t, parent)};
        if (type == T_OBJECT && !s->options.any_order) cop_schema_fail(t, cop_schema_object_sums(s, &record_at(s, id)->u.object));
        keep_frame(t, &f, tape);
    }
}

static void begin_value(schema_text *t, uint32_t goal, uint32_t parent, uint32_t tape, uint8_t byte) {
    schema *s = t->s;
    int32_t min;
    cop_schema_fail(t, cop_schema_min(s, goal, &min));
    if (t->status || min == SCHEMA_FAR) return;
    if (byte == '{' || byte == '[') {
        begin_container(t, goal, parent, tape, byte == '{' ? T_OBJECT : T_ARRAY);
        return;
    }
    schema_goal *g = goal_at(s, goal);
    cop_dfa_state q = g->scalars ? cop_dfa_step(g->scalars, cop_dfa_start(g->scalars), byte) : COP_DFA_DEAD;
    if (q != COP_DFA_DEAD) {
        frame f = {.parent = parent, .kind = F_SCALAR, .what = goal, .a = q};
        if (cop_dfa_ends(g->scalars, q)) done(t, parent, tape);
        else keep_frame(t, &f, tape);
    }
    if (g->counted_numbers && (byte == '-' || (byte >= '0' && byte <= '9'))) {
        frame f = {.parent = parent, .kind = F_NUMBER, .what = goal, .a = cop_schema_tape(t, 0, byte)};
        keep_frame(t, &f, tape);
    }
}

static void step_scalar(schema_text *t, frame f, config c, uint32_t tape, uint8_t byte) {
    cop_dfa *dfa = goal_at(t->s, f.what)->scalars;
    cop_dfa_state q = cop_dfa_step(dfa, f.a, byte);
    if (q != COP_DFA_DEAD) {
        if (cop_dfa_ends(dfa, q)) {
            done(t, f.parent, tape);
        } else {
            f.a = q;
            keep_frame(t, &f, tape);
        }
        return;
    }
    if (!cop_dfa_accepting(dfa, f.a)) return;
    c = value_done(t, f.parent, c.tape);
    if (c.frame) cop_schema_config_step(t, c, byte);
}

static void step_number(schema_text *t, frame f, config c, uint32_t tape, uint8_t byte) {
    if ((byte >= '0' && byte <= '9') || strchr("+-.eE", byte)) {
        f.a = cop_schema_tape(t, f.a, byte);
        if (f.a) keep_frame(t, &f, tape);
        return;
    }
    size_t bytes;
    char *text = cop_schema_tape_text(t, f.a, 0, &bytes);
    bool whole = text && cop_schema_count_holds(t->s, goal_at(t->s, f.what), text, bytes);
    cop_free(text);
    if (!whole) return;
    c = value_done(t, f.parent, c.tape);
    if (c.frame) cop_schema_config_step(t, c, byte);
}

// ---- objects ----

// The name is written: its value comes, and it may be the one that some `exists` asks for.
static void name_done(schema_text *t, frame after, const char *name, size_t bytes, uint32_t goal, uint32_t tape, uint32_t from) {
    schema_object *o = &record_at(t->s, after.what)->u.object;
    for (uint32_t i = from; i < o->n_exists && !t->status; i++) {
        if (after.e >> i & 1 || !cop_schema_cond_fits(t->s, o->exists[i].cond, name, bytes)) continue;
        uint32_t more;
        frame other = after;
        other.e |= 1u << i;
        cop_schema_fail(t, cop_schema_and_goal(t->s, goal, &o->exists[i].lit, 1, &more));
        if (!t->status) name_done(t, other, name, bytes, more, tape, i + 1);
    }
    if (t->status) return;
    after.phase = P_COLON;
    after.goal = goal;
    keep_frame(t, &after, tape);
}

static void step_name(schema_text *t, frame f, uint32_t tape, uint8_t byte) {
    const frame object = *frame_at(t, f.parent);
    schema_object *o = &record_at(t->s, object.what)->u.object;
    frame after;
    if (byte == '"') {
        const schema_member *m = &o->members[o->sorted[f.a]];
        if (m->spelt_bytes != f.c || !cop_schema_may_come(t, &object, o->sorted[f.a], &after, NULL)) return;
        name_done(t, after, m->name, m->bytes, m->goal, tape, 0);
        return;
    }
    uint32_t a = f.a, b = f.b;
    while (a < b && (o->members[o->sorted[a]].spelt_bytes <= f.c || (uint8_t)o->members[o->sorted[a]].spelt[f.c] < byte)) a++;
    while (a < b && (uint8_t)o->members[o->sorted[b - 1]].spelt[f.c] > byte) b--;
    if (a == b) return;
    f.a = a;
    f.b = b;
    f.c++;
    keep_frame(t, &f, tape);
}

static int find_member(const schema_object *o, const char *name, size_t bytes) {
    uint32_t low = 0, high = o->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const schema_member *m = &o->members[o->by_name[mid]];
        int c = memcmp(name, m->name, bytes < m->bytes ? bytes : m->bytes);
        if (!c) c = (bytes > m->bytes) - (bytes < m->bytes);
        if (!c) return (int)o->by_name[mid];
        if (c < 0) high = mid;
        else low = mid + 1;
    }
    return -1;
}

bool cop_schema_name_is_free(schema_text *t, const frame *object, uint32_t tape) {
    const schema_object *o = &record_at(t->s, object->what)->u.object;
    if (!o->n && !object->c) return true;
    size_t bytes;
    char *text = cop_schema_tape_text(t, tape, 0, &bytes);
    if (text) text[bytes] = '"';  // where its zero was
    json_t *v = text ? json_loadb(text, bytes + 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    bool is_free = json_is_string(v) && find_member(o, json_string_value(v), json_string_length(v)) < 0;
    for (uint32_t l = object->c; l && is_free; l = datum_at(t, l)->before) {
        const uint32_t *words = &datum_at(t, datum_at(t, l)->v)->v + 1;
        is_free = words[0] != json_string_length(v) || memcmp(words + 1, json_string_value(v), words[0]);
    }
    json_decref(v);
    cop_free(text);
    return is_free;
}

static void extra_done(schema_text *t, const frame *object, const char *name, size_t bytes, uint32_t tape) {
    schema *s = t->s;
    schema_object *o = &record_at(s, object->what)->u.object;
    uint32_t goal, *words = cop_alloc(bytes + 8), v = 0;
    if (words) {
        words[0] = (uint32_t)bytes;
        memcpy(words + 1, name, bytes);
        v = cop_schema_words(t, words, (uint32_t)(bytes + 3) / 4 + 1);
    }
    cop_free(words);
    if (!v) return;
    for (uint32_t l = object->c; l; l = datum_at(t, l)->before)
        if (datum_at(t, l)->v == v) return;
    if (cop_schema_owes_members(t, object)) return;
    if (o->names != s->any_string && !cop_rx_matches(s->regexes, o->names, name, bytes)) return;
    frame after = *object;
    after.phase = P_AFTER;
    after.space = 0;
    after.d++;
    after.c = v ? cop_schema_list(t, object->c, v, 0) : 0;
    if (!s->options.any_order) after.a = o->n;
    cop_schema_fail(t, cop_schema_member_goal(s, o, name, bytes, NULL, 0, &goal));
    if (!t->status) name_done(t, after, name, bytes, goal, tape, 0);
}

static void key_text_done(schema_text *t, const frame *object, uint32_t key, uint32_t tape) {
    size_t bytes;
    char *text = cop_schema_tape_text(t, key, 0, &bytes);  // with both quotes
    json_t *v = text ? json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (json_is_string(v)) {
        schema_object *o = &record_at(t->s, object->what)->u.object;
        const char *name = json_string_value(v);
        size_t n = json_string_length(v);
        int m = find_member(o, name, n);
        frame after;
        if (m < 0) extra_done(t, object, name, n, tape);
        else if (cop_schema_may_come(t, object, (uint32_t)m, &after, NULL)) name_done(t, after, name, n, o->members[m].goal, tape, 0);
    }
    json_decref(v);
    cop_free(text);
}

static void step_extra(schema_text *t, frame f, uint32_t tape, uint8_t byte) {
    const frame object = *frame_at(t, f.parent);
    schema_object *o = &record_at(t->s, object.what)->u.object;
    cop_dfa *dfa = t->s->dfas.v[f.what - 1];
    cop_dfa_state q = cop_dfa_step(dfa, f.a, byte);
    if (q == COP_DFA_DEAD) return;
    f.b = cop_schema_tape(t, f.b, byte);
    f.a = q;
    if (!f.b) return;
    if (!cop_dfa_ends(dfa, q)) {
        keep_frame(t, &f, tape);
        return;
    }
    size_t bytes;
    char *text = cop_schema_tape_text(t, f.b, 0, &bytes);
    json_t *v = text ? json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (json_is_string(v) && find_member(o, json_string_value(v), json_string_length(v)) < 0)
        extra_done(t, &object, json_string_value(v), json_string_length(v), tape);
    json_decref(v);
    cop_free(text);
}

static void step_key(schema_text *t, frame f, uint32_t tape, uint8_t byte) {
    bool escaped = false;
    for (uint32_t k = f.b; datum_at(t, k)->v == '\\'; k = datum_at(t, k)->before) escaped = !escaped;
    f.b = cop_schema_tape(t, f.b, byte);
    if (!f.b || byte < 0x20) return;
    if (byte == '"' && !escaped) {
        const frame object = *frame_at(t, f.parent);
        key_text_done(t, &object, f.b, tape);
    } else {
        keep_frame(t, &f, tape);
    }
}

static void begin_key(schema_text *t, frame object, uint32_t tape) {
    schema_object *o = &record_at(t->s, object.what)->u.object;
    object.phase = P_COMMA;
    object.space = 0;
    uint32_t parent = cop_schema_frame(t, &object);
    if (!parent) return;
    if (t->s->options.checker) {
        frame f = {.parent = parent, .kind = F_KEY, .b = cop_schema_tape(t, 0, '"')};
        keep_frame(t, &f, tape);
        return;
    }
    frame f = {.parent = parent, .kind = F_NAME, .a = 0, .b = o->n};
    if (o->n) keep_frame(t, &f, tape);
    cop_dfa *dfa;
    uint32_t names = cop_schema_extra_names(t, &object, &dfa);
    if (!names) return;
    frame x = {.parent = parent, .kind = F_EXTRA, .what = names, .a = cop_dfa_start(dfa), .b = cop_schema_tape(t, 0, '"')};
    keep_frame(t, &x, tape);
}

static void step_object(schema_text *t, frame f, uint32_t tape, uint8_t byte) {
    int32_t rest;
    schema_object *o = &record_at(t->s, f.what)->u.object;
    if (f.phase == P_COLON) {
        if (byte == ':') {
            uint32_t goal = f.goal;
            f.goal = 0;
            f.phase = P_AFTER;
            frame v = {.parent = cop_schema_frame(t, &f), .kind = F_VALUE, .what = goal};
            if (v.parent) keep_frame(t, &v, tape);
        } else if (t->s->options.checker && is_space(byte)) {
            keep_frame(t, &f, tape);
        }
        return;
    }
    frame spaced = f;
    if (takes_space(t, &spaced, byte)) {
        if (f.phase == P_AFTER && !t->s->options.checker) spaced.phase = P_AFTER_SPACE;
        keep_frame(t, &spaced, tape);
    } else if (byte == '"' && (f.phase == P_OPEN || f.phase == P_COMMA)) {
        begin_key(t, f, tape);
    } else if (byte == ',' && (f.phase == P_AFTER || (f.phase == P_AFTER_SPACE && t->s->options.checker))) {
        f.phase = P_COMMA;
        f.space = 0;
        keep_frame(t, &f, tape);
    } else if (byte == '}' && f.phase != P_COMMA) {
        schema_progress p = cop_schema_progress_of(t, &f);
        cop_schema_fail(t, cop_schema_object_rest(t->s, o, &p, &rest));
        if (!t->status && rest == 1) done(t, f.parent, tape);
    }
}

// ---- arrays ----

// An item begins. Each `contains` is decided for it now, unless it does not matter.
static void begin_item(schema_text *t, frame f, uint32_t which, uint32_t *counts, int32_t *lits, uint32_t n, config tapes, uint8_t byte) {
    schema_array *a = &record_at(t->s, f.what)->u.array;
    for (; which < a->n_contains && n < 64 && !t->status; which++) {
        const schema_contains *c = &a->contains[which];
        bool limited = c->max < UINT32_MAX, wanted = counts[which] < c->min;
        if (f.a < c->from || (!limited && !wanted)) continue;
        if (counts[which] < c->max) {
            counts[which]++;
            lits[n] = c->lit;
            begin_item(t, f, which + 1, counts, lits, n + 1, tapes, byte);
            counts[which]--;
        }
        if (limited) lits[n++] = c->lit ^ 1;
    }
    if (t->status) return;
    uint32_t goal;
    n += cop_schema_taken(t, &f, lits + n, SCHEMA_MOST_DOMAIN);
    cop_schema_fail(t, cop_schema_item_goal(t->s, a, f.a, lits, n, &goal));
    f.a++;
    f.phase = P_AFTER;
    f.space = 0;
    if (a->n_contains) f.b = cop_schema_words(t, counts, a->n_contains);
    uint32_t tape = tapes.tape;
    if (a->unique) {
        f.fresh = !tapes.frame;
        f.d = tapes.frame ? datum_at(t, tapes.frame)->n : 0;
        tape = cop_schema_tape(t, tapes.frame, byte);
    }
    uint32_t parent = t->status ? 0 : cop_schema_frame(t, &f);
    if (parent) begin_value(t, goal, parent, tape, byte);
}

static void step_array(schema_text *t, frame f, config c, uint32_t tape, uint8_t byte) {
    schema_array *a = &record_at(t->s, f.what)->u.array;
    uint32_t counts[64];
    int32_t rest, lits[65 + SCHEMA_MOST_DOMAIN];
    frame spaced = f;
    if (takes_space(t, &spaced, byte)) {
        if (f.phase == P_AFTER && !t->s->options.checker) spaced.phase = P_AFTER_SPACE;
        keep_frame(t, &spaced, tape);
    } else if (byte == ']' && f.phase != P_COMMA) {
        schema_items items = {f.a, f.b ? &datum_at(t, f.b)->v + 1 : NULL, false, NULL, 0};
        cop_schema_fail(t, cop_schema_array_rest(t->s, a, &items, &rest));
        if (!t->status && rest == 1) done(t, f.parent, tape);
    } else if (byte == ',' && (f.phase == P_AFTER || (f.phase == P_AFTER_SPACE && t->s->options.checker))) {
        f.phase = P_COMMA;
        f.space = 0;
        keep_frame(t, &f, tape);
    } else if ((f.phase == P_OPEN || f.phase == P_COMMA) && f.a < a->max) {
        memset(counts, 0, sizeof counts);
        if (f.b) memcpy(counts, &datum_at(t, f.b)->v + 1, a->n_contains * sizeof *counts);
        // The tape before this byte, and with it: an array whose items must differ begins one when there is none.
        begin_item(t, f, 0, counts, lits, 0, (config){c.tape, tape}, byte);
    }
}

// ---- all ----

void cop_schema_config_step(schema_text *t, config c, uint8_t byte) {
    frame f = *frame_at(t, c.frame);
    uint32_t tape = c.tape ? cop_schema_tape(t, c.tape, byte) : 0;
    if (t->status) return;
    switch (f.kind) {
    case F_END:
        if (t->s->options.checker && is_space(byte)) keep(t, c.frame, tape);
        break;
    case F_VALUE:
        if (takes_space(t, &f, byte)) keep_frame(t, &f, tape);
        else begin_value(t, f.what, f.parent, tape, byte);
        break;
    case F_SCALAR: step_scalar(t, f, c, tape, byte); break;
    case F_NUMBER: step_number(t, f, c, tape, byte); break;
    case F_OBJECT: step_object(t, f, tape, byte); break;
    case F_NAME: step_name(t, f, tape, byte); break;
    case F_EXTRA: step_extra(t, f, tape, byte); break;
    case F_KEY: step_key(t, f, tape, byte); break;
    case F_ARRAY: step_array(t, f, c, tape, byte); break;
    default: break;
    }
}

uint32_t cop_schema_text_step(schema_text *t, uint32_t state, uint8_t byte) {
    uint32_t n;
    if (!state || t->status) return COP_GUIDE_DEAD;
    const config *list = configs_of(t, state, &n);
    t->next.n = 0;
    for (uint32_t i = 0; i < n && !t->status; i++) cop_schema_config_step(t, list[i], byte);
    if (!t->next.n) cop_schema_fail(t, cop_regex_set_failed(t->s->regexes));  // dead without reason
    return t->status ? COP_GUIDE_DEAD : cop_schema_state(t, t->next.v, (uint32_t)t->next.n);
}

bool cop_schema_config_accepts(schema_text *t, config c) {
    const frame *f = frame_at(t, c.frame);
    if (f->kind == F_END) return true;
    if ((f->kind != F_SCALAR && f->kind != F_NUMBER) || frame_at(t, f->parent)->kind != F_END) return false;
    const schema_goal *g = goal_at(t->s, f->what);
    if (f->kind == F_SCALAR) return cop_dfa_accepting(g->scalars, f->a);
    size_t bytes;
    char *text = cop_schema_tape_text(t, f->a, 0, &bytes);
    bool yes = text && cop_schema_count_holds(t->s, g, text, bytes);
    cop_free(text);
    return yes;
}
