// Products of Q2_K and Q3_K: see product_avx2.h. As Q6_K, each 16 columns have a scale, which the maddwd of
// their 16-bit sums multiplies in; Q2_K adds minima of 16 columns in the same way from the activations' sums.
#include "kernel/x86/product_avx2.h"

void cop_product_q2_k_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    (void)x_stride;
    multiply(COP_Q2_K, y, y_stride, w, cols, x, n);
}

void cop_product_q3_k_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    (void)x_stride;
    multiply(COP_Q3_K, y, y_stride, w, cols, x, n);
}
