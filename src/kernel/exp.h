// exp for float rows, written once as a sequence of operations that every level performs:
//   x clamped to [-87, 88]; below -87 (and for -inf) the result is exactly 0
//   n = nearest even of x * log2e;  r = fma(n, -ln2_hi, x);  r = fma(n, -ln2_lo, r)
//   p = Horner with fma over c[0 … 6] (highest first), result p * 2^n (exponent bits added)
// Relative error below 2e-7.
#ifndef COP_KERNEL_EXP_H
#define COP_KERNEL_EXP_H

#define COP_EXP_LOW (-87.0f)
#define COP_EXP_HIGH 88.0f
#define COP_EXP_LOG2E 0x1.715476p+0f
#define COP_EXP_LN2_HI 0x1.62e400p-1f
#define COP_EXP_LN2_LO 0x1.7f7d1cp-20f
#define COP_EXP_COEFFICIENTS {0x1.6c16c2p-10f, 0x1.111112p-7f, 0x1.555556p-5f, 0x1.555556p-3f, 0.5f, 1.0f, 1.0f}

float cop_expf_scalar(float x);

#endif
