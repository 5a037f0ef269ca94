// Fuzzer of regular expressions. The input is a pattern. Whatever it is, it is refused in one line or becomes a guide whose
// masks, steps, budgets and forced tokens agree; searching and spelling as JSON agree with themselves.
#include "guide/regex.h"
#include "guiding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_expressions(const char *pattern, size_t bytes) {
    cop_regex_set *set;
    cop_rx whole, part;
    must(!cop_regex_set_new(&set, 100000));
    if (!cop_rx_parse(set, pattern, bytes, COP_RX_WHOLE, &whole) && !cop_rx_parse(set, pattern, bytes, COP_RX_SEARCH, &part)) {
        int within = cop_rx_try_is_empty(set, cop_rx_minus(set, whole, part), 20000);  // what matches wholly matches somewhere
        if (!cop_regex_set_failed(set)) must(within != 0);
        cop_rx one = cop_rx_encode(set, whole, COP_RX_JSON), any = cop_rx_encode(set, whole, COP_RX_JSON_ANY);
        within = cop_rx_try_is_empty(set, cop_rx_minus(set, one, any), 20000);
        if (!cop_regex_set_failed(set)) must(within != 0);
    }
    cop_regex_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *pattern = (const char *)data;
    cop_language *l;
    uint64_t seed = bytes;
    for (size_t i = 0; i < bytes; i++) seed = seed * 31 + data[i];
    if (bytes > 300) return 0;
    cop_status st = cop_language_regex(&l, pattern, bytes);
    if (st) guiding_check_failure(st);
    else guiding_check(l, seed);
    if (seed % 8 == 0) check_expressions(pattern, bytes);
    return 0;
}
