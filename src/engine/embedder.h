// Texts to vectors: the hidden states behind the last norm, pooled. For encoders and for decoders.
#ifndef COP_ENGINE_EMBEDDER_H
#define COP_ENGINE_EMBEDDER_H

#include "engine/session.h"

typedef enum cop_pooling {
    COP_POOL_AUTO,   // what the file says; else mean for encoders, last for decoders
    COP_POOL_MEAN,   // of all tokens, those around the text included
    COP_POOL_CLASS,  // the first token
    COP_POOL_LAST    // the last token
} cop_pooling;

typedef struct cop_embedder_options {
    cop_pooling pooling;
    bool raw;                // leave the length as it is; else vectors have length 1
    bool truncate;           // cut what is too long, keeping the tokens that stand behind a text
    int context;             // most tokens of a text; 0: the model's, at most 4096
    const char *cache_type;  // of keys and values; NULL: f32
    const cop_adapter_set *adapters;  // in force for every text, or NULL; borrowed
} cop_embedder_options;

typedef struct cop_embedder cop_embedder;

/* "auto", "mean", "class" or "last". */
cop_status cop_pooling_parse(cop_pooling *out, const char *text);

/* The engine is borrowed until cop_embedder_close. */
cop_status cop_embedder_open(cop_embedder **out, cop_engine *engine, const cop_embedder_options *options);
void cop_embedder_close(cop_embedder *e);  // accepts NULL

int cop_embedder_width(const cop_embedder *e);  // elements of a vector
cop_pooling cop_embedder_pooling(const cop_embedder *e);  // which is in use, never COP_POOL_AUTO

/* The vector of one text into out[width]; *n_tokens (may be NULL) gets how many tokens it had. A text
 * without tokens is COP_ERR_ARG, one that is too long COP_ERR_LIMIT. */
cop_status cop_embedder_text(cop_embedder *e, const char *text, size_t bytes, float *out, int *n_tokens);

#endif
