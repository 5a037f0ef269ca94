// Exactness over the plug-in tables: with every drafter, controller and size of tree, on every CPU level, the text
// and the cache are plain decoding's, bit for bit, greedy and seeded, penalties included.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "draft/suffixes.h"
#include "engine/session.h"
#include "support/engines.h"
#include "support/model.h"

#define N 40

static const char *const models[] = {"tiny-llama-a", "tiny-gemma3-a", "tiny-qwen3moe-a", "tiny-q4_k"};
#define N_MODELS ((int)(sizeof models / sizeof *models))
static const char text[] = "a b c d e f a b c d e f a b c x a b c";

static cop_session_options seeded(uint64_t seed) {
    cop_session_options o = cop_session_defaults();
    o.context = 128;
    o.hash_logits = 1;
    o.seed = seed;
    o.remember = 0;
    if (!seed) return o;
    o.temp = 1.1f;
    o.top_p = 0.95f;
    o.repeat_penalty = 1.1f;
    o.frequency_penalty = 0.2f;
    return o;
}

static cop_session *write(cop_engine *e, const cop_session_options *o, uint64_t *hash) {
    cop_session *s;
    cop_result r;
    if (cop_session_open(&s, e, o)) fail_msg("%s", cop_error_text());
    assert_int_equal(cop_session_add_text(s, text, sizeof text - 1, 0), COP_OK);
    if (cop_session_generate(s, N, NULL, NULL, &r)) fail_msg("%s", cop_error_text());
    *hash = r.logits_hash;
    return s;
}

// Are the committed keys and values the same bits: what any path of any tree left is what plain decoding computed.
static bool same_cache(const cop_session *a, const cop_session *b) {
    const cop_cache_shape *shape = cop_cache_get_shape(a->cache);
    int n = cop_seq_length(a->seq);
    size_t bytes = cop_kv_page_bytes(shape->type, shape->head);
    uint8_t *x = cop_alloc(bytes), *y = cop_alloc(bytes);
    bool same = cop_seq_length(b->seq) == n;
    for (int layer = 0; same && layer < shape->n_layers; layer++)
        for (int h = 0; h < shape->n_kv_heads; h++)
            for (int slot = 0; slot < n; slot++) {
                int page = slot / COP_PAGE, i = slot % COP_PAGE;
                cop_kv_copy_key(shape->type, x, 0, cop_seq_keys(a->seq, layer, h, page), i, shape->head);
                cop_kv_copy_key(shape->type, y, 0, cop_seq_keys(b->seq, layer, h, page), i, shape->head);
                same = same && !memcmp(x, y, bytes);
                cop_kv_copy_value(shape->type, x, 0, cop_seq_values(a->seq, layer, h, page), i, shape->head);
                cop_kv_copy_value(shape->type, y, 0, cop_seq_values(b->seq, layer, h, page), i, shape->head);
                same = same && !memcmp(x, y, bytes);
            }
    cop_free(x);
    cop_free(y);
    return same;
}

static void check(cop_engine *e, cop_session_options o, const char *what, const char *draft, const char *control, const char *verify) {
    uint64_t want_hash, got_hash;
    o.draft = "none";
    cop_session *plain = write(e, &o, &want_hash);
    o.draft = draft;
    o.control = control;
    o.verify = verify;
    cop_session *s = write(e, &o, &got_hash);
    if (s->n_tokens != plain->n_tokens || memcmp(s->tokens, plain->tokens, (size_t)s->n_tokens * sizeof *s->tokens))
        fail_msg("%s, seed %d, --draft %s --control %s --verify %s: another text", what, (int)o.seed, draft, control ? control : "-", verify ? verify : "-");
    if (want_hash != got_hash) fail_msg("%s, seed %d, --draft %s --control %s: other logits", what, (int)o.seed, draft, control ? control : "-");
    if (!same_cache(plain, s))
        fail_msg("%s, seed %d, --draft %s --control %s: another cache", what, (int)o.seed, draft, control ? control : "-");
    cop_session_close(s);
    cop_session_close(plain);
}

