// Hugging Face folders that the library itself wrote give the bits of the GGUF file with the same weights,
// whose logits tests/golden/families.c compares with the library's; in both layouts of config.json.
// The folders are made by tools/folder_golden.py.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "support/model.h"

#define N_TOKENS 96

static const char *const names[] = {"tiny-llama-a", "tiny-mistral", "tiny-smollm3-b", "tiny-granite-b", "tiny-olmo2-b", "tiny-mixtral-b", "tiny-qwen2-b", "tiny-qwen3-b", "tiny-qwen3moe-b",
                                    "tiny-gemma2-b", "tiny-gemma3-b", "tiny-lfm2-b", "tiny-gpt2-b", "tiny-starcoder-b", "tiny-starcoder2-b",
                                    "tiny-phi3-a", "tiny-phi3-b", "tiny-olmo3"};
#define N_NAMES (sizeof names / sizeof *names)

// Logits of N_TOKENS tokens; caller frees.
static float *logits_of(const char *path, int *V) {
    cop_test_model t;
    cop_seq *seq;
    int32_t tokens[N_TOKENS];
    cop_test_open(&t, path, 2, NULL, COP_KV_F32, 4, N_TOKENS);
    *V = t.model->desc.V;
    for (int i = 0; i < N_TOKENS; i++) tokens[i] = (int32_t)((i * 7919 + 13) % *V);
    float *logits = cop_alloc_array((size_t)N_TOKENS * (size_t)*V, sizeof *logits);
    assert_non_null(logits);
    assert_int_equal(cop_seq_new(&seq, t.cache, N_TOKENS), COP_OK);
    cop_test_chain(&t, seq, tokens, N_TOKENS, 32, logits);
    cop_seq_free(seq);
    cop_test_close(&t);
    return logits;
}

// A folder with links to all of `from`, but `config` as config.json.
static void link_folder(char *out, const char *from, const char *config) {
    char full[4096], target[4400], link[400];
    snprintf(out, 64, "/tmp/coppice-folder-XXXXXX");
    assert_non_null(mkdtemp(out));
    assert_non_null(realpath(from, full));
    DIR *dir = opendir(full);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.' || strstr(e->d_name, "config.json") || !strcmp(e->d_name, "published.json")) continue;
        snprintf(target, sizeof target, "%s/%s", full, e->d_name);
        snprintf(link, sizeof link, "%s/%s", out, e->d_name);
        assert_int_equal(symlink(target, link), 0);
    }
    closedir(dir);
    snprintf(target, sizeof target, "%s/%s", full, config);
    snprintf(link, sizeof link, "%s/config.json", out);
    assert_int_equal(symlink(target, link), 0);
}

static void remove_folder(const char *path) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", path);
    assert_int_equal(system(command), 0);
}

static void compare(const char *name, const char *folder, const char *what) {
    char path[256];
    int V, V2;
    snprintf(path, sizeof path, "tests/data/%s.gguf", name);
    float *want = logits_of(path, &V), *got = logits_of(folder, &V2);
    assert_int_equal(V, V2);
    for (size_t i = 0; i < (size_t)N_TOKENS * (size_t)V; i++)
        if (memcmp(&want[i], &got[i], sizeof *want))
            fail_msg("%s, %s: logit %zu of token %zu is %.9g, in the GGUF file %.9g", name, what, i % (size_t)V, i / (size_t)V, (double)got[i], (double)want[i]);
    cop_free(want);
    cop_free(got);
}

static void a_folder_gives_the_bits_of_the_gguf_file(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        char folder[256];
        snprintf(folder, sizeof folder, "tests/data/%s", names[i]);
        compare(names[i], folder, "config.json of transformers 5");
    }
}

static void the_published_layout_gives_the_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        char from[256], folder[64];
        snprintf(from, sizeof from, "tests/data/%s", names[i]);
        link_folder(folder, from, "published.json");
        compare(names[i], folder, "config.json as published");
        remove_folder(folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_gives_the_bits_of_the_gguf_file),
        cmocka_unit_test(the_published_layout_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
