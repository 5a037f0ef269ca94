// Fuzzer of what a controller learnt. Whatever the file, costs rise with rows and odds are probabilities.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/learn.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const cop_control_setup setup = {.n_drafters = 2, .max_nodes = 64, .names = {"copy", "recycle"}};
    static cop_odds odds[COP_MAX_DRAFTERS][COP_BUCKETS];
    cop_cost cost;
    char path[64];
    int fd = memfd_create("learnt", 0);
    must(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(odds, 0, sizeof odds);
    cop_cost_init(&cost);
    float survive[COP_SURVIVAL] = {0}, survive_n = 0, per_node = 0;
    (void)cop_learnt_load(path, &(cop_learnt){.cost = &cost, .odds = odds, .setup = &setup, .survive = {survive}, .survive_n = {&survive_n}, .per_node = {&per_node}});
    close(fd);
    for (int i = 0; i < COP_SURVIVAL; i++) must(survive[i] >= 0 && survive[i] <= 1);
    must(per_node >= 0 && survive_n >= 0);
    for (int m = 2; m <= COP_COST_ROWS; m++) must(cost.ratio[m] >= cost.ratio[m - 1] && cost.ratio[m] < 1000);
    for (int d = 0; d < COP_MAX_DRAFTERS; d++)
        for (int b = 0; b < COP_BUCKETS; b++) {
            float p = cop_odds_of(&odds[d][b], 0.5f);
            must(p >= 0 && p <= 1);
        }
    return 0;
}