static void every_drafter_and_size_of_tree_leaves_text_and_cache_alone(void **state) {
    (void)state;
    const char *levels[4];
    int n_levels = cop_test_levels(levels);
    for (int m = 0; m < N_MODELS; m++)
        for (int l = 0; l < n_levels; l++) {
            bool best = l == n_levels - 1;  // all sizes on the best level, one on the others
            cop_engine *e = engines_open(models[m], levels[l], 1 + m % 2);
            char what[64];
            snprintf(what, sizeof what, "%s at %s", models[m], levels[l]);
            for (uint64_t seed = 0; seed < 2; seed++) {
                static const int sizes[] = {7, 1, 0, 3, 15, 63};
                for (int i = 0; cop_drafters[i]; i++)
                    for (int n = 0; n < (best ? 6 : 1) && !(cop_drafters[i]->needs & COP_NEEDS_STORE); n++) {
                        char control[32];
                        snprintf(control, sizeof control, "fixed:nodes=%d", sizes[n]);
                        check(e, seeded(seed), what, cop_drafters[i]->name, control, NULL);
                    }
            }
            cop_engine_close(e);
        }
}

static void so_does_every_shape_of_tree(void **state) {
    (void)state;
    static const char *const shapes[] = {"model:tree=rsd-c,branches=321", "model:tree=rsd-s,depth=7", "model:tree=dyspec,believe=0.01",
                                         "model:tree=sequoia,believe=0.01", "copy+model:tree=rsd-c,branches=2",
                                         "model:group=2", "model:group=2,tree=rsd-c,branches=2"};
    for (int m = 0; m < N_MODELS; m++) {
        cop_engine *e = engines_open(models[m], NULL, 2);
        for (uint64_t seed = 0; seed < 3; seed++)
            for (int i = 0; i < 7; i++) check(e, seeded(seed), models[m], shapes[i], NULL, NULL);
        cop_engine_close(e);
    }
}

// A store that holds the text itself, and others that resemble it.
static void so_does_a_store(void **state) {
    (void)state;
    char path[] = "/tmp/coppice-store-XXXXXX", draft[96];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    fclose(fdopen(fd, "w"));
    static const char *const forms[] = {"retrieve:store=%s", "retrieve:most=1,least=1,nodes=63,store=%s", "retrieve:most=64,store=%s+copy",
                                        "model+retrieve:store=%s", "recycle+retrieve:prune=0.2,store=%s"};
    for (int m = 0; m < N_MODELS; m++) {
        cop_engine *e = engines_open(models[m], NULL, 2);
        for (uint64_t seed = 0; seed < 2; seed++) {
            uint64_t hash;
            cop_session_options o = seeded(seed);
            o.draft = "none";
            cop_session *plain = write(e, &o, &hash);
            assert_int_equal(cop_suffixes_write(path, plain->tokens, (size_t)plain->n_tokens, e->model->desc.V), COP_OK);
            cop_session_close(plain);
            for (int i = 0; i < 5; i++) {
                snprintf(draft, sizeof draft, forms[i], path);
                check(e, seeded(seed), models[m], draft, NULL, NULL);
            }
            snprintf(draft, sizeof draft, forms[0], path);
            o.draft = draft;
            cop_session *s = write(e, &o, &hash);
            assert_true(s->stats.accepted > N / 2);
            cop_session_close(s);
        }
        cop_engine_close(e);
    }
    remove(path);
}

static void so_does_every_controller(void **state) {
    (void)state;
    for (int m = 0; m < 2; m++) {
        cop_engine *e = engines_open(models[m], NULL, 2);
        for (uint64_t seed = 0; seed < 3; seed++)
            for (int i = 0; cop_controllers[i]; i++) {
                check(e, seeded(seed), models[m], "auto", cop_controllers[i]->name, NULL);
                check(e, seeded(seed), models[m], "copy+model", cop_controllers[i]->name, NULL);
            }
        cop_engine_close(e);
    }
}

// Where nothing is drawn, a lossless verifier of any kind decides as plain decoding does.
static void so_does_every_lossless_verifier_that_draws_nothing(void **state) {
    (void)state;
    cop_engine *e = engines_open(models[0], NULL, 2);
    for (int i = 0; cop_verifiers[i]; i++) {
        if (!cop_verifiers[i]->lossless) continue;
        check(e, seeded(0), models[0], "copy+model", NULL, cop_verifiers[i]->name);
        check(e, seeded(5), models[0], "copy", NULL, cop_verifiers[i]->name);
    }
    cop_engine_close(e);
}

