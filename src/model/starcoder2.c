// starcoder2: LayerNorm, biases everywhere, rotation, a plain feed-forward. A window is honoured on every layer.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    COP_TRY(cop_desc_gpt(file, d));
    return cop_desc_windows(file, d, 0, 0);
}

const cop_family cop_family_starcoder2 = {
    .name = "starcoder2", .summary = "StarCoder 2", .weights = COP_W_BIASES, .describe = describe,
};
