// Attention kernels for NEON: attention_body.h over the registers of this level.
#include "kernel/arm/lanes_neon.h"

#include "kernel/attention_body.h"
