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

#endif
