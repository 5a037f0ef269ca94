// bench guide: what schemas cost. Time to the first mask, and time of each mask along valid instances, on the model's
// vocabulary; no forward runs. Files are JSON lines of JSONSchemaBench's form: {"schema": ..., "tests": [{"valid", "data"}]}.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/bench.h"

#define MOST_FILE ((size_t)1 << 30)
#define MOST_INSTANCE ((size_t)1 << 20)

typedef COP_ARRAY(float) times;

typedef struct guides {
    cop_engine *engine;
    times first, masks;        // microseconds
    uint64_t *bits;
    cop_token_array tokens;
    int schemas, refused, instances, cut, invalid, wrong;  // cut: valid, but not written so (order, white space)
} guides;

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static double share(const times *t, double q) { return t->n ? (double)t->v[(size_t)(q * (double)(t->n - 1))] : 0; }

static double mean(const times *t) {
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) sum += (double)t->v[i];
    return t->n ? sum / (double)t->n : 0;
}

static cop_status add_time(times *t, double start) { return cop_array_push(t, (float)((cop_clock() - start) * 1e6)); }

// One instance, mask by mask. Returns through *whole whether all of it was allowed and might end there.
static cop_status follow(guides *g, cop_guide *guide, const json_t *data, bool *whole) {
    char *text;
    size_t bytes;
    *whole = false;
    COP_TRY(cop_json_dump(&text, &bytes, data, JSON_ENCODE_ANY));
    g->tokens.n = 0;
    cop_status st = cop_tokenizer_encode(g->engine->tokenizer, text, bytes, false, false, &g->tokens);
    cop_free(text);
    cop_guide_state s = cop_guide_start(guide);
    for (size_t i = 0; i < g->tokens.n && !st; i++) {
        int32_t token = g->tokens.v[i];
        double start = cop_clock();
        cop_guide_mask(guide, s, -1, g->bits);
        st = add_time(&g->masks, start);
        if (!(g->bits[token / 64] >> (token % 64) & 1)) return st;
        s = cop_guide_keep(guide, cop_guide_advance(guide, s, token));
    }
    *whole = !st && cop_guide_accepting(guide, s);
    return st;
}

static cop_status follow_all(guides *g, cop_guide *guide, const json_t *tests) {
    size_t i;
    json_t *test;
    json_array_foreach(tests, i, test) {
        bool valid = json_is_true(json_object_get(test, "valid")), whole;
        cop_guide *own;
        COP_TRY(cop_guide_fork(&own, guide));
        cop_status st = follow(g, own, json_object_get(test, "data"), &whole);
        cop_guide_free(own);
        COP_TRY(st);
        g->instances += valid;
        g->cut += valid && !whole;
        g->invalid += !valid;
        g->wrong += !valid && whole;
    }
    return COP_OK;
}

static cop_status one_schema(guides *g, const json_t *line) {
    char *schema;
    size_t bytes;
    if (!json_object_get(line, "schema")) return COP_OK;
    COP_TRY(cop_json_dump(&schema, &bytes, json_object_get(line, "schema"), JSON_ENCODE_ANY | JSON_COMPACT));
    cop_guide *guide;
    double start = cop_clock();
    cop_status st = cop_guide_json_schema(&guide, g->engine, schema, bytes);
    g->schemas++;
    if (st) {
        g->refused++;
        cop_free(schema);
        return COP_OK;
    }
    cop_guide_mask(guide, cop_guide_start(guide), -1, g->bits);
    st = add_time(&g->first, start);
    cop_free(schema);
    if (!st) st = follow_all(g, guide, json_object_get(line, "tests"));
    cop_guide_close(guide);
    return st;
}

static cop_status one_file(guides *g, const char *path, int limit) {
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, MOST_FILE, &text, &bytes));
    cop_status st = COP_OK;
    int n = 0;
    for (char *at = text, *end = text + bytes; at < end && !st && (!limit || n < limit); n++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((stop ? stop : end) - at);
        json_t *value = json_loadb(at, line, 0, NULL);
        if (value) st = one_schema(g, value);
        json_decref(value);
        at += line + 1;
        cop_cli_progress("schemas", limit ? (double)n / limit : (double)(at - text) / (double)bytes);
    }
    cop_cli_progress("", 1);
    cop_free(text);
    return st;
}

