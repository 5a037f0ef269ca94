// The tokenizer of a GGUF file: its tokenizer.* keys, handed to text/ as plain data, and written.
#ifndef COP_MODEL_VOCAB_H
#define COP_MODEL_VOCAB_H

#include "format/gguf.h"
#include "format/gguf_write.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

// A vocabulary that the other keys cannot say is there as the files it came from.
#define COP_VOCAB_JSON_KEY "tokenizer.huggingface.json"
#define COP_VOCAB_CONFIG_KEY "tokenizer.huggingface.config"

/* A tokenizer from the file's keys, or from tokenizer.json where it is a folder; it keeps nothing of the file.  COP_ERR_FORMAT names the key that
 * is missing or wrong, COP_ERR_UNSUPPORTED the kind that is not known. */
cop_status cop_vocab_open(cop_tokenizer **out, const cop_gguf *file);

/* Add the keys that make cop_vocab_open give a tokenizer with the same ids as tok.  files: what tok was made
 * from, written whole where its steps are none that the usual keys express; NULL or without tokenizer.json:
 * then such a tokenizer is COP_ERR_UNSUPPORTED. */
cop_status cop_vocab_write(cop_gguf_writer *w, const cop_tokenizer *tok, const cop_tokenizer_files *files);

/* The same two for the files of a folder; COP_ERR_NOT_FOUND when it has neither tokenizer.json nor tokenizer.model. (vocab_folder.c) */
cop_status cop_vocab_open_folder(cop_tokenizer **out, const char *folder);
cop_status cop_vocab_write_folder(cop_gguf_writer *w, const char *folder);

#endif
