// Opening mixtures of experts: what a step reads, and files that say what cannot be.
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
#include "model/model.h"

// Opens tests/data/tiny-qwen3moe-a.gguf with the 32-bit value of a key replaced (key NULL: as it is).
static cop_status open_changed(cop_model **out, cop_pool *pool, const char *key, uint32_t value) {
    char *data, path[] = "/tmp/coppice-experts-XXXXXX";
    size_t bytes;
    assert_int_equal(cop_file_read("tests/data/tiny-qwen3moe-a.gguf", 1 << 22, &data, &bytes), COP_OK);
    if (key) {
        char *at = memmem(data, bytes, key, strlen(key));
        assert_non_null(at);
        memcpy(at + strlen(key) + 4, &value, 4);
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    close(fd);
    cop_free(data);
    const cop_model_options options = {.level = NULL};
    cop_status st = cop_model_open(out, path, pool, &options);
    unlink(path);
    return st;
}

static void a_step_reads_only_the_experts_in_use(void **state) {
    cop_model *all, *few;
    assert_int_equal(open_changed(&few, *state, NULL, 0), COP_OK);
    assert_int_equal(open_changed(&all, *state, "qwen3moe.expert_used_count", 6), COP_OK);
    size_t experts = 0;
    for (int i = 0; i < few->desc.L; i++) {
        const cop_layer *l = &few->layers[i];
        assert_int_equal(few->desc.layers[i].experts, i != 1);
        size_t tiles = l->gate.w.tile_bytes * (size_t)l->gate.w.n_tiles + l->up.w.tile_bytes * (size_t)l->up.w.n_tiles + l->down.w.tile_bytes * (size_t)l->down.w.n_tiles;
        if (few->desc.layers[i].experts) experts += tiles;
    }
    assert_int_equal(all->step_bytes - few->step_bytes, experts * 4);  // six against two
    cop_model_close(all);
    cop_model_close(few);
}

static void refused(cop_pool *pool, const char *key, uint32_t value, cop_status status, const char *words) {
    cop_model *m;
    assert_int_equal(open_changed(&m, pool, key, value), status);
    if (!strstr(cop_error_text(), words)) fail_msg("%s", cop_error_text());
    assert_null(strchr(cop_error_text(), '\n'));
}

static void impossible_experts_are_refused_by_name(void **state) {
    refused(*state, "qwen3moe.expert_used_count", 0, COP_ERR_FORMAT, "0 of 6 experts in use");
    refused(*state, "qwen3moe.expert_used_count", 7, COP_ERR_FORMAT, "7 of 6 experts in use");
    refused(*state, "qwen3moe.expert_count", 0xffffffff, COP_ERR_FORMAT, "4294967295 experts");
    refused(*state, "qwen3moe.expert_count", 7, COP_ERR_FORMAT, "tensor blk.0.ffn_gate_inp.weight");
    refused(*state, "qwen3moe.expert_count", 0, COP_ERR_FORMAT, "tensor blk.0.ffn_gate.weight is missing");
    refused(*state, "qwen3moe.expert_feed_forward_length", 0, COP_ERR_FORMAT, "experts 0 wide");
    refused(*state, "qwen3moe.expert_feed_forward_length", 48, COP_ERR_FORMAT, "tensor blk.0.ffn_gate_exps.weight: 6 x 40 x 48, need 6 x 48 x 48");
}

static int open_pool(void **state) { return cop_pool_new((cop_pool **)state, 2) != COP_OK; }

static int close_pool(void **state) {
    cop_pool_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_reads_only_the_experts_in_use),
        cmocka_unit_test(impossible_experts_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
