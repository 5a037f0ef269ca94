// Where each family's patterns cut a text; the cuts are written as "|".
#include <string.h>

#include "../support/mini_cmocka.h"
#include "text/text_private.h"

typedef struct cuts {
    char text[256];
    size_t n, pieces;
} cuts;

static cop_status collect(void *arg, const char *text, size_t bytes) {
    cuts *c = arg;
    assert_true(bytes > 0 && c->n + bytes + 1 < sizeof c->text);
    if (c->pieces++) c->text[c->n++] = '|';
    memcpy(c->text + c->n, text, bytes);
    c->n += bytes;
    return COP_OK;
}

static void assert_cuts(const char *pre, const char *want) {
    char text[256];
    size_t n = 0;
    for (const char *p = want; *p; p++)
        if (*p != '|') text[n++] = *p;
    cop_splitter *s;
    cop_split_work *w;
    cuts got = {0};
    assert_int_equal(cop_splitter_new(&s, pre), COP_OK);
    assert_int_equal(cop_split_work_new(&w, s), COP_OK);
    assert_int_equal(cop_split_run(s, w, text, n, collect, &got), COP_OK);
    if (got.n != strlen(want) || memcmp(got.text, want, got.n))
        fail_msg("%s: '%.*s', wanted '%s'", pre, (int)got.n, got.text, want);
    cop_split_work_free(w);
    cop_splitter_free(s);
}

static void gpt_2_cuts_words_numbers_and_signs(void **state) {
    (void)state;
    assert_cuts("gpt-2", "Hello| world|!!| 123|abc|  | x|'s|'|S");
    assert_cuts("gpt-2", "a|\n\n|\t|b|   ");
    assert_cuts("gpt-2", "\u00e9t\u00e9|\u00bd|\u3000");
}

static void each_digit_stands_alone_where_the_family_says_so(void **state) {
    (void)state;
    static const char *const families[] = {"smollm", "starcoder", "refact", "codeshell", "command-r"};
    for (int i = 0; i < 5; i++) assert_cuts(families[i], "a|1|2|b| |3|\u00b2|  |4");
    assert_cuts("qwen2", "a|1|2| b| |3");
    assert_cuts("llama-bpe", "123|456|7|a");
    assert_cuts("default", "x| |123|4");
}

static void line_ends_stay_with_signs_in_llama_3(void **state) {
    (void)state;
    assert_cuts("llama-bpe", "x|();\n\n|  | y|\n\n|'LL|(a");
    assert_cuts("qwen2", " \r\n|\t|\tx");
}

static void deepseek_coder_applies_its_patterns_in_turn(void **state) {
    (void)state;
    assert_cuts("deepseek-coder", "a|\r|\n| b|!!|\u4e00\u4e01|1|2|   | c");
}

static void u180e_is_no_white_space(void **state) {
    (void)state;
    assert_cuts("gpt-2", "\u180e!|\u1680|!");
    assert_cuts("llama-bpe", "\u180e!");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_2_cuts_words_numbers_and_signs),
        cmocka_unit_test(each_digit_stands_alone_where_the_family_says_so),
        cmocka_unit_test(line_ends_stay_with_signs_in_llama_3),
        cmocka_unit_test(deepseek_coder_applies_its_patterns_in_turn),
        cmocka_unit_test(u180e_is_no_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
