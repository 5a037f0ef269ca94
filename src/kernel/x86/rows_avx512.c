// Row kernels for AVX-512: rows_body.h over the registers of this level.
#include "kernel/x86/lanes_avx512.h"

#include "kernel/rows_body.h"
