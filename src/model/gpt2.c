// gpt2 and starcoder (GPT-BigCode: StarCoder, SantaCoder): LayerNorm, biases everywhere, learned positions, a plain
// feed-forward, q, k and v in one matrix. The second has one key/value head. Radford et al. 2019; Li et al. 2023.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    cop_desc_learned_positions(d);
    return cop_desc_gpt(file, d);
}

const cop_family cop_family_gpt2 = {
    .name = "gpt2", .summary = "GPT-2", .weights = COP_W_BIASES | COP_W_FUSED, .describe = describe,
};
const cop_family cop_family_starcoder = {
    .name = "starcoder", .summary = "GPT-BigCode: StarCoder, SantaCoder", .weights = COP_W_BIASES | COP_W_FUSED, .describe = describe,
};
