#include "vocabularies.h"

#include <stdio.h>
#include <string.h>

static int32_t add(vocabulary *v, const char *text, int32_t type, float score) {
    int32_t id = (int32_t)v->source.n_tokens++;
    v->tokens[id] = (cop_span){text, strlen(text)};
    v->types[id] = type;
    v->scores[id] = score;
    return id;
}

static void begin(vocabulary *v, const char *model) {
    memset(v, 0, sizeof *v);
    v->source = (cop_vocab_source){.model = model, .tokens = v->tokens, .types = v->types, .merges = v->merges,
                                   .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1};
}

static void name_byte(vocabulary *v, int byte) {
    int point = byte, next = 256;
    for (int b = 0; b <= byte; b++) {
        bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        if (b == byte && !prints) point = next;
        next += !prints;
    }
    if (point < 0x80) snprintf(v->names[byte], sizeof v->names[byte], "%c", point);
    else snprintf(v->names[byte], sizeof v->names[byte], "%c%c", 0xC0 | point >> 6, 0x80 | (point & 0x3F));
    add(v, v->names[byte], COP_TOKEN_NORMAL, 0);
}

void vocabulary_gpt2(vocabulary *v) {
    static const char *const merges[][2] = {
        {"t h", "th"}, {"th e", "the"}, {"\u0120 the", "\u0120the"}, {"a a", "aa"}, {"aa aa", "aaaa"},
        {"aaaa aaaa", "aaaaaaaa"}, {"\u0120 \u0120", "\u0120\u0120"}, {"\u0120\u0120 \u0120\u0120", "\u0120\u0120\u0120\u0120"},
        {"1 2", "12"}, {"\u00c3 \u00a9", "\u00c3\u00a9"}, {"h e", "he"}, {"\u00f0 \u0141", "\u00f0\u0141"},
    };
    begin(v, "gpt2");
    v->source.pre = "qwen2";
    for (int byte = 0; byte < 256; byte++) name_byte(v, byte);
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        add(v, merges[i][1], COP_TOKEN_NORMAL, 0);
        v->merges[v->source.n_merges++] = (cop_span){merges[i][0], strlen(merges[i][0])};
    }
    add(v, "<|im_start|>", COP_TOKEN_CONTROL, 0);
    v->source.eos = add(v, "<|im_end|>", COP_TOKEN_CONTROL, 0);
    v->source.bos = add(v, "<s>", COP_TOKEN_CONTROL, 0);
    add(v, "<tool>", COP_TOKEN_USER, 0);
    add(v, "<tool>x</tool>", COP_TOKEN_USER, 0);
}

void vocabulary_llama(vocabulary *v) {
    static const char *const pieces[] = {"\u2581", "t", "h", "e", "a", "\u00e9", "\u2581t", "he", "\u2581the", "th", "aa",
                                         "aaaa", "ea"};
    begin(v, "llama");
    v->source.scores = v->scores;
    v->source.add_space_prefix = true;
    v->source.unk = add(v, "<unk>", COP_TOKEN_UNKNOWN, 0);
    v->source.bos = add(v, "<s>", COP_TOKEN_CONTROL, 0);
    v->source.eos = add(v, "</s>", COP_TOKEN_CONTROL, 0);
    v->source.add_bos = true;
    for (int byte = 0; byte < 256; byte++) {
        snprintf(v->names[byte], sizeof v->names[byte], "<0x%02X>", byte);
        add(v, v->names[byte], COP_TOKEN_BYTE, 0);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) add(v, pieces[i], COP_TOKEN_NORMAL, -(float)i);
    add(v, "  ", COP_TOKEN_USER, -1000);
    add(v, "   ", COP_TOKEN_USER, -1000);
}

int32_t vocabulary_id(const vocabulary *v, const char *text) {
    for (size_t i = 0; i < v->source.n_tokens; i++)
        if (v->tokens[i].bytes == strlen(text) && !memcmp(v->tokens[i].text, text, strlen(text))) return (int32_t)i;
    return -1;
}
