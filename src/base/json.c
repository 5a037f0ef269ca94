#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

// One pass over the text, before jansson sees it: its parser recurses and allocates per value.
static cop_status check_limits(const char *text, size_t bytes, const cop_json_limits *limits) {
    if (bytes > limits->bytes) return cop_fail(COP_ERR_LIMIT, "JSON of %zu bytes, at most %zu", bytes, limits->bytes);
    size_t values = 1;
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (in_text) {
            if (c == '\\') i++;
            else if (c == '"') in_text = false;
            continue;
        }
        if (c == '"') in_text = true;
        else if (c == ',' || c == ':' || c == '[') values++;
        if ((c == '[' || c == '{') && ++depth > limits->depth)
            return cop_fail(COP_ERR_LIMIT, "JSON nested deeper than %d at byte %zu", limits->depth, i);
        if (c == ']' || c == '}') depth--;
        if (values > limits->values) return cop_fail(COP_ERR_LIMIT, "JSON of more than %zu values", limits->values);
    }
    return COP_OK;
}

// jansson quotes what it was reading, which may hold anything.
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e) *text = '?';
}

static cop_status parse(json_t **out, const char *text, size_t bytes, const cop_json_limits *limits, bool wide) {
    *out = NULL;
    COP_TRY(check_limits(text, bytes, limits));
    json_error_t error = {.text = ""};  // without memory it may stay as it is
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | (wide ? JSON_ALLOW_NUL : 0);
    json_t *v = json_loadb(text, bytes, flags, &error);
    if (!v && wide && json_error_code(&error) == json_error_numeric_overflow)
        v = json_loadb(text, bytes, flags | JSON_DECODE_INT_AS_REAL, &error);
    if (!v) {
        if (json_error_code(&error) == json_error_out_of_memory || !*error.text) return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
        make_printable(error.text);
        return cop_fail(COP_ERR_FORMAT, "JSON, line %d: %.120s", error.line, error.text);
    }
    if (!json_is_object(v)) {
        json_decref(v);
        return cop_fail(COP_ERR_FORMAT, "JSON: not an object");
    }
    *out = v;
    return COP_OK;
}

cop_status cop_json_parse(json_t **out, const char *text, size_t bytes, const cop_json_limits *limits) {
    return parse(out, text, bytes, limits, false);
}

cop_status cop_json_parse_wide(json_t **out, const char *text, size_t bytes, const cop_json_limits *limits) {
    return parse(out, text, bytes, limits, true);
}

cop_status cop_json_read(json_t **out, const char *path, const cop_json_limits *limits) {
    *out = NULL;
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, limits->bytes, &text, &bytes));
    cop_status st = cop_json_parse(out, text, bytes, limits);
    if (st) cop_fail_note("%s", path);
    cop_free(text);
    return st;
}

json_t *cop_json_member(const json_t *object, const char *key) {
    json_t *v = object ? json_object_get(object, key) : NULL;
    return json_is_null(v) ? NULL : v;
}

static cop_status fail_kind(const char *key, const json_t *v, const char *want) {
    static const char *const kinds[] = {"an object", "an array", "a text", "an integer", "a number", "true", "false", "null"};
    return cop_fail(COP_ERR_FORMAT, "%s: %s, need %s", key, kinds[json_typeof(v)], want);
}

cop_status cop_json_int(const json_t *object, const char *key, int64_t fallback, int64_t low, int64_t high, int64_t *out) {
    const json_t *v = cop_json_member(object, key);
    int64_t n = fallback;
    if (json_is_integer(v)) {
        n = json_integer_value(v);
    } else if (json_is_real(v)) {
        double d = json_real_value(v);
        if (!(fabs(d) < 9e15) || d != floor(d)) return cop_fail(COP_ERR_FORMAT, "%s: %g, need an integer", key, d);
        n = (int64_t)d;
    } else if (v) {
        return fail_kind(key, v, "an integer");
    }
    if (v && (n < low || n > high))
        return cop_fail(COP_ERR_FORMAT, "%s: %lld, need %lld to %lld", key, (long long)n, (long long)low, (long long)high);
    *out = n;
    return COP_OK;
}

cop_status cop_json_number(const json_t *object, const char *key, double fallback, double *out) {
    const json_t *v = cop_json_member(object, key);
    if (v && !json_is_number(v)) return fail_kind(key, v, "a number");
    *out = v ? json_number_value(v) : fallback;
    return COP_OK;
}

cop_status cop_json_bool(const json_t *object, const char *key, bool fallback, bool *out) {
    const json_t *v = cop_json_member(object, key);
    if (v && !json_is_boolean(v)) return fail_kind(key, v, "true or false");
    *out = v ? json_is_true(v) : fallback;
    return COP_OK;
}

cop_status cop_json_text(const json_t *object, const char *key, const char *fallback, const char **out) {
    const json_t *v = cop_json_member(object, key);
    if (v && !json_is_string(v)) return fail_kind(key, v, "a text");
    *out = v ? json_string_value(v) : fallback;
    return COP_OK;
}

cop_status cop_json_dump(char **text, size_t *bytes, const json_t *value, size_t flags) {
    *text = NULL;
    *bytes = json_dumpb(value, NULL, 0, flags);
    if (!*bytes || !(*text = cop_alloc(*bytes + 1))) return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate %zu bytes", *bytes);
    if (json_dumpb(value, *text, *bytes, flags) == *bytes) return COP_OK;
    cop_free(*text);
    *text = NULL;
    return cop_fail(COP_ERR_NOMEM, "JSON: cannot allocate");
}
