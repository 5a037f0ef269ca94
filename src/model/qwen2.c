// qwen2: Qwen 2 and 2.5. Biases on q, k and v. A window applies to the layers that the pattern marks.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) { return cop_desc_windows(file, d, 0, 0); }

const cop_family cop_family_qwen2 = {
    .name = "qwen2", .summary = "Qwen 2, 2.5", .weights = COP_W_QKV_BIAS, .describe = describe,
};
