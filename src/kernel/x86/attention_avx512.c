// Attention kernels for AVX-512: attention_body.h over the registers of this level.
#include "kernel/x86/lanes_avx512.h"

#include "kernel/attention_body.h"
