// Fills the table of kernels: scalar first, then climb while the CPU allows. Nobody else asks which
// CPU this is.
#include <string.h>

#include "kernel/kernel_private.h"

#define SET(field, name) k->field = name

#define SET_KV(level, id, type)                                \
    SET(store_key[id], cop_store_key_##type##_##level);        \
    SET(store_value[id], cop_store_value_##type##_##level);    \
    SET(scores[id], cop_scores_##type##_##level);              \
    SET(mix[id], cop_mix_##type##_##level)

#define BIND_LEVEL(level_)                                                \
    static void bind_##level_(cop_kernels *k) {                           \
        k->level = #level_;                                               \
        SET(quantise, cop_quantise_##level_);                             \
        SET(spin_int, cop_spin_int_##level_);                             \
        SET(spin_float, cop_spin_float_##level_);                         \
        SET(stream, cop_stream_##level_);                                 \
        SET(product[COP_F32], cop_product_f32_##level_);                  \
        SET(product[COP_F16], cop_product_f16_##level_);                  \
        SET(product[COP_BF16], cop_product_bf16_##level_);                \
        SET(product[COP_Q4_0], cop_product_q4_0_##level_);                \
        SET(product[COP_Q4_1], cop_product_q4_1_##level_);                \
        SET(product[COP_Q5_0], cop_product_q5_0_##level_);                \
        SET(product[COP_Q5_1], cop_product_q5_1_##level_);                \
        SET(product[COP_Q8_0], cop_product_q8_0_##level_);                \
        SET(product[COP_Q4_K], cop_product_q4_k_##level_);                \
        SET(product[COP_Q5_K], cop_product_q5_k_##level_);                \
        SET(product[COP_Q6_K], cop_product_q6_k_##level_);                \
        SET(product[COP_IQ4_NL], cop_product_iq4_nl_##level_);            \
        SET(product[COP_Q2_K], cop_product_q2_k_##level_);                \
        SET(product[COP_Q3_K], cop_product_q3_k_##level_);                \
        SET(product[COP_IQ4_XS], cop_product_iq4_xs_##level_);            \
        SET(product[COP_MXFP4], cop_product_mxfp4_##level_);              \
        SET(rmsnorm, cop_rmsnorm_##level_);                               \
        SET(layernorm, cop_layernorm_##level_);                           \
        SET(add, cop_add_##level_);                                       \
        SET(scale, cop_scale_##level_);                                   \
        SET(axpy, cop_axpy_##level_);                                     \
        SET(activate[COP_ACT_SILU], cop_silu_##level_);                   \
        SET(activate[COP_ACT_GELU_TANH], cop_gelu_tanh_##level_);         \
        SET(activate[COP_ACT_GELU_ERF], cop_gelu_erf_##level_);           \
        SET(activate[COP_ACT_RELU], cop_relu_##level_);                   \
        SET(rope, cop_rope_##level_);                                     \
        SET(softmax, cop_softmax_##level_);                               \
        SET(softcap, cop_softcap_##level_);                               \
        SET_KV(level_, COP_KV_F32, f32);                                  \
        SET_KV(level_, COP_KV_F16, f16);                                  \
        SET_KV(level_, COP_KV_BF16, bf16);                                \
        SET_KV(level_, COP_KV_Q8_0, q8_0);                                \
    }

BIND_LEVEL(scalar)
#if defined(__x86_64__)
BIND_LEVEL(avx2)
BIND_LEVEL(avx512)
#elif defined(__aarch64__)
BIND_LEVEL(neon)
#endif

cop_kernels cop_kernels_bind(unsigned cpu_features) {
    cop_kernels k = {0};
    bind_scalar(&k);
#if defined(__x86_64__)
    if (cpu_features & COP_CPU_AVX2) bind_avx2(&k);
    if ((cpu_features & COP_CPU_AVX2) && (cpu_features & COP_CPU_AVX512)) bind_avx512(&k);
#elif defined(__aarch64__)
    if (cpu_features & COP_CPU_NEON) bind_neon(&k);
#else
    (void)cpu_features;
#endif
    return k;
}

static const struct {
    const char *name;
    unsigned needs;
} levels[] = {
    {"scalar", 0}, {"avx2", COP_CPU_AVX2}, {"avx512", COP_CPU_AVX2 | COP_CPU_AVX512}, {"neon", COP_CPU_NEON},
};

cop_status cop_kernels_best(cop_kernels *out, const char *level) {
    unsigned features = cop_cpu_features();
#if defined(COP_EMULATE)
    features |= COP_CPU_AVX512;  // the avx512 files were compiled to portable code
#endif
    if (!level || !*level) {
        *out = cop_kernels_bind(features);
        return COP_OK;
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(level, levels[i].name)) continue;
        if ((features & levels[i].needs) != levels[i].needs)
            return cop_fail(COP_ERR_UNSUPPORTED, "CPU level %s: this CPU does not have it", level);
        *out = cop_kernels_bind(levels[i].needs);
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "CPU level %s: must be scalar, avx2, avx512 or neon", level);
}
