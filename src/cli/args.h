// Command-line options from tables: parsing, ranges, help, and the nearest right name for a wrong one.
#ifndef COP_CLI_ARGS_H
#define COP_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define COP_MAX_TEXTS 16

typedef enum cop_arg_kind { COP_ARG_FLAG = 1, COP_ARG_TEXT, COP_ARG_TEXTS, COP_ARG_INT, COP_ARG_NUMBER, COP_ARG_SEED, COP_ARG_ALIAS } cop_arg_kind;

typedef struct cop_texts {
    const char *v[COP_MAX_TEXTS];
    int n;
} cop_texts;

typedef struct cop_arg {
    char letter;            // 0: none
    const char *name;       // without dashes; NULL ends the table
    cop_arg_kind kind;
    size_t offset;          // of bool, const char *, cop_texts, int32_t, double, uint64_t
    double low, high;       // COP_ARG_INT, COP_ARG_NUMBER
    const char *value;      // placeholder in the help
    const char *help;       // NULL: not shown
} cop_arg;

/* Parse argv[0 … argc) into the struct at `state`, which holds the defaults. Words that are not options
 * go to `words` (may be NULL: then they are refused). "--" ends the options. Also "--name=value". */
cop_status cop_args_parse(const cop_arg *table, void *state, int argc, char **argv, cop_texts *words);

/* One line per option. */
void cop_args_print(const cop_arg *table);

#endif
