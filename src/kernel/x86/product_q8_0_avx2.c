// Product of Q8_0: see product_avx2.h. Nothing is packed, so a buffer would gain nothing: every width
// reads the weights straight from the tile.
#include "kernel/x86/product_avx2.h"

void cop_product_q8_0_avx2(float *y, size_t y_stride, const uint8_t *w, int cols, const void *x, size_t x_stride,
                           int n) {
    (void)x_stride;
    multiply(COP_Q8_0, y, y_stride, w, cols, x, n);
}
