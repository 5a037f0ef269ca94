// Looking into values: attributes, items, slices, membership, iteration.
// object.name asks for a method first and an item then, object['name'] the other way round, as jinja2's
// sandbox does; there is nothing behind a name that could lead out of the given values.
#include <stdio.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/utf8.h"

bool cop_jinja_iterable(jvalue v) {
    switch (v.kind) {
    case J_UNDEFINED: case J_TEXT: case J_LIST: case J_TUPLE: case J_DICT: case J_RANGE: case J_KEYS: case J_VALUES: case J_ITEMS: case J_GENERATOR: return true;
    case J_LOOP: return true;
    default: return false;
    }
}

static cop_status characters(jrun *r, const jtext *t, jlist **out) {
    COP_TRY(cop_jinja_new_list(r, t->points, out));
    for (size_t i = 0; i < t->n;) {
        int n = cop_utf8_length(t->v + i, t->n - i);
        jvalue c;
        COP_TRY(cop_jinja_view_text(r, t->v + i, (size_t)n, &c));
        COP_TRY(cop_jinja_push(r, *out, c));
        i += (size_t)n;
    }
    return COP_OK;
}

static cop_status dict_elements(jrun *r, jvalue v, jlist **out) {
    COP_TRY(cop_jinja_new_list(r, v.dict->n, out));
    for (size_t i = 0; i < v.dict->n; i++) {
        const jpair *pair = &v.dict->v[i];
        jvalue element = v.kind == J_VALUES ? pair->value : pair->key;
        if (v.kind == J_ITEMS) {
            jlist *both;
            COP_TRY(cop_jinja_new_list(r, 2, &both));
            COP_TRY(cop_jinja_push(r, both, pair->key));
            COP_TRY(cop_jinja_push(r, both, pair->value));
            element = cop_jinja_list(both, J_TUPLE);
        }
        COP_TRY(cop_jinja_push(r, *out, element));
    }
    return COP_OK;
}

cop_status cop_jinja_elements(jrun *r, jvalue v, jlist **out) {
    switch (v.kind) {
    case J_UNDEFINED: return cop_jinja_new_list(r, 0, out);
    case J_TEXT: return characters(r, v.text, out);
    case J_LIST: case J_TUPLE: *out = v.list; return COP_OK;
    case J_DICT: case J_KEYS: case J_VALUES: case J_ITEMS: return dict_elements(r, v, out);
    case J_RANGE:
        COP_TRY(cop_jinja_new_list(r, v.range->n, out));
        for (size_t i = 0; i < v.range->n; i++) COP_TRY(cop_jinja_push(r, *out, cop_jinja_int(v.range->start + (int64_t)i * v.range->step)));
        return COP_OK;
    case J_GENERATOR: {  // what is left of it; then it is empty
        jlist *left;
        COP_TRY(cop_jinja_new_list(r, 0, &left));
        if (v.list->at < v.list->n) left->v = v.list->v + v.list->at;
        left->n = left->cap = v.list->n - v.list->at;
        v.list->at = v.list->n;
        *out = left;
        return COP_OK;
    }
    default: return cop_jinja_fail(r, COP_ERR_ARG, "a value of type %s cannot be iterated", cop_jinja_type_name(v));
    }
}

cop_status cop_jinja_length(jrun *r, jvalue v, size_t *out) {
    switch (v.kind) {
    case J_UNDEFINED: *out = 0; return COP_OK;
    case J_TEXT: *out = v.text->points; return COP_OK;
    case J_LIST: case J_TUPLE: *out = v.list->n; return COP_OK;
    case J_DICT: case J_KEYS: case J_VALUES: case J_ITEMS: *out = v.dict->n; return COP_OK;
    case J_RANGE: *out = v.range->n; return COP_OK;
    case J_LOOP: *out = v.loop->items->n; return COP_OK;
    default: return cop_jinja_fail(r, COP_ERR_ARG, "a value of type %s has no length", cop_jinja_type_name(v));
    }
}

static cop_status text_contains(jrun *r, const jtext *t, jvalue v, bool *out) {
    if (v.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, v);
    if (v.kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "only a text can be in a text, not a value of type %s", cop_jinja_type_name(v));
    COP_TRY(cop_jinja_charge(r, t->n / 16));
    *out = !v.text->n || memmem(t->v, t->n, v.text->v, v.text->n);
    return COP_OK;
}

