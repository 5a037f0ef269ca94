// Which instructions may be used here: the CPU has them and the system saves their registers.
#ifndef COP_BASE_CPU_H
#define COP_BASE_CPU_H

#include <stddef.h>

enum {
    COP_CPU_AVX2 = 1,    // AVX2, FMA, F16C
    COP_CPU_AVX512 = 2,  // AVX-512 F, BW, DQ, VL, VNNI
    COP_CPU_NEON = 4     // Arm: NEON with dotprod and fp16 conversion
};

unsigned cop_cpu_features(void);
/* "AMD EPYC 9555 64-Core Processor", or "unknown CPU". */
void cop_cpu_name(char *name, size_t bytes);

#endif
