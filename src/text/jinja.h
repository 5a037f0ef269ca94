// An interpreter for the Jinja that published chat templates use.
// A template is data: there are no host objects, no files, no attributes that lead anywhere but into
// the given values.  Steps, depth, memory and output have ceilings, so every template ends.  Meaning:
// jinja2 (immutable sandbox, trim_blocks, lstrip_blocks, loop controls) with the filters and functions
// that the transformers library adds; compared with it in tests/golden/jinja.c.
// Not here: include, import, extends, block, autoescape; what a conversation is (text/chat).
#ifndef COP_TEXT_JINJA_H
#define COP_TEXT_JINJA_H

#include <jansson.h>
#include <time.h>

#include "base/array.h"
#include "base/status.h"

#define COP_JINJA_MOST_TEMPLATE ((size_t)1 << 20)  // bytes

typedef COP_ARRAY(char) cop_char_array;

typedef struct cop_jinja cop_jinja;  // a parsed template, immutable: any number of threads may render it

typedef struct cop_jinja_options {
    int64_t max_steps;       // evaluations, and bytes touched by sixteens
    size_t max_memory;       // bytes of all values of one rendering
    size_t max_output;       // bytes
    const struct tm *now;    // what strftime_now tells; NULL: the local time
} cop_jinja_options;

cop_jinja_options cop_jinja_defaults(void);

/* Parse text[0..bytes).  COP_ERR_FORMAT names the line and what is wrong there; COP_ERR_UNSUPPORTED a
 * statement that is left out on purpose. */
cop_status cop_jinja_parse(cop_jinja **out, const char *text, size_t bytes);
void cop_jinja_free(cop_jinja *t);  // accepts NULL

/* Append the text that the template makes of `variables`, a JSON object, to *out.  options NULL: the
 * defaults.  On failure *out is as it was.  COP_ERR_ARG: the template refuses these variables, by
 * raise_exception or because an operation has no meaning for them; COP_ERR_LIMIT: a ceiling. */
cop_status cop_jinja_render(const cop_jinja *t, const json_t *variables, const cop_jinja_options *options, cop_char_array *out);

#endif
