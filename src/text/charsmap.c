// The normalisation table of a SentencePiece model: a double array whose leaves are places in a block of
// NUL-terminated texts.  Layout: the bytes of the array (32 bits, little-endian), the array, the texts.
// Source: the description of Darts-clone's units (label, offset, leaf).
// A look-up that leaves the array ends there: a table may lie, it costs at most the text's length.
#include <string.h>

#include "text/pipeline_private.h"

#define MOST_BYTES ((size_t)16 << 20)

struct cop_charsmap {
    uint32_t *units;
    size_t n_units;
    char *texts;
    size_t n_texts;  // bytes; the last is NUL
};

static uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

cop_status cop_charsmap_new(cop_charsmap **out, const uint8_t *data, size_t bytes) {
    *out = NULL;
    if (bytes < 4 || bytes > MOST_BYTES)
        return cop_fail(COP_ERR_FORMAT, "precompiled_charsmap: %zu bytes, 4 to %zu are possible", bytes, MOST_BYTES);
    size_t array = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
    if (array % 4 || !array || array > bytes - 4 || (bytes - 4 - array && data[bytes - 1]))
        return cop_fail(COP_ERR_FORMAT, "precompiled_charsmap: its array of %zu bytes or its texts do not end in %zu bytes",
                        array, bytes);
    cop_charsmap *m = cop_alloc(sizeof *m);
    if (!m) return cop_fail(COP_ERR_NOMEM, "precompiled_charsmap: cannot allocate");
    m->n_units = array / 4;
    m->n_texts = bytes - 4 - array;
    m->units = cop_alloc_array(m->n_units, sizeof *m->units);
    m->texts = cop_alloc(m->n_texts);
    if (!m->units || !m->texts) {
        cop_charsmap_free(m);
        return cop_fail(COP_ERR_NOMEM, "precompiled_charsmap: cannot allocate");
    }
    for (size_t i = 0; i < m->n_units; i++) {
        const uint8_t *p = data + 4 + 4 * i;
        m->units[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(m->texts, data + 4 + array, m->n_texts);
    *out = m;
    return COP_OK;
}

static int digit_of(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

cop_status cop_charsmap_new_base64(cop_charsmap **out, const char *text, size_t bytes) {
    *out = NULL;
    while (bytes && text[bytes - 1] == '=') bytes--;
    uint8_t *data = cop_alloc(bytes / 4 * 3 + 3);
    if (!data) return cop_fail(COP_ERR_NOMEM, "precompiled_charsmap: cannot allocate");
    cop_status st = COP_OK;
    uint32_t bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < bytes && !st; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0) st = cop_fail(COP_ERR_FORMAT, "precompiled_charsmap: no base64 at byte %zu", i);
        bits = bits << 6 | (uint32_t)(digit & 63);
        if (i % 4) data[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    if (!st) st = cop_charsmap_new(out, data, n);
    cop_free(data);
    return st;
}

void cop_charsmap_free(cop_charsmap *m) {
    if (!m) return;
    cop_free(m->units);
    cop_free(m->texts);
    cop_free(m);
}

size_t cop_charsmap_match(const cop_charsmap *m, const char *text, size_t bytes, bool longest, cop_span *to) {
    size_t found = 0, node = offset_of(m->units[0]);
    for (size_t i = 0; i < bytes && text[i]; i++) {
        uint8_t c = (uint8_t)text[i];
        node ^= c;
        if (node >= m->n_units || (m->units[node] & 0x800000FFu) != c) break;
        uint32_t unit = m->units[node];
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1) || node >= m->n_units) continue;
        uint32_t at = m->units[node] & 0x7FFFFFFFu;
        if (at >= m->n_texts) break;
        *to = (cop_span){m->texts + at, strlen(m->texts + at)};
        found = i + 1;
        if (!longest) break;
    }
    return found;
}
