// Functions that every template has, and the methods of dicts, lists, loops and cyclers.
#include <string.h>

#include "text/jinja_private.h"

#define MOST_RANGE 100000

// ---- dicts and lists ----

static cop_status view(jvalue self, jkind kind, jvalue *out) {
    *out = self;
    out->kind = (uint8_t)kind;
    return COP_OK;
}

static cop_status keys(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)r, (void)a; return view(self, J_KEYS, out); }
static cop_status values(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)r, (void)a; return view(self, J_VALUES, out); }
static cop_status items(jrun *r, jvalue self, const jbinding *a, jvalue *out) { (void)r, (void)a; return view(self, J_ITEMS, out); }

static cop_status get(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    const jvalue *found;
    COP_TRY(cop_jinja_dict_get(r, self.dict, a->v[0], &found));
    *out = found ? *found : a->given[1] ? a->v[1] : J_NOTHING;
    return COP_OK;
}

static cop_status copy(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)r, (void)a;
    *out = self;  // neither can be changed
    return COP_OK;
}

static cop_status list_count(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++) {
        bool same;
        COP_TRY(cop_jinja_equal(r, self.list->v[i], a->v[0], &same));
        n += same;
    }
    *out = cop_jinja_int(n);
    return COP_OK;
}

static cop_status list_index(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    for (size_t i = 0; i < self.list->n; i++) {
        bool same;
        COP_TRY(cop_jinja_equal(r, self.list->v[i], a->v[0], &same));
        *out = cop_jinja_int((int64_t)i);
        if (same) return COP_OK;
    }
    return cop_jinja_fail(r, COP_ERR_ARG, "index: the value is not there");
}

// ---- loops and cyclers ----

static cop_status changed(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    bool same = false;
    COP_TRY(cop_jinja_new_list(r, a->all->n, &l));
    for (size_t i = 0; i < a->all->n; i++) COP_TRY(cop_jinja_push(r, l, a->all->v[i]));
    jvalue now = cop_jinja_list(l, J_TUPLE);
    if (self.loop->has_changed) COP_TRY(cop_jinja_equal(r, now, self.loop->changed, &same));
    self.loop->changed = now;
    self.loop->has_changed = true;
    *out = cop_jinja_bool(!same);
    return COP_OK;
}

static cop_status cycle(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    if (!a->all->n) return cop_jinja_fail(r, COP_ERR_ARG, "loop.cycle: nothing to cycle through");
    *out = a->all->v[self.loop->at % a->all->n];
    return COP_OK;
}

static cop_status next(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)r, (void)a;
    *out = self.turn->items->v[self.turn->at];
    self.turn->at = (self.turn->at + 1) % self.turn->items->n;
    return COP_OK;
}

static cop_status reset(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)r, (void)a;
    self.turn->at = 0;
    *out = J_NOTHING;
    return COP_OK;
}

