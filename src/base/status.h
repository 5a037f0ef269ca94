// Status codes and the sentence that goes with a failure.
// One record per thread: what went wrong, where in the input, and what would be right.
// The library never prints and never exits: cli/ prints, serve/ maps a status to HTTP.
#ifndef COP_BASE_STATUS_H
#define COP_BASE_STATUS_H

#include "coppice.h"  // cop_status and cop_error_text are public

/* Record a failure and return `status`.  fmt: what was found, where, what would be right; no full
 * stop.  Replaces this thread's previous record.  Allocates nothing, so it can report that memory
 * is gone.  Call through cop_fail. */
cop_status cop_fail_at(const char *file, int line, cop_status status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Append "; context" to this thread's record on the way up. */
void cop_fail_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Copy this thread's record out of or into the thread: base/threads carries a worker's failure. */
typedef struct cop_error_record {
    cop_status status;
    int line;
    const char *file;
    char text[480];
} cop_error_record;
void cop_error_get(cop_error_record *out);
void cop_error_set(const cop_error_record *record);

/* Where the last failure was born, "src/x.c:12". Valid until this thread's next failure. */
const char *cop_error_place(void);

#define cop_fail(status, ...) cop_fail_at(__FILE__, __LINE__, (status), __VA_ARGS__)

// The only macro that hides a return; use it where there is nothing to clean up.
#define COP_TRY(expr)                \
    do {                             \
        cop_status try_ = (expr);    \
        if (try_) return try_;       \
    } while (0)

#endif
