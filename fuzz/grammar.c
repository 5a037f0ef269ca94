// Fuzzer of grammars. The input is a grammar, in GBNF or Lark's dialect. Whatever it is, it is refused in one line or becomes
// a guide whose masks, steps, budgets and forced tokens agree.
#include "guiding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    cop_language *l;
    uint64_t seed = bytes;
    for (size_t i = 0; i < bytes; i++) seed = seed * 31 + data[i];
    if (bytes > 600) return 0;
    cop_status st = cop_language_grammar(&l, (const char *)data, bytes, guiding_vocabulary());
    if (st) guiding_check_failure(st);
    else guiding_check(l, seed);
    return 0;
}
