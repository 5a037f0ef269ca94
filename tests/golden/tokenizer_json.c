// Ids of small tokenizer.json files of every kind against those of the tokenizers library, on texts of the
// golden file and, where they are there, on the texts of the data sets.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/map.h"
#include "model/vocab.h"
#include "text/utf8.h"

#define GOLDEN "tests/golden/tokenizer-json.jsonl"
#define MOST_FILE ((size_t)64 << 20)
#define BETWEEN 0x7FFFFFFF  // stands behind each text's ids in a hash

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static double slowest;  // of the kinds, for a megabyte of one letter
static int n_said;  // kinds that GGUF's keys can say
static json_t *head;  // the first line: the texts, the sets

static uint64_t hash_id(uint64_t h, int32_t id) {
    for (int b = 0; b < 4; b++) h = (h ^ (uint8_t)((uint32_t)id >> 8 * b)) * 0x100000001B3u;
    return h;
}

static uint64_t hash_text(const cop_tokenizer *tok, uint64_t h, const char *text, size_t bytes, bool special, bool around) {
    cop_token_array ids = {0};
    if (cop_tokenizer_encode(tok, text, bytes, around, special, &ids)) fail_msg("%s", cop_error_text());
    for (size_t i = 0; i < ids.n; i++) h = hash_id(h, ids.v[i]);
    cop_array_fini(&ids);
    return hash_id(h, BETWEEN);
}

static bool is_utf8(const char *text, size_t bytes) {
    int n;
    for (size_t i = 0; i < bytes; i += (size_t)n)
        if (!(n = cop_utf8_length(text + i, bytes - i))) return false;
    return true;
}

// ---- the texts of the file ----

static int compare_texts(const cop_tokenizer *tok, const json_t *record, const char *key, bool special, bool around) {
    const json_t *texts = json_object_get(head, "texts"), *want = json_object_get(record, key), *text;
    size_t i;
    int wrong = 0;
    json_array_foreach(texts, i, text) {
        char got[20];
        uint64_t h = hash_text(tok, 0xCBF29CE484222325u, json_string_value(text), json_string_length(text), special, around);
        snprintf(got, sizeof got, "%016" PRIx64, h);
        if (!strcmp(got, json_string_value(json_array_get(want, i)))) continue;
        print_error("%s, %s: '%s'\n", json_string_value(json_object_get(record, "name")), key, json_string_value(text));
        wrong++;
    }
    assert_true(json_array_size(texts) > 80);
    return wrong;
}

// ---- the texts of the data sets ----

typedef struct set_reader {
    const cop_tokenizer *tok;
    size_t step, n, i;
    uint64_t hash;
} set_reader;

static void add_text(set_reader *r, const char *text, size_t bytes) {
    size_t i = r->i++;
    if (i % r->step || i / r->step >= r->n || !is_utf8(text, bytes)) return;
    r->hash = hash_text(r->tok, r->hash, text, bytes, true, false);
}

static void add_lines(set_reader *r, const char *data, size_t bytes, const char *field) {
    for (size_t at = 0, n; at < bytes; at += n + 1) {
        const char *end = memchr(data + at, '\n', bytes - at);
        n = end ? (size_t)(end - data) - at : bytes - at;
        if (!field) {
            add_text(r, data + at, n);
            continue;
        }
        json_t *record = json_loadb(data + at, n, JSON_ALLOW_NUL, NULL), *text = json_object_get(record, field);
        add_text(r, json_string_value(text), json_string_length(text));
        json_decref(record);
    }
}

static bool compare_set(const cop_tokenizer *tok, const json_t *set, const char *want, const char *name) {
    char path[PLACE_BYTES], *data, got[20];
    const char *file = json_string_value(json_array_get(set, 0)), *how = json_string_value(json_array_get(set, 1));
    size_t bytes, i;
    set_reader r = {.tok = tok, .hash = 0xCBF29CE484222325u, .step = (size_t)json_integer_value(json_array_get(set, 2)),
                    .n = (size_t)json_integer_value(json_array_get(set, 3))};
    if (!place_data(path, file)) {
        print_message("skipped: data set %s is absent\n", file);
        return true;
    }
    if (cop_file_read(path, MOST_FILE, &data, &bytes)) fail_msg("%s", cop_error_text());
    if (!strcmp(how, "array")) {
        json_t *texts = json_loadb(data, bytes, JSON_ALLOW_NUL, NULL), *text;
        json_array_foreach(texts, i, text) add_text(&r, json_string_value(text), json_string_length(text));
        json_decref(texts);
    } else {
        add_lines(&r, data, bytes, strcmp(how, "lines") ? how + strlen("field ") : NULL);
    }
    cop_free(data);
    snprintf(got, sizeof got, "%016" PRIx64, r.hash);
    if (!strcmp(got, want)) return true;
    print_error("%s: set %s\n", name, file);
    return false;
}

// ---- one kind ----

// The same tokenizer, by way of the keys of a GGUF file.  *whole: the file itself had to be among them.
static cop_tokenizer *through_gguf(const cop_tokenizer *tok, const cop_tokenizer_files *files, bool *whole) {
    cop_gguf_writer *w;
    cop_gguf *file = NULL;
    cop_tokenizer *again = NULL;
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_int_equal(cop_gguf_writer_new(&w, 0), COP_OK);
    if (cop_vocab_write(w, tok, files) || cop_gguf_writer_bytes(w, &data, &bytes)) fail_msg("%s", cop_error_text());
    cop_gguf_writer_free(w);
    if (cop_gguf_from_memory(&file, data, bytes, "keys") || cop_vocab_open(&again, file)) fail_msg("%s", cop_error_text());
    *whole = cop_gguf_has(file, COP_VOCAB_JSON_KEY);
    cop_gguf_close(file);
    cop_free(data);
    return again;
}

