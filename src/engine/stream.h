// From tokens to text: whole characters, and stop strings.
//
// Text is held back while its end may be the beginning of a stop string, so what was shown never has to
// be taken back. The hold is at most one stop string long.
#ifndef COP_ENGINE_STREAM_H
#define COP_ENGINE_STREAM_H

#include "engine/session.h"

typedef struct cop_stream {
    const cop_stop *stops;          // [n_stops] borrowed
    int n_stops;
    cop_detok detok;
    cop_text_fn *on_text;           // not 0: no more is shown
    void *user;
    char held[COP_MAX_STOP_BYTES];  // the longest tail that may begin a stop string
    size_t n_held;
    char ready[COP_MAX_STOP_BYTES + 3 * (COP_MAX_PIECE + 4)];  // what a token lets go: shown together, so that characters stay whole
    size_t n_ready;
    const int32_t *visible;         // [n_visible] control tokens that are shown; borrowed, set after the start
    int n_visible;
    int stopped;                    // number of the stop string that came, or -1
    bool cancelled;                 // on_text wanted no more
} cop_stream;

/* special: control tokens are shown, too. */
void cop_stream_start(cop_stream *t, const cop_tokenizer *tok, const cop_stop *stops, int n_stops, bool special, cop_text_fn *on_text,
                      void *user);
/* Shows what is ready with this token. False: a stop string came or on_text wanted no more, and this token was the last. */
bool cop_stream_push(cop_stream *t, int32_t token);
/* The text ends here: shows what was held back, unless a stop string came. */
void cop_stream_finish(cop_stream *t);

#endif
