#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)64 << 10)  // a multiple of the page size of every system

static atomic_long n_allocs, n_breaches, fail_countdown;
static atomic_bool forbidden, did_fail;

// Every allocation passes here: counts it and says whether it may succeed.
static bool admit(void) {
    atomic_fetch_add_explicit(&n_allocs, 1, memory_order_relaxed);
    if (atomic_load_explicit(&forbidden, memory_order_relaxed)) atomic_fetch_add(&n_breaches, 1);
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1) {
        atomic_store(&did_fail, true);
        return false;
    }
    return true;
}

void *cop_alloc(size_t bytes) {
    if (!admit() || bytes > SIZE_MAX - 64) return NULL;
    size_t rounded = (bytes + 63) & ~(size_t)63;
    if (!rounded) rounded = 64;
    void *p = aligned_alloc(64, rounded);
    if (p) memset(p, 0, rounded);
    return p;
}

void *cop_alloc_array(size_t n, size_t size) {
    size_t bytes;
    return cop_mul_size(n, size, &bytes) ? cop_alloc(bytes) : NULL;
}

void *cop_realloc(void *p, size_t old_bytes, size_t new_bytes) {
    void *q = cop_alloc(new_bytes);
    if (!q) return NULL;
    if (p) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(p);
    return q;
}

void cop_free(void *p) { free(p); }

char *cop_text_copy(const char *text, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *copy = cop_alloc(n + 1);
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

// mmap has no alignment argument: take one huge page more and give the ends back.
void *cop_pages_alloc(size_t bytes) {
    if (!admit() || !bytes || bytes > SIZE_MAX - 2 * HUGE_PAGE) return NULL;
    size_t rounded = (bytes + PAGE - 1) & ~(PAGE - 1), span = rounded + HUGE_PAGE;
    char *raw = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return NULL;
    char *p = (char *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (p > raw) munmap(raw, (size_t)(p - raw));
    if (raw + span > p + rounded) munmap(p + rounded, (size_t)(raw + span - (p + rounded)));
    if (rounded >= HUGE_PAGE) madvise(p, rounded, MADV_HUGEPAGE);
    return p;
}

void cop_pages_free(void *p, size_t bytes) {
    if (p) munmap(p, (bytes + PAGE - 1) & ~(PAGE - 1));
}

void cop_alloc_fail_at(long n) {
    atomic_store(&did_fail, false);
    atomic_store(&fail_countdown, n);
}
bool cop_alloc_failed(void) { return atomic_load(&did_fail); }
void cop_alloc_forbid(bool forbid) {
    if (forbid) atomic_store(&n_breaches, 0);
    atomic_store(&forbidden, forbid);
}
long cop_alloc_breaches(void) { return atomic_load(&n_breaches); }
long cop_alloc_count(void) { return atomic_load(&n_allocs); }
