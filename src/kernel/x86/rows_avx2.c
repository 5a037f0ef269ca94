// Row kernels for AVX2: rows_body.h over the registers of this level.
#include "kernel/x86/lanes_avx2.h"

#include "kernel/rows_body.h"
