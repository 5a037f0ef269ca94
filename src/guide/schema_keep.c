// Forgetting: when a text's states have become many, one state and what it stands on are copied and the rest goes.
#include "guide/schema_frame.h"

#define KEEP_BYTES ((size_t)2 << 20)  // fewer are not worth a copy

typedef struct mover {
    schema_text *t;         // the old pools
    schema_arena mem;
    schema_pool frames, states, data;
    uint32_t *frame_to, *datum_to;  // by old number; 0: not moved yet
} mover;

static uint32_t move_datum(mover *m, uint32_t id);

static uint32_t move_one(mover *m, uint32_t id) {
    const schema_blob *b = pool_at(&m->t->data, id);
    datum d = *(const datum *)b->v;
    if (d.tag == D_WORDS) return m->datum_to[id] = cop_schema_intern(&m->data, b->v, b->bytes);
    if (d.before) d.before = m->datum_to[d.before];
    if (d.tag == D_LIST && !(d.v = move_datum(m, d.v))) return 0;
    return m->datum_to[id] = cop_schema_intern(&m->data, &d, sizeof d);
}

// Chains are long, so they are walked, oldest first.
static uint32_t move_datum(mover *m, uint32_t id) {
    if (!id || m->datum_to[id]) return id ? m->datum_to[id] : 0;
    const datum *d = datum_at(m->t, id);
    uint32_t n = 0;
    for (uint32_t i = id; i && !m->datum_to[i]; i = datum_at(m->t, i)->tag == D_WORDS ? 0 : datum_at(m->t, i)->before) n++;
    uint32_t *chain = cop_alloc_array(n, sizeof *chain), at = id;
    if (!chain) return 0;
    for (uint32_t i = n; i-- > 0; at = d->before) {
        d = datum_at(m->t, at);
        chain[i] = at;
    }
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++) ok = move_one(m, chain[i]) != 0;
    cop_free(chain);
    return ok ? m->datum_to[id] : 0;
}

static bool move_field(mover *m, uint32_t *field) {
    if (!*field) return true;
    *field = move_datum(m, *field);
    return *field != 0;
}

static uint32_t move_frame(mover *m, uint32_t id) {
    if (m->frame_to[id]) return m->frame_to[id];
    frame f = *frame_at(m->t, id);
    bool ok = true;
    if (f.parent) ok = (f.parent = move_frame(m, f.parent)) != 0;
    if (f.kind == F_OBJECT || f.kind == F_ARRAY) ok = ok && move_field(m, &f.b) && move_field(m, &f.c);
    if (f.kind == F_NUMBER) ok = ok && move_field(m, &f.a);
    if (f.kind == F_EXTRA || f.kind == F_KEY) ok = ok && move_field(m, &f.b);
    return ok ? m->frame_to[id] = cop_schema_intern(&m->frames, &f, sizeof f) : 0;
}

static uint32_t move_state(mover *m, uint32_t state) {
    uint32_t n;
    const config *list = configs_of(m->t, state, &n);
    config *moved = cop_alloc_array(n, sizeof *moved);
    bool ok = moved != NULL;
    for (uint32_t i = 0; i < n && ok; i++) {
        moved[i].frame = move_frame(m, list[i].frame);
        ok = moved[i].frame != 0;
        if (ok && list[i].tape) ok = (moved[i].tape = move_datum(m, list[i].tape)) != 0;
    }
    uint32_t id = ok ? cop_schema_intern(&m->states, moved, n * sizeof *moved) : 0;
    cop_free(moved);
    return id;
}

uint32_t cop_schema_text_keep(schema_text *t, uint32_t state) {
    if (!state || t->status || t->mem.total < KEEP_BYTES) return state;
    mover m = {.t = t};
    m.frames.mem = m.states.mem = m.data.mem = &m.mem;
    m.frame_to = cop_alloc_array(t->frames.blobs.n + 1, sizeof *m.frame_to);
    m.datum_to = cop_alloc_array(t->data.blobs.n + 1, sizeof *m.datum_to);
    uint32_t moved = m.frame_to && m.datum_to ? move_state(&m, state) : 0;
    cop_free(m.frame_to);
    cop_free(m.datum_to);
    schema_pool *mine[] = {&t->frames, &t->states, &t->data}, *new[] = {&m.frames, &m.states, &m.data};
    for (int i = 0; i < 3; i++) {
        if (moved) {
            schema_pool old = *mine[i];
            *mine[i] = *new[i];
            *new[i] = old;
        }
        new[i]->mem = moved ? &t->mem : &m.mem;
        cop_schema_pool_fini(new[i]);
    }
    if (!moved) {  // no memory: everything stays
        cop_schema_arena_fini(&m.mem);
        return state;
    }
    cop_schema_arena_fini(&t->mem);
    t->mem = m.mem;
    for (int i = 0; i < 3; i++) mine[i]->mem = &t->mem;
    cop_array_fini(&t->rests);
    t->rests.most = UINT32_MAX / 8;
    for (size_t i = 0; i < t->frames.blobs.n && !t->status; i++) cop_schema_fail(t, cop_array_push(&t->rests, -1));
    t->masked = 0;
    return moved;
}
