// Values of the template interpreter: memory, texts, lists, dicts, and what equal, less and true mean.
// Nothing is freed before the end of a rendering; appending to the newest text or list is amortised.
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "text/jinja_private.h"
#include "text/utf8.h"

#define CHUNK ((size_t)64 << 10)
#define FEW 8  // entries of a dict that need no index

struct jchunk {
    jchunk *next;
    size_t used, bytes;
    char pad[40];  // what follows is aligned as the block is
};

cop_status cop_jinja_take(jarena *arena, size_t bytes, void **out) {
    size_t rounded = (bytes + 15) & ~(size_t)15, whole;
    jchunk *c = arena->chunks;
    if (rounded < bytes || !cop_add_size(rounded, sizeof *c, &whole)) return cop_fail(COP_ERR_LIMIT, "chat template: size overflows");
    if (!c || rounded > c->bytes - c->used) {
        if (whole < CHUNK) whole = CHUNK;
        if (whole > arena->most - arena->total)
            return cop_fail(COP_ERR_LIMIT, "chat template, line %u: more than %zu KiB of memory", arena->line ? *arena->line : 1, arena->most >> 10);
        jchunk *made = cop_alloc(whole);
        if (!made) return cop_fail(COP_ERR_NOMEM, "chat template: cannot allocate %zu bytes", whole);
        arena->total += whole;
        made->bytes = whole - sizeof *made;
        made->next = c;
        bool keep = c && rounded > CHUNK / 4;  // a large block of its own: the half-full chunk stays in use
        if (keep) {
            made->next = c->next;
            c->next = made;
        } else {
            arena->chunks = made;
        }
        c = made;
    }
    *out = (char *)(c + 1) + c->used;
    c->used += rounded;
    return COP_OK;
}

void cop_jinja_arena_fini(jarena *arena) {
    for (jchunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        cop_free(c);
    }
    arena->chunks = NULL;
    arena->total = 0;
}

static const char *undefined_owner(jvalue v) {
    return v.owner == J_NONE ? "None" : cop_jinja_type_name((jvalue){.kind = v.owner});
}

cop_status cop_jinja_fail(const jrun *r, cop_status status, const char *fmt, ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127) *c = ' ';
    return cop_fail(status, "chat template, line %u: %s", r->line, text);
}

cop_status cop_jinja_fail_undefined(const jrun *r, jvalue v) {
    int n = !v.text ? 0 : v.text->n > 60 ? 60 : (int)v.text->n;
    const char *name = v.text ? v.text->v : "";
    switch ((jwhy)v.why) {
    case J_WHY_ATTRIBUTE: return cop_jinja_fail(r, COP_ERR_ARG, "%s has no attribute '%.*s'", undefined_owner(v), n, name);
    case J_WHY_ELEMENT: return cop_jinja_fail(r, COP_ERR_ARG, "%s has no element %.*s", undefined_owner(v), n, name);
    case J_WHY_UNSAFE: return cop_jinja_fail(r, COP_ERR_ARG, "access to '%.*s' of %s is not allowed", n, name, undefined_owner(v));
    case J_WHY_CONDITION: return cop_jinja_fail(r, COP_ERR_ARG, "the condition is false and there is no else");
    case J_WHY_EMPTY: return cop_jinja_fail(r, COP_ERR_ARG, "the sequence is empty");
    case J_WHY_PARAMETER: return cop_jinja_fail(r, COP_ERR_ARG, "parameter '%.*s' was not given", n, name);
    default: return cop_jinja_fail(r, COP_ERR_ARG, "'%.*s' is undefined", n, name);
    }
}

cop_status cop_jinja_charge(jrun *r, size_t n) {
    if (n > (size_t)(r->options->max_steps - r->steps))
        return cop_jinja_fail(r, COP_ERR_LIMIT, "more than %lld steps", (long long)r->options->max_steps);
    r->steps += (int64_t)n;
    return COP_OK;
}

