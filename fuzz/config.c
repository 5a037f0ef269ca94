// Fuzzer of config.json and generation_config.json (behind a NUL, when there is one). What is accepted gives keys that
// a GGUF reader takes, each printable; what is refused says why in one line.
#include <stdint.h>
#include <string.h>

#include "format/folder.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_key(const cop_gguf *g, size_t i, const char *arch, size_t arch_bytes) {
    char line[200];
    cop_gguf_entry e;
    cop_gguf_key(g, i, &e);
    cop_gguf_print(g, i, line, sizeof line);
    must(*line && strlen(line) < sizeof line);
    must(e.name_bytes > 8 && (!memcmp(e.name, "general.", 8) || !memcmp(e.name, "tokenizer.", 8) ||
                              (e.name_bytes > arch_bytes && !memcmp(e.name, arch, arch_bytes) && e.name[arch_bytes] == '.')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *text = (const char *)data, *end = bytes ? memchr(text, 0, bytes) : NULL, *arch;
    size_t n = end ? (size_t)(end - text) : bytes, arch_bytes;
    uint32_t layers = 0;
    cop_gguf *g;
    if (cop_folder_keys(&g, text, n, end ? end + 1 : NULL, end ? bytes - n - 1 : 0, "fuzz")) {
        must(!g && *cop_error_text());
        for (const char *p = cop_error_text(); *p; p++) must(*p >= 0x20 && *p != 0x7f);
        return 0;
    }
    char key[64];
    must(!cop_gguf_get_text(g, "general.architecture", &arch, &arch_bytes) && arch_bytes < 32);
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) check_key(g, i, arch, arch_bytes);
    memcpy(key, arch, arch_bytes);
    memcpy(key + arch_bytes, ".block_count", 13);
    must(!cop_gguf_get_u32(g, key, &layers) && layers >= 1 && layers <= 4096);
    must(cop_gguf_n_tensors(g) == 0 && !cop_gguf_find_tensor(g, "token_embd.weight") && cop_gguf_folder(g));
    cop_gguf_close(g);
    return 0;
}
