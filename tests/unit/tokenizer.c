// Tokenizers on small vocabularies made here: what is refused, what every text must satisfy, streams.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "../support/vocabularies.h"
#include "base/clock.h"
#include "base/map.h"
#include "text/text_private.h"
#include "text/utf8.h"

static vocabulary v;

static cop_tokenizer *make(void (*fill)(vocabulary *)) {
    cop_tokenizer *tok;
    fill(&v);
    if (cop_tokenizer_new(&tok, &v.source)) fail_msg("%s", cop_error_text());
    return tok;
}

static void assert_refused(cop_status want, const char *part) {
    cop_tokenizer *tok;
    cop_status st = cop_tokenizer_new(&tok, &v.source);
    assert_null(tok);
    if (st != want || !strstr(cop_error_text(), part))
        fail_msg("wanted %s with '%s', got %s: %s", cop_status_name(want), part, cop_status_name(st), cop_error_text());
}

static void assert_ids(const cop_tokenizer *tok, const char *text, bool special, const char *const *want, size_t n) {
    cop_token_array got = {0};
    assert_int_equal(cop_tokenizer_encode(tok, text, strlen(text), false, special, &got), COP_OK);
    for (size_t i = 0; i < n && i < got.n; i++)
        if (got.v[i] != vocabulary_id(&v, want[i]))
            fail_msg("'%s': token %zu is %d, wanted '%s'", text, i, got.v[i], want[i]);
    if (got.n != n) fail_msg("'%s': %zu tokens, wanted %zu", text, got.n, n);
    cop_array_fini(&got);
}
#define ASSERT_IDS(tok, text, special, ...)                                                  \
    assert_ids(tok, text, special, (const char *const[]){__VA_ARGS__},                       \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

// ---- what is refused ----

static void an_unknown_split_pattern_is_refused_with_the_list(void **state) {
    (void)state;
    vocabulary_gpt2(&v);
    v.source.pre = "nonsense";
    assert_refused(COP_ERR_UNSUPPORTED, "\"nonsense\"");
    assert_non_null(strstr(cop_error_text(), "smollm"));
    v.source.model = "wordpiece";
    assert_refused(COP_ERR_UNSUPPORTED, "\"wordpiece\"");
}

static void lying_numbers_are_refused(void **state) {
    (void)state;
    vocabulary_gpt2(&v);
    v.source.eos = (int64_t)v.source.n_tokens;
    assert_refused(COP_ERR_FORMAT, "eos token: id");
    vocabulary_gpt2(&v);
    v.source.bos = -2;
    assert_refused(COP_ERR_FORMAT, "bos token: id");
    vocabulary_gpt2(&v);
    v.types[7] = 7;
    assert_refused(COP_ERR_FORMAT, "token 7: type 7");
    vocabulary_gpt2(&v);
    v.source.n_tokens = 0;
    assert_refused(COP_ERR_FORMAT, "0 tokens");
    vocabulary_gpt2(&v);
    v.source.n_tokens = COP_MAX_VOCAB + 1;
    assert_refused(COP_ERR_FORMAT, "tokens, 1 to");
    vocabulary_gpt2(&v);
    v.source.n_merges = COP_MAX_VOCAB + 1;
    assert_refused(COP_ERR_FORMAT, "merges, at most");
    vocabulary_gpt2(&v);
    v.tokens[3].bytes = COP_MAX_PIECE + 1;
    assert_refused(COP_ERR_FORMAT, "token 3:");
}

static void merges_of_unknown_parts_are_refused(void **state) {
    (void)state;
    static const char *const merges[] = {"th", "q\u2603 e", "t q\u2603", "t e", " ", ""};
    static const char *const why[] = {"no space", "left part", "right part", "its result", "no space", "no space"};
    for (int i = 0; i < 6; i++) {
        vocabulary_gpt2(&v);
        v.merges[2] = (cop_span){merges[i], strlen(merges[i])};
        assert_refused(COP_ERR_FORMAT, "merge 2");
        assert_non_null(strstr(cop_error_text(), why[i]));
    }
    vocabulary_gpt2(&v);
    v.merges[2].bytes = 2 * COP_MAX_PIECE + 2;
    assert_refused(COP_ERR_FORMAT, "merge 2");
}

static void scores_must_be_there_and_be_numbers(void **state) {
    (void)state;
    vocabulary_llama(&v);
    v.scores[260] = __builtin_nanf("");
    assert_refused(COP_ERR_FORMAT, "token 260");
    v.source.scores = NULL;
    assert_refused(COP_ERR_FORMAT, "scores");
}

static void any_allocation_may_fail(void **state) {
    (void)state;
    void (*const fills[])(vocabulary *) = {vocabulary_gpt2, vocabulary_llama};
    const char text[] = "the <tool>\xC3\xA9 e\xCC\x81 \xFF 12aaaaaaaa";
    const size_t expected[] = {12, 21};
    for (int kind = 0; kind < 2; kind++) {
        bool failed = true;
        for (long n = 1; failed; n++) {
            fills[kind](&v);
            cop_token_array out = {0};
            cop_tokenizer *tok;
            cop_alloc_fail_at(n);
            cop_status st = cop_tokenizer_new(&tok, &v.source);
            if (!st) st = cop_tokenizer_encode(tok, text, sizeof text - 1, true, true, &out);
            failed = cop_alloc_failed();
            cop_alloc_fail_at(0);
            if (st && (!failed || st != COP_ERR_NOMEM)) fail_msg("allocation %ld: %s", n, cop_error_text());
            assert_int_equal(out.n, st ? 0 : expected[kind]);  // a failure inside PCRE2's compiler may cost speed only
            cop_tokenizer_free(tok);
            cop_array_fini(&out);
        }
    }
}

// ---- byte-level ----

static void merges_go_by_rank_then_from_the_left(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    ASSERT_IDS(tok, "the", false, "the");
    ASSERT_IDS(tok, "he", false, "he");
    ASSERT_IDS(tok, " the", false, "\u0120the");
    ASSERT_IDS(tok, "aaaaaaa", false, "aaaa", "aa", "a");
    ASSERT_IDS(tok, "12", false, "1", "2");  // the pattern keeps digits apart
    cop_tokenizer_free(tok);
}

static void the_first_of_equal_merges_counts(void **state) {
    (void)state;
    vocabulary_gpt2(&v);
    v.merges[v.source.n_merges++] = v.merges[0];  // "t h" again, after "h e"
    cop_tokenizer *tok;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "the", false, "the");
    cop_tokenizer_free(tok);
}

