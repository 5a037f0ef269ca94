// Filters on sequences.  Those that are generators in jinja2 give a generator here too: it can be walked
// once, has no length, and is empty afterwards.
#include <string.h>

#include "text/jinja_private.h"

static cop_status give(jlist *l, jkind kind, jvalue *out) {
    *out = cop_jinja_list(l, kind);
    return COP_OK;
}

static cop_status length(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    size_t n;
    (void)a;
    COP_TRY(cop_jinja_length(r, self, &n));
    *out = cop_jinja_int((int64_t)n);
    return COP_OK;
}

static cop_status first(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    (void)a;
    *out = cop_jinja_undefined(J_WHY_EMPTY, J_NONE, NULL);
    if (self.kind == J_GENERATOR) {  // takes one out of it
        if (self.list->at < self.list->n) *out = self.list->v[self.list->at++];
        return COP_OK;
    }
    COP_TRY(cop_jinja_elements(r, self, &l));
    if (l->n) *out = l->v[0];
    return COP_OK;
}

static cop_status last(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    (void)a;
    if (self.kind == J_GENERATOR) return cop_jinja_fail(r, COP_ERR_ARG, "last: a generator cannot be walked from its end");
    COP_TRY(cop_jinja_elements(r, self, &l));
    *out = l->n ? l->v[l->n - 1] : cop_jinja_undefined(J_WHY_EMPTY, J_NONE, NULL);
    return COP_OK;
}

static cop_status join(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    jbuffer b = {0};
    COP_TRY(cop_jinja_elements(r, self, &l));
    for (size_t i = 0; i < l->n; i++) {
        jvalue v = l->v[i];
        COP_TRY(cop_jinja_charge(r, 1));
        if (i && a->given[0]) COP_TRY(cop_jinja_put_value(r, &b, a->v[0]));
        if (a->given[1] && a->v[1].kind != J_NONE) COP_TRY(cop_jinja_path(r, v, a->v[1], NULL, &v));
        COP_TRY(cop_jinja_put_value(r, &b, v));
    }
    return cop_jinja_buffer_text(r, &b, out);
}

static cop_status copy(jrun *r, jvalue self, jlist **out) {
    jlist *l;
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, l->n, out));
    for (size_t i = 0; i < l->n; i++) COP_TRY(cop_jinja_push(r, *out, l->v[i]));
    return COP_OK;
}

static cop_status list(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    (void)a;
    COP_TRY(copy(r, self, &l));
    return give(l, J_LIST, out);
}

static cop_status items(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    (void)a;
    if (self.kind == J_UNDEFINED) {
        COP_TRY(cop_jinja_new_list(r, 0, &l));
        return give(l, J_GENERATOR, out);
    }
    if (self.kind != J_DICT) return cop_jinja_fail(r, COP_ERR_ARG, "items: a value of type %s, must be a dict", cop_jinja_type_name(self));
    self.kind = J_ITEMS;
    COP_TRY(cop_jinja_elements(r, self, &l));
    return give(l, J_GENERATOR, out);
}

