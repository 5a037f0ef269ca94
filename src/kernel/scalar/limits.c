// Rates of the scalar level, for benches. No result is used; none may be optimised away.
#include <math.h>
#include <string.h>

#include "kernel/kernel_private.h"

double cop_spin_int_scalar(int64_t n) {
    volatile int32_t sink;
    int32_t a[8] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < 8; j++) a[j] += (int32_t)(i & 127) * (j + 1);
    for (int j = 0; j < 8; j++) sink = a[j];
    (void)sink;
    return 16.0 * (double)n;
}

double cop_spin_float_scalar(int64_t n) {
    volatile float sink;
    float a[8] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < 8; j++) a[j] = fmaf(0.999f, a[j], 0.5f);
    for (int j = 0; j < 8; j++) sink = a[j];
    (void)sink;
    return 16.0 * (double)n;
}

uint64_t cop_stream_scalar(const uint8_t *p, size_t bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, sizeof v);
        sum += v;
    }
    return sum;
}
