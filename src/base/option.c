#include "base/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

#define MOST_DIGITS 48

// Zero-terminated copy for strtod and friends; false when the text is empty, long or has odd bytes.
static bool copy_digits(char *copy, const char *text, size_t bytes) {
    if (!bytes || bytes >= MOST_DIGITS || memchr(text, 0, bytes) || strchr(" \t\n\r\v\f", text[0])) return false;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return true;
}

cop_status cop_parse_int(const char *what, const char *text, size_t bytes, int64_t low, int64_t high, int64_t *out) {
    char copy[MOST_DIGITS], *end;
    errno = 0;
    long long v = 0;
    bool fine = copy_digits(copy, text, bytes);
    if (fine) {
        v = strtoll(copy, &end, 10);
        fine = !*end && !errno;
    }
    if (!fine || v < low || v > high)
        return cop_fail(COP_ERR_ARG, "%s: '%.*s', must be a whole number from %lld to %lld", what, bytes > 40 ? 40 : (int)bytes, text,
                        (long long)low, (long long)high);
    *out = v;
    return COP_OK;
}

cop_status cop_parse_number(const char *what, const char *text, size_t bytes, double low, double high, double *out) {
    char copy[MOST_DIGITS], *end;
    double v = NAN;
    bool fine = copy_digits(copy, text, bytes);
    if (fine) {
        v = strtod(copy, &end);
        fine = !*end;
    }
    if (!fine || !(v >= low && v <= high))
        return cop_fail(COP_ERR_ARG, "%s: '%.*s', must be a number from %g to %g", what, bytes > 40 ? 40 : (int)bytes, text, low, high);
    *out = v;
    return COP_OK;
}

static void store(const cop_option *o, void *state, double v) {
    char *field = (char *)state + o->offset;
    if (o->kind == COP_OPTION_TEXT_KIND) {
        *field = 0;
        return;
    }
    if (o->kind == COP_OPTION_INT_KIND || o->kind == COP_OPTION_WORD_KIND) *(int32_t *)(void *)field = (int32_t)v;
    else if (o->kind == COP_OPTION_FLOAT_KIND) *(float *)(void *)field = (float)v;
    else *(bool *)field = v != 0;
}

void cop_options_init(const cop_option *options, void *state) {
    for (const cop_option *o = options; o && o->name; o++) store(o, state, o->initial);
}

static cop_status unknown(const cop_option *options, const char *owner, const char *name, size_t bytes) {
    char wrong[MOST_DIGITS] = "";
    memcpy(wrong, name, bytes < sizeof wrong ? bytes : sizeof wrong - 1);
    const char *near = NULL;
    int least = INT32_MAX;
    for (const cop_option *o = options; o && o->name; o++) {
        int distance = cop_word_distance(wrong, o->name);
        if (distance < least && cop_word_is_near(wrong, o->name)) near = o->name;
        if (near == o->name) least = distance;
    }
    return near ? cop_fail(COP_ERR_ARG, "%s: no option '%s'; the nearest is '%s'", owner, wrong, near)
                : cop_fail(COP_ERR_ARG, "%s: no option '%s'", owner, wrong);
}

static cop_status parse_bool(const char *owner, const char *name, const char *value, size_t bytes, double *out) {
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};
    for (int i = 0; i < 4; i++) {
        if (strlen(yes[i]) == bytes && !memcmp(yes[i], value, bytes)) return *out = 1, COP_OK;
        if (strlen(no[i]) == bytes && !memcmp(no[i], value, bytes)) return *out = 0, COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "%s: %s '%.*s', must be on or off", owner, name, bytes > 40 ? 40 : (int)bytes, value);
}

static cop_status parse_word(const char *owner, const cop_option *o, const char *value, size_t bytes, double *out) {
    const char *word = o->words;
    for (int i = 0; *word; i++) {
        size_t n = strcspn(word, "|");
        if (n == bytes && !memcmp(word, value, n)) return *out = i, COP_OK;
        word += n + (word[n] == '|');
    }
    return cop_fail(COP_ERR_ARG, "%s: %s '%.*s', must be one of %s", owner, o->name, bytes > 40 ? 40 : (int)bytes, value, o->words);
}

static cop_status store_text(const char *owner, const cop_option *o, void *state, const char *value, size_t bytes) {
    char *field = (char *)state + o->offset;
    if (bytes >= COP_OPTION_TEXT_BYTES) return cop_fail(COP_ERR_ARG, "%s: %s of %zu bytes, at most %d", owner, o->name, bytes, COP_OPTION_TEXT_BYTES - 1);
    memcpy(field, value, bytes);
    field[bytes] = 0;
    return COP_OK;
}

cop_status cop_options_set(const cop_option *options, void *state, const char *owner, const char *name, size_t name_bytes,
                           const char *value, size_t value_bytes) {
    const cop_option *o = options;
    while (o && o->name && (strlen(o->name) != name_bytes || memcmp(o->name, name, name_bytes))) o++;
    if (!o || !o->name) return unknown(options, owner, name, name_bytes);
    double v = 0;
    if (o->kind == COP_OPTION_TEXT_KIND) return store_text(owner, o, state, value, value_bytes);
    if (o->kind == COP_OPTION_BOOL_KIND) {
        COP_TRY(parse_bool(owner, o->name, value, value_bytes, &v));
    } else if (o->kind == COP_OPTION_WORD_KIND) {
        COP_TRY(parse_word(owner, o, value, value_bytes, &v));
    } else if (o->kind == COP_OPTION_INT_KIND) {
        int64_t i = 0;
        COP_TRY(cop_parse_int(o->name, value, value_bytes, (int64_t)o->low, (int64_t)o->high, &i));
        v = (double)i;
    } else {
        COP_TRY(cop_parse_number(o->name, value, value_bytes, o->low, o->high, &v));
    }
    store(o, state, v);
    return COP_OK;
}

cop_status cop_options_parse(const cop_option *options, void *state, const char *owner, const char *text) {
    while (*text) {
        size_t n = strcspn(text, ",");
        const char *equals = memchr(text, '=', n);
        if (!equals) return cop_fail(COP_ERR_ARG, "%s: '%.*s', must be name=value", owner, n > 40 ? 40 : (int)n, text);
        const char *value = equals + 1;
        COP_TRY(cop_options_set(options, state, owner, text, (size_t)(equals - text), value, (size_t)(text + n - value)));
        text += n + (text[n] == ',');
    }
    return COP_OK;
}
