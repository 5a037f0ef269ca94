#ifndef COP_MODEL_PRIVATE_H
#define COP_MODEL_PRIVATE_H

#include "model/model.h"

#define COP_MAX_LAYERS 4096
#define COP_MAX_STATE_PART 128  // elements of a convolution's input that are stored and computed together

/* Read "ARCH.name" through `get`; the key is built here. Each fails naming the key. */
cop_status cop_desc_u32(const cop_gguf *file, const char *name, uint32_t *out);
cop_status cop_desc_u32_or(const cop_gguf *file, const char *name, uint32_t fallback, uint32_t *out);
cop_status cop_desc_f32(const cop_gguf *file, const char *name, float *out);
cop_status cop_desc_f32_or(const cop_gguf *file, const char *name, float fallback, float *out);
/* "ARCH.name" in the file's own architecture; key: [128]. */
void cop_desc_key(const cop_gguf *file, const char *name, char *key);

/* The fields that most families share (describe.c): shape, norms, rope, one layer description. */
cop_status cop_desc_common(const cop_gguf *file, cop_desc *desc);
/* LayerNorm with its own key of epsilon, and a plain feed-forward with tanh's gelu: the GPT-2 line. */
cop_status cop_desc_gpt(const cop_gguf *file, cop_desc *desc);
/* Positions from a table, no rotation in any layer. */
void cop_desc_learned_positions(cop_desc *desc);
/* A second rope like the first, but without scaling. */
void cop_desc_plain_rope(cop_desc *desc);
/* layers[i].window from attention.sliding_window (0: none; missing: `window`) and
 * attention.sliding_window_pattern: a list with one entry per layer, true where the window is, or a period
 * p, layer i being without when (i + 1) % p is 0. Without a pattern the period is `period`; 0: every layer
 * has the window. */
cop_status cop_desc_windows(const cop_gguf *file, cop_desc *desc, uint32_t window, uint32_t period);
/* Which layers a list or a period under `name` marks, as above; set: [L]. Without the key, `period`. */
cop_status cop_desc_pattern(const cop_gguf *file, const cop_desc *desc, const char *name, uint32_t period, bool *set);
/* desc->experts from expert_count and its companions (nothing when it is 0 or missing), and which layers have a
 * router; after cop_desc_windows. `width`: of an expert when the file does not say. */
cop_status cop_desc_experts(const cop_gguf *file, cop_desc *desc, int width);
/* Sanity of the finished description: ranges, divisibility, what this build computes. */
cop_status cop_desc_check(const cop_desc *desc);

/* Point every weight at its place in model->memory and fill it, from the packed file or by packing. */
cop_status cop_model_load(cop_model *model, const cop_family *family, const cop_model_options *options);

/* Give each linear that is there its number (adapter.c). */
void cop_model_number_linears(cop_model *model);

/* The packed file. load: COP_OK when `memory` was filled and every checksum held; any failure means
 * that it has to be packed anew. save: best effort, atomic, never disturbs a reader. */
cop_status cop_packed_load(const cop_gguf *file, const char *folder, cop_pool *pool, uint8_t *memory, size_t bytes);
cop_status cop_packed_save(const cop_gguf *file, const char *folder, const uint8_t *memory, size_t bytes);

#endif
