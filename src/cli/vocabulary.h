// Commands that need a model's vocabulary and not its weights.
#ifndef COP_CLI_VOCABULARY_H
#define COP_CLI_VOCABULARY_H

#include "cli/cli.h"

#define COP_VOCABULARY_ARGS(type, field)                                                                                  \
    {'m', "model", COP_ARG_TEXT, offsetof(type, field.model), 0, 0, "M", "model: a name (`coppice models`), a file or a folder"}, \
    {0, "json", COP_ARG_FLAG, offsetof(type, field.json), 0, 0, NULL, "one JSON object on standard output"}

/* The tokenizer of -m, without loading weights. */
cop_status cop_cli_vocabulary(cop_tokenizer **out, const char *model);
/* The open file of -m. */
cop_status cop_cli_file(cop_gguf **out, const char *model);

/* Token ids separated by commas or white space. Caller frees ids->v. */
cop_status cop_cli_parse_ids(cop_token_array *ids, const char *text, size_t bytes);

#endif
