// qwen2: Qwen 2 and 2.5. Biases on q, k and v. A window (attention.sliding_window) applies to the layers
// that attention.sliding_window_pattern marks: an array of booleans, true where the window is; without
// the array, to all.
#include <string.h>

#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    uint32_t window;
    COP_TRY(cop_desc_u32_or(file, "attention.sliding_window", 0, &window));
    char key[128];
    cop_desc_key(file, "attention.sliding_window_pattern", key);
    cop_gguf_array pattern = {0};
    if (window) COP_TRY(cop_gguf_get_array_or_empty(file, key, COP_GGUF_INTS, &pattern));
    if (pattern.n && pattern.n != (size_t)d->L)
        return cop_fail(COP_ERR_FORMAT, "key %s: %zu entries for %d layers; %s", key, pattern.n, d->L, cop_gguf_name(file));
    for (int i = 0; i < d->L; i++) {
        bool windowed = window && window <= INT32_MAX && (!pattern.n || cop_gguf_int(&pattern, (size_t)i));
        d->layers[i] = (cop_layer_desc){.window = windowed ? (int)window : 0};
    }
    return COP_OK;
}

const cop_family cop_family_qwen2 = {
    .name = "qwen2", .summary = "Qwen 2, 2.5", .weights = COP_W_QKV_BIAS, .describe = describe,
};
