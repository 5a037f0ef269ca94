// A store of token sequences, sorted by all their suffixes, in a file that is mapped: what followed any run of
// tokens is one interval, and how often something followed is a width. `coppice index` writes it.
//
// File, little-endian: "COPSUFX", 0, u32 V, u32 bytes per token, u64 n, then n tokens as big-endian bytes (so that
// sorting bytes sorts tokens), zeros up to a multiple of 8, then u32 places[n], the suffixes in order. A
// token of V or more separates texts. Nothing in the file is trusted: sizes are checked when it is opened,
// places and tokens when they are read.
#ifndef COP_DRAFT_SUFFIXES_H
#define COP_DRAFT_SUFFIXES_H

#include "base/map.h"

#define COP_SUFFIX_SPLITS 16

typedef struct cop_suffixes {
    cop_map map;
    const uint8_t *tokens, *places;
    int64_t n;
    int V, width;  // vocabulary; bytes per token
} cop_suffixes;

typedef struct cop_interval {
    int64_t low, high;  // suffixes [low, high) in their order
} cop_interval;

/* COP_ERR_FORMAT when the file is damaged, COP_ERR_UNSUPPORTED when it is of another vocabulary than V. */
cop_status cop_suffixes_open(cop_suffixes *s, const char *path, int V);
/* The same from memory that stays the caller's; `name` is for messages. */
cop_status cop_suffixes_from_memory(cop_suffixes *s, const void *data, size_t bytes, int V, const char *name);
void cop_suffixes_close(cop_suffixes *s);  // accepts a zeroed one

/* All suffixes that begin with tokens[n]; empty when there is none. O(n log) reads. */
cop_interval cop_suffixes_find(const cop_suffixes *s, const int32_t *tokens, int n);

/* Parts of an interval by their token number `depth`: tokens and their intervals, rising, at most COP_SUFFIX_SPLITS.
 * Every token that follows in a share of 1 in COP_SUFFIX_SPLITS or more is among them. Returns how many. */
int cop_suffixes_split(const cop_suffixes *s, cop_interval in, int depth, int32_t *tokens, cop_interval *parts);

/* Write a store of tokens[n] in [0, V]: V separates texts. Takes 5 bytes per byte of the tokens. */
cop_status cop_suffixes_write(const char *path, const int32_t *tokens, size_t n, int V);

#endif
