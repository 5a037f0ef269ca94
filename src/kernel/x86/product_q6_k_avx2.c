// Product of Q6_K: see product_avx2.h. Each 16 columns have a scale, which the maddwd of their 16-bit
// sums multiplies in; the two results of a block add exactly.
#include "kernel/x86/product_avx2.h"

void cop_product_q6_k_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q6_K, y, y_stride, w, cols, x, n);
}
