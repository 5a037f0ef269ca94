// Option tables: one row gives an option's default, range and help, and from it are made the command
// line, a request's field, `coppice methods` and the docs.
#ifndef COP_BASE_OPTION_H
#define COP_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define COP_OPTION_TEXT_BYTES 480  // with its zero

typedef enum cop_option_kind { COP_OPTION_END_KIND = 0, COP_OPTION_INT_KIND, COP_OPTION_FLOAT_KIND, COP_OPTION_BOOL_KIND,
                              COP_OPTION_WORD_KIND, COP_OPTION_TEXT_KIND } cop_option_kind;

typedef struct cop_option {
    const char *name;
    cop_option_kind kind;
    size_t offset;             // of the field: int32_t, float or bool; word: int32_t, its index; text: its bytes
    double initial, low, high;  // bool: 0 or 1
    const char *help;
    const char *words;         // of a word: "chain|tree", high is the last one's index
} cop_option;

#define COP_OPTION_INT(type, field, initial, low, high, help) \
    {#field, COP_OPTION_INT_KIND, offsetof(type, field), (initial), (low), (high), (help), NULL}
#define COP_OPTION_FLOAT(type, field, initial, low, high, help) \
    {#field, COP_OPTION_FLOAT_KIND, offsetof(type, field), (initial), (low), (high), (help), NULL}
#define COP_OPTION_BOOL(type, field, initial, help) \
    {#field, COP_OPTION_BOOL_KIND, offsetof(type, field), (initial), 0, 1, (help), NULL}
#define COP_OPTION_WORD(type, field, initial, n_words, words, help) \
    {#field, COP_OPTION_WORD_KIND, offsetof(type, field), (initial), 0, (n_words) - 1, (help), (words)}
/* A text without commas, char[COP_OPTION_TEXT_BYTES], empty at first; high is what fits. */
#define COP_OPTION_TEXT(type, field, help) \
    {#field, COP_OPTION_TEXT_KIND, offsetof(type, field), 0, 0, COP_OPTION_TEXT_BYTES - 1, (help), NULL}
#define COP_OPTION_END {0}

/* Set every field to its default. options may be NULL. */
void cop_options_init(const cop_option *options, void *state);

/* Set one field. `owner` is named in messages: "draft copy: depth 900, must be 1 to 64". An unknown name
 * says which one is nearest. */
cop_status cop_options_set(const cop_option *options, void *state, const char *owner, const char *name, size_t name_bytes,
                           const char *value, size_t value_bytes);

/* Set fields from "name=value,name=value". */
cop_status cop_options_parse(const cop_option *options, void *state, const char *owner, const char *text);

/* Numbers as people write them, the whole text and nothing else. what: for the message. */
cop_status cop_parse_int(const char *what, const char *text, size_t bytes, int64_t low, int64_t high, int64_t *out);
cop_status cop_parse_number(const char *what, const char *text, size_t bytes, double low, double high, double *out);

#endif
