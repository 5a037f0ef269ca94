// Products of the 5-bit types: see product_avx2.h. All are centred by -16, which is what lets the sums
// fit in 16 bits; types with a minimum get the centre back through w_m.
#include "kernel/x86/product_avx2.h"

void cop_product_q5_0_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q5_0, y, y_stride, w, cols, x, n);
}

void cop_product_q5_1_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q5_1, y, y_stride, w, cols, x, n);
}

void cop_product_q5_k_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q5_K, y, y_stride, w, cols, x, n);
}
