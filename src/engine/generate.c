// From steps to text: streaming, stop strings, the reasons to end.
#include <string.h>

#include "base/clock.h"
#include "engine/stream.h"

// Shows the tokens that a step emitted; the number that belong to the text (a stop string ends it early).
static int push_tokens(cop_stream *t, const int32_t *tokens, int n) {
    for (int i = 0; i < n; i++)
        if (!cop_stream_push(t, tokens[i])) return i + 1;
    return n;
}

void cop_session_cut(cop_session *s, int n_tokens) {
    s->n_tokens = n_tokens;
    if (cop_seq_length(s->seq) > n_tokens - 1) cop_seq_truncate(s->seq, n_tokens - 1);
}

static cop_status decode(cop_session *s, int max_tokens, cop_stream *t, cop_result *r) {
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
            cop_session_cut(s, before + n);
            ended = false;
        }
        r->tokens += n;
        if (t->cancelled) {
            r->finish = COP_FINISH_CANCELLED;
            return COP_OK;
        }
        if (t->stopped >= 0 || ended) {
            r->finish = COP_FINISH_STOP;
            return COP_OK;
        }
    }
    if (s->guiding && cop_guiding_complete(s)) r->finish = COP_FINISH_STOP;  // whole, with no room for the end token
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

    cop_stream t;
    cop_stream_start(&t, s->engine->tokenizer, s->stops, s->n_stops, false, on_text, user);
    cop_step_stats had = s->stats;
    cop_status st = decode(s, max_tokens, &t, r);
    if (!t.cancelled) cop_stream_finish(&t);
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
        cop_session_cut(s, before + (int)n);
        end = false;
    }
    memcpy(tokens, s->tokens + before, n * sizeof *tokens);
    *n_tokens = n;
    *ended = end;
    return COP_OK;
}
