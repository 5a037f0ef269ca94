// The tokenizer of a GGUF file: its tokenizer.* keys, handed to text/ as plain data.
#ifndef COP_MODEL_VOCAB_H
#define COP_MODEL_VOCAB_H

#include "format/gguf.h"
#include "text/tokenizer.h"

/* A tokenizer from the file's keys; it keeps nothing of the file.  COP_ERR_FORMAT names the key that
 * is missing or wrong, COP_ERR_UNSUPPORTED the kind that is not known. */
cop_status cop_vocab_open(cop_tokenizer **out, const cop_gguf *file);

#endif
