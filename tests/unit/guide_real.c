// Guides over the vocabularies of real models, which have to be there: COPPICE_MODELS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/guiding.h"
#include "base/alloc.h"
#include "format/gguf.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

typedef struct real {
    cop_gguf *file;
    cop_tokenizer *tok;
    cop_vocab_trie *v;
    int32_t V;
} real;

static real open_real(const char *name) {
    real r = {0};
    char path[1024];
    const char *folder = getenv("COPPICE_MODELS");
    snprintf(path, sizeof path, "%s/%s.gguf", folder ? folder : "models", name);
    if (cop_gguf_open(&r.file, path)) {
        printf("skipped: %s\n", cop_error_text());
        skip();
    }
    assert_int_equal(cop_vocab_open(&r.tok, r.file), 0);
    assert_int_equal(cop_vocab_trie_of(&r.v, r.tok), 0);
    r.V = cop_vocab_trie_get_source(r.v)->V;
    return r;
}

static void close_real(real *r) {
    cop_vocab_trie_free(r->v);
    cop_tokenizer_free(r->tok);
    cop_gguf_close(r->file);
}

static cop_guide *guide_of(const real *r, bool grammar, const char *text) {
    cop_language *l;
    cop_guide *g;
    cop_status st = grammar ? cop_language_grammar(&l, text, strlen(text), r->v) : cop_language_regex(&l, text, strlen(text));
    if (st || cop_guide_new(&g, l, r->v)) fail_msg("%s: %s", text, cop_error_text());
    return g;
}

static const char *const patterns[] = {
    "(?s).*", "\"[^\"\\\\\\x00-\\x1f]*\"", "\"[^\"\\\\\\x00-\\x1f]{0,40}\"", "\"[^\"\\\\\\x00-\\x1f]{3,12}\" or so", "[a-z_]+\\(\\d*\\)", "(?!The ).*\\.",
    "(?:[^é\"\\\\\\x00-\\x1f][^\"\\\\\\x00-\\x1f]|é)\\n", "\\p{L}{2,20}( \\p{L}+)*", "\\{\"name\": \"[A-Z][a-z]{1,20}\", \"age\": \\d{1,3}\\}"};
static const char list_grammar[] = "root ::= \"[\" (item (\", \" item)*)? \"]\"\nitem ::= root | \"\\\"\" [^\"\\\\\\x00-\\x1F]* \"\\\"\" | [0-9]+";

static void masks_are_what_each_token_says(void **state) {
    (void)state;
    real r = open_real("qwen2.5-coder-0.5b");
    uint64_t seed = 1, *bits = cop_alloc_array((size_t)r.V / 64 + 1, 8);
    for (size_t i = 0; i <= sizeof patterns / sizeof *patterns; i++) {
        bool grammar = i == sizeof patterns / sizeof *patterns;
        cop_guide *g = guide_of(&r, grammar, grammar ? list_grammar : patterns[i]);
        cop_guide_state s = cop_guide_start(g);
        for (int left = 12; left >= 0 && s != COP_GUIDE_ENDED; left--) {
            for (int limited = 0; limited < 2; limited++) {
                int budget = limited ? left + cop_guide_distance(g, cop_guide_start(g)) / 3 : -1;
                cop_guide_mask(g, s, budget, bits);
                for (int32_t t = 0; t < r.V; t += limited ? 7 : 1)
                    if ((bits[t / 64] >> (t % 64) & 1) != cop_guide_allows(g, s, t, budget))
                        fail_msg("%s: token %d, budget %d", grammar ? "grammar" : patterns[i], t, budget);
            }
            int32_t t = -1;
            for (int k = 0; k < 1000000 && t < 0; k++) {
                int32_t c = (int32_t)guiding_random(&seed, (uint32_t)r.V);
                if (cop_guide_allows(g, s, c, -1) && cop_guide_advance(g, s, c) != COP_GUIDE_ENDED) t = c;
            }
            if (t < 0) break;
            s = cop_guide_advance(g, s, t);
        }
        cop_guide_free(g);
    }
    cop_free(bits);
    close_real(&r);
}

// What is forced is what the tokenizer writes when it sees the whole text.
static void check_forced(const char *model) {
    static const char *const texts[][2] = {
        {"\\{\"name\": \"[A-Z][a-z]{1,20}\", \"age\": \\d{1,3}, \"married\": (true|false)\\}", "{\"name\": \"Anna\", \"age\": 31, \"married\": true}"},
        {"\\{\"name\": \"[A-Z][a-z]{1,20}\", \"age\": \\d{1,3}, \"married\": (true|false)\\}", "{\"name\": \"Zy\", \"age\": 100, \"married\": false}"},
        {"The answer is (yes|no|nobody knows)\\.\n", "The answer is nobody knows.\n"}, {"def main\\(\\w*\\):\n    return \\d+\n", "def main(args):\n    return 12\n"},
        {"\\{\"temperature\":-?\\d+,\"unit\":\"(celsius|fahrenheit)\"\\}", "{\"temperature\":-12,\"unit\":\"celsius\"}"}, {"interna(l|tional) affairs", "international affairs"}};
    real r = open_real(model);
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(r.v);
    int n_forced = 0, n_tokens = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cop_guide *g = guide_of(&r, false, texts[i][0]);
        int32_t all[100], forced[64];
        int n = source->encode(source->user, texts[i][1], strlen(texts[i][1]), all, 100);
        cop_guide_state s = cop_guide_start(g);
        for (int t = 0; t < n; t++) {
            int f = cop_guide_forced(g, s, forced, 64);
            n_forced += f > 0;
            for (int j = 0; j < f; j++)
                if (t + j >= n || forced[j] != all[t + j]) fail_msg("%s: %s: token %d is not the one that is forced", model, texts[i][1], t + j);
            s = cop_guide_advance(g, s, all[t]);
            n_tokens++;
        }
        assert_true(cop_guide_accepting(g, s));
        cop_guide_free(g);
    }
    printf("%s: %d of %d tokens are forced\n", model, n_forced, n_tokens);
    close_real(&r);
}

static void what_is_forced_is_what_the_tokenizer_writes(void **state) {
    (void)state;
    check_forced("qwen2.5-coder-0.5b");
    check_forced("smollm2-135m");
    check_forced("gemma3-270m");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_what_each_token_says),
        cmocka_unit_test(what_is_forced_is_what_the_tokenizer_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
