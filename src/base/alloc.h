// The only door to the heap.  Everything comes zeroed; sizes are checked; each allocation can be
// told to fail (make torture), and allocation inside a step can be forbidden (a test does).
#ifndef COP_BASE_ALLOC_H
#define COP_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, 64-byte aligned, or NULL.  0 bytes gives a valid pointer.  Free with cop_free. */
void *cop_alloc(size_t bytes);
/* As cop_alloc for n elements; NULL also when n * size overflows. */
void *cop_alloc_array(size_t n, size_t size);
/* Grow or shrink; the part beyond old_bytes is zeroed.  On NULL the old block is untouched. */
void *cop_realloc(void *p, size_t old_bytes, size_t new_bytes);
void cop_free(void *p);  // accepts NULL
/* Copy of text[0..n), with a NUL added; NULL when memory is gone. */
char *cop_text_copy(const char *text, size_t n);

/* Large blocks on page boundaries, zeroed, in 2 MiB pages when the system grants them.
 * `bytes` must be given back to cop_pages_free unchanged. */
void *cop_pages_alloc(size_t bytes);
void cop_pages_free(void *p, size_t bytes);

/* Checked arithmetic: false on overflow, *out untouched then. */
static inline bool cop_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool cop_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

/* Test hooks.  fail_at: the n-th allocation from now (1 = the next) and only that one returns NULL;
 * 0 turns it off.  forbid: while true, any allocation in any thread is counted as a breach (and
 * still served).  count: allocations so far in this process. */
void cop_alloc_fail_at(long n);
bool cop_alloc_failed(void);  // did the injected failure happen
void cop_alloc_forbid(bool forbid);
long cop_alloc_breaches(void);
long cop_alloc_count(void);

#endif
