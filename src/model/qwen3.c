// qwen3: as qwen2, without biases and with a norm on every head of q and k before the rotation; heads may be
// wider than the model's width over their number.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) { return cop_desc_windows(file, d, 0, 0); }

const cop_family cop_family_qwen3 = {
    .name = "qwen3", .summary = "Qwen 3", .weights = COP_W_QK_NORM, .describe = describe,
};
