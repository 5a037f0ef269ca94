// What attention remembers: a pool of pages of COP_PAGE tokens, and sequences that own lists of them.
//
// A sequence has n committed tokens in slots 0 … n-1 and, while a forward runs, that forward's rows in
// the slots behind them (row i of the sequence in slot n + i). Commit keeps the accepted path, moving
// at most that many rows; rolling back is dropping them. Pages are counted, so sequences that begin
// alike share them; a shared page is copied before it is written.
//
// Cost: reserve and commit are O(rows x layers x heads); fork is O(pages). No allocation after
// cop_cache_new and cop_seq_new: the limit is stated there and reaching it is COP_ERR_LIMIT.
// A cache and its sequences are used from one thread at a time (the scheduler's).
#ifndef COP_CACHE_CACHE_H
#define COP_CACHE_CACHE_H

#include "base/status.h"
#include "kernel/kernel.h"

typedef struct cop_cache cop_cache;
typedef struct cop_seq cop_seq;

typedef struct cop_cache_shape {
    int n_layers;      // layers that attend
    int n_kv_heads;    // G
    int head;          // K, elements of one key or value
    cop_kv_type type;  // of the stored elements
    int n_states;      // layers that keep one vector per token instead (inputs of a short convolution), may be 0
    int state_heads;   // parts that such a vector is stored in
    int state_head;    // elements of a part
} cop_cache_shape;

/* A pool of max_pages pages. The memory is reserved now and touched page by page as it is used. */
cop_status cop_cache_new(cop_cache **out, const cop_cache_shape *shape, int max_pages);
void cop_cache_free(cop_cache *cache);  // after all its sequences; accepts NULL
const cop_cache_shape *cop_cache_get_shape(const cop_cache *cache);
int cop_cache_pages_free(const cop_cache *cache);
size_t cop_cache_page_bytes(const cop_cache *cache);  // of one page over all layers and heads
/* Parse "f16", "bf16", "q8_0" or "f32". */
cop_status cop_kv_type_parse(cop_kv_type *out, const char *text);
const char *cop_kv_type_name(cop_kv_type type);

/* A sequence of at most max_tokens slots (committed and scratch together). */
cop_status cop_seq_new(cop_seq **out, cop_cache *cache, int max_tokens);
void cop_seq_free(cop_seq *seq);  // accepts NULL
cop_cache *cop_seq_cache(const cop_seq *seq);
bool cop_seq_covers(const cop_seq *seq, int n_slots);  // are slots 0 … n_slots-1 backed by pages
int cop_seq_length(const cop_seq *seq);      // n, committed tokens
int cop_seq_capacity(const cop_seq *seq);    // max_tokens

/* Make slots n … n + n_rows - 1 writable (pages taken, shared ones copied). COP_ERR_LIMIT names the
 * limit that is in the way; the sequence is unchanged then. */
cop_status cop_seq_reserve(cop_seq *seq, int n_rows);

/* Make `path` permanent and roll back every other row of the last forward.
 *   path    [n_path] row numbers of this sequence in that forward, ascending, each the child of the
 *           one before; NULL stands for 0, 1, 2, ...
 *   n_path  0 is legal: nothing was accepted, the sequence is as before
 * Afterwards the sequence is n_path tokens longer. Never fails, never allocates. */
void cop_seq_commit(cop_seq *seq, const int *path, int n_path);

/* Keep the first n_tokens and forget the rest. n_tokens <= length. */
void cop_seq_truncate(cop_seq *seq, int n_tokens);

/* Make `to` (emptied first) begin with the first n_tokens of `from`, sharing its pages. Both belong to
 * the same cache. COP_ERR_LIMIT when `to` is too short for them. */
cop_status cop_seq_share(cop_seq *to, const cop_seq *from, int n_tokens);

/* Where page i (tokens 64 i …) of a layer and head lies; valid until the next call that reserves,
 * commits, truncates or shares. */
uint8_t *cop_seq_keys(const cop_seq *seq, int layer, int kv_head, int page);
uint8_t *cop_seq_values(const cop_seq *seq, int layer, int kv_head, int page);

/* The same for the vectors of state layer 0 … n_states-1: a part is laid out like the values of a head. */
uint8_t *cop_seq_states(const cop_seq *seq, int layer, int part, int page);

/* Bytes that cop_seq_save writes, and the two directions. The bytes say their shape and element type;
 * load checks them against the cache (COP_ERR_FORMAT) and replaces what `seq` held. A checksum guards
 * the content. */
size_t cop_seq_save_bytes(const cop_seq *seq);
void cop_seq_save(const cop_seq *seq, uint8_t *out);
cop_status cop_seq_load(cop_seq *seq, const uint8_t *data, size_t bytes);

#endif
