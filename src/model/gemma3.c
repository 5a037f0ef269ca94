// gemma3 (text): norms before and after both sublayers, norms on q and k heads, embeddings scaled by
// sqrt(D), five local layers (window, rope base 10000, no scaling) to one global. GGUF norm weights
// already contain the +1. Files carry neither query scale nor pattern: 1/sqrt(K) and 6 are assumed;
// the keys attention.scale, attention.sliding_window_pattern and rope.local.freq_base are honoured.
#include <math.h>

#include "model/model_private.h"

// Is layer i global? The pattern is a period (a number), or a list of booleans that mark local layers.
static cop_status read_pattern(const cop_gguf *file, const cop_desc *d, int i, bool *global) {
    char key[128];
    cop_desc_key(file, "attention.sliding_window_pattern", key);
    if (cop_gguf_type_of(file, key) == COP_GGUF_ARRAY) {
        cop_gguf_array local;
        COP_TRY(cop_gguf_get_array(file, key, COP_GGUF_INTS, &local));
        if (local.n != (size_t)d->L)
            return cop_fail(COP_ERR_FORMAT, "key %s: %zu entries for %d layers; %s", key, local.n, d->L, cop_gguf_name(file));
        *global = !cop_gguf_int(&local, (size_t)i);
        return COP_OK;
    }
    uint32_t period;
    COP_TRY(cop_gguf_get_u32_or(file, key, 6, &period));
    if (period < 1 || period > 4096) return cop_fail(COP_ERR_FORMAT, "key %s: %u, must be 1 to 4096; %s", key, period, cop_gguf_name(file));
    *global = (uint32_t)(i + 1) % period == 0;
    return COP_OK;
}

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    uint32_t window;
    COP_TRY(cop_desc_u32(file, "attention.sliding_window", &window));
    if (window > INT32_MAX) return cop_fail(COP_ERR_FORMAT, "sliding window of %u; %s", window, cop_gguf_name(file));
    d->act = COP_ACT_GELU_TANH;
    d->embed_scale = sqrtf((float)d->D);
    d->n_ropes = 2;
    d->rope[1] = d->rope[0];
    d->rope[1].factor = 1.0f;
    COP_TRY(cop_desc_f32_or(file, "rope.local.freq_base", 10000.0f, &d->rope[1].base));
    COP_TRY(cop_desc_f32_or(file, "final_logit_softcapping", 0.0f, &d->logit_softcap));
    for (int i = 0; i < d->L; i++) {
        bool global = false;
        COP_TRY(read_pattern(file, d, i, &global));
        d->layers[i] = (cop_layer_desc){.window = global ? 0 : (int)window, .rope = global ? 0 : 1};
    }
    return COP_OK;
}

const cop_family cop_family_gemma3 = {
    .name = "gemma3", .summary = "Gemma 3 (text)", .weights = COP_W_QK_NORM | COP_W_POST_NORMS, .describe = describe,
};
