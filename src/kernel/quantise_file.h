// Rows of floats to blocks in file layout, for `coppice convert` and for making test models.
// The 32-element types give the bytes of the format document's plain quantisers (Q4_0 … Q8_0, MXFP4);
// the K types, IQ4_XS and IQ4_NL search their scales by weighted least squares (quantise_search.c), so
// their bytes differ from other writers' and their errors are not larger.
// Every operation has one written order: the same row gives the same bytes on every machine.
#ifndef COP_KERNEL_QUANTISE_FILE_H
#define COP_KERNEL_QUANTISE_FILE_H

#include "base/dtype.h"
#include "base/status.h"

/* True for the types that cop_quantise_row writes: all that have a product. */
bool cop_can_quantise(cop_dtype type);

/* x[n] -> n / block blocks at out (cop_dtype_bytes says how many bytes). Thread-safe, allocates nothing.
 * COP_ERR_ARG: the type is not written, or n is no whole number of blocks.
 * COP_ERR_FORMAT: an element of a quantised type is not finite, or one does not fit F16, BF16 or its block's
 * scale; says which. NaN and infinities stay what they are in F32, F16 and BF16. */
cop_status cop_quantise_row(uint8_t *out, cop_dtype type, const float *x, int64_t n);

#endif