static cop_status reverse(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    static const jvalue back[3] = {{.kind = J_NONE}, {.kind = J_NONE}, {.kind = J_INT, .i = -1}};
    jlist *l;
    (void)a;
    if (self.kind == J_TEXT) return cop_jinja_slice(r, self, back, out);
    COP_TRY(copy(r, self, &l));
    for (size_t i = 0; i < l->n / 2; i++) {
        jvalue v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
    return give(l, self.kind == J_GENERATOR ? J_LIST : J_GENERATOR, out);
}

static cop_status sum(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    jvalue v;
    *out = a->given[1] ? a->v[1] : cop_jinja_int(0);
    COP_TRY(cop_jinja_elements(r, self, &l));
    if (out->kind == J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "sum: texts are joined, not summed");
    for (size_t i = 0; i < l->n; i++) {
        v = l->v[i];
        if (a->given[0] && a->v[0].kind != J_NONE) COP_TRY(cop_jinja_path(r, v, a->v[0], NULL, &v));
        COP_TRY(cop_jinja_binary(r, OP_ADD, *out, v, out));
    }
    return COP_OK;
}

// ---- order ----

// Merge sort of values by keys, [from, to), with room of the same size beside it.
static cop_status merge(jrun *r, jlist *keys, jlist *values, jpair *room, size_t from, size_t to, bool reverse) {
    size_t middle = from + (to - from) / 2, i = from, j = middle;
    if (to - from < 2) return COP_OK;
    COP_TRY(merge(r, keys, values, room, from, middle, reverse));
    COP_TRY(merge(r, keys, values, room, middle, to, reverse));
    for (size_t k = from; k < to; k++) {
        int order = 0;
        if (i < middle && j < to) COP_TRY(cop_jinja_order(r, keys->v[j], keys->v[i], "<", &order));
        bool right = i == middle || (j < to && (reverse ? order == 1 : order == -1));
        size_t at = right ? j++ : i++;
        room[k] = (jpair){keys->v[at], values->v[at]};
    }
    for (size_t k = from; k < to; k++) {
        keys->v[k] = room[k].key;
        values->v[k] = room[k].value;
    }
    return COP_OK;
}

cop_status cop_jinja_sort(jrun *r, jlist *keys, jlist *values, bool reverse) {
    void *room;
    COP_TRY(cop_jinja_take(&r->arena, keys->n * sizeof(jpair), &room));
    return merge(r, keys, values, room, 0, keys->n, reverse);
}

// What a value is ordered or compared by: itself or an attribute, texts in lower case unless asked otherwise.
static cop_status key_of(jrun *r, jvalue v, const jvalue *path, const jvalue *otherwise, bool case_sensitive, jvalue *out) {
    *out = v;
    if (path && path->kind != J_NONE) COP_TRY(cop_jinja_path(r, v, *path, otherwise, out));
    if (out->kind == J_TEXT && !case_sensitive) COP_TRY(cop_jinja_change_case(r, *out, "lower", out));
    return COP_OK;
}

static cop_status keys_of(jrun *r, const jlist *l, const jvalue *path, const jvalue *otherwise, bool case_sensitive, jlist **out) {
    COP_TRY(cop_jinja_new_list(r, l->n, out));
    for (size_t i = 0; i < l->n; i++) {
        jvalue key;
        COP_TRY(key_of(r, l->v[i], path, otherwise, case_sensitive, &key));
        COP_TRY(cop_jinja_push(r, *out, key));
    }
    return COP_OK;
}

static cop_status flag(jrun *r, const jbinding *a, int at, bool *out) {
    *out = false;
    return a->given[at] ? cop_jinja_truth(r, a->v[at], out) : COP_OK;
}

static cop_status sort(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l, *keys;
    bool reverse_order, case_sensitive;
    COP_TRY(flag(r, a, 0, &reverse_order));
    COP_TRY(flag(r, a, 1, &case_sensitive));
    if (a->given[2] && a->v[2].kind == J_TEXT && memchr(a->v[2].text->v, ',', a->v[2].text->n))
        return cop_jinja_fail(r, COP_ERR_UNSUPPORTED, "sort: by one attribute only");
    COP_TRY(copy(r, self, &l));
    COP_TRY(keys_of(r, l, a->given[2] ? &a->v[2] : NULL, NULL, case_sensitive, &keys));
    COP_TRY(cop_jinja_sort(r, keys, l, reverse_order));
    return give(l, J_LIST, out);
}

static cop_status dictsort(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l;
    bool case_sensitive, reverse_order;
    COP_TRY(flag(r, a, 0, &case_sensitive));
    COP_TRY(flag(r, a, 2, &reverse_order));
    bool by_value = a->given[1] && cop_jinja_is_text(a->v[1], "value");
    if (a->given[1] && !by_value && !cop_jinja_is_text(a->v[1], "key")) return cop_jinja_fail(r, COP_ERR_ARG, "dictsort: by must be key or value");
    if (self.kind != J_DICT)
        return self.kind == J_UNDEFINED ? cop_jinja_fail_undefined(r, self) : cop_jinja_fail(r, COP_ERR_ARG, "dictsort: a value of type %s", cop_jinja_type_name(self));
    jvalue path = cop_jinja_int(by_value);
    jlist *keys;
    self.kind = J_ITEMS;
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(keys_of(r, l, &path, NULL, case_sensitive, &keys));
    COP_TRY(cop_jinja_sort(r, keys, l, reverse_order));
    return give(l, J_LIST, out);
}

static cop_status unique(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l, *kept;
    jdict *seen;
    bool case_sensitive;
    COP_TRY(flag(r, a, 0, &case_sensitive));
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, 0, &kept));
    COP_TRY(cop_jinja_new_dict(r, &seen));
    for (size_t i = 0; i < l->n; i++) {
        jvalue key;
        size_t before = seen->n;
        COP_TRY(key_of(r, l->v[i], a->given[1] ? &a->v[1] : NULL, NULL, case_sensitive, &key));
        COP_TRY(cop_jinja_dict_set(r, seen, key, J_NOTHING));
        if (seen->n > before) COP_TRY(cop_jinja_push(r, kept, l->v[i]));
    }
    return give(kept, J_GENERATOR, out);
}

