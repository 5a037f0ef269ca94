// Converting models between files: which type each tensor gets, and its bytes in that type.
//
// The mixes are plain: matrices get the wanted type; norms, biases, routers and other small tensors stay F32;
// an output matrix (the embedding too, where it is the output) gets more bits, as conversion.c says. A row that is no
// whole number of blocks gets the nearest type that fits. Weights that are quantised are not quantised again.
#ifndef COP_SURGERY_CONVERSION_H
#define COP_SURGERY_CONVERSION_H

#include "base/threads.h"
#include "format/gguf.h"

typedef struct cop_convert_options {
    cop_dtype type;    // of matrices; COP_N_DTYPES: what they are
    cop_pool *pool;    // borrowed
    bool replace;      // an existing file or folder
    bool no_tokenizer; // a folder from a file gets none
    uint64_t shard_bytes;  // of one safetensors file at most, but for a tensor that has more; 0: 5 GB
    /* done and total bytes of the result; false ends the conversion with COP_ERR_CANCELLED. May be NULL. */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} cop_convert_options;

/* Write `file` to `path`: a GGUF file when the name ends in .gguf, else a folder with config.json, safetensors
 * and the tokenizer's files; COP_ERR_UNSUPPORTED names what a folder cannot say. There is a whole result or, after a failure, what was there before. */
cop_status cop_convert(const cop_gguf *file, const char *path, const cop_convert_options *options);

/* The type by its name in any case ("q4_k"); COP_ERR_ARG lists those that can be written. */
cop_status cop_convert_type(const char *name, cop_dtype *out);

/* The type that tensor t gets when `wanted` is asked for. folder: the result is a folder. */
cop_status cop_convert_choose(const cop_gguf *file, const cop_gguf_tensor *t, cop_dtype wanted, bool folder, cop_dtype *out);

#endif
