// JSON from outside: size, depth and number of values are bounded before anything is built.
// jansson parses and holds the values; what is here is the door.
#ifndef COP_BASE_JSON_H
#define COP_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cop_json_limits {
    size_t bytes;   // of the text
    size_t values;  // texts, numbers, objects, arrays; each takes up to about 100 bytes of memory
    int depth;      // of objects and arrays in one another
} cop_json_limits;

/* Parse text[0..bytes), which must be one object without duplicate keys and be UTF-8. The caller owns *out.
 * COP_ERR_FORMAT says the line, COP_ERR_LIMIT which limit, COP_ERR_NOMEM. */
cop_status cop_json_parse(json_t **out, const char *text, size_t bytes, const cop_json_limits *limits);

/* The same, more widely: texts may hold \u0000, and integers beyond 64 bits make all of them the nearest reals. */
cop_status cop_json_parse_wide(json_t **out, const char *text, size_t bytes, const cop_json_limits *limits);

/* The same for a file; errors end with its path. */
cop_status cop_json_read(json_t **out, const char *path, const cop_json_limits *limits);

/* Members of an object, with `fallback` when the key is missing or null. A value of another kind or out
 * of range is COP_ERR_FORMAT and names the key. An integer may be written as 3.0. Texts are borrowed. */
cop_status cop_json_int(const json_t *object, const char *key, int64_t fallback, int64_t low, int64_t high, int64_t *out);
cop_status cop_json_number(const json_t *object, const char *key, double fallback, double *out);
cop_status cop_json_bool(const json_t *object, const char *key, bool fallback, bool *out);
cop_status cop_json_text(const json_t *object, const char *key, const char *fallback, const char **out);

/* The text of a value, NUL-terminated; caller frees it with cop_free. flags: jansson's. Unlike json_dumps, which loses a
 * key when its buffer cannot grow, it is whole or COP_ERR_NOMEM. */
cop_status cop_json_dump(char **text, size_t *bytes, const json_t *value, size_t flags);

/* The member, or NULL when it is missing, null, or `object` is NULL. */
json_t *cop_json_member(const json_t *object, const char *key);

#endif