static int compare_all(const cop_tokenizer *tok, const json_t *record, bool sets_too) {
    const json_t *sets = json_object_get(head, "sets"), *set;
    const char *name = json_string_value(json_object_get(record, "name"));
    size_t i;
    int wrong = compare_texts(tok, record, "plain", false, false) + compare_texts(tok, record, "special", true, true);
    if (!sets_too) return wrong;
    json_array_foreach(sets, i, set)
        wrong += !compare_set(tok, set, json_string_value(json_array_get(json_object_get(record, "sets"), i)), name);
    return wrong;
}

// A megabyte of one letter, in seconds of this process: other programs on the machine do not count.
static void time_letter(const cop_tokenizer *tok, const char *name) {
    static char text[1 << 20];
    cop_token_array ids = {0};
    memset(text, 'a', sizeof text);
    clock_t start = clock();
    if (cop_tokenizer_encode(tok, text, sizeof text, false, true, &ids)) fail_msg("%s", cop_error_text());
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > slowest) slowest = seconds;
    if (seconds > 1 && !SANITIZED) fail_msg("%s: %.2f s for a megabyte of one letter", name, seconds);
    cop_array_fini(&ids);
}

static int compare_kind(const json_t *record) {
    char *text = json_dumps(json_object_get(record, "tokenizer"), JSON_COMPACT);
    const char *name = json_string_value(json_object_get(record, "name"));
    cop_tokenizer_files files = {.tokenizer = {text, strlen(text)}};
    cop_tokenizer *tok, *again;
    bool whole;
    if (cop_tokenizer_from_json(&tok, &files)) fail_msg("%s: %s", name, cop_error_text());
    int wrong = compare_all(tok, record, true);
    time_letter(tok, name);
    again = through_gguf(tok, &files, &whole);
    int wrong_again = compare_all(again, record, !whole);
    n_said += !whole;
    cop_tokenizer_free(again);
    cop_tokenizer_free(tok);
    free(text);
    return wrong + wrong_again;
}

// ---- the kind t5 of GGUF, against SentencePiece ----

static int compare_pieces(const json_t *record) {
    static cop_span tokens[4096];
    static float scores[4096];
    static int32_t types[4096];
    static char charsmap[1 << 16];
    const json_t *pieces = json_object_get(record, "pieces"), *piece;
    const char *hex = json_string_value(json_object_get(record, "charsmap"));
    size_t i, n = json_array_size(pieces);
    assert_in_range(n, 100, 4096);
    assert_in_range(strlen(hex), 8, 2 * sizeof charsmap);
    for (i = 0; hex[2 * i]; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        charsmap[i] = (char)strtoul(digits, NULL, 16);
    }
    cop_vocab_source source = {.model = "t5", .n_tokens = n, .tokens = tokens, .scores = scores, .types = types, .charsmap = {charsmap, i},
                               .bos = 1, .eos = 2, .unk = 0, .eot = -1, .pad = -1, .add_space_prefix = true, .squeeze_spaces = true};
    json_array_foreach(pieces, i, piece) {
        const json_t *text = json_array_get(piece, 0);
        tokens[i] = (cop_span){json_string_value(text), json_string_length(text)};
        scores[i] = (float)json_number_value(json_array_get(piece, 1));
        types[i] = (int32_t)json_integer_value(json_array_get(piece, 2));
    }
    cop_tokenizer *tok;
    if (cop_tokenizer_new(&tok, &source)) fail_msg("%s", cop_error_text());
    const json_t *sets = json_object_get(head, "sets"), *set;
    int wrong = compare_texts(tok, record, "plain", false, false);
    json_array_foreach(sets, i, set)
        wrong += !compare_set(tok, set, json_string_value(json_array_get(json_object_get(record, "sets"), i)), "t5");
    cop_tokenizer_free(tok);
    return wrong;
}

static void every_kind_gives_the_references_ids(void **state) {
    (void)state;
    char *data;
    size_t bytes;
    int wrong = 0, kinds = 0;
    if (cop_file_read(GOLDEN, MOST_FILE, &data, &bytes)) fail_msg("%s", cop_error_text());
    for (size_t at = 0, n; at < bytes; at += n + 1) {
        const char *end = memchr(data + at, '\n', bytes - at);
        n = end ? (size_t)(end - data) - at : bytes - at;
        json_t *record = json_loadb(data + at, n, JSON_ALLOW_NUL, NULL);
        assert_non_null(record);
        if (at) {
            wrong += json_object_get(record, "pieces") ? compare_pieces(record) : compare_kind(record);
            kinds++;
            json_decref(record);
        } else {
            head = record;
        }
    }
    json_decref(head);
    cop_free(data);
    print_message("%d kinds, %d of them as keys of GGUF too; %d comparisons differ\n", kinds, n_said, wrong);
    print_message("a megabyte of one letter: at most %.2f s\n", slowest);
    assert_true(kinds >= 20);
    assert_true(n_said >= 11);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_the_references_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
