// Beginnings of sequences that were computed before, kept by content: a radix tree whose nodes are pages.
//
// A page is kept when its tokens are committed; drafted rows never enter. A new sequence takes the longest
// beginning that is there, to the token: the last page may be used in part and is copied before it is written.
// Pages go when room is needed, least recently used first. Source: Zheng et al. 2023 (arXiv:2312.07104).
// Cost: take and keep are O(pages x siblings), release O(nodes) for each page. Same thread as the cache.
#ifndef COP_CACHE_PREFIX_H
#define COP_CACHE_PREFIX_H

#include "cache/cache.h"

typedef struct cop_prefix cop_prefix;

/* Holds at most max_pages of the cache's pages. */
cop_status cop_prefix_new(cop_prefix **out, cop_cache *cache, int max_pages);
void cop_prefix_free(cop_prefix *p);  // accepts NULL

/* Make the empty `seq` begin with the longest kept beginning of tokens[0 ... n); how many tokens that is.
 * salt: what else the keys and values depend on (adapters in force); only what was kept with it counts. */
int cop_prefix_take(cop_prefix *p, uint64_t salt, const int32_t *tokens, int n, cop_seq *seq);
/* The same number, without taking. */
int cop_prefix_match(const cop_prefix *p, uint64_t salt, const int32_t *tokens, int n);

/* Keep what `seq` holds of tokens (its first ones). */
void cop_prefix_keep(cop_prefix *p, uint64_t salt, const int32_t *tokens, const cop_seq *seq);

/* Pages that nobody but the tree holds: what release can make free. */
int cop_prefix_spare(const cop_prefix *p);
/* Forget until the cache has n_free free pages, or nothing is left. */
void cop_prefix_release(cop_prefix *p, int n_free);

#endif
