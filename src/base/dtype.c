#include "base/dtype.h"

static const cop_dtype_info infos[COP_N_DTYPES] = {
    [COP_F32] = {"F32", 1, 4, true},      [COP_F16] = {"F16", 1, 2, true},
    [COP_Q4_0] = {"Q4_0", 32, 18, true},  [COP_Q4_1] = {"Q4_1", 32, 20, true},
    [COP_Q5_0] = {"Q5_0", 32, 22, true},  [COP_Q5_1] = {"Q5_1", 32, 24, true},
    [COP_Q8_0] = {"Q8_0", 32, 34, true},  [9] = {"Q8_1", 32, 36, false},
    [COP_Q2_K] = {"Q2_K", 256, 84, true}, [COP_Q3_K] = {"Q3_K", 256, 110, true},
    [COP_Q4_K] = {"Q4_K", 256, 144, true}, [COP_Q5_K] = {"Q5_K", 256, 176, true},
    [COP_Q6_K] = {"Q6_K", 256, 210, true}, [15] = {"Q8_K", 256, 292, false},
    [16] = {"IQ2_XXS", 256, 66, false},   [17] = {"IQ2_XS", 256, 74, false},
    [18] = {"IQ3_XXS", 256, 98, false},   [19] = {"IQ1_S", 256, 50, false},
    [COP_IQ4_NL] = {"IQ4_NL", 32, 18, true},     [21] = {"IQ3_S", 256, 110, false},
    [22] = {"IQ2_S", 256, 82, false},     [COP_IQ4_XS] = {"IQ4_XS", 256, 136, true},
    [24] = {"I8", 1, 1, false},           [25] = {"I16", 1, 2, false},
    [26] = {"I32", 1, 4, false},          [27] = {"I64", 1, 8, false},
    [28] = {"F64", 1, 8, false},          [29] = {"IQ1_M", 256, 56, false},
    [COP_BF16] = {"BF16", 1, 2, true},
    [34] = {"TQ1_0", 256, 54, false},     [35] = {"TQ2_0", 256, 66, false},
    [COP_MXFP4] = {"MXFP4", 32, 17, true},      [40] = {"NVFP4", 64, 36, false},
    [41] = {"Q1_0", 128, 18, false},
};

const cop_dtype_info *cop_dtype_get(uint32_t id) {
    return id < COP_N_DTYPES && infos[id].name ? &infos[id] : NULL;
}

const char *cop_dtype_name(uint32_t id) {
    const cop_dtype_info *info = cop_dtype_get(id);
    return info ? info->name : "unknown";
}

cop_status cop_dtype_bytes(uint32_t id, uint64_t n, uint64_t *bytes) {
    const cop_dtype_info *info = cop_dtype_get(id);
    if (!info) return cop_fail(COP_ERR_FORMAT, "element type %u is unknown", id);
    if (n % (uint64_t)info->block)
        return cop_fail(COP_ERR_FORMAT, "%llu elements are not a whole number of %s blocks of %d",
                        (unsigned long long)n, info->name, info->block);
    if (__builtin_mul_overflow(n / (uint64_t)info->block, (uint64_t)info->block_bytes, bytes))
        return cop_fail(COP_ERR_FORMAT, "%llu elements of %s: size overflows", (unsigned long long)n, info->name);
    return COP_OK;
}