cop_status cop_jinja_contains(jrun *r, jvalue container, jvalue v, bool *out) {
    jlist *l;
    if (container.kind == J_TEXT) return text_contains(r, container.text, v, out);
    if (container.kind == J_DICT || container.kind == J_KEYS) {
        const jvalue *found;
        COP_TRY(cop_jinja_dict_get(r, container.dict, v, &found));
        *out = found;
        return COP_OK;
    }
    COP_TRY(cop_jinja_elements(r, container, &l));
    *out = false;
    for (size_t i = 0; i < l->n && !*out; i++) COP_TRY(cop_jinja_equal(r, l->v[i], v, out));
    return COP_OK;
}

// ---- attributes ----

static cop_status loop_attribute(jrun *r, jloop *l, const jtext *name, jvalue *out) {
    static const char *const names[] = {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem"};
    int64_t at = (int64_t)l->at, n = (int64_t)l->items->n;
    const int64_t numbers[] = {at + 1, at, n - at, n - at - 1, at == 0, at == n - 1, n, (int64_t)l->depth, (int64_t)l->depth - 1};
    (void)r;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!cop_jinja_is_text(cop_jinja_text(name), names[i])) continue;
        if (i == 4 || i == 5) *out = cop_jinja_bool(numbers[i]);
        else if (i < 9) *out = cop_jinja_int(numbers[i]);
        else if (i == 9 && at > 0) *out = l->items->v[at - 1];
        else if (i == 10 && at + 1 < n) *out = l->items->v[at + 1];
        else *out = cop_jinja_undefined(J_WHY_ATTRIBUTE, J_LOOP, name);
        return COP_OK;
    }
    return COP_OK;
}

static cop_status macro_attribute(jrun *r, const jmacro *m, const jtext *name, jvalue *out) {
    if (cop_jinja_is_text(cop_jinja_text(name), "name") && m->node->name) *out = cop_jinja_text(m->node->name);
    if (!cop_jinja_is_text(cop_jinja_text(name), "arguments")) return COP_OK;
    jlist *l;
    COP_TRY(cop_jinja_new_list(r, m->node->list.n, &l));
    for (size_t i = 0; i < m->node->list.n; i++) COP_TRY(cop_jinja_push(r, l, cop_jinja_text(r->t->symbols[m->node->list.v[i]->symbol])));
    *out = cop_jinja_list(l, J_TUPLE);
    return COP_OK;
}

// What Python's getattr finds; an attribute-undefined when there is nothing.
static cop_status own_attribute(jrun *r, jvalue object, const jtext *name, jvalue *out) {
    bool unsafe = false;
    *out = cop_jinja_undefined(J_WHY_ATTRIBUTE, object.kind, name);
    if (object.kind == J_NAMESPACE) {
        const jvalue *found;
        COP_TRY(cop_jinja_dict_get(r, object.dict, cop_jinja_text(name), &found));
        if (found) *out = *found;
        return COP_OK;
    }
    if (object.kind == J_LOOP) COP_TRY(loop_attribute(r, object.loop, name, out));
    if (object.kind == J_MACRO) COP_TRY(macro_attribute(r, object.macro, name, out));
    if (object.kind == J_CYCLER && cop_jinja_is_text(cop_jinja_text(name), "current")) *out = object.turn->items->v[object.turn->at];
    if (object.kind == J_TUPLE && object.owner == J_DICT) {  // a group
        if (cop_jinja_is_text(cop_jinja_text(name), "grouper")) *out = object.list->v[0];
        if (cop_jinja_is_text(cop_jinja_text(name), "list")) *out = object.list->v[1];
    }
    if (object.kind == J_RANGE) {
        if (cop_jinja_is_text(cop_jinja_text(name), "start")) *out = cop_jinja_int(object.range->start);
        if (cop_jinja_is_text(cop_jinja_text(name), "stop")) *out = cop_jinja_int(object.range->stop);
        if (cop_jinja_is_text(cop_jinja_text(name), "step")) *out = cop_jinja_int(object.range->step);
    }
    if (out->kind != J_UNDEFINED) return COP_OK;
    const jmethod *method = cop_jinja_find_method(object, name, &unsafe);
    bool dunder = name->n > 4 && !memcmp(name->v, "__", 2) && !memcmp(name->v + name->n - 2, "__", 2);
    if (unsafe || dunder) out->why = J_WHY_UNSAFE;
    if (!method) return COP_OK;
    struct jbound *bound;
    COP_TRY(TAKE(&r->arena, bound));
    *bound = (struct jbound){object, method};
    *out = (jvalue){.kind = J_METHOD, .method = bound};
    return COP_OK;
}