static void qwen2_text_is_composed_first(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    ASSERT_IDS(tok, "e\u0301", false, "\u00c3\u00a9");
    cop_tokenizer_free(tok);
    vocabulary_gpt2(&v);
    v.source.pre = "gpt-2";
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "e\u0301", false, "e", "\u00cc", "\u0123");
    cop_tokenizer_free(tok);
}

static void control_tokens_are_found_only_when_asked_for(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    ASSERT_IDS(tok, "<s>", true, "<s>");
    ASSERT_IDS(tok, "<s>", false, "<", "s", ">");
    ASSERT_IDS(tok, "a<|im_start|>a", true, "a", "<|im_start|>", "a");
    ASSERT_IDS(tok, "<|im_start", true, "<", "|", "i", "m", "_", "s", "t", "a", "r", "t");
    cop_tokenizer_free(tok);
}

static void user_tokens_are_always_found_the_longest_first(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    ASSERT_IDS(tok, "<tool>", false, "<tool>");
    ASSERT_IDS(tok, "<tool>x</tool>", false, "<tool>x</tool>");
    ASSERT_IDS(tok, "<tool>x</tool", false, "<tool>", "x", "<", "/", "t", "o", "o", "l");
    ASSERT_IDS(tok, "<tool><tool>", true, "<tool>", "<tool>");
    cop_tokenizer_free(tok);
}

static void a_byte_without_a_token_is_left_out_before_merging(void **state) {
    (void)state;
    vocabulary_gpt2(&v);
    v.types['x'] = COP_TOKEN_UNUSED;
    cop_tokenizer *tok;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "xtxxhx", false, "th");
    cop_tokenizer_free(tok);
}

static void bos_and_eos_are_put_where_the_vocabulary_asks(void **state) {
    (void)state;
    vocabulary_gpt2(&v);
    v.source.add_bos = v.source.add_eos = true;
    cop_tokenizer *tok;
    cop_token_array out = {0};
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    assert_int_equal(cop_tokenizer_encode(tok, "a", 1, true, false, &out), COP_OK);
    assert_int_equal(out.n, 3);
    assert_int_equal(out.v[0], vocabulary_id(&v, "<s>"));
    assert_int_equal(out.v[2], vocabulary_id(&v, "<|im_end|>"));
    out.n = 0;
    assert_int_equal(cop_tokenizer_encode(tok, "<s>a", 4, true, true, &out), COP_OK);
    assert_int_equal(out.n, 3);  // no second bos
    cop_array_fini(&out);
    cop_tokenizer_free(tok);
}

