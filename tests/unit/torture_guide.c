// Each allocation fails once: an error or a dead state, never a crash, and nothing is lost.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../support/guiding.h"
#include "base/alloc.h"

static const char *const texts[] = {
    "root ::= \"(\" (root \",\"){0,2} root? \")\" | [a-c]{1,3} | <tool>", "start: NAME \"=\" NAME (\",\" start)?\nNAME: /[a-z]+/ & ~\"ab\"\n%ignore \" \"",
    "(?=.*a)(?!b)[abc]{2,5}\\b|\\p{Script=Greek}", "\"[^\"]*\""};

// Everything once: compile, walk a little, fork.
static void use(int which, const cop_vocab_trie *v) {
    cop_language *l;
    cop_guide *g, *other;
    uint64_t bits[8];
    int32_t tokens[64];
    size_t n = strlen(texts[which]);
    if (which < 2 ? cop_language_grammar(&l, texts[which], n, v) : cop_language_regex(&l, texts[which], n)) return;
    if (cop_guide_new(&g, l, v)) return;
    cop_guide_state s = cop_guide_start(g);
    for (int i = 0; i < 5 && s != COP_GUIDE_DEAD && s != COP_GUIDE_ENDED; i++) {
        cop_guide_mask(g, s, 9 - i, bits);
        cop_guide_forced(g, s, tokens, 64);
        cop_guide_branches(g, s, 4, tokens, 64);
        int32_t t = 0;
        while (t < guiding_usual.n && !(bits[t / 64] >> (t % 64) & 1)) t++;
        s = cop_guide_advance(g, s, t);
    }
    if (!cop_guide_fork(&other, g)) {
        cop_guide_mask(other, cop_guide_start(other), -1, bits);
        cop_guide_free(other);
    }
    cop_guide_free(g);
}

static void guides_survive_each_failed_allocation(void **state) {
    (void)state;
    cop_vocab_trie *v = guiding_trie(&guiding_usual);
    assert_non_null(v);
    for (int which = 0; which < (int)(sizeof texts / sizeof *texts); which++) {
        int n = 1;
        for (; n < 20000; n += n < 600 ? 1 : 7) {
            cop_alloc_fail_at(n);
            use(which, v);
            if (!cop_alloc_failed()) break;
        }
        cop_alloc_fail_at(0);
        assert_true(n > 20 && n < 20000);
    }
    cop_vocab_trie_free(v);
}

static void a_vocabulary_survives_each_failed_allocation(void **state) {
    (void)state;
    for (int n = 1;; n++) {
        cop_alloc_fail_at(n);
        cop_vocab_trie *v = guiding_trie(&guiding_usual);
        bool failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        assert_true(failed || v);
        cop_vocab_trie_free(v);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guides_survive_each_failed_allocation),
        cmocka_unit_test(a_vocabulary_survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
