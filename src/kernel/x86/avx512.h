// The AVX-512 intrinsics. Built with COP_EMULATE they are portable code over AVX2 (SIMDe, and below
// what it lacks), so that the level is tested on CPUs without it.
#ifndef COP_KERNEL_X86_AVX512_H
#define COP_KERNEL_X86_AVX512_H

#include <immintrin.h>

#endif
