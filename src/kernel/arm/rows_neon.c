// Row kernels for NEON: rows_body.h over the registers of this level.
#include "kernel/arm/lanes_neon.h"

#include "kernel/rows_body.h"
