// Regular expressions as tokenizer.json spells them (Oniguruma's dialect), run by PCRE2.
// What the two read differently is rewritten or refused by name: see cop_pattern_new.
// Cost: what PCRE2 takes; a match that backtracks more than a bound gives up with COP_ERR_LIMIT.
#ifndef COP_TEXT_PATTERN_H
#define COP_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define COP_MAX_PATTERN 8192  // bytes of one expression

// Unicode's White_Space, for a class; PCRE2's own \s has U+180E as well.
#define COP_PATTERN_SPACE \
    "\\x09-\\x0D\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

typedef struct cop_pattern cop_pattern;

/* Compile text[0..bytes).  COP_ERR_UNSUPPORTED names what is not taken over from Oniguruma. */
cop_status cop_pattern_new(cop_pattern **out, const char *text, size_t bytes);
/* The same for a text that is to be found as it is. */
cop_status cop_pattern_new_literal(cop_pattern **out, const char *text, size_t bytes);
void cop_pattern_free(cop_pattern *p);  // accepts NULL

/* What was compiled, in the dialect it came in; valid as long as the pattern. */
const char *cop_pattern_text(const cop_pattern *p);

// What a thread needs to match.
typedef struct cop_pattern_work cop_pattern_work;
cop_status cop_pattern_work_new(cop_pattern_work **out);
void cop_pattern_work_free(cop_pattern_work *w);  // accepts NULL

/* The first match in text[from..bytes), which is well-formed UTF-8: *begin and *end; both are `bytes` and
 * *found is false when there is none.  What lies before `from` is seen by look-behinds. */
cop_status cop_pattern_find(const cop_pattern *p, cop_pattern_work *w, const char *text, size_t bytes, size_t from,
                            size_t *begin, size_t *end, bool *found);

#endif
