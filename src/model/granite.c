// granite: llama with four multipliers: of the embeddings, of what a sublayer adds, of the scores (in place of
// 1/sqrt(K), the key attention.scale) and one that divides the logits. q and k rows are permuted as llama's.
#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    float divisor;
    d->rope[0].half_split = false;
    COP_TRY(cop_desc_f32_or(file, "embedding_scale", 1.0f, &d->embed_scale));
    COP_TRY(cop_desc_f32_or(file, "residual_scale", 1.0f, &d->residual_scale));
    COP_TRY(cop_desc_f32_or(file, "logit_scale", 1.0f, &divisor));
    d->logit_scale = 1.0f / divisor;  // of 0: refused as no sensible number
    return cop_desc_windows(file, d, 0, 0);
}

const cop_family cop_family_granite = {
    .name = "granite", .summary = "Granite 3", .weights = 0, .describe = describe,
};