// ---- SentencePiece ----

static void pieces_join_by_score(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_llama);
    ASSERT_IDS(tok, "the", false, "\u2581the");
    ASSERT_IDS(tok, " the", false, "  ", "t", "he");  // two spaces are a user token, never joined
    ASSERT_IDS(tok, "ahe", false, "\u2581", "a", "he");
    ASSERT_IDS(tok, "z", false, "\u2581", "<0x7A>");
    ASSERT_IDS(tok, "\u20ac", false, "\u2581", "<0xE2>", "<0x82>", "<0xAC>");
    ASSERT_IDS(tok, "\xFF" "a", false, "\u2581", "<0xFF>", "a");
    cop_tokenizer_free(tok);
}

static void positive_scores_go_before_negative_ones(void **state) {
    (void)state;
    vocabulary_llama(&v);
    v.scores[vocabulary_id(&v, "th")] = 2;
    v.scores[vocabulary_id(&v, "he")] = 1;
    cop_tokenizer *tok;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "athe", false, "\u2581", "a", "th", "e");
    cop_tokenizer_free(tok);
    vocabulary_llama(&v);
    v.scores[vocabulary_id(&v, "th")] = -0.5f;
    v.scores[vocabulary_id(&v, "he")] = 1;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "athe", false, "\u2581", "a", "t", "he");
    cop_tokenizer_free(tok);
}

static void the_space_before_a_text_comes_and_goes(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_llama);
    ASSERT_IDS(tok, "<s>the</s>the", true, "<s>", "\u2581the", "</s>", "\u2581the");
    cop_detok d;
    size_t n;
    int32_t the = vocabulary_id(&v, "\u2581the");
    cop_detok_start(&d, tok, true, false, false);
    assert_int_equal((cop_detok_push(&d, v.source.bos, &n), n), 0);
    assert_memory_equal(cop_detok_push(&d, the, &n), "the", 3);
    assert_memory_equal(cop_detok_push(&d, the, &n), " the", 4);
    cop_detok_start(&d, tok, false, false, false);
    assert_memory_equal(cop_detok_push(&d, the, &n), " the", 4);
    cop_detok_start(&d, tok, true, false, false);
    assert_memory_equal(cop_detok_push(&d, vocabulary_id(&v, "<0x20>"), &n), " ", 1);
    assert_int_equal(n, 1);  // a byte is text, not the space that encoding put there
    cop_tokenizer_free(tok);
    vocabulary_llama(&v);
    v.source.add_space_prefix = false;
    assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
    ASSERT_IDS(tok, "the the", false, "t", "he", "\u2581the");
    cop_tokenizer_free(tok);
}

// ---- every text ----

// All of data as one piece of text, through tokens and back.
static void round_trip(const cop_tokenizer *tok, const char *text, size_t bytes) {
    cop_token_array ids = {0};
    static char back[1 << 16];
    size_t at = 0, n;
    assert_int_equal(cop_tokenizer_encode(tok, text, bytes, false, false, &ids), COP_OK);
    cop_detok d;
    cop_detok_start(&d, tok, true, false, false);
    for (size_t i = 0; i <= ids.n; i++) {
        const char *out = i < ids.n ? cop_detok_push(&d, ids.v[i], &n) : cop_detok_flush(&d, &n);
        assert_true(at + n <= sizeof back);
        memcpy(back + at, out, n);
        at += n;
    }
    if (at != bytes || memcmp(back, text, at)) fail_msg("'%.*s' comes back as '%.*s'", (int)bytes, text, (int)at, back);
    cop_array_fini(&ids);
}

