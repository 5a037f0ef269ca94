#include "guiding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#ifndef COP_MINI_CMOCKA
#include <cmocka.h>
#endif

static const char *const usual[] = {
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
    "A", "B", "C", "D", "E", "F", "Z", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", " ", "!", "\"", "#", "$", "%", "&", "'", "(",
    ")", "*", "+", ",", "-", ".", "/", ":", ";", "<", "=", ">", "?", "@", "[", "\\", "]", "^", "_", "`", "{", "|", "}", "~", "\n",
    "\t", "\r", "\x80", "\x81", "\xA9", "\xC3", "\xE2", "\x82", "\xAC", "\xF0", "\x9F", "\x98", "ab", "abc", "bc", "aa", "aaa", "ba", "10",
    "12", "123", "00", "true", "false", "null", "tr", "ue", "\":", "\",", "{\"", "\"}", "[]", "{}", ", ", ": ", "  ", "\xC3\xA9", "\xE2\x82",
    "name", "\"a", "a\"", "\"name\"", "in", "int", "return", ";\n", "()", "ca", "cab", "<tool>", "<end of turn>", "ab", NULL};
const guiding_vocabulary guiding_usual = {usual, (int)(sizeof usual / sizeof *usual)};

static bool is_control(const char *piece) { return piece[0] == '<' && piece[1]; }

static const char *piece(const void *user, int32_t token, size_t *bytes) {
    const guiding_vocabulary *v = user;
    const char *text = v->pieces[token];
    if (!text || is_control(text)) return *bytes = 0, "";
    *bytes = strlen(text);
    return text;
}
static bool is_end(const void *user, int32_t token) { return !((const guiding_vocabulary *)user)->pieces[token]; }

static int32_t find(const void *user, const char *text, size_t bytes) {
    const guiding_vocabulary *v = user;
    for (int t = 0; t < v->n; t++)
        if (v->pieces[t] && strlen(v->pieces[t]) == bytes && !memcmp(v->pieces[t], text, bytes)) return t;
    return -1;
}

static int encode(const void *user, const char *text, size_t bytes, int32_t *tokens, int max) {
    int n = 0;
    for (size_t at = 0; at < bytes;) {
        int32_t best = -1;
        size_t longest = 0;
        for (size_t k = 1; k <= bytes - at && k <= 8; k++) {
            int32_t t = find(user, text + at, k);
            if (t >= 0 && !is_control(((const guiding_vocabulary *)user)->pieces[t])) best = t, longest = k;
        }
        if (best < 0 || n == max) return -1;
        tokens[n++] = best;
        at += longest;
    }
    return n;
}

cop_vocab_trie *guiding_trie(const guiding_vocabulary *v) {
    const cop_vocab_trie_source source = {v->n, piece, is_end, find, encode, v};
    cop_vocab_trie *out = NULL;
    cop_vocab_trie_new(&out, &source);
    return out;
}

uint32_t guiding_random(uint64_t *seed, uint32_t n) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

static bool bit(const uint64_t *bits, int32_t t) { return bits[t / 64] >> (t % 64) & 1; }

static int32_t random_token(const uint64_t *bits, int32_t V, uint64_t *seed) {
    int n = 0;
    for (int32_t t = 0; t < V; t++) n += bit(bits, t);
    if (!n) return -1;
    n = (int)guiding_random(seed, (uint32_t)n);
    for (int32_t t = 0; t < V; t++)
        if (bit(bits, t) && !n--) return t;
    return -1;
}

// The three ways to ask agree.
static void check_state(cop_guide *g, const cop_vocab_trie *v, cop_guide_state s, int left, uint64_t *bits) {
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(v);
    cop_guide_mask(g, s, left, bits);
    for (int32_t t = 0; t < source->V; t++) {
        cop_guide_state next = cop_guide_advance(g, s, t);
        if (bit(bits, t) != cop_guide_allows(g, s, t, left)) {
            size_t n;
            fail_msg("state %u left %d token %d (%s): mask %d", s, left, t, source->piece(source->user, t, &n), bit(bits, t));
        }
        if (left < 0 && bit(bits, t) != (next != COP_GUIDE_DEAD)) fail_msg("state %u token %d: advance disagrees", s, t);
        if (source->is_end(source->user, t) && bit(bits, t) != cop_guide_accepting(g, s)) fail_msg("state %u: end token", s);
    }
}

int guiding_check_walks(cop_guide *g, const cop_vocab_trie *v, uint64_t *seed, int n_walks, int most_tokens) {
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(v);
    uint64_t bits[64];
    int seen = 0;
    for (int w = 0; w < n_walks; w++) {
        cop_guide_state s = cop_guide_start(g);
        int least = cop_guide_distance(g, s), left = w % 3 ? least + (int)guiding_random(seed, 8) : -1;
        if (left > most_tokens) left = -1;
        for (int i = 0; i < most_tokens && s != COP_GUIDE_ENDED; i++) {
            check_state(g, v, s, left, bits);
            seen++;
            int32_t t = random_token(bits, source->V, seed);
            if (t < 0) fail_msg("walk %d: empty mask at token %d, left %d, distance %d", w, i, left, cop_guide_distance(g, s));
            s = cop_guide_advance(g, s, t);
            if (left >= 0 && s != COP_GUIDE_ENDED) left--;
            if (left < 0 && i % 5 == 4 && w % 2) s = cop_guide_keep(g, s);
        }
        if (left >= 0 && s != COP_GUIDE_ENDED && most_tokens > left) fail_msg("walk %d did not end", w);
        if (cop_guide_failed(g)) fail_msg("%s", cop_error_text());
    }
    return seen;
}

size_t guiding_random_text(cop_guide *g, const cop_vocab_trie *v, uint64_t *seed, char *text, size_t most, int budget) {
    const cop_vocab_trie_source *source = cop_vocab_trie_get_source(v);
    uint64_t bits[64];
    size_t n = 0;
    cop_guide_state s = cop_guide_start(g);
    while (s != COP_GUIDE_ENDED) {
        cop_guide_mask(g, s, budget, bits);
        int32_t t = random_token(bits, source->V, seed);
        size_t bytes;
        if (t < 0) break;
        const char *text_of = source->piece(source->user, t, &bytes);
        if (n + bytes > most) break;
        memcpy(text + n, text_of, bytes);
        n += bytes;
        s = cop_guide_advance(g, s, t);
        budget -= s != COP_GUIDE_ENDED;
    }
    return n;
}

bool guiding_accepts(cop_guide *g, cop_language *l, const char *text, size_t bytes) {
    cop_guide_state s = cop_guide_start(g);
    for (size_t i = 0; i < bytes && s != COP_GUIDE_DEAD; i++) s = l->type->step(l, s, (uint8_t)text[i]);
    return s != COP_GUIDE_DEAD && cop_guide_accepting(g, s);
}