static cop_status extreme(jrun *r, jvalue self, const jbinding *a, int wanted, jvalue *out) {
    jlist *l, *keys;
    bool case_sensitive;
    size_t best = 0;
    COP_TRY(flag(r, a, 0, &case_sensitive));
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(keys_of(r, l, a->given[1] ? &a->v[1] : NULL, NULL, case_sensitive, &keys));
    for (size_t i = 1; i < l->n; i++) {
        int order;
        COP_TRY(cop_jinja_order(r, keys->v[i], keys->v[best], wanted < 0 ? "<" : ">", &order));
        if (order == wanted) best = i;
    }
    *out = l->n ? l->v[best] : cop_jinja_undefined(J_WHY_EMPTY, J_NONE, NULL);
    return COP_OK;
}

static cop_status least(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return extreme(r, self, a, -1, out); }
static cop_status greatest(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return extreme(r, self, a, 1, out); }

// Tuples of a key and the list of what has it, in the order of keys.
static cop_status group(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l, *keys, *groups, *members = NULL;
    bool case_sensitive, same;
    const jvalue *otherwise = a->given[1] ? &a->v[1] : NULL;
    COP_TRY(flag(r, a, 2, &case_sensitive));
    COP_TRY(copy(r, self, &l));
    COP_TRY(keys_of(r, l, &a->v[0], otherwise, case_sensitive, &keys));
    COP_TRY(cop_jinja_sort(r, keys, l, false));
    COP_TRY(cop_jinja_new_list(r, 0, &groups));
    for (size_t i = 0; i < l->n; i++) {
        if (i) COP_TRY(cop_jinja_equal(r, keys->v[i], keys->v[i - 1], &same));
        if (!i || !same) {
            jlist *pair;
            jvalue name, tuple;
            COP_TRY(cop_jinja_new_list(r, 2, &pair));
            COP_TRY(cop_jinja_new_list(r, 0, &members));
            COP_TRY(key_of(r, l->v[i], &a->v[0], otherwise, true, &name));
            COP_TRY(cop_jinja_push(r, pair, name));
            COP_TRY(cop_jinja_push(r, pair, cop_jinja_list(members, J_LIST)));
            tuple = cop_jinja_list(pair, J_TUPLE);
            tuple.owner = J_DICT;  // .grouper and .list
            COP_TRY(cop_jinja_push(r, groups, tuple));
        }
        COP_TRY(cop_jinja_push(r, members, l->v[i]));
    }
    return give(groups, J_LIST, out);
}

// ---- choosing and mapping ----

// map and its kin take whatever is false, as none, for a sequence of nothing.
static cop_status elements(jrun *r, jvalue v, jlist **out) {
    bool yes;
    COP_TRY(cop_jinja_truth(r, v, &yes));
    return yes ? cop_jinja_elements(r, v, out) : cop_jinja_new_list(r, 0, out);
}

// Arguments from the i-th on.
static jargs rest_of(const jargs *all, size_t i) {
    return i < all->n ? (jargs){.v = all->v + i, .names = all->names + i, .n = all->n - i} : (jargs){0};
}

static const jvalue *named(const jargs *all, const char *name) {
    for (size_t i = 0; i < all->n; i++)
        if (all->names[i] && cop_jinja_is_text(cop_jinja_text(all->names[i]), name)) return &all->v[i];
    return NULL;
}

static cop_status map(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    const jvalue *path = named(a->all, "attribute"), *otherwise = named(a->all, "default");
    const jfilter *filter = NULL;
    jlist *l, *mapped;
    jargs rest = rest_of(a->all, 1);
    if (!a->all->n || (!a->all->names[0] && a->all->v[0].kind != J_TEXT)) return cop_jinja_fail(r, COP_ERR_ARG, "map: needs a filter's name or attribute=");
    if (!a->all->names[0]) {
        const jtext *name = a->all->v[0].text;
        filter = cop_jinja_find_filter(name->v, name->n);
        if (!filter) return cop_jinja_fail(r, COP_ERR_ARG, "no filter named '%.*s'", cop_jinja_shown(name), name->v);
    } else if (!path) {
        return cop_jinja_fail(r, COP_ERR_ARG, "map: needs a filter's name or attribute=");
    }
    COP_TRY(elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, l->n, &mapped));
    for (size_t i = 0; i < l->n; i++) {
        jvalue v;
        if (filter) COP_TRY(cop_jinja_apply(r, filter, l->v[i], &rest, &v));
        else COP_TRY(cop_jinja_path(r, l->v[i], *path, otherwise, &v));
        COP_TRY(cop_jinja_push(r, mapped, v));
    }
    return give(mapped, J_GENERATOR, out);
}