static void hostile_texts_come_back(void **state) {
    (void)state;
    static const char *const files[] = {"hostile-text/UTF-8-test.txt", "hostile-text/blns.json", "flores/flores-v1/dev.ne-en.ne"};
    void (*const fills[])(vocabulary *) = {vocabulary_gpt2, vocabulary_llama};
    static const char *const pres[] = {"default", "gpt-2", "smollm", "llama-bpe", "deepseek-coder", "falcon"};
    char path[PLACE_BYTES], *data;
    size_t bytes;
    for (int f = 0; f < 3; f++) {
        if (!place_data(path, files[f])) {
            print_message("skipped: data set %s is absent\n", files[f]);
            skip();
        }
        assert_int_equal(cop_file_read(path, (size_t)1 << 24, &data, &bytes), COP_OK);
        if (bytes > 40000) bytes = 40000;
        for (int kind = 0; kind < 7; kind++) {
            cop_tokenizer *tok;
            fills[kind == 6](&v);
            if (kind < 6) v.source.pre = pres[kind];
            assert_int_equal(cop_tokenizer_new(&tok, &v.source), COP_OK);
            round_trip(tok, data, bytes);
            for (size_t at = 0, end; at < bytes; at = end + 1) {
                for (end = at; end < bytes && data[end] != '\n';) end++;
                round_trip(tok, data + at, end - at);
            }
            cop_tokenizer_free(tok);
        }
        cop_free(data);
    }
}

// ---- streams ----

#define MOST_STREAM 12

// A vocabulary whose token i * MOST_STREAM + n - 1 stands for the n bytes at i of one text.
static cop_tokenizer *make_substrings(const char *text, size_t bytes) {
    static cop_span tokens[MOST_STREAM * MOST_STREAM];
    static int32_t types[MOST_STREAM * MOST_STREAM];
    cop_vocab_source source = {.model = "gpt2", .n_tokens = MOST_STREAM * MOST_STREAM, .tokens = tokens, .types = types,
                               .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1};
    for (size_t i = 0; i < MOST_STREAM; i++)
        for (size_t n = 1; n <= MOST_STREAM; n++) {
            bool fits = i + n <= bytes;
            tokens[i * MOST_STREAM + n - 1] = (cop_span){fits ? text + i : "", fits ? n : 0};
            types[i * MOST_STREAM + n - 1] = COP_TOKEN_USER;
        }
    cop_tokenizer *tok;
    if (cop_tokenizer_new(&tok, &source)) fail_msg("%s", cop_error_text());
    return tok;
}

// inside[i]: position i lies within a well-formed character.
static void mark_inside(const char *text, size_t bytes, bool inside[MOST_STREAM + 1]) {
    memset(inside, 0, MOST_STREAM + 1);
    for (size_t i = 0; i < bytes;) {
        int n = cop_utf8_length(text + i, bytes - i);
        for (int k = 1; k < n; k++) inside[i + (size_t)k] = true;
        i += n ? (size_t)n : 1;
    }
}

// Stream text cut where `cuts` has bits; what comes out is as long as got[].
static size_t stream(const cop_tokenizer *tok, size_t bytes, unsigned cuts, bool clean, const bool *inside, char *got) {
    cop_detok d;
    size_t at = 0, n, begin = 0;
    cop_detok_start(&d, tok, true, false, clean);
    for (size_t end = 1; end <= bytes; end++) {
        if (end < bytes && !(cuts >> (end - 1) & 1)) continue;
        const char *out = cop_detok_push(&d, (int32_t)(begin * MOST_STREAM + end - begin - 1), &n);
        memcpy(got + at, out, n);
        at += n;
        begin = end;
        if (!clean && inside[at]) fail_msg("cuts %x: half a character at %zu", cuts, at);
    }
    const char *out = cop_detok_flush(&d, &n);
    memcpy(got + at, out, n);
    return at + n;
}

static void a_stream_equals_the_whole_wherever_it_is_cut(void **state) {
    (void)state;
    static const char *const texts[][2] = {  // raw, and with U+FFFD for what is not UTF-8
        {"plain", "plain"}, {"\u00e9\u20ac\U0001f600z", "\u00e9\u20ac\U0001f600z"}, {"\xFF\xFE", "\ufffd\ufffd"},
        {"a\xE2\x82", "a\ufffd"}, {"\xE2\x82" "b", "\ufffdb"}, {"\xF0\x9F\x98", "\ufffd"},
        {"\xC0\x80\xED\xA0\x80", "\ufffd\ufffd\ufffd\ufffd\ufffd"}, {"\xF4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
        {"\xE0\x80\x80z", "\ufffd\ufffd\ufffdz"}, {"\xF0\x9F\xF0\x9F\x98\x80", "\ufffd\U0001f600"},
        {"\xE2\xE2\x82\xAC\xE2", "\ufffd\u20ac\ufffd"}, {"\x80\xF1\x80\x80\x41", "\ufffd\ufffdA"},
    };
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        size_t bytes = strlen(texts[t][0]), n;
        bool inside[MOST_STREAM + 1];
        char got[64];
        cop_tokenizer *tok = make_substrings(texts[t][0], bytes);
        mark_inside(texts[t][0], bytes, inside);
        for (unsigned cuts = 0; cuts < 1u << (bytes - 1); cuts++)
            for (int clean = 0; clean < 2; clean++) {
                n = stream(tok, bytes, cuts, clean, inside, got);
                if (n != strlen(texts[t][clean]) || memcmp(got, texts[t][clean], n))
                    fail_msg("text %zu, cuts %x, clean %d: '%.*s'", t, cuts, clean, (int)n, got);
            }
        cop_tokenizer_free(tok);
    }
}

