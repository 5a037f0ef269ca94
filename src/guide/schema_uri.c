// References: RFC 3986 without network, JSON Pointers, anchors, and the official metaschemas.
#include "guide/schema_uri.h"

static size_t scheme_bytes(const char *u) {
    size_t i = 0;
    while ((u[i] >= 'a' && u[i] <= 'z') || (u[i] >= 'A' && u[i] <= 'Z') || (i && ((u[i] >= '0' && u[i] <= '9') || strchr("+-.", u[i]))))
        if (!u[i++]) return 0;
    return i && u[i] == ':' ? i + 1 : 0;
}

// Takes "." and ".." out of the path that begins at `path`.
static void remove_dots(char *path) {
    char *out = path, *in = path;
    while (*in) {
        if (!strncmp(in, "/./", 3)) {
            in += 2;
        } else if (!strcmp(in, "/.")) {
            in[1] = 0;
        } else if (!strncmp(in, "/../", 4) || !strcmp(in, "/..")) {
            in += 3;
            if (!*in) *--in = '/';
            while (out > path && *--out != '/') continue;
        } else {
            *out++ = *in++;
            while (*in && *in != '/') *out++ = *in++;
        }
    }
    *out = 0;
}

cop_status cop_schema_join(schema *s, const char *base, const char *reference, const char **out) {
    size_t keep = 0, n = strlen(reference);
    size_t scheme = scheme_bytes(base), path = scheme;
    if (scheme && base[scheme] == '/' && base[scheme + 1] == '/') path = scheme + 2 + strcspn(base + scheme + 2, "/");
    if (scheme_bytes(reference)) keep = 0, path = scheme_bytes(reference);
    else if (!n) keep = strlen(base);
    else if (reference[0] == '/' && reference[1] == '/') keep = scheme;
    else if (reference[0] == '/') keep = path;
    else {
        const char *last = strrchr(base + path, '/');
        keep = last ? (size_t)(last + 1 - base) : path;
    }
    char *joined = cop_schema_take(&s->mem, keep + n + 2);
    if (!joined) return COP_ERR_LIMIT;
    memcpy(joined, base, keep);
    size_t slash = keep && joined[keep - 1] != '/' && n && reference[0] != '/' && !scheme_bytes(reference) && path > scheme;
    if (slash) joined[keep] = '/';
    memcpy(joined + keep + slash, reference, n);
    if (!scheme_bytes(reference) && n && strchr(joined + (path <= keep ? path : 0), '/')) remove_dots(joined + (path <= keep ? path : 0));
    *out = joined;
    return COP_OK;
}

// One step of a JSON Pointer, ~ and % taken away. Returns the bytes read, 0 when it is malformed.
static size_t read_step(const char *p, char *out, size_t room) {
    size_t i = 0, n = 0;
    for (; p[i] && p[i] != '/'; i++) {
        unsigned c = (unsigned char)p[i];
        if (c == '%') {
            unsigned v = 0;
            for (int k = 1; k <= 2; k++) {
                char h = p[i + (size_t)k];
                if (h >= '0' && h <= '9') v = v * 16 + (unsigned)(h - '0');
                else if ((h | 32) >= 'a' && (h | 32) <= 'f') v = v * 16 + (unsigned)((h | 32) - 'a' + 10);
                else return SIZE_MAX;
            }
            c = v;
            i += 2;
        }
        if (n + 1 >= room) return SIZE_MAX;
        out[n++] = (char)c;
    }
    out[n] = 0;
    char *w = out;
    for (char *r = out; *r; r++)
        if (r[0] == '~' && (r[1] == '0' || r[1] == '1')) *w++ = *++r == '0' ? '~' : '/';
        else *w++ = *r;
    *w = 0;
    return i;
}

const char *cop_schema_pointer(schema *s, const char *parent, const char *key) {
    size_t n = strlen(parent), m = strlen(key);
    char *p = cop_schema_take(&s->mem, n + 2 * m + 2);
    if (!p) return parent;
    memcpy(p, parent, n);
    p[n++] = '/';
    for (size_t i = 0; i < m; i++) {
        if (key[i] == '~' || key[i] == '/') p[n++] = '~', p[n++] = key[i] == '~' ? '0' : '1';
        else p[n++] = key[i];
    }
    return p;
}

