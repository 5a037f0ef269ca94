// exp for float rows, written once as a sequence of operations that every level performs:
//   x clamped to [-87, 88]; below -87 (and for -inf) the result is exactly 0
//   n = nearest even of x * log2e;  r = fma(n, -ln2_hi, x);  r = fma(n, -ln2_lo, r)
//   p = Horner with fma over c[0 … 6] (highest first, fitted for the relative error on [-ln2/2, ln2/2]),
//   result p * 2^n (exponent bits added)
// Relative error below 2e-7. Beside it, the constants of the activations that are built on it.
#ifndef COP_KERNEL_EXP_H
#define COP_KERNEL_EXP_H

#define COP_EXP_LOW (-87.0f)
#define COP_EXP_HIGH 88.0f
#define COP_EXP_LOG2E 0x1.715476p+0f
#define COP_EXP_LN2_HI 0x1.62e400p-1f
#define COP_EXP_LN2_LO 0x1.7f7d1cp-20f
#define COP_EXP_COEFFICIENTS \
    {0x1.6a23f2p-10f, 0x1.123a0cp-7f, 0x1.5558f2p-5f, 0x1.555492p-3f, 0x1.fffffcp-2f, 1.0f, 1.0f}

// GELU_ERF: 1 - erf(g / sqrt 2) = t (c0 t^5 + … + c5) exp(-g g / 2), t = 1 / (p g + 1), g >= 0; fitted so that
// g / 2 times the error is below 7e-9.
#define COP_ERF_P 0x1.1eb852p-2f
#define COP_ERF_COEFFICIENTS \
    {-0x1.b66d10p-3f, 0x1.946cc6p-1f, -0x1.f66544p-2f, 0x1.1a4ca6p-1f, 0x1.093fe6p-3f, 0x1.df11fcp-3f}

// GELU_TANH.
#define COP_GELU_INNER 0.044715f
#define COP_GELU_OUTER 0.7978845608f

float cop_expf_scalar(float x);

#endif
