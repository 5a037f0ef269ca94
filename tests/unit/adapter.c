// Reading adapters: what is right opens, and everything else is refused in one line that says what is wrong.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/map.h"
#include "format/gguf_write.h"
#include "model/adapter.h"

typedef struct world {
    cop_pool *pool;
    cop_model *model;  // tiny-llama-a: D 64, four heads and two key heads of 24, F 96
} world;

// One pair of matrices, and how the file around it may be wrong.
typedef struct sketch {
    const char *type, *lora, *arch, *name;  // NULL: right ones
    uint64_t rank, b_rank, in, out;         // 0: 2, rank, 64, 96
    float alpha, element;                   // 0: 4, 1
    bool no_b, no_alpha, three_dims;
} sketch;

static void add_text(cop_gguf_writer *w, const char *key, const char *text) {
    assert_int_equal(cop_gguf_add_text(w, key, text, strlen(text)), COP_OK);
}

static cop_status open_sketch(const world *w, cop_adapter **out, sketch s) {
    char name[80], path[] = "/tmp/coppice-adapter-XXXXXX";
    const char *stem = s.name ? s.name : "blk.1.attn_q.weight";
    uint64_t rank = s.rank ? s.rank : 2, in = s.in ? s.in : 64, rows = s.out ? s.out : 96, b_rank = s.b_rank ? s.b_rank : rank;
    size_t most = 1 << 18;
    float *x = cop_alloc_array(most, sizeof *x);
    assert_true(x && rank * in * 2 <= most && b_rank * rows <= most);
    for (size_t i = 0; i < most; i++) x[i] = 1;
    x[3] = s.element ? s.element : 1;
    cop_gguf_writer *g;
    assert_int_equal(cop_gguf_writer_new(&g, 0), COP_OK);
    add_text(g, "general.type", s.type ? s.type : "adapter");
    add_text(g, "adapter.type", s.lora ? s.lora : "lora");
    add_text(g, "general.architecture", s.arch ? s.arch : "llama");
    if (!s.no_alpha) assert_int_equal(cop_gguf_add_f32(g, "adapter.lora.alpha", s.alpha ? s.alpha : 4), COP_OK);
    snprintf(name, sizeof name, "%s.lora_a", stem);
    assert_int_equal(cop_gguf_add_tensor(g, name, COP_F32, s.three_dims ? 3 : 2, (const uint64_t[]){in, rank, 2}, x), COP_OK);
    snprintf(name, sizeof name, "%s.lora_b", stem);
    if (!s.no_b) assert_int_equal(cop_gguf_add_tensor(g, name, COP_F32, 2, (const uint64_t[]){b_rank, rows}, x), COP_OK);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cop_gguf_writer_save(g, path), COP_OK);
    cop_gguf_writer_free(g);
    cop_free(x);
    cop_status st = cop_adapter_open(out, w->model, path);
    unlink(path);
    return st;
}

static void refuse(const world *w, sketch s, cop_status status, const char *words) {
    cop_adapter *a;
    assert_int_equal(open_sketch(w, &a, s), status);
    assert_null(a);
    if (!strstr(cop_error_text(), words) || strchr(cop_error_text(), '\n') || !strstr(cop_error_text(), "/tmp/coppice-adapter-"))
        fail_msg("%s; expected %s", cop_error_text(), words);
}

static void the_right_one_opens(void **state) {
    cop_adapter *a;
    assert_int_equal(open_sketch(*state, &a, (sketch){.rank = 1024}), COP_OK);
    assert_int_equal(cop_adapter_rank(a), 1024);
    assert_int_equal(cop_adapter_n_matrices(a), 1);
    cop_adapter_close(a);
}

