// Attention kernels for AVX2: attention_body.h over the registers of this level.
#include "kernel/x86/lanes_avx2.h"

#include "kernel/attention_body.h"
