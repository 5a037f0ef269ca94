// The mixer is two rounds of the splitmix64 finaliser over a Weyl-style combination of the counters
// (Steele, Lea and Flood 2014). Not for cryptography.
#include "base/noise.h"

#include "base/maths.h"

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t cop_noise_bits(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index) {
    uint64_t h = mix(seed + 0x9e3779b97f4a7c15u);
    h = mix(h ^ (position * 0xd1342543de82ef95u + (uint64_t)purpose + 1));
    return mix(h ^ (index * 0x2545f4914f6cdd1du + 0x632be59bd9b4e019u));
}

double cop_noise_uniform(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index) {
    return ((double)(cop_noise_bits(seed, purpose, position, index) >> 12) + 0.5) * 0x1p-52;
}

float cop_noise_gumbel(uint64_t seed, cop_purpose purpose, uint64_t position, uint64_t index) {
    return (float)-cop_log(-cop_log(cop_noise_uniform(seed, purpose, position, index)));
}
