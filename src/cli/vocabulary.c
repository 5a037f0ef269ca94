#include "cli/vocabulary.h"

#include <string.h>

#include "base/option.h"
#include "format/registry.h"
#include "model/vocab.h"

cop_status cop_cli_file(cop_gguf **out, const char *model) {
    *out = NULL;
    char path[COP_PATH_MAX];
    if (!model) return cop_fail(COP_ERR_ARG, "which model? -m NAME, FILE or FOLDER; `coppice models` lists the names");
    COP_TRY(cop_model_locate(path, model));
    return cop_gguf_open(out, path);
}

cop_status cop_cli_vocabulary(cop_tokenizer **out, const char *model) {
    *out = NULL;
    cop_gguf *file;
    COP_TRY(cop_cli_file(&file, model));
    cop_status st = cop_vocab_open(out, file);
    cop_gguf_close(file);
    return st;
}

cop_status cop_cli_parse_ids(cop_token_array *ids, const char *text, size_t bytes) {
    static const char separators[] = ", \t\r\n";
    for (size_t at = 0; at < bytes;) {
        if (memchr(separators, text[at], sizeof separators - 1)) {
            at++;
            continue;
        }
        size_t n = 0;
        while (at + n < bytes && !memchr(separators, text[at + n], sizeof separators - 1)) n++;
        int64_t id;
        COP_TRY(cop_parse_int("token", text + at, n, 0, INT32_MAX, &id));
        COP_TRY(cop_array_push(ids, (int32_t)id));
        at += n;
    }
    return COP_OK;
}
