// The names of every kernel of every level. A kernel of the contract X is cop_X_LEVEL, where a type
// stands before the level: cop_product_q4_0_avx2, cop_scores_f16_neon.
#ifndef COP_KERNEL_PRIVATE_H
#define COP_KERNEL_PRIVATE_H

#include "kernel/kernel.h"

#define COP_DECLARE_KV(level, type)                             \
    COP_DECLARE cop_kv_store_fn cop_store_key_##type##_##level;   \
    COP_DECLARE cop_kv_store_fn cop_store_value_##type##_##level; \
    COP_DECLARE cop_scores_fn cop_scores_##type##_##level;        \
    COP_DECLARE cop_mix_fn cop_mix_##type##_##level;

#define COP_DECLARE_LEVEL(level)                                                                  \
    COP_DECLARE cop_spin_fn cop_spin_int_##level, cop_spin_float_##level;                         \
    COP_DECLARE cop_stream_fn cop_stream_##level;                                                 \
    COP_DECLARE cop_quantise_fn cop_quantise_##level;                                             \
    COP_DECLARE cop_product_fn cop_product_f32_##level, cop_product_f16_##level, cop_product_bf16_##level; \
    COP_DECLARE cop_product_fn cop_product_q4_0_##level, cop_product_q4_1_##level, cop_product_q5_0_##level; \
    COP_DECLARE cop_product_fn cop_product_q5_1_##level, cop_product_q8_0_##level, cop_product_q4_k_##level; \
    COP_DECLARE cop_product_fn cop_product_q5_k_##level, cop_product_q6_k_##level, cop_product_iq4_nl_##level; \
    COP_DECLARE cop_product_fn cop_product_q2_k_##level, cop_product_q3_k_##level, cop_product_iq4_xs_##level; \
    COP_DECLARE cop_product_fn cop_product_mxfp4_##level;                                         \
    COP_DECLARE cop_rmsnorm_fn cop_rmsnorm_##level;                                               \
    COP_DECLARE cop_layernorm_fn cop_layernorm_##level;                                           \
    COP_DECLARE cop_add_fn cop_add_##level;                                                       \
    COP_DECLARE cop_scale_fn cop_scale_##level;                                                   \
    COP_DECLARE cop_axpy_fn cop_axpy_##level;                                                     \
    COP_DECLARE cop_activate_fn cop_silu_##level, cop_gelu_tanh_##level, cop_gelu_erf_##level, cop_relu_##level; \
    COP_DECLARE cop_rope_fn cop_rope_##level;                                                     \
    COP_DECLARE cop_softmax_fn cop_softmax_##level;                                               \
    COP_DECLARE cop_softcap_fn cop_softcap_##level;                                               \
    COP_DECLARE_KV(level, f32) COP_DECLARE_KV(level, f16) COP_DECLARE_KV(level, bf16) COP_DECLARE_KV(level, q8_0)

#define COP_DECLARE extern
COP_DECLARE_LEVEL(scalar)
COP_DECLARE_LEVEL(avx2)
COP_DECLARE_LEVEL(avx512)
COP_DECLARE_LEVEL(neon)

#endif