const char *cop_jinja_type_name(jvalue v) {
    static const char *const names[] = {"Undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple", "dict", "range", "dict_keys",
                                        "dict_values", "dict_items", "generator", "Namespace", "Macro", "method", "function", "LoopContext",
                                        "Joiner", "Cycler"};
    return names[v.kind];
}

// ---- texts ----

bool cop_jinja_is_blank(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t cop_jinja_count_points(const char *v, size_t n) {
    size_t points = 0;
    for (size_t i = 0; i < n; i++) points += ((uint8_t)v[i] & 0xC0) != 0x80;
    return points;
}

size_t cop_jinja_point_offset(const jtext *t, size_t point) {
    if (t->points == t->n) return point;
    size_t i = 0;
    for (; i < t->n; i++)
        if (((uint8_t)t->v[i] & 0xC0) != 0x80 && point-- == 0) break;
    return i;
}

cop_status cop_jinja_view_text(jrun *r, const char *v, size_t n, jvalue *out) {
    if (n == 1 && (uint8_t)v[0] < 128) {
        *out = cop_jinja_text(&r->ascii[(uint8_t)v[0]]);
        return COP_OK;
    }
    jtext *t;
    COP_TRY(cop_jinja_charge(r, n / 16));
    COP_TRY(TAKE(&r->arena, t));
    *t = (jtext){.v = v, .n = n, .points = cop_jinja_count_points(v, n)};
    *out = cop_jinja_text(t);
    return COP_OK;
}

cop_status cop_jinja_new_text(jrun *r, const char *v, size_t n, jvalue *out) {
    void *copy;
    COP_TRY(cop_jinja_take(&r->arena, n, &copy));
    if (n) memcpy(copy, v, n);
    return cop_jinja_view_text(r, copy, n, out);
}

cop_status cop_jinja_put(jrun *r, jbuffer *b, const char *text, size_t bytes) {
    COP_TRY(cop_jinja_charge(r, bytes / 16));
    if (bytes > b->cap - b->used) {
        size_t cap = b->cap ? b->cap * 2 : 64;
        if (cap < b->used + bytes) cap = b->used + bytes;
        void *grown;
        COP_TRY(cop_jinja_take(&r->arena, cap, &grown));
        if (b->used) memcpy(grown, b->v, b->used);
        b->v = grown;
        b->cap = cap;
    }
    if (bytes) memcpy(b->v + b->used, text, bytes);
    b->used += bytes;
    return COP_OK;
}

cop_status cop_jinja_put_text(jrun *r, jbuffer *b, const char *text) { return cop_jinja_put(r, b, text, strlen(text)); }

cop_status cop_jinja_put_point(jrun *r, jbuffer *b, uint32_t c) {
    char to[4];
    if (c < 0x80) {
        to[0] = (char)c;
        return cop_jinja_put(r, b, to, 1);
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(c | (n == 2 ? 0xC0u : n == 3 ? 0xE0u : 0xF0u));
    return cop_jinja_put(r, b, to, n);
}

cop_status cop_jinja_buffer_text(jrun *r, jbuffer *b, jvalue *out) { return cop_jinja_view_text(r, b->v ? b->v : "", b->used, out); }

// A sum of texts keeps the room that its buffer has left; the next sum that begins with it uses that.
cop_status cop_jinja_join_texts(jrun *r, const jtext *a, const jtext *b, jvalue *out) {
    jtext *t;
    COP_TRY(TAKE(&r->arena, t));
    jbuffer *buffer = a->buffer;
    bool newest = buffer && buffer->used == a->n;
    if (!newest) {
        COP_TRY(TAKE(&r->arena, buffer));
        void *v;
        size_t cap = a->n + b->n;
        COP_TRY(cop_jinja_take(&r->arena, cap, &v));
        buffer->v = v;
        buffer->cap = cap;
        COP_TRY(cop_jinja_put(r, buffer, a->v, a->n));
    }
    COP_TRY(cop_jinja_put(r, buffer, b->v, b->n));
    *t = (jtext){.v = buffer->v, .n = a->n + b->n, .points = a->points + b->points, .buffer = buffer};
    *out = cop_jinja_text(t);
    return COP_OK;
}

// ---- lists ----

cop_status cop_jinja_new_list(jrun *r, size_t cap, jlist **out) {
    jlist *l;
    void *v = NULL;
    size_t bytes;
    if (!cop_mul_size(cap, sizeof(jvalue), &bytes)) return cop_jinja_fail(r, COP_ERR_LIMIT, "the list is too long");
    COP_TRY(TAKE(&r->arena, l));
    if (cap) COP_TRY(cop_jinja_take(&r->arena, bytes, &v));
    *l = (jlist){.v = v, .cap = cap};
    *out = l;
    return COP_OK;
}

cop_status cop_jinja_push(jrun *r, jlist *l, jvalue v) {
    COP_TRY(cop_jinja_charge(r, 1));
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        void *grown;
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *l->v, &grown));
        if (l->n) memcpy(grown, l->v, l->n * sizeof *l->v);
        l->v = grown;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return COP_OK;
}