// Two models that take turns are one model when they are the same.
static void a_switch_between_equal_models_changes_nothing(void **state) {
    (void)state;
    static const char *const switches[] = {"entropy", "entropy:theta=0,dwell=0", "entropy:theta=5,window=3,dwell=2", "entropy:theta=20"};
    cop_engine *e = engines_open(models[1], NULL, 2);
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int i = 0; i < 4; i++) {
            cop_session_options o = seeded(seed);
            uint64_t hash;
            cop_session *plain = write(e, &o, &hash);
            o.switch_models = switches[i];
            o.draft = i % 2 ? "copy" : "none";
            cop_session *s = write(e, &o, &hash);
            assert_int_equal(s->n_tokens, plain->n_tokens);
            assert_memory_equal(s->tokens, plain->tokens, (size_t)s->n_tokens * sizeof *s->tokens);
            assert_true(cop_switch_get_stats(s->turns)->small_tokens > 0);
            cop_session_close(s);
            cop_session_close(plain);
        }
    cop_engine_close(e);
}

// Draws change the text, not its end: it is of the length that was asked for and inside the vocabulary.
static void drafts_that_are_drawn_run_to_the_end(void **state) {
    (void)state;
    static const char *const shapes[] = {"model", "model:tree=rsd-c,branches=21", "model:tree=rsd-s", "model:tree=dyspec", "model:tree=sequoia", "copy+model"};
    cop_engine *e = engines_open(models[0], NULL, 2);
    for (int i = 0; i < 6; i++) {
        cop_session_options o = seeded(7);
        o.draft = shapes[i];
        o.verify = "rejection";
        uint64_t hash;
        cop_session *s = write(e, &o, &hash);
        assert_true(s->stats.accepted > 0);
        for (int t = 0; t < s->n_tokens; t++) assert_in_range(s->tokens[t], 0, e->model->desc.V - 1);
        cop_session_close(s);
    }
    cop_engine_close(e);
}

static void a_drafter_without_its_model_is_refused(void **state) {
    (void)state;
    cop_engine *e;
    cop_session *s;
    cop_engine_options o = cop_engine_defaults();
    o.keep_packed = 0;
    assert_int_equal(cop_engine_open(&e, "tests/data/tiny-llama-a.gguf", &o), COP_OK);
    cop_session_options so = seeded(0);
    so.draft = "model";
    assert_int_equal(cop_session_open(&s, e, &so), COP_ERR_ARG);
    assert_non_null(strstr(cop_error_text(), "--draft-model"));
    cop_engine_close(e);
}

static void a_draft_model_of_another_vocabulary_is_refused_unless_it_is_translated(void **state) {
    (void)state;
    static const char *const refused[] = {"model", "auto", "pearl", "copy+model"};
    cop_engine *e;
    cop_session *s;
    cop_engine_options o = cop_engine_defaults();
    o.keep_packed = 0;
    o.draft_model = "tests/data/tiny-gemma3-a.gguf";
    assert_int_equal(cop_engine_open(&e, "tests/data/tiny-llama-a.gguf", &o), COP_OK);
    for (int i = 0; i < 4; i++) {
        cop_session_options so = seeded(0);
        so.draft = refused[i];
        assert_int_equal(cop_session_open(&s, e, &so), COP_ERR_UNSUPPORTED);
        assert_non_null(strstr(cop_error_text(), "another tokenizer"));
    }
    for (uint64_t seed = 0; seed < 3; seed++) {
        uint64_t plain, hash;
        cop_session_options so = seeded(seed);
        cop_session_close(write(e, &so, &plain));
        so.draft = "translate:stop=0";
        s = write(e, &so, &hash);
        assert_true(hash == plain);
        assert_true(s->stats.drafted > 0);
        cop_session_close(s);
    }
    cop_engine_close(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_drafter_and_size_of_tree_leaves_text_and_cache_alone),
        cmocka_unit_test(so_does_every_shape_of_tree),
        cmocka_unit_test(so_does_a_store),
        cmocka_unit_test(so_does_every_controller),
        cmocka_unit_test(so_does_every_lossless_verifier_that_draws_nothing),
        cmocka_unit_test(a_switch_between_equal_models_changes_nothing),
        cmocka_unit_test(drafts_that_are_drawn_run_to_the_end),
        cmocka_unit_test(a_drafter_without_its_model_is_refused),
        cmocka_unit_test(a_draft_model_of_another_vocabulary_is_refused_unless_it_is_translated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
