// JSON Schema as a language: the compiled schema, which texts share, and one text's states.
#include "base/threads.h"
#include "guide/schema_frame.h"

static void schema_free(schema *s) {
    if (!s) return;
    for (size_t i = 0; i < s->dfas.n; i++) cop_dfa_free(s->dfas.v[i]);
    for (size_t i = 0; i < s->values.n; i++) json_decref(s->values.v[i]);
    for (int i = 0; i < s->n_made; i++) json_decref(s->made[i]);
    json_decref(s->root);
    schema_pool *pools[] = {&s->node_keys, &s->scopes, &s->consts, &s->anys, &s->conds, &s->goal_keys, &s->record_keys, &s->names, &s->dfa_keys};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) cop_schema_pool_fini(pools[i]);
    cop_array_fini(&s->dfas);
    cop_array_fini(&s->values);
    cop_array_fini(&s->resources);
    cop_array_fini(&s->nodes);
    cop_array_fini(&s->goals);
    cop_array_fini(&s->records);
    cop_schema_arena_fini(&s->mem);
    cop_regex_set_free(s->regexes);
    cop_free(s->problems);
    cop_lock_free(s->lock);
    cop_free(s);
}

static cop_status schema_new(schema **out, const cop_schema_options *o) {
    schema *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "schema: cannot allocate");
    s->owners = 1;
    s->options = *o;
    if (o->checker) s->options.any_order = true;
    if (s->options.whitespace > 200) s->options.whitespace = 200;
    schema_pool *pools[] = {&s->node_keys, &s->scopes, &s->consts, &s->anys, &s->conds, &s->goal_keys, &s->record_keys, &s->names, &s->dfa_keys};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) pools[i]->mem = &s->mem;
    s->goals.most = SCHEMA_MOST_GOALS + 1;
    s->records.most = 1000000;
    cop_status st = cop_lock_new(&s->lock);
    if (!st) st = cop_regex_set_new(&s->regexes, 0);
    if (!st) s->any_string = cop_rx_repeat(s->regexes, cop_rx_any_character(s->regexes), 0, COP_RX_MANY);
    if (st) {
        schema_free(s);
        return st;
    }
    *out = s;
    return COP_OK;
}

// ---- a text ----

static schema_text *text_of(cop_language *l) { return (schema_text *)l; }

static void close_text(cop_language *l) {
    schema_text *t = text_of(l);
    if (!t) return;
    cop_schema_pool_fini(&t->frames);
    cop_schema_pool_fini(&t->states);
    cop_schema_pool_fini(&t->data);
    cop_array_fini(&t->rests);
    cop_array_fini(&t->next);
    cop_schema_arena_fini(&t->mem);
    cop_lock_take(t->s->lock);
    bool last = --t->s->owners == 0;
    cop_lock_give(t->s->lock);
    if (last) schema_free(t->s);
    cop_free(t);
}

static cop_guide_state start(cop_language *l) {
    schema_text *t = text_of(l);
    cop_lock_take(t->s->lock);
    frame end = {.kind = F_END}, value = {.kind = F_VALUE, .what = t->s->root_goal, .space = t->s->options.checker ? 0 : UINT8_MAX};
    value.parent = cop_schema_frame(t, &end);
    config c = {value.parent ? cop_schema_frame(t, &value) : 0, 0};
    uint32_t state = c.frame && cop_schema_frame_rest(t, c.frame) < SCHEMA_FAR ? cop_schema_state(t, &c, 1) : COP_GUIDE_DEAD;
    cop_lock_give(t->s->lock);
    return state;
}

static cop_guide_state step(cop_language *l, cop_guide_state s, int32_t symbol) {
    schema_text *t = text_of(l);
    if (symbol < 0 || symbol > 255) return COP_GUIDE_DEAD;
    cop_lock_take(t->s->lock);
    uint32_t next = cop_schema_text_step(t, s, (uint8_t)symbol);
    cop_lock_give(t->s->lock);
    return next;
}