static void a_byte_that_begins_nothing_is_not_held_back(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    cop_detok d;
    size_t n;
    cop_detok_start(&d, tok, true, false, false);
    assert_int_equal((cop_detok_push(&d, 0xFF, &n), n), 1);
    assert_int_equal((cop_detok_push(&d, 0x80, &n), n), 1);
    assert_int_equal((cop_detok_push(&d, 0xC3, &n), n), 0);
    assert_int_equal((cop_detok_push(&d, 0xA9, &n), n), 2);
    cop_tokenizer_free(tok);
}

static void control_tokens_show_only_when_asked_for(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    size_t n;
    int32_t id = vocabulary_id(&v, "<|im_end|>"), tool = vocabulary_id(&v, "<tool>");
    cop_tokenizer_piece(tok, id, false, &n);
    assert_int_equal(n, 0);
    assert_memory_equal(cop_tokenizer_piece(tok, id, true, &n), "<|im_end|>", 10);
    assert_memory_equal(cop_tokenizer_piece(tok, tool, false, &n), "<tool>", 6);
    assert_true(cop_tokenizer_is_control(tok, id) && !cop_tokenizer_is_control(tok, tool));
    assert_true(cop_tokenizer_is_end(tok, id) && !cop_tokenizer_is_end(tok, tool));
    cop_tokenizer_piece(tok, -1, true, &n);
    assert_int_equal(n, 0);
    cop_tokenizer_piece(tok, cop_tokenizer_n_tokens(tok), true, &n);
    assert_int_equal(n, 0);
    cop_tokenizer_free(tok);
}

// ---- cost ----

typedef struct counter {
    long calls;
    uint32_t most;  // bytes of the longest symbol
} counter;

static bool count_pair(const void *arg, const cop_symbol *left, const cop_symbol *right, uint32_t *rank, int32_t *id) {
    counter *c = *(counter *const *)arg;
    c->calls++;
    *rank = *id = (int32_t)(left->bytes + right->bytes);
    return left->bytes == right->bytes && left->bytes < c->most;
}

static void merging_asks_a_fixed_number_of_times_per_symbol(void **state) {
    (void)state;
    for (int32_t n = 1000; n <= 1000000; n *= 1000) {
        cop_merge_work work = {0};
        counter count = {.most = 64}, *c = &count;
        for (int32_t i = 0; i < n; i++) assert_int_equal(cop_merge_add(&work, (uint32_t)i, 1, 0, false), COP_OK);
        assert_int_equal(cop_merge_run(&work, count_pair, &c), COP_OK);
        print_message("%d symbols: %ld pairs asked for\n", n, count.calls);
        assert_true(count.calls < 6l * n);
        cop_merge_fini(&work);
    }
}

static void fill_with(char *text, size_t bytes, const char *unit) {
    for (size_t i = 0, n = strlen(unit); i < bytes; i++) text[i] = unit[i % n];
}

// Times are printed, not judged; allocations are: scratch grows by doubling, not by the token.
static void a_megabyte_of_anything_is_tokenised(void **state) {
    (void)state;
    static const char *const units[] = {"a", " ", "\n", "\U0001f600", "e\u0301\u0323", "1", " a", "<", "'s", "\xFF", "\u4e00"};
    const size_t bytes = (1u << 20) / 12 * 12;
    char *text = cop_alloc(bytes);
    cop_token_array ids = {0};
    for (int kind = 0; kind < 2; kind++) {
        cop_tokenizer *tok = make(kind ? vocabulary_llama : vocabulary_gpt2);
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            fill_with(text, bytes, units[u]);
            ids.n = 0;
            long before = cop_alloc_count();
            double start = cop_clock();
            assert_int_equal(cop_tokenizer_encode(tok, text, bytes, false, true, &ids), COP_OK);
            print_message("%s, 1 MB of '%s': %zu tokens, %.3f s\n", kind ? "llama" : "gpt2", units[u], ids.n,
                          cop_clock() - start);
            assert_true(cop_alloc_count() - before < 200);
        }
        cop_tokenizer_free(tok);
    }
    cop_array_fini(&ids);
    cop_free(text);
}

