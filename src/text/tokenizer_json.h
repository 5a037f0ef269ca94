// A tokenizer from a Hugging Face folder's files: tokenizer.json and what tokenizer_config.json adds.
#ifndef COP_TEXT_TOKENIZER_JSON_H
#define COP_TEXT_TOKENIZER_JSON_H

#include "base/json.h"
#include "text/tokenizer.h"

#define COP_MAX_TOKENIZER_JSON ((size_t)64 << 20)  // bytes

// The files' bytes; .text is NULL for one that the folder has not.  Borrowed during the call only.
typedef struct cop_tokenizer_files {
    cop_span tokenizer;      // tokenizer.json
    cop_span config;         // tokenizer_config.json
    cop_span chat_template;  // chat_template.jinja; it wins over the one in config
    cop_span sentencepiece;  // tokenizer.model, for folders without tokenizer.json (text/sentencepiece.h)
} cop_tokenizer_files;

/* COP_ERR_FORMAT names the member that is wrong, COP_ERR_UNSUPPORTED the kind of step that is not known
 * here, COP_ERR_LIMIT a size.  Encoding gives the ids of the tokenizers library, added tokens as their
 * flags say; where parse_special is false, special ones are plain text. */
cop_status cop_tokenizer_from_json(cop_tokenizer **out, const cop_tokenizer_files *files);

/* The way back, for byte-level BPE and SentencePiece's: objects that a tokenizer with the same ids is made from; the
 * chat template stands in *config. COP_ERR_UNSUPPORTED says what cannot be expressed. The caller owns both. */
cop_status cop_tokenizer_to_json(const cop_tokenizer *tok, json_t **tokenizer, json_t **config);

#endif
