#include "base/array.h"

cop_status cop_array_grow(void **v, size_t n, size_t *cap, size_t most, size_t more, size_t size) {
    if (n <= *cap && more <= *cap - n) return COP_OK;
    if (most && (n > most || more > most - n))
        return cop_fail(COP_ERR_LIMIT, "list: %zu entries and %zu more, at most %zu", n, more, most);
    size_t need, want = *cap < 8 ? 16 : *cap * 2, bytes;
    if (!cop_add_size(n, more, &need)) return cop_fail(COP_ERR_LIMIT, "list: size overflows");
    if (want < need) want = need;
    if (most && want > most) want = most;
    if (!cop_mul_size(want, size, &bytes)) return cop_fail(COP_ERR_LIMIT, "list: size overflows");
    void *grown = cop_realloc(*v, n * size, bytes);
    if (!grown) return cop_fail(COP_ERR_NOMEM, "list: cannot allocate %zu bytes", bytes);
    *v = grown;
    *cap = want;
    return COP_OK;
}

cop_status cop_array_grow_status(void) {
    cop_error_record record;
    cop_error_get(&record);
    return record.status;
}
