// A scan against the smallest of the best so far. After a few thousand tokens hardly any passes, so what
// costs is reading: a block's comparisons are or-ed without a branch, which the compiler turns into vectors.
#include "draft/top.h"

#include <math.h>
#include <stdbool.h>

#define BLOCK 64

typedef struct best {
    int32_t *tokens;
    float *values;
    int n, k;
} best;

static void insert(best *b, int32_t token, float value) {
    int at = b->n < b->k ? b->n++ : b->k - 1;
    for (; at > 0 && b->values[at - 1] < value; at--) {
        b->values[at] = b->values[at - 1];
        b->tokens[at] = b->tokens[at - 1];
    }
    b->values[at] = value;
    b->tokens[at] = token;
}

static float limit(const best *b) { return b->n < b->k ? -INFINITY : b->values[b->k - 1]; }

static void insert_each(best *b, const float *logits, int from, int to) {
    for (int i = from; i < to; i++)
        if (logits[i] > limit(b)) insert(b, i, logits[i]);
}

static bool any_above(const float *x, float t) {
    int32_t any[4] = {0};
    for (int i = 0; i < BLOCK; i += 4)
        for (int j = 0; j < 4; j++) any[j] |= x[i + j] > t;
    return any[0] | any[1] | any[2] | any[3];
}

int cop_top_tokens(const float *logits, int V, int k, int32_t *tokens, float *values) {
    best b = {tokens, values, 0, k};
    int i = 0;
    for (; i + BLOCK <= V; i += BLOCK)
        if (any_above(logits + i, limit(&b))) insert_each(&b, logits, i, i + BLOCK);
    insert_each(&b, logits, i, V);
    return b.n;
}
