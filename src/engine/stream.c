#include "engine/stream.h"

#include <string.h>

void cop_stream_start(cop_stream *t, const cop_tokenizer *tok, const cop_stop *stops, int n_stops, bool special, cop_text_fn *on_text,
                      void *user) {
    t->stops = stops;
    t->n_stops = n_stops;
    t->on_text = on_text;
    t->user = user;
    t->n_held = t->n_ready = 0;
    t->stopped = -1;
    t->visible = NULL;
    t->n_visible = 0;
    t->cancelled = false;
    cop_detok_start(&t->detok, tok, false, special, true);
}

static void show(cop_stream *t, const char *text, size_t bytes) {
    if (bytes && !t->cancelled && t->on_text && t->on_text(t->user, text, bytes)) t->cancelled = true;
}

// Does held end with (a whole, when `whole`, else a part of) a stop string? Bytes of the longest match, 0 if none.
static size_t match_end(const cop_stream *t, bool whole, int *which) {
    size_t longest = 0;
    for (int i = 0; i < t->n_stops; i++) {
        const cop_stop *stop = &t->stops[i];
        size_t most = stop->bytes < t->n_held ? stop->bytes : t->n_held;
        for (size_t n = whole ? stop->bytes : 1; n <= most; n++)
            if (n > longest && !memcmp(t->held + t->n_held - n, stop->text, n)) {
                longest = n;
                *which = i;
            }
    }
    return longest;
}

static void let_go(cop_stream *t, size_t bytes) {
    memcpy(t->ready + t->n_ready, t->held, bytes);
    t->n_ready += bytes;
    t->n_held -= bytes;
    memmove(t->held, t->held + bytes, t->n_held);
}

static void push_byte(cop_stream *t, char c) {
    int which = -1, unused;
    t->held[t->n_held++] = c;
    size_t stop = match_end(t, true, &which);
    t->stopped = stop ? which : -1;
    let_go(t, t->n_held - (stop ? stop : match_end(t, false, &unused)));
}

static void push_text(cop_stream *t, const char *text, size_t bytes) {
    if (!t->n_stops) {
        show(t, text, bytes);
        return;
    }
    t->n_ready = 0;
    for (size_t i = 0; i < bytes && t->stopped < 0; i++) push_byte(t, text[i]);
    show(t, t->ready, t->n_ready);
}

bool cop_stream_push(cop_stream *t, int32_t token) {
    size_t bytes;
    bool special = t->detok.special;
    for (int i = 0; i < t->n_visible; i++) t->detok.special |= t->visible[i] == token;
    const char *text = cop_detok_push(&t->detok, token, &bytes);
    t->detok.special = special;
    push_text(t, text, bytes);
    return t->stopped < 0 && !t->cancelled;
}

void cop_stream_finish(cop_stream *t) {
    size_t bytes;
    const char *text = cop_detok_flush(&t->detok, &bytes);
    if (t->stopped >= 0) return;
    push_text(t, text, bytes);
    show(t, t->held, t->n_held);
}
