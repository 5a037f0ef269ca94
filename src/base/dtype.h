// Element types of tensors: name, elements per block, bytes per block.  The numbers are GGUF's.
#ifndef COP_BASE_DTYPE_H
#define COP_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum cop_dtype {
    COP_F32 = 0,
    COP_F16 = 1,
    COP_Q4_0 = 2,
    COP_Q4_1 = 3,
    COP_Q5_0 = 6,
    COP_Q5_1 = 7,
    COP_Q8_0 = 8,
    COP_Q2_K = 10,
    COP_Q3_K = 11,
    COP_Q4_K = 12,
    COP_Q5_K = 13,
    COP_Q6_K = 14,
    COP_IQ4_NL = 20,
    COP_IQ4_XS = 23,
    COP_BF16 = 30,
    COP_MXFP4 = 39,
    COP_N_DTYPES = 42  // one past the largest id of the file format's list
} cop_dtype;

typedef struct cop_dtype_info {
    const char *name;
    int block;        // elements per block
    int block_bytes;  // bytes per block in a file
    bool can_compute; // the kernels have a product for it
} cop_dtype_info;

/* NULL for an id that the file format does not define. Known but not computable types have
 * can_compute false, so that a reader can still size them and name them. */
const cop_dtype_info *cop_dtype_get(uint32_t id);
const char *cop_dtype_name(uint32_t id);  // "type 77" is never needed: unknown ids give "unknown"

/* Bytes of `n` elements, a whole number of blocks; COP_ERR_FORMAT otherwise or on overflow. */
cop_status cop_dtype_bytes(uint32_t id, uint64_t n, uint64_t *bytes);

#endif
