// Fuzzer of the matrix that drafter recycle saves. What loads proposes and is saved again; the checksum is
// put right first, so that what stands behind it is reached.
#define XXH_INLINE_ALL
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "draft/draft.h"
#include "promises.h"

extern const cop_drafter_type cop_drafter_recycle;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { V = 40 };

// A file without a name, and the path to it.
static int file_of(const uint8_t *data, size_t bytes, char path[64]) {
    int fd = memfd_create("recycle", 0);
    must(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void use(const cop_drafter_type *d, void *state) {
    cop_tree tree;
    must(!cop_tree_init(&tree, 64, 0, 0));
    for (int32_t t = 0; t < V; t++) {
        cop_tree_reset(&tree, t);
        d->propose(state, &(cop_view){.tokens = &t, .n_tokens = 1, .max_tokens = 10}, &tree);
        for (int i = 0; i < tree.n_nodes; i++) must(tree.nodes[i].token >= 0 && tree.nodes[i].token < V && tree.nodes[i].bucket < COP_BUCKETS);
    }
    cop_tree_fini(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const cop_drafter_type *d = &cop_drafter_recycle;  // not by its name: the table would bring every drafter and the kernels
    void *state = cop_alloc(d->state_size);
    cop_options_init(d->options, state);
    must(!cop_options_parse(d->options, state, "recycle", "pairs=16,nodes=63"));
    must(!d->start(state, &(cop_draft_setup){.max_nodes = 64, .max_tokens = 10, .V = V}));
    uint8_t *copy = cop_alloc(bytes);
    if (bytes) memcpy(copy, data, bytes);
    if (bytes >= 16) {
        uint64_t sum = XXH3_64bits(copy + 16, bytes - 16);
        memcpy(copy + 8, &sum, sizeof sum);
    }
    char path[64];
    int fd = file_of(copy, bytes, path);
    cop_status st = d->load(state, path);
    must(!st || *cop_error_text());
    use(d, state);
    close(fd);
    cop_free(copy);
    d->stop(state);
    cop_free(state);
    return 0;
}
