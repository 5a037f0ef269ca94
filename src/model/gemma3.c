// gemma3 (text): norms before and after both sublayers, norms on q and k heads, embeddings scaled by
// sqrt(D), five local layers (window, rope base 10000, no scaling) to one global. GGUF norm weights
// already contain the +1. Files carry neither query scale nor pattern: 1/sqrt(K), in the 27B (known by its shape)
// 1/sqrt(D / H), and 6 are assumed; the keys attention.scale, attention.sliding_window_pattern and rope.freq_base_swa (or
// rope.local.freq_base) are honoured.
#include <math.h>

#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    d->act = COP_ACT_GELU_TANH;
    d->embed_scale = sqrtf((float)d->D);
    cop_desc_plain_rope(d);
    COP_TRY(cop_desc_f32_or(file, "rope.local.freq_base", 10000.0f, &d->rope[1].base));
    COP_TRY(cop_desc_f32_or(file, "rope.freq_base_swa", d->rope[1].base, &d->rope[1].base));
    COP_TRY(cop_desc_f32_or(file, "final_logit_softcapping", 0.0f, &d->logit_softcap));
    if (d->L == 62 && d->D == 5376)
        COP_TRY(cop_desc_f32_or(file, "attention.scale", 1.0f / sqrtf((float)(d->D / d->H)), &d->attn_scale));
    COP_TRY(cop_desc_windows(file, d, 0, 6));
    for (int i = 0; i < d->L; i++) d->layers[i].rope = d->layers[i].window ? 1 : 0;
    return COP_OK;
}

const cop_family cop_family_gemma3 = {
    .name = "gemma3", .summary = "Gemma 3 (text)", .weights = COP_W_QK_NORM | COP_W_POST_NORMS, .describe = describe,
};