// ---- dicts ----

static uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15u;
    x ^= x >> 29;
    return x * 0xBF58476D1CE4E5B9u;
}

// Equal values have equal hashes: 1, 1.0 and true are one key.
static cop_status hash(jrun *r, jvalue v, uint64_t *out) {
    double number;
    if (cop_jinja_number(v, &number)) {
        int64_t i = number >= -9e18 && number <= 9e18 ? (int64_t)number : 0;
        *out = mix((uint64_t)i + 1);
        return COP_OK;
    }
    switch (v.kind) {
    case J_NONE: case J_UNDEFINED: *out = 7; return COP_OK;
    case J_TEXT: {
        uint64_t h = 0xCBF29CE484222325u;
        COP_TRY(cop_jinja_charge(r, v.text->n / 16));
        for (size_t i = 0; i < v.text->n; i++) h = (h ^ (uint8_t)v.text->v[i]) * 0x100000001B3u;
        *out = mix(h);
        return COP_OK;
    }
    case J_TUPLE: {
        uint64_t h = 11, part;
        if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply");
        COP_TRY(cop_jinja_charge(r, v.list->n));
        for (size_t i = 0; i < v.list->n; i++) {
            COP_TRY(hash(r, v.list->v[i], &part));
            h = mix(h ^ part);
        }
        r->depth--;
        *out = h;
        return COP_OK;
    }
    case J_LIST: case J_DICT: return cop_jinja_fail(r, COP_ERR_ARG, "a %s cannot be a key", cop_jinja_type_name(v));
    default: *out = mix((uint64_t)(uintptr_t)v.list); return COP_OK;
    }
}

cop_status cop_jinja_new_dict(jrun *r, jdict **out) { return TAKE(&r->arena, *out); }

// Place of a key in d->v, or SIZE_MAX.  *slot: where its index entry is or would be.
static cop_status find(jrun *r, const jdict *d, jvalue key, size_t *at, size_t *slot) {
    bool same;
    uint64_t h;
    *at = SIZE_MAX;
    COP_TRY(hash(r, key, &h));
    if (!d->slots) {
        for (size_t i = 0; i < d->n; i++) {
            COP_TRY(cop_jinja_equal(r, d->v[i].key, key, &same));
            if (!same) continue;
            *at = i;
            break;
        }
        return COP_OK;
    }
    for (*slot = h & (d->n_slots - 1); d->slots[*slot]; *slot = (*slot + 1) & (d->n_slots - 1)) {
        size_t i = d->slots[*slot] - 1;
        COP_TRY(cop_jinja_equal(r, d->v[i].key, key, &same));
        if (!same) continue;
        *at = i;
        return COP_OK;
    }
    return COP_OK;
}