static cop_status index_text(jrun *r, jvalue text, size_t i, jvalue *out) {
    const jtext *t = text.text;
    if (t->points != t->n) COP_TRY(cop_jinja_charge(r, t->n / 16));
    size_t at = cop_jinja_point_offset(t, i);
    COP_TRY(cop_jinja_view_text(r, t->v + at, (size_t)cop_utf8_length(t->v + at, t->n - at), out));
    out->markup = text.markup;
    return COP_OK;
}

// An undefined of "no element i".
static cop_status name_element(jrun *r, int64_t i, jvalue *out) {
    char text[24];
    jvalue name;
    snprintf(text, sizeof text, "%lld", (long long)i);
    COP_TRY(cop_jinja_new_text(r, text, strlen(text), &name));
    out->why = J_WHY_ELEMENT;
    out->text = name.text;
    return COP_OK;
}

static bool has_element(size_t n, int64_t i) { return i < (int64_t)n && i >= -(int64_t)n; }

// object[key] as Python has it; an attribute-undefined when there is no such item.
static cop_status own_item(jrun *r, jvalue object, jvalue key, jvalue *out) {
    int64_t i = 0;
    *out = cop_jinja_undefined(J_WHY_ATTRIBUTE, object.kind, key.kind == J_TEXT ? key.text : NULL);
    if (object.kind == J_DICT) {
        const jvalue *found;
        if (key.kind == J_LIST || key.kind == J_DICT) return COP_OK;
        COP_TRY(cop_jinja_dict_get(r, object.dict, key, &found));
        if (found) *out = *found;
        return COP_OK;
    }
    if (!cop_jinja_integer(key, &i)) return COP_OK;
    size_t n = object.kind == J_LIST || object.kind == J_TUPLE ? object.list->n : object.kind == J_TEXT ? object.text->points : object.kind == J_RANGE ? object.range->n : 0;
    if (!has_element(n, i)) return name_element(r, i, out);
    if (i < 0) i += (int64_t)n;
    if (object.kind == J_TEXT) return index_text(r, object, (size_t)i, out);
    *out = object.kind == J_RANGE ? cop_jinja_int(object.range->start + i * object.range->step) : object.list->v[i];
    return COP_OK;
}

cop_status cop_jinja_attribute(jrun *r, jvalue object, const jtext *name, jvalue *out) {
    if (object.kind == J_UNDEFINED) {
        bool dunder = name->n > 4 && !memcmp(name->v, "__", 2);
        if (!dunder || object.why == J_WHY_UNSAFE) return cop_jinja_fail_undefined(r, object);
        *out = cop_jinja_undefined(J_WHY_UNSAFE, J_UNDEFINED, name);
        return COP_OK;
    }
    COP_TRY(own_attribute(r, object, name, out));
    if (out->kind != J_UNDEFINED || object.kind != J_DICT) return COP_OK;
    jvalue found;
    COP_TRY(own_item(r, object, cop_jinja_text(name), &found));
    if (found.kind != J_UNDEFINED) *out = found;
    return COP_OK;
}

cop_status cop_jinja_item(jrun *r, jvalue object, jvalue key, jvalue *out) {
    if (object.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, object);
    COP_TRY(own_item(r, object, key, out));
    if (out->kind != J_UNDEFINED || key.kind != J_TEXT) return COP_OK;
    return own_attribute(r, object, key.text, out);
}

// "a.b.0": each part is an item, a number where it is one.
cop_status cop_jinja_path(jrun *r, jvalue object, jvalue path, const jvalue *otherwise, jvalue *out) {
    int64_t number;
    *out = object;
    if (cop_jinja_integer(path, &number)) return cop_jinja_item(r, object, path, out);
    if (path.kind != J_TEXT) return cop_jinja_fail(r, COP_ERR_ARG, "an attribute of type %s, must be a text or a number", cop_jinja_type_name(path));
    const char *v = path.text->v, *end = v + path.text->n;
    for (bool more = true; more;) {
        const char *dot = memchr(v, '.', (size_t)(end - v));
        size_t n = (size_t)((dot ? dot : end) - v);
        jvalue key;
        COP_TRY(cop_jinja_view_text(r, v, n, &key));
        bool digits = n > 0 && n < 18;
        for (size_t i = 0; i < n; i++) digits = digits && v[i] >= '0' && v[i] <= '9';
        if (digits) {
            number = 0;
            for (size_t i = 0; i < n; i++) number = number * 10 + (v[i] - '0');
            key = cop_jinja_int(number);
        }
        COP_TRY(cop_jinja_item(r, *out, key, out));
        if (otherwise && otherwise->kind != J_NONE && out->kind == J_UNDEFINED) *out = *otherwise;
        more = dot;
        v = dot ? dot + 1 : end;
    }
    return COP_OK;
}

