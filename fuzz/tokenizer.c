// Fuzzer of the tokenizers.  The first byte picks what the rest is: a text for one of two fixed
// vocabularies, or a vocabulary of the input's own with a text behind it.  Whatever the input, ids are in
// range, a stream of cleaned text is UTF-8, and where every byte has a token the text comes back.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MOST 400

typedef struct words {
    cop_vocab_source source;
    cop_span tokens[MOST], merges[MOST];
    int32_t types[MOST];
    float scores[MOST];
    char names[256][8];
} words;

static void begin(words *w, const char *model, const char *pre) {
    memset(w, 0, sizeof *w);
    w->source = (cop_vocab_source){.model = model, .pre = pre, .tokens = w->tokens, .types = w->types, .scores = w->scores,
                                   .merges = w->merges, .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1};
}

static void add(words *w, const char *text, size_t bytes, int32_t type) {
    size_t id = w->source.n_tokens++;
    w->tokens[id] = (cop_span){text, bytes};
    w->types[id] = type;
    w->scores[id] = -(float)(id % 37);
}

static void add_text(words *w, const char *text, int32_t type) { add(w, text, strlen(text), type); }

// The byte-level alphabet: printing bytes are themselves, the others follow from U+0100 on.
static void add_alphabet(words *w) {
    int next = 256;
    for (int b = 0; b < 256; b++) {
        int point = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE ? b : next++;
        if (point < 0x80) snprintf(w->names[b], 8, "%c", point);
        else snprintf(w->names[b], 8, "%c%c", 0xC0 | point >> 6, 0x80 | (point & 0x3F));
        add_text(w, w->names[b], COP_TOKEN_NORMAL);
    }
}

static void fill_gpt2(words *w, const char *pre) {
    static const char *const merges[][2] = {{"a a", "aa"}, {"aa aa", "aaaa"}, {"\u0120 a", "\u0120a"}, {"t h", "th"},
                                            {"th e", "the"}, {"\u00c3 \u00a9", "\u00c3\u00a9"}, {"1 2", "12"}};
    begin(w, "gpt2", pre);
    add_alphabet(w);
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        add_text(w, merges[i][1], COP_TOKEN_NORMAL);
        w->merges[w->source.n_merges++] = (cop_span){merges[i][0], strlen(merges[i][0])};
    }
    add_text(w, "<s>", COP_TOKEN_CONTROL);
    add_text(w, "<a>", COP_TOKEN_USER);
    add_text(w, "<a><s", COP_TOKEN_USER);
}

static void fill_llama(words *w) {
    static const char *const pieces[] = {"\u2581", "a", "aa", "\u2581a", "aaa", "t", "h", "e", "th", "the", "\u2581the", "\u00e9"};
    begin(w, "llama", NULL);
    for (int b = 0; b < 256; b++) {
        snprintf(w->names[b], 8, "<0x%02X>", b);
        add_text(w, w->names[b], COP_TOKEN_BYTE);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) add_text(w, pieces[i], COP_TOKEN_NORMAL);
    add_text(w, "<s>", COP_TOKEN_CONTROL);
    add_text(w, "  ", COP_TOKEN_USER);
    w->source.add_space_prefix = true;
}

// Lines of the input: tokens, then merges (those with a space), up to an empty line; the text follows.
static size_t fill_from_input(words *w, const char *text, size_t bytes, bool spm) {
    begin(w, spm ? "llama" : "gpt2", "smollm");
    if (!spm) add_alphabet(w);
    for (size_t at = 0, n; at < bytes; at += n + 1) {
        const char *end = memchr(text + at, '\n', bytes - at);
        n = end ? (size_t)(end - text) - at : bytes - at;
        if (!n || w->source.n_tokens == MOST || w->source.n_merges == MOST) return at + 1 < bytes ? at + 1 : bytes;
        const char *line = text + at;
        if (!spm && memchr(line, ' ', n)) w->merges[w->source.n_merges++] = (cop_span){line, n};
        else add(w, line + 1, n - 1, (uint8_t)line[0] % 8);
    }
    return bytes;
}

static void check_round_trip(cop_detok *d, const cop_token_array *ids, const char *text, size_t bytes) {
    size_t at = 0;
    for (size_t i = 0, n; i <= ids->n; i++) {
        const char *out = i < ids->n ? cop_detok_push(d, ids->v[i], &n) : cop_detok_flush(d, &n);
        must(n <= bytes - at && !memcmp(text + at, out, n));
        at += n;
    }
    must(at == bytes);
}

static void check_text(const words *w, const char *text, size_t bytes, bool special, bool comes_back) {
    cop_tokenizer *tok;
    cop_token_array ids = {.most = 1 << 20};
    cop_detok d;
    if (cop_tokenizer_new(&tok, &w->source)) return;
    must(!cop_tokenizer_encode(tok, text, bytes, true, special, &ids));
    must_be_tokens(tok, &ids, &d);
    cop_detok_start(&d, tok, true, false, false);
    if (comes_back && !special) check_round_trip(&d, &ids, text, bytes);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char *const pres[] = {"gpt-2", "qwen2", "smollm", "llama-bpe", "deepseek-coder", "default", "falcon", "command-r"};
    static words w;
    if (!bytes) return 0;
    const char *text = (const char *)data + 1;
    size_t n = bytes - 1, skip = 0;
    bool special = data[0] & 0x40, nfc = false, marks = false;
    if (data[0] & 0x80) {
        skip = fill_from_input(&w, text, n, data[0] & 1);
    } else if (data[0] & 0x20) {
        fill_llama(&w);
        for (size_t i = 0; i + 2 < n; i++) marks = marks || !memcmp(text + i, "\u2581", 3);
    } else {
        fill_gpt2(&w, pres[data[0] & 7]);
        nfc = (data[0] & 7) == 1 || (data[0] & 7) == 7;
    }
    check_text(&w, text + skip, n - skip, special, !skip && !(data[0] & 0x80) && !nfc && !marks);
    return 0;
}
