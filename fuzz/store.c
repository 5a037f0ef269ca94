// Fuzzer of the store that drafter retrieve reads: whatever opens is searched and split, and what comes out keeps
// the promises of draft/suffixes.h that do not rest on the file being sorted.
#include <stdint.h>
#include <string.h>

#include "draft/suffixes.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void split(const cop_suffixes *s, cop_interval in, int depth) {
    int32_t tokens[COP_SUFFIX_SPLITS];
    cop_interval parts[COP_SUFFIX_SPLITS];
    int n = cop_suffixes_split(s, in, depth, tokens, parts);
    must(n >= 0 && n <= COP_SUFFIX_SPLITS);
    for (int i = 0; i < n; i++) {
        must(tokens[i] >= 0 && tokens[i] < s->V);
        must(parts[i].low >= (i ? parts[i - 1].high : in.low) && parts[i].low < parts[i].high && parts[i].high <= in.high);
        if (depth < 3) split(s, parts[i], depth + 1);
    }
}

static void search(const uint8_t *data, size_t bytes, int V) {
    cop_suffixes s;
    cop_status st = cop_suffixes_from_memory(&s, data, bytes, V, "fuzz");
    if (st) {
        must(*cop_error_text() && !s.n);
        return;
    }
    split(&s, (cop_interval){0, s.n}, 0);
    for (int32_t t = 0; t < 40; t++) {
        const int32_t run[] = {t, (t * 7 + 1) % 40, t};
        for (int n = 1; n <= 3; n++) {
            cop_interval in = cop_suffixes_find(&s, run, n);
            must(in.low >= 0 && in.low <= in.high && in.high <= s.n);
            split(&s, in, n);
        }
    }
    cop_suffixes_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    search(data, bytes, 40);
    search(data, bytes, 200000);
    return 0;
}
