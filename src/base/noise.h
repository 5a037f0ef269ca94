// Counter-based random numbers: a draw is a function of (seed, position, token, purpose) and of
// nothing else, so the same seed gives the same text whatever was drafted or batched.
#ifndef COP_BASE_NOISE_H
#define COP_BASE_NOISE_H

#include <stdint.h>

typedef enum cop_purpose {
    COP_NOISE_SAMPLE = 0,   // the target's own draw; coupled drafts use the same noise
    COP_NOISE_ACCEPT = 1,   // coins of rejection verifiers, one per child
    COP_NOISE_DRAFT = 2,    // draws from a draft's distribution
    COP_NOISE_RESIDUAL = 3  // draws from what is left after a rejection
} cop_purpose;

/* 64 well-mixed bits. */
uint64_t cop_noise_bits(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index);
/* Uniform in (0, 1): never 0, never 1. */
double cop_noise_uniform(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index);
/* Standard Gumbel variate -log(-log(u)) of that uniform, by our own logarithm: same bits everywhere. */
float cop_noise_gumbel(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index);

#endif
