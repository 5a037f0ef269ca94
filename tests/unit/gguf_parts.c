// A model in several GGUF files: the same bits as in one, and what is wrong with a set is said by the file's name.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "format/gguf_write.h"
#include "support/model.h"
#include "surgery/conversion.h"

#define WHOLE "tests/data/tiny-q4_k.gguf"

static char folder[64], path[160];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/coppice-parts-XXXXXX");
    return !mkdtemp(folder);
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

// What one file of the set is made to say.
typedef struct saying {
    int no, count, total;  // split.no, split.count, split.tensors.count; -1: not there
} saying;

static cop_gguf *open_whole(void) {
    cop_gguf *g;
    if (cop_gguf_open(&g, WHOLE)) fail_msg("%s", cop_error_text());
    return g;
}

// Part i of n as NAME: its share of the tensors, keys in the first only.
static void write_part(const char *name, int i, int n, bool empty_first, saying say) {
    cop_gguf *g = open_whole();
    cop_gguf_writer *w;
    size_t all = cop_gguf_n_tensors(g);
    int shares = empty_first ? n - 1 : n, share = empty_first ? i - 1 : i;
    assert_int_equal(cop_gguf_writer_new(&w, 0), COP_OK);
    for (size_t k = 0; !i && k < cop_gguf_n_keys(g); k++) cop_gguf_add_copy(w, g, k);
    if (say.no >= 0) cop_gguf_add_int(w, "split.no", COP_GGUF_U16, say.no);
    if (say.count >= 0) cop_gguf_add_int(w, "split.count", COP_GGUF_U16, say.count);
    if (say.total >= 0) cop_gguf_add_int(w, "split.tensors.count", COP_GGUF_I32, say.total);
    for (size_t k = 0; share >= 0 && k < all; k++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, k);
        if ((int)(k * (size_t)shares / all) == share) cop_gguf_add_tensor(w, t->name, t->type, t->n_dims, t->dims, t->data);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (cop_gguf_writer_save(w, path)) fail_msg("%s", cop_error_text());
    cop_gguf_writer_free(w);
    cop_gguf_close(g);
}

// A whole set of n; path is the first file's afterwards.
static void write_set(int n, bool empty_first) {
    cop_gguf *g = open_whole();
    int total = (int)cop_gguf_n_tensors(g);
    cop_gguf_close(g);
    for (int i = n - 1; i >= 0; i--) {
        char name[64];
        snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", i + 1, n);
        write_part(name, i, n, empty_first, (saying){i, n, total});
    }
}

static void logits_of(const char *model, float *out) {
    cop_test_model t;
    cop_seq *seq;
    const int32_t tokens[] = {1, 2, 3, 100, 7};
    cop_test_open(&t, model, 2, NULL, COP_KV_F32, 2, 5);
    assert_int_equal(cop_seq_new(&seq, t.cache, 5), COP_OK);
    cop_test_chain(&t, seq, tokens, 5, 5, out);
    cop_seq_free(seq);
    cop_test_close(&t);
}

static void the_parts_give_the_bits_of_the_whole(void **state) {
    (void)state;
    static float want[5 * 4096], got[5 * 4096];
    logits_of(WHOLE, want);
    for (int n = 2; n <= 4; n++)
        for (int empty = 0; empty < 2; empty++) {
            write_set(n, empty);
            logits_of(path, got);
            assert_memory_equal(want, got, sizeof want);
            cop_gguf *g;
            assert_int_equal(cop_gguf_open(&g, path), COP_OK);
            assert_int_equal(cop_gguf_n_maps(g), n);
            assert_ptr_not_equal(cop_gguf_map_at(g, 0)->data, cop_gguf_map_at(g, (size_t)n - 1)->data);
            assert_null(cop_gguf_map_at(g, (size_t)n));
            cop_gguf_close(g);
        }
}

static void the_parts_become_one_file(void **state) {
    (void)state;
    cop_gguf *whole = open_whole(), *g, *one;
    cop_pool *pool;
    char to[160];
    write_set(3, false);
    snprintf(to, sizeof to, "%s/one.gguf", folder);
    assert_int_equal(cop_gguf_open(&g, path), COP_OK);
    assert_int_equal(cop_pool_new(&pool, 1), COP_OK);
    if (cop_convert(g, to, &(cop_convert_options){.type = COP_N_DTYPES, .pool = pool})) fail_msg("%s", cop_error_text());
    if (cop_gguf_open(&one, to)) fail_msg("%s", cop_error_text());
    assert_false(cop_gguf_has(one, "split.count"));
    assert_int_equal(cop_gguf_n_keys(one), cop_gguf_n_keys(whole));
    assert_int_equal(cop_gguf_n_tensors(one), cop_gguf_n_tensors(whole));
    for (size_t i = 0; i < cop_gguf_n_tensors(one); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(one, i), *u = cop_gguf_find_tensor(whole, t->name);
        assert_memory_equal(t->data, u->data, t->bytes);
    }
    cop_gguf_close(one);
    cop_gguf_close(g);
    cop_gguf_close(whole);
    cop_pool_free(pool);
}

