// Growable arrays with a ceiling.  `a` is a struct with fields T *v; size_t n, cap, most.
// COP_ARRAY(int32_t) names such a struct.  Reaching `most` is COP_ERR_LIMIT, never a surprise.
#ifndef COP_BASE_ARRAY_H
#define COP_BASE_ARRAY_H

#include "base/alloc.h"
#include "base/status.h"

#define COP_ARRAY(T) struct { T *v; size_t n, cap, most; }

/* Make room for `more` further elements of array *a.  A cop_status. */
#define cop_array_reserve(a, more) \
    cop_array_grow((void **)&(a)->v, (a)->n, &(a)->cap, (a)->most, (more), sizeof *(a)->v)

/* Append one element.  A cop_status; on failure the array is unchanged. */
#define cop_array_push(a, value) \
    (cop_array_reserve((a), 1) ? cop_array_grow_status() : ((a)->v[(a)->n] = (value), (a)->n++, COP_OK))

#define cop_array_fini(a) (cop_free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)

cop_status cop_array_grow(void **v, size_t n, size_t *cap, size_t most, size_t more, size_t size);
cop_status cop_array_grow_status(void);  // the status of this thread's last failure

#endif
