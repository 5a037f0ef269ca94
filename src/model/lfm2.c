// lfm2: short gated convolutions in most layers, attention with norms on heads in the others. A layer convolves
// where its entry of attention.head_count_kv is 0, or where it has a convolution when that is one number. The final
// norm is called token_embd_norm in GGUF files.
#include <stdio.h>

#include "model/model_private.h"

static cop_status describe(const cop_gguf *file, cop_desc *d) {
    char key[128];
    uint32_t taps;
    cop_gguf_array list = {0};
    COP_TRY(cop_desc_windows(file, d, 0, 0));
    COP_TRY(cop_desc_u32_or(file, "shortconv.l_cache", 3, &taps));
    if (taps < 1 || taps > 64) return cop_fail(COP_ERR_FORMAT, "convolution over %u tokens: must be 1 to 64; %s", taps, cop_gguf_name(file));
    if (d->D % 2) return cop_fail(COP_ERR_UNSUPPORTED, "a convolution of %d channels: must be even; %s", d->D, cop_gguf_name(file));
    cop_desc_key(file, "attention.head_count_kv", key);
    if (cop_gguf_type_of(file, key) == COP_GGUF_ARRAY) COP_TRY(cop_gguf_get_array(file, key, COP_GGUF_INTS, &list));
    d->taps = (int)taps;
    for (int i = 0; i < d->L; i++) {
        char name[COP_GGUF_NAME_BYTES];
        snprintf(name, sizeof name, "blk.%d.shortconv.conv.weight", i);
        d->layers[i].convolution = list.n ? cop_gguf_int(&list, (size_t)i) == 0 : cop_gguf_find_tensor(file, name) != NULL;
    }
    return COP_OK;
}

const cop_family cop_family_lfm2 = {
    .name = "lfm2", .summary = "LFM2", .weights = COP_W_QK_NORM | COP_W_EMBED_NORM_LAST, .describe = describe,
};