static cop_status build_index(jrun *r, jdict *d) {
    void *slots;
    size_t n = d->cap * 4;  // at most a quarter full
    COP_TRY(cop_jinja_take(&r->arena, n * sizeof *d->slots, &slots));
    d->slots = slots;
    d->n_slots = n;
    COP_TRY(cop_jinja_charge(r, d->n));
    for (size_t i = 0; i < d->n; i++) {
        uint64_t h;
        COP_TRY(hash(r, d->v[i].key, &h));
        size_t slot = h & (n - 1);
        while (d->slots[slot]) slot = (slot + 1) & (n - 1);
        d->slots[slot] = (uint32_t)i + 1;
    }
    return COP_OK;
}

cop_status cop_jinja_dict_set(jrun *r, jdict *d, jvalue key, jvalue value) {
    size_t at, slot = 0;
    COP_TRY(cop_jinja_charge(r, 1));
    COP_TRY(find(r, d, key, &at, &slot));
    if (at != SIZE_MAX) {
        d->v[at].value = value;
        return COP_OK;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        void *grown;
        if (cap > (size_t)1 << 24) return cop_jinja_fail(r, COP_ERR_LIMIT, "a dict of more than %d entries", 1 << 23);
        COP_TRY(cop_jinja_take(&r->arena, cap * sizeof *d->v, &grown));
        if (d->n) memcpy(grown, d->v, d->n * sizeof *d->v);
        d->v = grown;
        d->cap = cap;
        if (cap > FEW) COP_TRY(build_index(r, d));
        if (d->slots) COP_TRY(find(r, d, key, &at, &slot));
    }
    d->v[d->n++] = (jpair){key, value};
    if (d->slots) d->slots[slot] = (uint32_t)d->n;
    return COP_OK;
}

cop_status cop_jinja_dict_get(jrun *r, const jdict *d, jvalue key, const jvalue **out) {
    size_t at, slot;
    COP_TRY(cop_jinja_charge(r, 1));
    COP_TRY(find(r, d, key, &at, &slot));
    *out = at == SIZE_MAX ? NULL : &d->v[at].value;
    return COP_OK;
}

cop_status cop_jinja_dict_find(jrun *r, const jdict *d, const char *name, size_t bytes, const jvalue **out) {
    jtext text = {.v = name, .n = bytes};
    return cop_jinja_dict_get(r, d, cop_jinja_text(&text), out);
}

// ---- comparing ----

bool cop_jinja_number(jvalue v, double *out) {
    *out = v.kind == J_BOOL ? v.b : v.kind == J_INT ? (double)v.i : v.f;
    return v.kind == J_BOOL || v.kind == J_INT || v.kind == J_FLOAT;
}

bool cop_jinja_integer(jvalue v, int64_t *out) {
    *out = v.kind == J_BOOL ? v.b : v.i;
    return v.kind == J_BOOL || v.kind == J_INT;
}

static cop_status equal_lists(jrun *r, const jlist *a, const jlist *b, bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) COP_TRY(cop_jinja_equal(r, a->v[i], b->v[i], out));
    return COP_OK;
}

static cop_status equal_dicts(jrun *r, const jdict *a, const jdict *b, bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out; i++) {
        const jvalue *other;
        COP_TRY(cop_jinja_dict_get(r, b, a->v[i].key, &other));
        if (other) COP_TRY(cop_jinja_equal(r, a->v[i].value, *other, out));
        else *out = false;
    }
    return COP_OK;
}

static cop_status equal_deep(jrun *r, jvalue a, jvalue b, bool *out) {
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply");
    if (a.kind == J_DICT) COP_TRY(equal_dicts(r, a.dict, b.dict, out));
    else COP_TRY(equal_lists(r, a.list, b.list, out));
    r->depth--;
    return COP_OK;
}