static const jmethod dict_methods[] = {
    {"items", "", 0, items}, {"keys", "", 0, keys}, {"values", "", 0, values}, {"get", "key default", 1, get}, {"copy", "", 0, copy}, {"fromkeys", "*", 0, NULL}, {0},
};
static const jmethod list_methods[] = {{"index", "value", 1, list_index}, {"count", "value", 1, list_count}, {"copy", "", 0, copy}, {0}};
static const jmethod tuple_methods[] = {{"index", "value", 1, list_index}, {"count", "value", 1, list_count}, {0}};
static const jmethod loop_methods[] = {{"changed", "*", 0, changed}, {"cycle", "*", 0, cycle}, {0}};
static const jmethod cycler_methods[] = {{"next", "", 0, next}, {"reset", "", 0, reset}, {0}};
static const jmethod number_methods[] = {
    {"bit_length", "", 0, NULL}, {"conjugate", "", 0, NULL}, {"is_integer", "", 0, NULL}, {"as_integer_ratio", "", 0, NULL}, {"to_bytes", "", 0, NULL}, {0},
};
static const char *const list_unsafe[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
static const char *const dict_unsafe[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
static const char *const generator_unsafe[] = {"gi_frame", "gi_code", NULL};

const jmethod *cop_jinja_find_method(jvalue object, const jtext *name, bool *unsafe) {
    const char *const *refused = object.kind == J_LIST ? list_unsafe : object.kind == J_DICT ? dict_unsafe : object.kind == J_GENERATOR ? generator_unsafe : NULL;
    for (; refused && *refused; refused++)
        if (cop_jinja_is_text(cop_jinja_text(name), *refused)) *unsafe = true;
    switch (object.kind) {
    case J_TEXT: return cop_jinja_find_text_method(name);
    case J_DICT: return cop_jinja_find_row(dict_methods, name);
    case J_LIST: return cop_jinja_find_row(list_methods, name);
    case J_TUPLE: return cop_jinja_find_row(tuple_methods, name);
    case J_LOOP: return cop_jinja_find_row(loop_methods, name);
    case J_CYCLER: return cop_jinja_find_row(cycler_methods, name);
    case J_BOOL: case J_INT: case J_FLOAT: return cop_jinja_find_row(number_methods, name);
    default: return NULL;
    }
}

// ---- functions ----

static cop_status range(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    int64_t v[3] = {0, 0, 1};
    jrange *made;
    (void)self;
    for (int i = 0; i < 3 && a->given[i]; i++) {
        if (a->v[i].kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, a->v[i]);
        if (!cop_jinja_integer(a->v[i], &v[i])) return cop_jinja_fail(r, COP_ERR_ARG, "range: a value of type %s", cop_jinja_type_name(a->v[i]));
    }
    if (!a->given[1]) {
        v[1] = v[0];
        v[0] = 0;
    }
    if (!v[2]) return cop_jinja_fail(r, COP_ERR_ARG, "range: a step of 0");
    __int128 distance = v[2] > 0 ? (__int128)v[1] - v[0] : (__int128)v[0] - v[1], step = v[2] > 0 ? (__int128)v[2] : -(__int128)v[2];
    __int128 n = distance > 0 ? (distance + step - 1) / step : 0;
    if (n > MOST_RANGE) return cop_jinja_fail(r, COP_ERR_LIMIT, "range: more than %d numbers", MOST_RANGE);
    COP_TRY(TAKE(&r->arena, made));
    *made = (jrange){.start = v[0], .stop = v[1], .step = v[2], .n = (size_t)n};
    *out = (jvalue){.kind = J_RANGE, .range = made};
    return COP_OK;
}

// dict(mapping or pairs, name=value …)
static cop_status make_dict(jrun *r, const jbinding *a, bool names, jdict **out) {
    COP_TRY(cop_jinja_new_dict(r, out));
    for (size_t i = 0; i < a->all->n; i++) {
        jvalue v = a->all->v[i];
        jlist *pairs, *pair;
        if (a->all->names[i]) {
            COP_TRY(cop_jinja_dict_set(r, *out, cop_jinja_text(a->all->names[i]), v));
            continue;
        }
        if (i) return cop_jinja_fail(r, COP_ERR_ARG, "a dict is made of one mapping and of names");
        if (v.kind == J_DICT || v.kind == J_NAMESPACE) v.kind = J_ITEMS;
        COP_TRY(cop_jinja_elements(r, v, &pairs));
        for (size_t j = 0; j < pairs->n; j++) {
            COP_TRY(cop_jinja_elements(r, pairs->v[j], &pair));
            if (pair->n != 2) return cop_jinja_fail(r, COP_ERR_ARG, "a dict is made of pairs, not of %zu values", pair->n);
            COP_TRY(cop_jinja_dict_set(r, *out, pair->v[0], pair->v[1]));
        }
    }
    for (size_t i = 0; names && i < (*out)->n; i++) {
        jvalue key = (*out)->v[i].key;
        if (key.kind == J_TEXT && key.text->n && key.text->v[0] == '_') return cop_jinja_fail(r, COP_ERR_ARG, "a namespace's attribute must not begin with _");
    }
    return COP_OK;
}

static cop_status dict(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)self;
    jdict *d;
    COP_TRY(make_dict(r, a, false, &d));
    *out = (jvalue){.kind = J_DICT, .dict = d};
    return COP_OK;
}

static cop_status namespace(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    (void)self;
    jdict *d;
    COP_TRY(make_dict(r, a, true, &d));
    *out = (jvalue){.kind = J_NAMESPACE, .dict = d};
    return COP_OK;
}

static cop_status raise_exception(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jvalue text;
    (void)self, (void)out;
    COP_TRY(cop_jinja_str(r, a->v[0], &text));
    return cop_jinja_fail(r, COP_ERR_ARG, "the template refuses: %.*s", text.text->n > 300 ? 300 : (int)text.text->n, text.text->v);
}

static cop_status strftime_now(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    char format[200], text[1000];
    struct tm now;
    (void)self;
    if (a->v[0].kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "strftime_now: a format of type %s", cop_jinja_type_name(a->v[0]));
    const jtext *t = a->v[0].text;
    if (t->n >= sizeof format || memchr(t->v, 0, t->n)) return cop_jinja_fail(r, COP_ERR_ARG, "strftime_now: a format of %zu bytes, at most %zu", t->n, sizeof format - 1);
    memcpy(format, t->v, t->n);
    format[t->n] = 0;
    if (r->options->now) {
        now = *r->options->now;
    } else {
        time_t seconds = time(NULL);
        localtime_r(&seconds, &now);
    }
    size_t n = t->n ? strftime(text, sizeof text, format, &now) : 0;
    return cop_jinja_new_text(r, text, n, out);
}

static cop_status joiner(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    struct jturn *turn;
    (void)self;
    COP_TRY(TAKE(&r->arena, turn));
    COP_TRY(cop_jinja_view_text(r, ", ", 2, &turn->separator));
    if (a->given[0]) turn->separator = a->v[0];
    *out = (jvalue){.kind = J_JOINER, .turn = turn};
    return COP_OK;
}

static cop_status cycler(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    struct jturn *turn;
    (void)self;
    if (!a->all->n) return cop_jinja_fail(r, COP_ERR_ARG, "cycler: nothing to cycle through");
    COP_TRY(TAKE(&r->arena, turn));
    COP_TRY(cop_jinja_new_list(r, a->all->n, &turn->items));
    for (size_t i = 0; i < a->all->n; i++) COP_TRY(cop_jinja_push(r, turn->items, a->all->v[i]));
    *out = (jvalue){.kind = J_CYCLER, .turn = turn};
    return COP_OK;
}

static const jfunction functions[] = {
    {"range", "start stop step", 1, range}, {"dict", "*", 0, dict}, {"namespace", "*", 0, namespace}, {"raise_exception", "message", 1, raise_exception},
    {"strftime_now", "format", 1, strftime_now}, {"joiner", "sep", 0, joiner}, {"cycler", "*", 0, cycler},
};

const jfunction *cop_jinja_find_function(const jtext *name) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (cop_jinja_is_text(cop_jinja_text(name), functions[i].name)) return &functions[i];
    return NULL;
}
