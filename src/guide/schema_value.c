// Equal JSON values get equal texts: numbers as digits and an exponent, strings decoded, members sorted. And names as JSON.
#include <stdlib.h>

#include "guide/schema_frame.h"

typedef COP_ARRAY(char) text_array;

typedef struct reader {
    const char *p, *end;
    text_array out;
    cop_status st;
} reader;

static void put(reader *r, const char *v, size_t n) {
    for (size_t i = 0; i < n && !r->st; i++) r->st = cop_array_push(&r->out, v[i]);
}

static void skip_space(reader *r) {
    while (r->p < r->end && strchr(" \t\r\n", *r->p)) r->p++;
}

static void read_string(reader *r) {
    const char *from = r->p++;
    while (r->p < r->end && *r->p != '"') r->p += *r->p == '\\' ? 2 : 1;
    r->p++;
    json_t *v = r->p <= r->end ? json_loadb(from, (size_t)(r->p - from), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    uint32_t n = (uint32_t)json_string_length(v);
    put(r, "s", 1);
    put(r, (const char *)&n, sizeof n);
    if (v) put(r, json_string_value(v), n);
    else r->st = COP_ERR_NOMEM;
    json_decref(v);
}

static void read_number(reader *r) {
    const char *from = r->p;
    while (r->p < r->end && strchr("+-.eE0123456789", *r->p)) r->p++;
    schema_arena mem = {.most = 1 << 20};
    schema_dec d;
    r->st = cop_schema_dec_read(&mem, &d, from, (size_t)(r->p - from));
    if (!r->st) {
        put(r, d.negative ? "n-" : "n+", 2);
        put(r, (const char *)&d.exponent, sizeof d.exponent);
        put(r, (const char *)&d.n, sizeof d.n);
        put(r, d.digits, (size_t)d.n);
    }
    cop_schema_arena_fini(&mem);
}

typedef struct part {
    size_t from, bytes;
} part;

static int compare_parts(const void *a, const void *b, void *base) {
    const part *x = a, *y = b;
    int c = memcmp((char *)base + x->from, (char *)base + y->from, x->bytes < y->bytes ? x->bytes : y->bytes);
    return c ? c : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static void read_value(reader *r, int depth);

// Members one behind the other, then sorted, in place.
static void read_members(reader *r, int depth) {
    COP_ARRAY(part) parts = {.most = 1u << 24};
    size_t start = r->out.n;
    for (r->p++, skip_space(r); r->p < r->end && *r->p != '}' && !r->st; skip_space(r)) {
        part one = {r->out.n - start, 0};
        if (*r->p == ',') {
            r->p++;
            continue;
        }
        read_string(r);
        skip_space(r);
        r->p++;  // the colon
        read_value(r, depth + 1);
        one.bytes = r->out.n - start - one.from;
        if (!r->st) r->st = cop_array_push(&parts, one);
    }
    r->p++;
    size_t bytes = r->out.n - start;
    char *copy = r->st ? NULL : cop_alloc(bytes + 1);
    if (copy && bytes) {
        memcpy(copy, r->out.v + start, bytes);
        qsort_r(parts.v, parts.n, sizeof *parts.v, compare_parts, copy);
        r->out.n = start;
        for (size_t i = 0; i < parts.n; i++) put(r, copy + parts.v[i].from, parts.v[i].bytes);
    }
    cop_free(copy);
    cop_array_fini(&parts);
    put(r, "}", 1);
}

static void read_value(reader *r, int depth) {
    skip_space(r);
    if (r->st || r->p >= r->end || depth > SCHEMA_MOST_NESTING + 2) return;
    switch (*r->p) {
    case '"': read_string(r); return;
    case '{':
        put(r, "{", 1);
        read_members(r, depth);
        return;
    case '[':
        put(r, "[", 1);
        for (r->p++, skip_space(r); r->p < r->end && *r->p != ']' && !r->st; skip_space(r)) {
            if (*r->p == ',') r->p++;
            else read_value(r, depth + 1);
        }
        r->p++;
        put(r, "]", 1);
        return;
    case 't':
    case 'f':
    case 'n':
        put(r, r->p, 1);
        put(r, "l", 1);
        r->p += *r->p == 'f' ? 5 : 4;
        return;
    default: read_number(r);
    }
}

uint32_t cop_schema_canonical(schema_text *t, const char *json, size_t bytes) {
    reader r = {.p = json, .end = json + bytes, .out.most = SCHEMA_MOST_BYTES};
    uint32_t id = 0;
    read_value(&r, 0);
    while (!r.st && r.out.n % 4) put(&r, "", 1);
    uint32_t *words = r.st ? NULL : cop_alloc(r.out.n + 4);
    if (words) {
        words[0] = (uint32_t)r.out.n;
        if (r.out.n) memcpy(words + 1, r.out.v, r.out.n);
        id = cop_schema_words(t, words, (uint32_t)(r.out.n / 4 + 1));
    }
    cop_free(words);
    if (r.st) cop_schema_fail(t, cop_fail(COP_ERR_LIMIT, "schema: an item of more than %u bytes", SCHEMA_MOST_BYTES));
    cop_array_fini(&r.out);
    return id;
}

const char *cop_schema_spell(schema_arena *mem, const char *name, size_t bytes, uint32_t *spelt_bytes) {
    static const char short_names[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    char *out = cop_schema_take(mem, bytes * 6 + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < bytes; i++) {
        unsigned char c = (unsigned char)name[i];
        const char *at = c ? strchr(short_names, c) : NULL;
        if (at) {
            out[n++] = '\\';
            out[n++] = letters[at - short_names];
        } else if (c < 0x20 || c == 0x7f) {
            memcpy(out + n, c == 0x7f ? "\x7f" : "\\u00", c == 0x7f ? 1 : 4);
            n += c == 0x7f ? 1 : 4;
            if (c != 0x7f) out[n++] = "01"[c >> 4], out[n++] = "0123456789abcdef"[c & 15];
        } else {
            out[n++] = (char)c;
        }
    }
    *spelt_bytes = (uint32_t)n;
    return out;
}