static uint32_t find_resource(const schema *s, const char *uri, size_t bytes) {
    for (uint32_t i = 0; i < s->resources.n; i++)
        if (strlen(s->resources.v[i].uri) == bytes && !memcmp(s->resources.v[i].uri, uri, bytes)) return i;
    return UINT32_MAX;
}

uint32_t cop_schema_resource_at(const schema *s, const json_t *j) {
    for (uint32_t i = 0; i < s->resources.n; i++)
        if (s->resources.v[i].root == j) return i;
    return UINT32_MAX;
}

const schema_anchor *cop_schema_anchor(const schema *s, uint32_t resource, const char *name) {
    for (const schema_anchor *a = s->resources.v[resource].anchors; a; a = a->next)
        if (!strcmp(a->name, name)) return a;
    return NULL;
}

static cop_status walk_pointer(schema *s, const char *fragment, schema_target *t) {
    char step[512];
    while (*fragment) {
        if (*fragment++ != '/') return cop_fail(COP_ERR_FORMAT, "no such anchor");
        size_t n = read_step(fragment, step, sizeof step);
        if (n == SIZE_MAX) return cop_fail(COP_ERR_FORMAT, "not a JSON Pointer");
        fragment += n;
        const json_t *next = NULL;
        if (json_is_object(t->j)) {
            next = json_object_get(t->j, step);
        } else if (json_is_array(t->j) && *step) {
            size_t i = 0;
            for (const char *c = step; *c && i < SCHEMA_MOST_VALUES; c++) i = *c >= '0' && *c <= '9' ? i * 10 + (size_t)(*c - '0') : SCHEMA_MOST_VALUES;
            next = json_array_get(t->j, i);
        }
        if (!next) return cop_fail(COP_ERR_FORMAT, "points to nothing");
        t->j = next;
        t->pointer = cop_schema_pointer(s, t->pointer, step);
        uint32_t r = json_is_object(next) ? cop_schema_resource_at(s, next) : UINT32_MAX;
        if (r != UINT32_MAX) t->resource = r;
    }
    return COP_OK;
}

static cop_status load_meta(schema *s, const char *uri, size_t bytes) {
    char name[256];
    if (bytes >= sizeof name) return cop_fail(COP_ERR_FORMAT, "nothing is known at that address");
    memcpy(name, uri, bytes);
    name[bytes] = 0;
    const char *text = cop_schema_meta(name);
    if (!text || s->n_made == (int)(sizeof s->made / sizeof *s->made)) return cop_fail(COP_ERR_FORMAT, "nothing is known at that address");
    json_t *j = json_loads(text, 0, NULL);
    if (!j) return cop_fail(COP_ERR_NOMEM, "schema: cannot allocate");
    s->made[s->n_made++] = j;
    return cop_schema_index(s, j, name);
}

cop_status cop_schema_resolve(schema *s, const schema_node *from, const char *reference, schema_target *t) {
    size_t n = strcspn(reference, "#");
    const char *fragment = reference[n] ? reference + n + 1 : "", *uri = s->resources.v[from->resource].uri;
    t->resource = from->resource;
    t->anchor = NULL;
    if (n) {
        char *head = cop_schema_take(&s->mem, n + 1);
        if (!head) return COP_ERR_LIMIT;
        memcpy(head, reference, n);
        COP_TRY(cop_schema_join(s, uri, head, &uri));
        t->resource = find_resource(s, uri, strlen(uri));
        if (t->resource == UINT32_MAX) {
            COP_TRY(load_meta(s, uri, strlen(uri)));
            t->resource = find_resource(s, uri, strlen(uri));
            if (t->resource == UINT32_MAX) return cop_fail(COP_ERR_FORMAT, "nothing is known at that address");
        }
    }
    t->j = s->resources.v[t->resource].root;
    t->pointer = s->resources.v[t->resource].pointer;
    if (*fragment && *fragment != '/') {
        t->anchor = cop_schema_anchor(s, t->resource, fragment);
        if (!t->anchor) return cop_fail(COP_ERR_FORMAT, "no such anchor");
        t->j = t->anchor->j;
        t->pointer = t->anchor->pointer;
        return COP_OK;
    }
    return walk_pointer(s, fragment, t);
}