static void refused(cop_status want, const char *text) {
    cop_gguf *g;
    cop_status st = cop_gguf_open(&g, path);
    if (st != want || !strstr(cop_error_text(), text)) fail_msg("%d, '%s', need '%s'", st, st ? cop_error_text() : "opened", text);
    assert_null(g);
}

static void name_first(void) { snprintf(path, sizeof path, "%s/m-00001-of-00003.gguf", folder); }

static void what_is_wrong_with_a_set_is_said(void **state) {
    (void)state;
    cop_gguf *g = open_whole();
    int total = (int)cop_gguf_n_tensors(g);
    cop_gguf_close(g);
    write_set(3, false);
    snprintf(path, sizeof path, "%s/m-00002-of-00003.gguf", folder);
    refused(COP_ERR_ARG, "part 2 of 3: name the first, ");
    write_part("m-00002-of-00003.gguf", 1, 3, false, (saying){2, 3, -1});
    name_first();
    refused(COP_ERR_FORMAT, "m-00002-of-00003.gguf: says that it is part 3 of 3, need 2 of 3");
    write_part("m-00002-of-00003.gguf", 1, 3, false, (saying){1, 4, -1});
    name_first();
    refused(COP_ERR_FORMAT, "part 2 of 4, need 2 of 3");
    write_part("m-00002-of-00003.gguf", 1, 3, false, (saying){-1, -1, -1});
    name_first();
    refused(COP_ERR_FORMAT, "part 1 of 1, need 2 of 3");
    write_part("m-00002-of-00003.gguf", 2, 3, false, (saying){1, 3, -1});  // the tensors of the third
    name_first();
    refused(COP_ERR_FORMAT, "tensors.count");
    write_part("m-00001-of-00003.gguf", 0, 3, false, (saying){0, 3, -1});
    refused(COP_ERR_FORMAT, "is there twice, need once; ");
    unlink(path);
    write_set(3, false);
    snprintf(path, sizeof path, "%s/m-00003-of-00003.gguf", folder);
    unlink(path);
    name_first();
    refused(COP_ERR_NOT_FOUND, "part 3 of 3 is missing: ");
    write_part("other.gguf", 0, 3, false, (saying){0, 3, total});
    refused(COP_ERR_FORMAT, "need a name that ends in -00001-of-00003.gguf");
    write_part("m-00001-of-00003.gguf", 0, 3, false, (saying){0, 2, total});
    refused(COP_ERR_FORMAT, "need a name that ends in -00001-of-00002.gguf");
    write_part("m-00001-of-00003.gguf", 0, 3, false, (saying){3, 3, total});
    refused(COP_ERR_FORMAT, "split.no: 3 of 3 files, counted from 0");
    write_part("m-00001-of-00003.gguf", 0, 3, false, (saying){0, 60000, total});
    refused(COP_ERR_LIMIT, "split.count: 60000 files, at most 1000");
}

static void each_allocation_that_fails_is_an_error(void **state) {
    (void)state;
    write_set(3, true);
    bool failed = true;
    long n = 0;
    while (failed && ++n < 1000) {
        cop_gguf *g;
        cop_alloc_fail_at(n);
        cop_status st = cop_gguf_open(&g, path);
        failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        assert_int_equal(st, failed ? COP_ERR_NOMEM : COP_OK);
        cop_gguf_close(g);
    }
    assert_in_range(n, 10, 1000);
}

static void names_of_parts_are_read(void **state) {
    (void)state;
    int part, n;
    size_t stem;
    assert_true(cop_gguf_is_part("a/b-00002-of-00010.gguf", &part, &n, &stem));
    assert_int_equal(part * 100 + n, 210);
    assert_int_equal(stem, 3);
    static const char *const not[] = {"b.gguf", "b-00000-of-00010.gguf", "b-00011-of-00010.gguf", "b-0001-of-00010.gguf", "b-00001-of-0001x.gguf", "-00001-of-00002.ggu", ""};
    for (size_t i = 0; i < sizeof not / sizeof *not; i++) assert_false(cop_gguf_is_part(not[i], &part, &n, &stem));
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_parts_give_the_bits_of_the_whole), IN_FOLDER(the_parts_become_one_file), IN_FOLDER(what_is_wrong_with_a_set_is_said),
        IN_FOLDER(each_allocation_that_fails_is_an_error), cmocka_unit_test(names_of_parts_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