static bool accepting(cop_language *l, cop_guide_state s) {
    schema_text *t = text_of(l);
    bool yes = false;
    uint32_t n = 0;
    cop_lock_take(t->s->lock);
    const config *list = s ? configs_of(t, s, &n) : NULL;
    for (uint32_t i = 0; i < n && !yes; i++) yes = cop_schema_config_accepts(t, list[i]);
    cop_lock_give(t->s->lock);
    return yes;
}

static int32_t distance(cop_language *l, cop_guide_state s) {
    schema_text *t = text_of(l);
    int32_t best = COP_GUIDE_FAR;
    uint32_t n = 0;
    cop_lock_take(t->s->lock);
    const config *list = s ? configs_of(t, s, &n) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        int32_t rest = cop_schema_frame_rest(t, list[i].frame);
        if (rest < best) best = rest;
    }
    cop_lock_give(t->s->lock);
    return best;
}

static void mask(cop_language *l, cop_guide_state s, const cop_vocab_trie *v, uint64_t *bits) {
    schema_text *t = text_of(l);
    cop_lock_take(t->s->lock);
    cop_schema_text_mask(t, s, v, bits);
    cop_lock_give(t->s->lock);
}

// Known for the state whose mask was made last.
static int32_t reach(cop_language *l, cop_guide_state s, int symbols) {
    const schema_text *t = text_of(l);
    (void)symbols;
    return t->masked == s ? t->worst : COP_GUIDE_FAR;
}

static cop_guide_state keep(cop_language *l, cop_guide_state s) {
    schema_text *t = text_of(l);
    cop_lock_take(t->s->lock);
    uint32_t now = cop_schema_text_keep(t, s);
    cop_lock_give(t->s->lock);
    return now;
}

static cop_status failed(cop_language *l) {
    schema_text *t = text_of(l);
    if (t->status) cop_error_set(&t->failure);
    return t->status;
}

static size_t memory(const cop_language *l) {
    const schema_text *t = (const schema_text *)l;
    return t->mem.total + t->rests.cap * sizeof *t->rests.v + 8u * ((size_t)t->frames.n_slots + t->data.n_slots + t->states.n_slots);
}

static cop_status fork_text(cop_language **out, cop_language *l);

static const cop_language_type type = {
    .name = "json-schema",
    .start = start,
    .step = step,
    .accepting = accepting,
    .distance = distance,
    .mask = mask,
    .reach = reach,
    .keep = keep,
    .fork = fork_text,
    .failed = failed,
    .memory = memory,
    .close = close_text,
};

static cop_status text_new(cop_language **out, schema *s) {
    schema_text *t = cop_alloc(sizeof *t);
    if (!t) return cop_fail(COP_ERR_NOMEM, "schema: cannot allocate");
    t->base.type = &type;
    t->s = s;
    t->frames.mem = t->states.mem = t->data.mem = &t->mem;
    *out = &t->base;
    return COP_OK;
}

static cop_status fork_text(cop_language **out, cop_language *l) {
    schema *s = text_of(l)->s;
    COP_TRY(text_new(out, s));
    cop_lock_take(s->lock);
    s->owners++;
    cop_lock_give(s->lock);
    return COP_OK;
}

cop_schema_options cop_schema_defaults(void) { return (cop_schema_options){.whitespace = 8}; }

cop_status cop_language_json_schema(cop_language **out, const char *text, size_t bytes, const cop_schema_options *options,
                                    void (*warn)(void *user, const char *line), void *user) {
    cop_schema_options defaults = cop_schema_defaults();
    schema *s = NULL;
    int32_t min = SCHEMA_FAR;
    *out = NULL;
    COP_TRY(schema_new(&s, options ? options : &defaults));
    s->warn = warn;
    s->user = user;
    cop_status st = cop_schema_read(s, text, bytes);
    s->warn = NULL;
    if (!st) st = cop_schema_min(s, s->root_goal, &min);
    if (!st && min == SCHEMA_FAR) st = cop_fail(COP_ERR_UNSUPPORTED, "schema: no value is an instance of it");
    if (!st) st = text_new(out, s);
    if (st) {
        cop_error_record why;
        cop_error_get(&why);
        schema_free(s);
        cop_error_set(&why);
    }
    return st;
}
