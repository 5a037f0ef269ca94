// Keys of a GGUF file in order, and their values as one printable line each.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/gguf_private.h"

size_t cop_gguf_n_keys(const cop_gguf *g) { return g->n_values; }

void cop_gguf_key(const cop_gguf *g, size_t i, cop_gguf_entry *out) {
    *out = (cop_gguf_entry){.name = "", .type = COP_GGUF_NONE, .array.type = COP_GGUF_NONE};
    if (i >= g->n_values) return;
    const cop_gguf_value *v = &g->values[i];
    *out = (cop_gguf_entry){.name = v->name, .name_bytes = v->name_bytes, .type = v->type, .array = v->array};
}

// A line of limited length: what does not fit whole is left out and the line ends with "...".
typedef struct line {
    char *text;
    size_t n, room;  // room leaves space for "..." and the NUL
    bool full;
} line;

__attribute__((format(printf, 2, 3))) static void put(line *l, const char *fmt, ...) {
    char piece[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(piece, sizeof piece, fmt, args);
    va_end(args);
    if (l->full || n < 0) return;
    if ((size_t)n >= sizeof piece || (size_t)n > l->room - l->n) {
        l->full = true;
        memcpy(l->text + l->n, "...", 4);
        return;
    }
    memcpy(l->text + l->n, piece, (size_t)n + 1);
    l->n += (size_t)n;
}

static void put_text(line *l, const char *text, size_t bytes) {
    put(l, "\"");
    for (size_t i = 0; i < bytes && !l->full; i++) {
        unsigned char b = (unsigned char)text[i];
        if (b == '"' || b == '\\') put(l, "\\%c", b);
        else if (b == '\n') put(l, "\\n");
        else if (b < 0x20 || b > 0x7e) put(l, "\\x%02x", b);
        else put(l, "%c", b);
    }
    put(l, "\"");
}

static void put_element(line *l, const cop_gguf_array *a, size_t i) {
    size_t bytes;
    const char *text;
    switch (a->type) {
    case COP_GGUF_TEXT:
        text = cop_gguf_text(a, i, &bytes);
        put_text(l, text, bytes);
        break;
    case COP_GGUF_F32: put(l, "%.9g", cop_gguf_float(a, i)); break;
    case COP_GGUF_F64: put(l, "%.17g", cop_gguf_float(a, i)); break;
    case COP_GGUF_BOOL: put(l, cop_gguf_int(a, i) ? "true" : "false"); break;
    case COP_GGUF_U64: put(l, "%llu", (unsigned long long)cop_gguf_int(a, i)); break;
    default: put(l, "%lld", (long long)cop_gguf_int(a, i)); break;
    }
}

void cop_gguf_print(const cop_gguf *g, size_t i, char *text, size_t bytes) {
    if (!bytes) return;
    text[0] = '\0';
    if (i >= g->n_values || bytes < 8) return;
    line l = {.text = text, .room = bytes - 4};
    const cop_gguf_value *v = &g->values[i];
    if (v->type == COP_GGUF_TEXT) {
        put_text(&l, (const char *)v->data, v->bytes);
    } else if (v->type == COP_GGUF_ARRAY) {
        put(&l, "%zu %s:", v->array.n, cop_gguf_type_name(v->array.type));
        for (size_t k = 0; k < v->array.n && !l.full; k++) {
            put(&l, k ? ", " : " ");
            put_element(&l, &v->array, k);
        }
    } else {  // a number is an array of one
        put_element(&l, &(cop_gguf_array){.type = v->type, .n = 1, .data = v->data}, 0);
    }
}
