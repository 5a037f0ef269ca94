// qwen3moe: qwen3 whose feed-forward is a mixture of experts in all or some layers: softmax over all experts, the
// best ones by probability, divided by their sum (the key expert_weights_norm, which few files have, is honoured).
// Layers without a router have the dense feed-forward.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    COP_TRY(cop_desc_windows(file, d, 0, 0));
    return cop_desc_experts(file, d, d->F);
}

const cop_family cop_family_qwen3moe = {
    .name = "qwen3moe", .summary = "Qwen 3 with experts", .weights = COP_W_QK_NORM, .describe = describe,
};
