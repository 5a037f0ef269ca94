// A tokenizer from SentencePiece's own file, tokenizer.model, and what tokenizer_config.json adds to it.
#ifndef COP_TEXT_SENTENCEPIECE_H
#define COP_TEXT_SENTENCEPIECE_H

#include "text/tokenizer_json.h"

/* Of models of the kinds BPE (with byte pieces) and Unigram; files->sentencepiece is the file. Encoding gives the library's own
 * ids. COP_ERR_FORMAT says what is wrong at which byte, COP_ERR_UNSUPPORTED names the kind, setting or class that is
 * not known here, COP_ERR_LIMIT a size. */
cop_status cop_tokenizer_from_sentencepiece(cop_tokenizer **out, const cop_tokenizer_files *files);

#endif