static void hostile_files_are_refused_in_one_line(void **state) {
    const world *w = *state;
    refuse(w, (sketch){.type = "model"}, COP_ERR_FORMAT, "general.type: model, need adapter");
    refuse(w, (sketch){.type = "a\napter\x1b[2J"}, COP_ERR_FORMAT, "general.type: a?apter?[2J, need adapter");
    refuse(w, (sketch){.lora = "loha"}, COP_ERR_FORMAT, "adapter.type: loha, need lora");
    refuse(w, (sketch){.arch = "qwen2"}, COP_ERR_FORMAT, "general.architecture: qwen2, need llama");
    refuse(w, (sketch){.no_alpha = true}, COP_ERR_FORMAT, "key adapter.lora.alpha is missing");
    refuse(w, (sketch){.alpha = NAN}, COP_ERR_FORMAT, "adapter.lora.alpha: nan");
    refuse(w, (sketch){.alpha = INFINITY}, COP_ERR_FORMAT, "adapter.lora.alpha: inf");
    refuse(w, (sketch){.alpha = 1e30f}, COP_ERR_FORMAT, "scale 5e+29");
    refuse(w, (sketch){.rank = 1025}, COP_ERR_LIMIT, "rank 1025, must be 1 to 1024");
    refuse(w, (sketch){.in = 65}, COP_ERR_FORMAT, "attn_q.weight.lora_a: 65 columns, this model needs 64");
    refuse(w, (sketch){.out = 64}, COP_ERR_FORMAT, "attn_q.weight.lora_b: 64 x 2, need 96 x 2");
    refuse(w, (sketch){.b_rank = 3}, COP_ERR_FORMAT, "attn_q.weight.lora_b: 96 x 3, need 96 x 2");
    refuse(w, (sketch){.no_b = true}, COP_ERR_FORMAT, "lora_a: its other half is missing");
    refuse(w, (sketch){.three_dims = true}, COP_ERR_FORMAT, "3 dimensions");
    refuse(w, (sketch){.element = NAN}, COP_ERR_FORMAT, "element 3 is not a finite number");
    static const char *const unknown[] = {"blk.2.attn_q.weight", "blk.99999999999.attn_q.weight", "blk.-1.attn_q.weight", "blk..attn_q.weight", "blk.1attn_q.weight",
                                          "blk.1.attn_z.weight", "blk.1.shortconv.in_proj.weight", "token_embd.weight", "blk.1.attn_q", "attn_q.weight"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) refuse(w, (sketch){.name = unknown[i]}, COP_ERR_FORMAT, "not half of an adapter for a matrix");
}

// Cut anywhere, or with a bit changed anywhere: it opens or is refused, and says why.
static void damaged_files_end_with_a_sentence(void **state) {
    const world *w = *state;
    static const char *const files[] = {"tests/data/adapters/llama-a-all.gguf", "tests/data/adapters/llama-a-all/adapter_model.safetensors",
                                        "tests/data/adapters/llama-a-all/adapter_config.json"};
    char folder[] = "/tmp/coppice-adapter-XXXXXX", path[128], other[128];
    assert_non_null(mkdtemp(folder));
    for (int f = 0; f < 3; f++) {
        char *data, *beside;
        size_t bytes, beside_bytes;
        assert_int_equal(cop_file_read(files[f], 1 << 20, &data, &bytes), COP_OK);
        assert_int_equal(cop_file_read(files[f == 1 ? 2 : 1], 1 << 20, &beside, &beside_bytes), COP_OK);
        snprintf(path, sizeof path, "%s/%s", folder, strrchr(files[f], '/') + 1);
        snprintf(other, sizeof other, "%s/%s", folder, strrchr(files[f == 1 ? 2 : 1], '/') + 1);
        FILE *o = fopen(other, "wb");
        assert_true(o && fwrite(beside, 1, beside_bytes, o) == beside_bytes && !fclose(o));
        for (size_t i = 0; i < 400; i++) {
            bool cut = i % 2;
            size_t at = i < 300 ? i * 2 % bytes : bytes / 400 * i;
            data[at] ^= cut ? 0 : (char)(1 << i / 2 % 8);
            FILE *out = fopen(path, "wb");
            assert_true(out && fwrite(data, 1, cut ? at : bytes, out) == (cut ? at : bytes) && !fclose(out));
            cop_adapter *a;
            cop_status st = cop_adapter_open(&a, w->model, f ? folder : path);
            assert_true((st == COP_OK) == (a != NULL) && (!cut || st || f == 2));  // the configuration ends with a line break
            if (st) assert_true(*cop_error_text() && !strchr(cop_error_text(), '\n'));
            cop_adapter_close(a);
            data[at] ^= cut ? 0 : (char)(1 << i / 2 % 8);
        }
        unlink(path);
        unlink(other);
        cop_free(data);
        cop_free(beside);
    }
    rmdir(folder);
}

static void no_allocation_is_taken_for_granted(void **state) {
    const world *w = *state;
    static const char *const paths[] = {"tests/data/adapters/llama-a-all.gguf", "tests/data/adapters/llama-a-all"};
    for (int f = 0; f < 2; f++)
        for (long i = 1;; i++) {
            cop_adapter *a;
            cop_alloc_fail_at(i);
            cop_status st = cop_adapter_open(&a, w->model, paths[f]);
            bool failed = cop_alloc_failed();
            cop_alloc_fail_at(0);
            cop_adapter_close(a);
            if (!failed) {
                assert_int_equal(st, COP_OK);
                break;
            }
            assert_int_equal(st, COP_ERR_NOMEM);
        }
}

static int open_world(void **state) {
    static world w;
    *state = &w;
    const cop_model_options options = {.level = NULL};
    return cop_pool_new(&w.pool, 1) || cop_model_open(&w.model, "tests/data/tiny-llama-a.gguf", w.pool, &options);
}

static int close_world(void **state) {
    world *w = *state;
    cop_model_close(w->model);
    cop_pool_free(w->pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_one_opens),
        cmocka_unit_test(hostile_files_are_refused_in_one_line),
        cmocka_unit_test(damaged_files_end_with_a_sentence),
        cmocka_unit_test(no_allocation_is_taken_for_granted),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