cop_status cop_jinja_equal(jrun *r, jvalue a, jvalue b, bool *out) {
    double x, y;
    COP_TRY(cop_jinja_charge(r, 1));
    if (cop_jinja_number(a, &x) && cop_jinja_number(b, &y)) {
        int64_t i, j;
        *out = cop_jinja_integer(a, &i) && cop_jinja_integer(b, &j) ? i == j : x == y;
        return COP_OK;
    }
    *out = false;
    if (a.kind != b.kind) return COP_OK;
    switch (a.kind) {
    case J_UNDEFINED: case J_NONE: *out = true; return COP_OK;
    case J_TEXT:
        *out = a.text->n == b.text->n && (a.text->v == b.text->v || !memcmp(a.text->v, b.text->v, a.text->n));
        return cop_jinja_charge(r, a.text->n / 16);
    case J_LIST: case J_TUPLE: case J_DICT: return equal_deep(r, a, b, out);
    case J_RANGE:
        *out = a.range->n == b.range->n && (!a.range->n || (a.range->start == b.range->start && (a.range->n == 1 || a.range->step == b.range->step)));
        return COP_OK;
    case J_METHOD: *out = a.method->method == b.method->method && a.method->self.list == b.method->self.list; return COP_OK;
    default: *out = a.list == b.list; return COP_OK;
    }
}

static cop_status order_lists(jrun *r, jvalue a, jvalue b, const char *op, int *out) {
    if (++r->depth > COP_JINJA_MOST_DEPTH) return cop_jinja_fail(r, COP_ERR_LIMIT, "nested too deeply");
    for (size_t i = 0; i < a.list->n && i < b.list->n; i++) {
        bool same;
        COP_TRY(cop_jinja_equal(r, a.list->v[i], b.list->v[i], &same));
        if (same) continue;
        COP_TRY(cop_jinja_order(r, a.list->v[i], b.list->v[i], op, out));
        r->depth--;
        return COP_OK;
    }
    r->depth--;
    *out = (a.list->n > b.list->n) - (a.list->n < b.list->n);
    return COP_OK;
}

cop_status cop_jinja_order(jrun *r, jvalue a, jvalue b, const char *op, int *out) {
    double x, y;
    int64_t i, j;
    COP_TRY(cop_jinja_charge(r, 1));
    if (cop_jinja_integer(a, &i) && cop_jinja_integer(b, &j)) {
        *out = (i > j) - (i < j);
        return COP_OK;
    }
    if (cop_jinja_number(a, &x) && cop_jinja_number(b, &y)) {
        *out = x != x || y != y ? 2 : (x > y) - (x < y);
        return COP_OK;
    }
    if (a.kind == J_TEXT && b.kind == J_TEXT) {  // the order of UTF-8 bytes is that of code points
        size_t n = a.text->n < b.text->n ? a.text->n : b.text->n;
        int d = n ? memcmp(a.text->v, b.text->v, n) : 0;
        *out = d ? (d > 0) - (d < 0) : (a.text->n > b.text->n) - (a.text->n < b.text->n);
        return cop_jinja_charge(r, n / 16);
    }
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) return order_lists(r, a, b, op, out);
    if (a.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, a);
    if (b.kind == J_UNDEFINED) return cop_jinja_fail_undefined(r, b);
    return cop_jinja_fail(r, COP_ERR_ARG, "%s between %s and %s has no meaning", op, cop_jinja_type_name(a), cop_jinja_type_name(b));
}

cop_status cop_jinja_truth(jrun *r, jvalue v, bool *out) {
    (void)r;
    switch (v.kind) {
    case J_UNDEFINED: case J_NONE: *out = false; break;
    case J_BOOL: *out = v.b; break;
    case J_INT: *out = v.i != 0; break;
    case J_FLOAT: *out = v.f != 0; break;
    case J_TEXT: *out = v.text->n > 0; break;
    case J_LIST: case J_TUPLE: *out = v.list->n > 0; break;
    case J_DICT: case J_KEYS: case J_VALUES: case J_ITEMS: *out = v.dict->n > 0; break;
    case J_RANGE: *out = v.range->n > 0; break;
    default: *out = true;
    }
    return COP_OK;
}
