// gemma2: norms before and after both sublayers, embeddings scaled by sqrt(D), soft caps on scores and logits, a
// window on every other layer beginning with the first. GGUF norm weights already contain the +1. Older files
// carry neither caps nor window: 50, 30 and 4096 are assumed. Scores are scaled by 1/sqrt(K), but by
// 1/sqrt(D / H) in the 27B, whose files do not say so and are known by their shape.
#include <math.h>

#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    d->act = COP_ACT_GELU_TANH;
    d->embed_scale = sqrtf((float)d->D);
    COP_TRY(cop_desc_f32_or(file, "attn_logit_softcapping", 50.0f, &d->attn_softcap));
    COP_TRY(cop_desc_f32_or(file, "final_logit_softcapping", 30.0f, &d->logit_softcap));
    if (d->L == 46 && d->D == 4608)
        COP_TRY(cop_desc_f32_or(file, "attention.scale", 1.0f / sqrtf((float)(d->D / d->H)), &d->attn_scale));
    return cop_desc_windows(file, d, 4096, 2);
}

const cop_family cop_family_gemma2 = {
    .name = "gemma2", .summary = "Gemma 2", .weights = COP_W_POST_NORMS, .describe = describe,
};
