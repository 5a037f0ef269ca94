// Opening models in tests, and running rows through them.
#ifndef COP_TESTS_MODEL_H
#define COP_TESTS_MODEL_H

#include "cache/cache.h"
#include "model/model.h"

typedef struct cop_test_model {
    cop_pool *pool;
    cop_model *model;
    cop_cache *cache;
    cop_workspace *ws;
} cop_test_model;

/* Open `path` with so many threads at a CPU level (NULL: the best), a cache of n_pages pages and a
 * workspace of max_rows rows over contexts of 64 * n_pages. Fails the test when it cannot. */
void cop_test_open(cop_test_model *t, const char *path, int threads, const char *level, cop_kv_type type, int n_pages, int max_rows);
void cop_test_close(cop_test_model *t);

/* Append n tokens to seq as one chain in chunks of `chunk` rows; logits of each into out[n][V] (NULL: none). */
void cop_test_chain(cop_test_model *t, cop_seq *seq, const int32_t *tokens, int n, int chunk, float *out);

/* Where a named model's file would be: COPPICE_MODELS or the cache folder. False when it is not there. */
bool cop_test_named_model(char *path, size_t bytes, const char *name);

/* Levels that this build and CPU can run, scalar first; returns their number. */
int cop_test_levels(const char *names[4]);

#endif
