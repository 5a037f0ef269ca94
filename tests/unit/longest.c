// Cutting a text by the longest token: nothing is lost, nothing longer was there, and control tokens are known by name.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine/session.h"
#include "text/longest.h"

static void every_cut_is_the_longest_token_that_fits(void **state) {
    (void)state;
    static const char *const files[] = {"tests/data/tiny-llama-a.gguf", "tests/data/tiny-gpt2-a.gguf", "tests/data/tiny-qwen2-a.gguf"};
    static const char text[] = "the cat and the dog  went over\tthe hill, 1234 times\n\n\xc3\xa9\xe2\x82\xac <s>|end|";
    for (int f = 0; f < 3; f++) {
        cop_engine_options o = cop_engine_defaults();
        o.keep_packed = 0;
        cop_engine *e;
        assert_int_equal(cop_engine_open(&e, files[f], &o), COP_OK);
        cop_longest *l;
        assert_int_equal(cop_longest_new(&l, e->tokenizer), COP_OK);
        for (size_t at = 0, used; at < sizeof text - 1; at++) {
            size_t best = 0, bytes;
            for (int32_t id = 0; id < cop_tokenizer_n_tokens(e->tokenizer); id++) {
                const char *piece = cop_tokenizer_piece(e->tokenizer, id, true, &bytes);
                if (bytes > best && bytes <= sizeof text - 1 - at && !memcmp(piece, text + at, bytes)) best = bytes;
            }
            int32_t got = cop_longest_next(l, text + at, sizeof text - 1 - at, &used);
            assert_int_equal(used, best);
            assert_int_equal(got < 0, best == 0);
            if (got < 0) continue;
            const char *piece = cop_tokenizer_piece(e->tokenizer, got, true, &bytes);
            assert_int_equal(bytes, best);
            assert_memory_equal(piece, text + at, best);
        }
        cop_longest_free(l);
        cop_engine_close(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cut_is_the_longest_token_that_fits)};
    return cmocka_run_group_tests_name("longest", tests, NULL, NULL);
}