static cop_status choose(jrun *r, jvalue self, const jbinding *a, bool by_attribute, bool wanted, jvalue *out) {
    const jtest *test = NULL;
    jlist *l, *kept;
    size_t at = by_attribute;
    jargs rest = rest_of(a->all, at + 1);
    if (a->all->n < at) return cop_jinja_fail(r, COP_ERR_ARG, "the name of an attribute is missing");
    if (a->all->n > at) {
        if (a->all->v[at].kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "the name of a test must be a text");
        const jtext *name = a->all->v[at].text;
        test = cop_jinja_find_test(name->v, name->n);
        if (!test) return cop_jinja_fail(r, COP_ERR_ARG, "no test named '%.*s'", cop_jinja_shown(name), name->v);
    }
    COP_TRY(elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, 0, &kept));
    for (size_t i = 0; i < l->n; i++) {
        jvalue v = l->v[i];
        bool yes;
        if (by_attribute) COP_TRY(cop_jinja_path(r, v, a->all->v[0], NULL, &v));
        if (test) COP_TRY(cop_jinja_check(r, test, v, &rest, &yes));
        else COP_TRY(cop_jinja_truth(r, v, &yes));
        if (yes == wanted) COP_TRY(cop_jinja_push(r, kept, l->v[i]));
    }
    return give(kept, J_GENERATOR, out);
}

static cop_status select_items(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return choose(r, self, a, false, true, out); }
static cop_status reject_items(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return choose(r, self, a, false, false, out); }
static cop_status select_attribute(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return choose(r, self, a, true, true, out); }
static cop_status reject_attribute(jrun *r, jvalue self, const jbinding *a, jvalue *out) { return choose(r, self, a, true, false, out); }

// ---- parts ----

static cop_status part(jrun *r, const jlist *l, size_t from, size_t to, const jvalue *fill, size_t n, jlist *parts) {
    jlist *p;
    COP_TRY(cop_jinja_new_list(r, 0, &p));
    for (size_t i = from; i < to; i++) COP_TRY(cop_jinja_push(r, p, l->v[i]));
    while (fill && p->n < n) COP_TRY(cop_jinja_push(r, p, *fill));
    return cop_jinja_push(r, parts, cop_jinja_list(p, J_LIST));
}

static cop_status batch(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l, *parts;
    int64_t n;
    const jvalue *fill = a->given[1] && a->v[1].kind != J_NONE ? &a->v[1] : NULL;
    if (!cop_jinja_integer(a->v[0], &n) || n < 1) return cop_jinja_fail(r, COP_ERR_ARG, "batch: the number of entries must be at least 1");
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, 0, &parts));
    for (size_t i = 0; i < l->n; i += (size_t)n) {
        size_t to = l->n - i < (size_t)n ? l->n : i + (size_t)n;
        COP_TRY(part(r, l, i, to, fill, (size_t)n, parts));
    }
    return give(parts, J_GENERATOR, out);
}

static cop_status slice(jrun *r, jvalue self, const jbinding *a, jvalue *out) {
    jlist *l, *parts;
    int64_t n;
    const jvalue *fill = a->given[1] && a->v[1].kind != J_NONE ? &a->v[1] : NULL;
    if (!cop_jinja_integer(a->v[0], &n) || n < 1) return cop_jinja_fail(r, COP_ERR_ARG, "slice: the number of slices must be at least 1");
    COP_TRY(cop_jinja_elements(r, self, &l));
    COP_TRY(cop_jinja_new_list(r, 0, &parts));
    size_t each = l->n / (size_t)n, longer = l->n % (size_t)n, from = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t to = from + each + ((size_t)i < longer);
        COP_TRY(part(r, l, from, to, (size_t)i >= longer ? fill : NULL, to - from + 1, parts));
        from = to;
    }
    return give(parts, J_GENERATOR, out);
}

static const jfilter filters[] = {
    {"length", "", 0, length},
    {"count", "", 0, length},
    {"first", "", 0, first},
    {"last", "", 0, last},
    {"join", "d attribute", 0, join},
    {"list", "", 0, list},
    {"items", "", 0, items},
    {"map", "*", 0, map},
    {"select", "*", 0, select_items},
    {"reject", "*", 0, reject_items},
    {"selectattr", "*", 0, select_attribute},
    {"rejectattr", "*", 0, reject_attribute},
    {"reverse", "", 0, reverse},
    {"sort", "reverse case_sensitive attribute", 0, sort},
    {"dictsort", "case_sensitive by reverse", 0, dictsort},
    {"unique", "case_sensitive attribute", 0, unique},
    {"min", "case_sensitive attribute", 0, least},
    {"max", "case_sensitive attribute", 0, greatest},
    {"sum", "attribute start", 0, sum},
    {"groupby", "attribute default case_sensitive", 1, group},
    {"batch", "linecount fill_with", 1, batch},
    {"slice", "slices fill_with", 1, slice},
};

const jfilter *cop_jinja_find_sequence_filter(const char *name, size_t bytes) {
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (strlen(filters[i].name) == bytes && !memcmp(filters[i].name, name, bytes)) return &filters[i];
    return NULL;
}
