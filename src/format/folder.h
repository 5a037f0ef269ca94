// A Hugging Face folder seen as a GGUF file: config.json becomes keys in GGUF's names, the tensors of its
// safetensors files stand under GGUF's names, so nothing above needs a second path. cop_gguf_open opens
// either; what is special to a folder is here.
// Source: the published configuration files and their two layouts (of transformers before and from version 5).
// Most tensors stay where they are in the mapping. The few whose bytes differ from GGUF's (permuted,
// transposed, stacked, shifted by one) are made when cop_gguf_read asks for them.
// Not here: tokenizer.json (text/ and model/vocab), what a family computes (model/).
#ifndef COP_FORMAT_FOLDER_H
#define COP_FORMAT_FOLDER_H

#include <stdbool.h>

#include "format/gguf.h"
#include "format/safetensors.h"

// How the bytes under a GGUF name come from those under a published name.
typedef enum cop_folder_op {
    COP_FOLDER_AS_IS,
    COP_FOLDER_PERMUTE_Q,  // rows of each head from halves to neighbouring pairs; as many heads as queries have
    COP_FOLDER_PERMUTE_K,  // the same, as many heads as keys have
    COP_FOLDER_TRANSPOSE,  // [in][out] becomes [out][in]; a vector stays
    COP_FOLDER_PLUS_ONE,   // F32: x + 1
    COP_FOLDER_SQUEEZE,    // [n][1][m] becomes [n][m]
    COP_FOLDER_STACK,      // one tensor per expert becomes [experts][out][in]
    COP_FOLDER_DROP        // not a weight, or one that nothing here uses
} cop_folder_op;

/* Is it a folder with config.json and safetensors weights? */
bool cop_folder_is_model(const char *path);

/* Errors name the file, and the key or tensor in it. COP_ERR_UNSUPPORTED for a model_type that the table
 * (folder_families.c) does not have, listing those that it has. */
cop_status cop_folder_open(cop_gguf **out, const char *path);

/* The tensors under their published names; NULL for a file. */
const cop_safetensors *cop_folder_tensors(const cop_gguf *g);

/* As open for texts in memory, without tensors: the keys of config.json. generation may be NULL. For tests and fuzzing. */
cop_status cop_folder_keys(cop_gguf **out, const char *config, size_t config_bytes, const char *generation, size_t generation_bytes,
                           const char *name);

/* The way back: the name that the tensor `gguf` has in folders of model_type (expert: its number, of stacked ones), and
 * how its bytes were made from those there. COP_ERR_UNSUPPORTED when it has none. (folder_names.c) */
cop_status cop_folder_name_of(const char *model_type, const char *gguf, int64_t expert, char out[COP_SAFETENSORS_MOST_NAME + 1],
                              cop_folder_op *op);
/* Llama 3's divisors of n_rot / 2 pairs: long waves are stretched by `factor`, short ones stay, those between are blended. */
void cop_folder_llama3(float *divisors, double base, int64_t n_rot, double factor, double low, double high, double original);

#endif
