// Products of the 4-bit types: see product_avx2.h. Q4_1 and Q4_K keep their weights unsigned and add
// the minimum per block; Q4_0 is centred by -8; IQ4_NL and IQ4_XS look their signed values up, MXFP4 its own,
// centred by -12.
#include "kernel/x86/product_avx2.h"

void cop_product_q4_0_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q4_0, y, y_stride, w, cols, x, n);
}

void cop_product_q4_1_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q4_1, y, y_stride, w, cols, x, n);
}

void cop_product_q4_k_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q4_K, y, y_stride, w, cols, x, n);
}

void cop_product_iq4_nl_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                             int n) {
    (void)x_stride;
    multiply(COP_IQ4_NL, y, y_stride, w, cols, x, n);
}

void cop_product_iq4_xs_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    (void)x_stride;
    multiply(COP_IQ4_XS, y, y_stride, w, cols, x, n);
}

void cop_product_mxfp4_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                          int n) {
    (void)x_stride;
    multiply(COP_MXFP4, y, y_stride, w, cols, x, n);
}
