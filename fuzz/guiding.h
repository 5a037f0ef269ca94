// What fuzzers of guides share: a vocabulary of all bytes and some words, and walks that check what must hold.
#ifndef FUZZ_GUIDING_H
#define FUZZ_GUIDING_H

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/guide.h"

#define GUIDING_V (256 + 24)
#define GUIDING_WORDS ((GUIDING_V + 63) / 64)

// A broken promise ends the run where the sanitizers do.
static void must(int promise) {
    if (!promise) __builtin_trap();
}

static const char *guiding_piece(const void *user, int32_t token, size_t *bytes) {
    static char single[256];
    static const char *const words[] = {"ab", "abc", "bc", "aa", "\":", "\",", "{\"", "\"}", "true", "null", "12", "00", ", ", "é", "\xE2\x82", "\xAC\"",
                                        "[]", "a\"", "ab", "  ", "\n\n"};
    (void)user;
    if (token < 256) {
        single[token] = (char)token;
        return *bytes = 1, single + token;
    }
    size_t i = (size_t)token - 256;
    const char *text = i < sizeof words / sizeof *words ? words[i] : "";
    return *bytes = strlen(text), text;
}
static bool guiding_is_end(const void *user, int32_t token) { return (void)user, token == GUIDING_V - 1; }
static int32_t guiding_find(const void *user, const char *text, size_t bytes) {
    (void)user;
    return bytes == 6 && !memcmp(text, "<tool>", 6) ? GUIDING_V - 2 : -1;
}
static int guiding_encode(const void *user, const char *text, size_t bytes, int32_t *tokens, int max) {
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        if (i == (size_t)max) return -1;
        tokens[i] = (uint8_t)text[i];
    }
    return (int)bytes;
}

static const cop_vocab_trie *guiding_vocabulary(void) {
    static cop_vocab_trie *v;
    const cop_vocab_trie_source source = {GUIDING_V, guiding_piece, guiding_is_end, guiding_find, guiding_encode, NULL};
    if (!v) must(!cop_vocab_trie_new(&v, &source));
    return v;
}

static int guiding_bit(const uint64_t *bits, int32_t t) { return bits[t / 64] >> (t % 64) & 1; }

// The n-th of the tokens whose bits are set, counted round; -1: none is.
static int32_t guiding_pick(const uint64_t *bits, uint32_t n) {
    int32_t list[GUIDING_V], k = 0;
    for (int32_t t = 0; t < GUIDING_V; t++)
        if (guiding_bit(bits, t)) list[k++] = t;
    return k ? list[n % (uint32_t)k] : -1;
}

static void guiding_check_mask(cop_guide *g, cop_guide_state s, int left, const uint64_t *bits) {
    for (int32_t t = 0; t < GUIDING_V; t++) {
        int allowed = cop_guide_allows(g, s, t, left);
        if (cop_guide_failed(g)) return;
        must(guiding_bit(bits, t) == allowed);
    }
}

/* Takes the language. seed decides where walks go. */
static void guiding_check(cop_language *l, uint64_t seed) {
    cop_guide *g;
    int32_t forced[32], branches[128];
    must(!cop_guide_new(&g, l, guiding_vocabulary()));
    for (int walk = 0; walk < 3 && !cop_guide_failed(g); walk++) {
        cop_guide_state s = cop_guide_start(g);
        int32_t least = cop_guide_distance(g, s);
        int left = walk && least < 28 ? least + walk : -1, n = 0;
        for (; n < 32 && s != COP_GUIDE_ENDED && !cop_guide_failed(g); n++) {
            uint64_t bits[GUIDING_WORDS];
            cop_guide_mask(g, s, left, bits);
            if (cop_guide_failed(g)) break;
            guiding_check_mask(g, s, left, bits);
            int f = cop_guide_forced(g, s, forced, 32);
            if (cop_guide_failed(g)) break;
            cop_guide_state at = s;
            for (int i = 0; i < f; i++) {
                must((at = cop_guide_advance(g, at, forced[i])) != COP_GUIDE_DEAD);
                if (!i) must(cop_guide_allows(g, s, forced[0], -1));
            }
            if (n == walk && cop_guide_distance(g, s) <= 200) cop_guide_branches(g, s, 4, branches, 128);
            if (cop_guide_failed(g)) break;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int32_t t = guiding_pick(bits, (uint32_t)(seed >> 33));
            must(t >= 0);
            s = cop_guide_advance(g, s, t);
            must(s != COP_GUIDE_DEAD || cop_guide_failed(g));
            left -= left > 0 && s != COP_GUIDE_ENDED;
            if (left < 0 && n % 7 == 6) s = cop_guide_keep(g, s);
        }
        if (left >= 0 && !cop_guide_failed(g)) must(s == COP_GUIDE_ENDED || n == 32);
    }
    cop_guide_free(g);
}

static void guiding_check_failure(cop_status st) {
    must(st == COP_ERR_FORMAT || st == COP_ERR_ARG || st == COP_ERR_LIMIT || st == COP_ERR_UNSUPPORTED || st == COP_ERR_NOT_FOUND);
    const char *text = cop_error_text();
    must(*text && !strpbrk(text, "\n\r"));
}

#endif
