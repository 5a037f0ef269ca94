// Fuzzer of JSON Schema. The input is a schema, and behind a zero byte, when there is one, an instance. Whatever it is: no
// step leaves what it cannot end, a way to the end exists byte by byte and leads to a JSON text, and a checker agrees with it.
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "guide/language.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must_be_json(const char *text, size_t n) {
    json_error_t error;
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    // What jansson cannot hold: names with a zero, numbers and nesting beyond its own.
    enum json_error_code code = v ? json_error_unknown : json_error_code(&error);
    must(v || code == json_error_null_byte_in_key || code == json_error_numeric_overflow || code == json_error_stack_overflow);
    json_decref(v);
}

// From s to an end by symbols that lead nearer.
static void walk_to_end(cop_language *l, cop_guide_state s, char *text, size_t n, size_t room) {
    int32_t left = l->type->distance(l, s);
    must(left < COP_GUIDE_FAR || l->type->failed(l));
    while (left > 0 && n + 1 < room) {
        cop_guide_state nearer = COP_GUIDE_DEAD;
        for (int b = 0; b < 256 && !nearer; b++) {
            cop_guide_state next = l->type->step(l, s, b);
            if (l->type->failed(l)) return;
            if (!next || l->type->distance(l, next) >= left) continue;
            nearer = next;
            text[n++] = (char)b;
        }
        if (l->type->failed(l)) return;
        must(nearer);
        s = nearer;
        left = l->type->distance(l, s);
    }
    if (left) return;
    must(l->type->accepting(l, s));
    must_be_json(text, n);
}

static void read_instance(cop_language *l, const char *text, size_t bytes, bool plain) {
    static char written[1 << 14];
    cop_guide_state s = l->type->start(l);
    must(s || l->type->failed(l));
    size_t n = 0;
    for (; n < bytes && n < sizeof written / 2 && s; n++) {
        cop_guide_state next = l->type->step(l, s, (unsigned char)text[n]);
        if (!next) break;
        s = next;
        written[n] = text[n];
        if (l->type->accepting(l, s)) must_be_json(text, n + 1);
    }
    if (l->type->failed(l)) return;
    if (s && plain) walk_to_end(l, l->type->keep(l, s), written, n, sizeof written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *text = (const char *)data, *zero = bytes ? memchr(text, 0, bytes) : NULL;
    size_t n = zero ? (size_t)(zero - text) : bytes;
    for (int checker = 0; checker < 2; checker++) {
        cop_schema_options o = cop_schema_defaults();
        o.checker = checker;
        o.any_order = bytes & 1;
        cop_language *l;
        cop_status st = cop_language_json_schema(&l, text, n, &o, NULL, NULL);
        if (st) {
            must(st == COP_ERR_FORMAT || st == COP_ERR_LIMIT || st == COP_ERR_UNSUPPORTED);
            must(!strpbrk(cop_error_text(), "\n\r\t"));
            continue;
        }
        read_instance(l, zero ? zero + 1 : "", zero ? bytes - n - 1 : 0, !checker);
        l->type->close(l);
    }
    return 0;
}
