// API keys: read once, compared in constant time, never shown.
#include <string.h>

#include "base/map.h"
#include "serve/server_private.h"

#define MOST_KEY 512
#define MOST_KEY_FILE ((size_t)1 << 20)

struct cop_keys {
    int n;
    struct {
        size_t bytes;
        unsigned char text[MOST_KEY];
    } keys[COP_MAX_KEYS];
};

static cop_status add_key(cop_keys *k, const char *text, size_t bytes) {
    while (bytes && strchr(" \t\r\n", text[bytes - 1])) bytes--;
    if (!bytes) return COP_OK;
    if (bytes > MOST_KEY) return cop_fail(COP_ERR_ARG, "an API key of %zu letters, at most %d", bytes, MOST_KEY);
    if (k->n == COP_MAX_KEYS) return cop_fail(COP_ERR_LIMIT, "more than %d API keys", COP_MAX_KEYS);
    memcpy(k->keys[k->n].text, text, bytes);
    k->keys[k->n++].bytes = bytes;
    return COP_OK;
}

static cop_status add_file(cop_keys *k, const char *path) {
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, MOST_KEY_FILE, &text, &bytes));
    cop_status st = COP_OK;
    for (size_t at = 0, n; !st && at < bytes; at += n + 1) {
        n = strcspn(text + at, "\n");
        st = add_key(k, text + at, n);
    }
    explicit_bzero(text, bytes);
    cop_free(text);
    if (!st && !k->n) st = cop_fail(COP_ERR_FORMAT, "no key in it");
    if (st) cop_fail_note("%s", path);
    return st;
}

cop_status cop_keys_new(cop_keys **out, const cop_server_options *options) {
    *out = NULL;
    cop_keys *k = cop_alloc(sizeof *k);
    if (!k) return cop_fail(COP_ERR_NOMEM, "keys: cannot allocate");
    cop_status st = COP_OK;
    for (int i = 0; !st && i < options->n_keys; i++) {
        st = add_key(k, options->keys[i], strlen(options->keys[i]));
        if (!st && k->n <= i) st = cop_fail(COP_ERR_ARG, "an API key that is empty");
    }
    if (!st && options->key_file) st = add_file(k, options->key_file);
    if (st) cop_keys_free(k);
    else *out = k;
    return st;
}

void cop_keys_free(cop_keys *k) {
    if (k) explicit_bzero(k, sizeof *k);
    cop_free(k);
}

int cop_keys_count(const cop_keys *k) { return k->n; }

// Every key is compared over its full room, so that the time tells nothing of where or whether one differs.
bool cop_keys_accept(const cop_keys *k, const char *key, size_t bytes) {
    unsigned char given[MOST_KEY] = {0};
    unsigned accepted = 0;
    memcpy(given, key, bytes < MOST_KEY ? bytes : MOST_KEY);
    for (int i = 0; i < k->n; i++) {
        unsigned differs = k->keys[i].bytes != bytes;
        for (size_t b = 0; b < MOST_KEY; b++) differs |= (unsigned)(k->keys[i].text[b] ^ given[b]);
        accepted |= differs == 0;
    }
    return accepted;
}