// ---- slices ----

static cop_status read_bound(jrun *r, jvalue v, int64_t otherwise, int64_t *out) {
    *out = otherwise;
    if (v.kind == J_NONE || cop_jinja_integer(v, out)) {
        if (v.kind == J_NONE) *out = otherwise;
        return COP_OK;
    }
    if (v.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, v);
    return cop_jinja_fail(r, COP_ERR_ARG, "a slice's bound of type %s, must be an integer", cop_jinja_type_name(v));
}

// Python's rules: negative bounds count from the end, then everything is cut to what is there.
static cop_status read_slice(jrun *r, const jvalue bounds[3], int64_t n, int64_t *start, int64_t *step, int64_t *count) {
    int64_t stop;
    COP_TRY(read_bound(r, bounds[2], 1, step));
    if (!*step) return cop_jinja_fail(r, COP_ERR_ARG, "a slice's step is 0");
    if (*step < -INT64_MAX) *step = -INT64_MAX;
    bool back = *step < 0;
    COP_TRY(read_bound(r, bounds[0], back ? INT64_MAX : 0, start));
    COP_TRY(read_bound(r, bounds[1], back ? INT64_MIN : INT64_MAX, &stop));
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    if (*start < 0) *start = *start + n < low ? low : *start + n;
    if (*start > high) *start = high;
    if (stop < 0) stop = stop == INT64_MIN || stop + n < low ? low : stop + n;
    if (stop > high) stop = high;
    if (back) *count = stop < *start ? (*start - stop - 1) / -*step + 1 : 0;
    else *count = *start < stop ? (stop - *start - 1) / *step + 1 : 0;
    return COP_OK;
}

static cop_status slice_text(jrun *r, jvalue text, int64_t start, int64_t step, int64_t count, jvalue *out) {
    const jtext *t = text.text;
    jbuffer b = {0};
    jlist *all;
    if (t->points == t->n || step == 1) {
        size_t from = cop_jinja_point_offset(t, (size_t)start);
        if (step == 1) {
            COP_TRY(cop_jinja_charge(r, t->n / 16));
            size_t to = count ? cop_jinja_point_offset(t, (size_t)(start + count)) : from;
            return cop_jinja_view_text(r, t->v + from, to - from, out);
        }
        for (int64_t i = 0; i < count; i++) COP_TRY(cop_jinja_put(r, &b, t->v + start + i * step, 1));
        return cop_jinja_buffer_text(r, &b, out);
    }
    COP_TRY(characters(r, t, &all));
    for (int64_t i = 0; i < count; i++) COP_TRY(cop_jinja_put_value(r, &b, all->v[start + i * step]));
    return cop_jinja_buffer_text(r, &b, out);
}

cop_status cop_jinja_slice(jrun *r, jvalue object, const jvalue bounds[3], jvalue *out) {
    int64_t start, step, count = 0;
    size_t n = 0;
    if (object.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, object);
    if (object.kind != J_TEXT && object.kind != J_LIST && object.kind != J_TUPLE && object.kind != J_RANGE)
        return cop_jinja_fail(r, COP_ERR_ARG, "a value of type %s cannot be sliced", cop_jinja_type_name(object));
    COP_TRY(cop_jinja_length(r, object, &n));
    COP_TRY(read_slice(r, bounds, (int64_t)n, &start, &step, &count));
    COP_TRY(cop_jinja_charge(r, (size_t)count));
    if (object.kind == J_TEXT) {
        COP_TRY(slice_text(r, object, start, step, count, out));
        out->markup = object.markup;
        return COP_OK;
    }
    if (object.kind == J_RANGE) {
        const jrange *from = object.range;
        COP_TRY(TAKE(&r->arena, out->range));
        out->kind = J_RANGE;
        *out->range = (jrange){.start = from->start + start * from->step, .step = from->step * step, .n = (size_t)count};
        out->range->stop = out->range->start + count * out->range->step;
        return COP_OK;
    }
    jlist *all, *l;
    COP_TRY(cop_jinja_elements(r, object, &all));
    COP_TRY(cop_jinja_new_list(r, (size_t)count, &l));
    for (int64_t i = 0; i < count; i++) COP_TRY(cop_jinja_push(r, l, all->v[start + i * step]));
    *out = cop_jinja_list(l, object.kind == J_TUPLE ? J_TUPLE : J_LIST);
    return COP_OK;
}