static json_t *row(guides *g, const char *name) {
    if (g->first.n) qsort(g->first.v, g->first.n, sizeof(float), compare);
    if (g->masks.n) qsort(g->masks.v, g->masks.n, sizeof(float), compare);
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "file", name, "schemas", g->schemas, "refused",
                     g->refused, "valid", g->instances, "cut", g->cut, "invalid", g->invalid, "wrong", g->wrong, "first_p50_us", share(&g->first, 0.5),
                     "first_p99_us", share(&g->first, 0.99), "masks", (double)g->masks.n, "mask_mean_us", mean(&g->masks), "mask_p50_us",
                     share(&g->masks, 0.5), "mask_p90_us", share(&g->masks, 0.9), "mask_p99_us", share(&g->masks, 0.99), "mask_max_us",
                     share(&g->masks, 1));
}

static void print_table(const cop_bench *b, const json_t *rows) {
    size_t i;
    json_t *r;
    (void)b;
    printf("microseconds                                                     first mask              each mask\n"
           "%-22s %8s %8s %7s %5s %6s %8s %8s %8s %7s %7s %7s %8s\n", "file", "schemas", "refused", "valid", "cut", "wrong", "p50", "p99", "masks", "mean",
           "p50", "p99", "max");
    json_array_foreach(rows, i, r) {
        printf("%-22.22s %8d %8d %7d %5d %6d", json_string_value(json_object_get(r, "file")), (int)json_integer_value(json_object_get(r, "schemas")),
               (int)json_integer_value(json_object_get(r, "refused")), (int)json_integer_value(json_object_get(r, "valid")),
               (int)json_integer_value(json_object_get(r, "cut")), (int)json_integer_value(json_object_get(r, "wrong")));
        printf(" %8.0f %8.0f %8.0f %7.1f %7.1f %7.1f %8.0f\n", json_number_value(json_object_get(r, "first_p50_us")),
               json_number_value(json_object_get(r, "first_p99_us")), json_number_value(json_object_get(r, "masks")),
               json_number_value(json_object_get(r, "mask_mean_us")), json_number_value(json_object_get(r, "mask_p50_us")),
               json_number_value(json_object_get(r, "mask_p99_us")), json_number_value(json_object_get(r, "mask_max_us")));
    }
}

static void forget(guides *g) {
    g->first.n = g->masks.n = 0;
    g->schemas = g->refused = g->instances = g->cut = g->invalid = g->wrong = 0;
}

cop_status cop_bench_guide(cop_bench *b, cop_engine *engine) {
    guides g = {.engine = engine, .first.most = SIZE_MAX / 8, .masks.most = SIZE_MAX / 8, .tokens.most = MOST_INSTANCE};
    if (!b->args->data.n) return cop_fail(COP_ERR_ARG, "bench guide: --data FILE, JSON lines with schemas");
    g.bits = cop_alloc_array(((size_t)cop_engine_vocabulary(engine) + 63) / 64, sizeof *g.bits);
    cop_status st = g.bits ? COP_OK : cop_fail(COP_ERR_NOMEM, "bench guide: cannot allocate");
    b->table = print_table;
    cop_guide *warm;  // the vocabulary's trie is made once, by the first guide
    if (!st) st = cop_guide_open(&warm, engine, "json", "", 0);
    if (!st) cop_guide_close(warm);
    for (int i = 0; i < b->args->data.n && !st; i++) {
        const char *path = b->args->data.v[i], *base = strrchr(path, '/');
        st = one_file(&g, path, b->args->limit);
        if (!st) json_array_append_new(b->rows, row(&g, base ? base + 1 : path));
        forget(&g);
    }
    cop_array_fini(&g.first);
    cop_array_fini(&g.masks);
    cop_array_fini(&g.tokens);
    cop_free(g.bits);
    return st;
}
