// UTF-8 by the letter of the Unicode standard (table 3-7): no overlong forms, no surrogates.
#ifndef COP_TEXT_UTF8_H
#define COP_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at p[0..left), 1 … 4; 0 when no well-formed character begins there.
 * *prefix: how many bytes from p could begin a well-formed character (at least 1 when left > 0). */
static inline int cop_utf8_measure(const uint8_t *p, size_t left, int *prefix) {
    *prefix = left > 0;
    if (!left) return 0;
    uint8_t c = p[0];
    if (c < 0x80) return 1;
    if (c < 0xC2 || c > 0xF4) return 0;
    int need = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= left || p[i] < low || p[i] > high) return 0;
        *prefix = i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return need;
}

static inline int cop_utf8_length(const char *text, size_t left) {
    int prefix;
    return cop_utf8_measure((const uint8_t *)text, left, &prefix);
}

/* Code point of the well-formed character of n bytes at text. */
static inline uint32_t cop_utf8_decode(const char *text, int n) {
    const uint8_t *p = (const uint8_t *)text;
    if (n == 1) return p[0];
    uint32_t c = p[0] & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) c = c << 6 | (p[i] & 0x3F);
    return c;
}

#endif
