// Between quantise_file.c and quantise_search.c: a block whose numbers are found, and its bytes.
#ifndef COP_KERNEL_QUANTISE_PRIVATE_H
#define COP_KERNEL_QUANTISE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"

/* A block of 32 or 256 elements: element i of run k = i / run is
 *   d * S[k] * value(code[i]) - dm * M[k]
 * with value(c) = c + lowest code, or the table of IQ4_NL. d and dm are halves. */
typedef struct cop_found {
    uint8_t code[256];
    int16_t S[16];
    uint8_t M[16];
    uint16_t d, dm;
} cop_found;

/* Search for one block. False when d or dm does not fit a half. */
bool cop_search_block(cop_found *out, cop_dtype type, const float *x);

#endif