typedef struct shared {
    const cop_tokenizer *tok;
    cop_token_array want, got[4];
} shared;

static const char shared_text[] = "the  \u4e00 e\u0301 <tool>12aaaaaaaa \xFF";

typedef struct caller {
    shared *s;
    cop_token_array *got;
    cop_status status;
} caller;

static void *encode_often(void *arg) {
    caller *c = arg;
    for (int i = 0; i < 50 && !c->status; i++) {
        c->got->n = 0;
        c->status = cop_tokenizer_encode(c->s->tok, shared_text, sizeof shared_text - 1, true, true, c->got);
    }
    return NULL;
}

static void threads_may_share_a_tokenizer(void **state) {
    (void)state;
    void (*const fills[])(vocabulary *) = {vocabulary_gpt2, vocabulary_llama};
    for (int kind = 0; kind < 2; kind++) {
        cop_tokenizer *tok = make(fills[kind]);
        shared s = {.tok = tok};
        assert_int_equal(cop_tokenizer_encode(tok, shared_text, sizeof shared_text - 1, true, true, &s.want), COP_OK);
        pthread_t threads[4];
        caller callers[4];
        for (int w = 0; w < 4; w++) {
            callers[w] = (caller){&s, &s.got[w], COP_OK};
            assert_int_equal(pthread_create(&threads[w], NULL, encode_often, &callers[w]), 0);
        }
        for (int w = 0; w < 4; w++) pthread_join(threads[w], NULL);
        for (int w = 0; w < 4; w++) {
            assert_int_equal(callers[w].status, COP_OK);
            assert_int_equal(s.got[w].n, s.want.n);
            assert_memory_equal(s.got[w].v, s.want.v, s.want.n * sizeof *s.want.v);
            cop_array_fini(&s.got[w]);
        }
        cop_array_fini(&s.want);
        cop_tokenizer_free(tok);
    }
}

static void a_limit_on_tokens_is_kept(void **state) {
    (void)state;
    cop_tokenizer *tok = make(vocabulary_gpt2);
    cop_token_array ids = {.most = 4};
    assert_int_equal(cop_tokenizer_encode(tok, "abc", 3, false, false, &ids), COP_OK);
    assert_int_equal(cop_tokenizer_encode(tok, "de", 2, false, false, &ids), COP_ERR_LIMIT);
    assert_int_equal(ids.n, 3);
    cop_array_fini(&ids);
    cop_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_split_pattern_is_refused_with_the_list),
        cmocka_unit_test(lying_numbers_are_refused),
        cmocka_unit_test(merges_of_unknown_parts_are_refused),
        cmocka_unit_test(scores_must_be_there_and_be_numbers),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(merges_go_by_rank_then_from_the_left),
        cmocka_unit_test(the_first_of_equal_merges_counts),
        cmocka_unit_test(qwen2_text_is_composed_first),
        cmocka_unit_test(control_tokens_are_found_only_when_asked_for),
        cmocka_unit_test(user_tokens_are_always_found_the_longest_first),
        cmocka_unit_test(a_byte_without_a_token_is_left_out_before_merging),
        cmocka_unit_test(bos_and_eos_are_put_where_the_vocabulary_asks),
        cmocka_unit_test(pieces_join_by_score),
        cmocka_unit_test(positive_scores_go_before_negative_ones),
        cmocka_unit_test(the_space_before_a_text_comes_and_goes),
        cmocka_unit_test(hostile_texts_come_back),
        cmocka_unit_test(a_stream_equals_the_whole_wherever_it_is_cut),
        cmocka_unit_test(a_byte_that_begins_nothing_is_not_held_back),
        cmocka_unit_test(control_tokens_show_only_when_asked_for),
        cmocka_unit_test(merging_asks_a_fixed_number_of_times_per_symbol),
        cmocka_unit_test(a_megabyte_of_anything_is_tokenised),
        cmocka_unit_test(threads_may_share_a_tokenizer),
        cmocka_unit_test(a_limit_on_tokens_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
