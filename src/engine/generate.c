// From steps to text: streaming, stop strings, the reasons to end.
//
// Text is held back while its end may be the beginning of a stop string, so what was shown never has to
// be taken back. The hold is at most one stop string long.
#include <string.h>

#include "base/clock.h"
#include "engine/session.h"

typedef struct stream {
    const cop_session *s;
    cop_detok detok;
    cop_text_fn *on_text;
    void *user;
    char held[COP_MAX_STOP_BYTES];  // the longest tail that may begin a stop string
    size_t n_held;
    char ready[COP_MAX_STOP_BYTES + 3 * (COP_MAX_PIECE + 4)];  // what a token lets go: shown together, so that characters stay whole
    size_t n_ready;
    bool stopped, cancelled;
} stream;

static void show(stream *t, const char *text, size_t bytes) {
    if (bytes && !t->cancelled && t->on_text && t->on_text(t->user, text, bytes)) t->cancelled = true;
}

// Does held end with (a whole, when `whole`, else a part of) a stop string? Bytes of the match, 0 if none.
static size_t match_end(const stream *t, bool whole) {
    size_t longest = 0;
    for (int i = 0; i < t->s->n_stops; i++) {
        const cop_stop *stop = &t->s->stops[i];
        size_t most = stop->bytes < t->n_held ? stop->bytes : t->n_held;
        for (size_t n = whole ? stop->bytes : 1; n <= most; n++)
            if (n > longest && !memcmp(t->held + t->n_held - n, stop->text, n)) longest = n;
    }
    return longest;
}

static void let_go(stream *t, size_t bytes) {
    memcpy(t->ready + t->n_ready, t->held, bytes);
    t->n_ready += bytes;
    t->n_held -= bytes;
    memmove(t->held, t->held + bytes, t->n_held);
}

static void push_byte(stream *t, char c) {
    t->held[t->n_held++] = c;
    size_t stop = match_end(t, true);
    t->stopped = stop > 0;
    let_go(t, t->n_held - (stop ? stop : match_end(t, false)));
}

static void push_text(stream *t, const char *text, size_t bytes) {
    if (!t->s->n_stops) {
        show(t, text, bytes);
        return;
    }
    t->n_ready = 0;
    for (size_t i = 0; i < bytes && !t->stopped; i++) push_byte(t, text[i]);
    show(t, t->ready, t->n_ready);
}

static void finish(stream *t) {
    size_t bytes;
    const char *text = cop_detok_flush(&t->detok, &bytes);
    if (t->stopped) return;
    push_text(t, text, bytes);
    show(t, t->held, t->n_held);
}

// Shows the tokens that a step emitted; the number that belong to the text (a stop string ends it early).
static int push_tokens(stream *t, const int32_t *tokens, int n) {
    for (int i = 0; i < n; i++) {
        size_t bytes;
        const char *text = cop_detok_push(&t->detok, tokens[i], &bytes);
        push_text(t, text, bytes);
        if (t->stopped || t->cancelled) return i + 1;
    }
    return n;
}

// Drop what a step emitted beyond the text's end, so that the sequence is what was shown.
static void cut_to(cop_session *s, int n_tokens) {
    s->n_tokens = n_tokens;
    if (cop_seq_length(s->seq) > n_tokens - 1) cop_seq_truncate(s->seq, n_tokens - 1);
}

static cop_status decode(cop_session *s, int max_tokens, stream *t, cop_result *r) {
    r->finish = COP_FINISH_LENGTH;
    while (r->tokens < max_tokens) {
        if (s->n_tokens >= s->context) {
            r->finish = COP_FINISH_CONTEXT;
            return COP_OK;
        }
        int before = s->n_tokens;
        bool ended = false;
        s->room = max_tokens - r->tokens;
        COP_TRY(cop_step(s, &ended));
        int n = s->verdict.n_tokens, room = max_tokens - r->tokens;
        if (n > room || n > s->context - before) {
            n = room < s->context - before ? room : s->context - before;
            ended = false;
        }
        n = push_tokens(t, s->tokens + before, n);
        if (before + n < s->n_tokens) {
            cut_to(s, before + n);
            ended = false;
        }
        r->tokens += n;
        if (t->cancelled) {
            r->finish = COP_FINISH_CANCELLED;
            return COP_OK;
        }
        if (t->stopped || ended) {
            r->finish = COP_FINISH_STOP;
            return COP_OK;
        }
    }
    return COP_OK;
}

cop_status cop_session_generate(cop_session *s, int max_tokens, cop_text_fn *on_text, void *user, cop_result *result) {
    cop_result unused, *r = result ? result : &unused;
    *r = (cop_result){.prompt_tokens = s->n_tokens};
    if (s->n_tokens < 1) return cop_fail(COP_ERR_ARG, "generate: the sequence is empty");
    if (max_tokens < 0) return cop_fail(COP_ERR_ARG, "generate: %d tokens, must not be negative", max_tokens);
    double start = cop_clock();
    r->computed_tokens = s->n_tokens - cop_seq_length(s->seq);
    s->logits_hash = 0;
    COP_TRY(cop_session_prefill(s, NULL, NULL));
    double prefilled = cop_clock();
    r->prefill_seconds = prefilled - start;

    stream t = {.s = s, .on_text = on_text, .user = user};
    cop_detok_start(&t.detok, s->engine->tokenizer, false, false, true);
    cop_step_stats had = s->stats;
    cop_status st = decode(s, max_tokens, &t, r);
    if (!t.cancelled) finish(&t);
    r->decode_seconds = cop_clock() - prefilled;
    r->logits_hash = s->hash_logits ? s->logits_hash : 0;
    r->steps = s->stats.steps - had.steps;
    r->drafted = s->stats.drafted - had.drafted;
    r->accepted = s->stats.accepted - had.accepted;
    return st;
}

cop_status cop_session_step(cop_session *s, int32_t *tokens, size_t max_tokens, size_t *n_tokens, int *ended) {
    *n_tokens = 0;
    *ended = 0;
    if (max_tokens < 1) return cop_fail(COP_ERR_ARG, "step: room for no token");
    COP_TRY(cop_session_prefill(s, NULL, NULL));
    int before = s->n_tokens;
    bool end = false;
    s->room = max_tokens < INT32_MAX ? (int)max_tokens : 0;
    COP_TRY(cop_step(s, &end));
    size_t n = (size_t)s->verdict.n_tokens, room = (size_t)(s->context - before);
    size_t most = max_tokens < room ? max_tokens : room;
    if (n > most) {
        n = most;
        cut_to(s, before + (int)n);
        end = false;
    }
    memcpy(tokens, s->tokens + before, n * sizeof *tokens);
    *n_tokens = n;
    *ended = end;
    return COP_OK;
}
