// JSONSchemaBench with MaskBench's instances, counted as the benchmark counts, and acceptance at the end besides: a schema
// passes when every valid instance is taken and every other one is cut off or cannot end. Every eighth schema, or every
// SCHEMAS-th; SCHEMAS=1 runs all of them (half a minute), LOUD=1 names those that do not pass.
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "guide/language.h"

typedef struct slice {
    const char *v;
    size_t n;
} slice;

// The JSON value that begins at p, and where it ends. The text is well formed.
static const char *skip_value(const char *p) {
    int depth = 0;
    do {
        if (*p == '"') {
            for (p++; *p != '"'; p++) p += *p == '\\';
            p++;
        } else if (*p == '{' || *p == '[') {
            depth++, p++;
        } else if (*p == '}' || *p == ']') {
            depth--, p++;
        } else if (strchr(",:", *p)) {
            p++;
        } else {
            p += strcspn(p, ",:]}");
        }
    } while (depth);
    return p;
}

// The member of an object, as it is written.
static slice member(const char *object, const char *key) {
    size_t n = strlen(key);
    for (const char *p = object + 1; *p == '"';) {
        const char *name = p + 1, *v = skip_value(p) + 1, *end = skip_value(v);
        if ((size_t)(v - 2 - name) == n && !memcmp(name, key, n)) return (slice){v, (size_t)(end - v)};
        p = end + (*end == ',');
    }
    return (slice){NULL, 0};
}

typedef struct counts {
    int all, passed, refused, gave_up, wrong_accept, wrong_reject;
} counts;

static bool accepts(cop_language *l, slice text) {
    cop_guide_state s = l->type->start(l);
    for (size_t i = 0; i < text.n && s; i++) s = l->type->step(l, s, (unsigned char)text.v[i]);
    return s && l->type->accepting(l, s);
}

static void say(const char *what, slice name, slice detail) {
    if (getenv("LOUD")) printf("%s %.*s: %.*s\n", what, (int)name.n, name.v, (int)(detail.n < 300 ? detail.n : 300), detail.v);
}

static void check_instances(cop_language *l, slice name, slice tests, counts *c) {
    bool wrong_accept = false, wrong_reject = false;
    for (const char *p = tests.v + 1; *p == '{';) {
        slice data = member(p, "data"), valid = member(p, "valid");
        bool got = accepts(l, data), want = valid.n == 4;
        if (l->type->failed(l)) {
            c->gave_up++;
            say("gave up", name, (slice){cop_error_text(), strlen(cop_error_text())});
            return;
        }
        wrong_accept |= got && !want;
        wrong_reject |= !got && want;
        if (got != want) say(got ? "wrong accept" : "wrong reject", name, data);
        p = skip_value(p);
        p += *p == ',';
    }
    if (wrong_accept) c->wrong_accept++;
    else if (wrong_reject) c->wrong_reject++;
    else c->passed++;
}

static bool has_valid(slice tests) {
    for (const char *p = tests.v + 1; *p == '{'; p = skip_value(p), p += *p == ',')
        if (member(p, "valid").n == 4) return true;
    return false;
}

static void run_line(const char *line, counts *c) {
    slice schema = member(line, "schema"), name = member(line, "name"), tests = member(line, "tests");
    cop_schema_options o = cop_schema_defaults();
    o.checker = true;
    cop_language *l;
    c->all++;
    cop_status st = cop_language_json_schema(&l, schema.v, schema.n, &o, NULL, NULL);
    if (st && strstr(cop_error_text(), "no value is an instance") && !has_valid(tests)) {
        c->passed++;
    } else if (st) {
        c->refused++;
        say("refused", name, (slice){cop_error_text(), strlen(cop_error_text())});
    } else {
        check_instances(l, name, tests, c);
    }
    if (!st) l->type->close(l);
}

static int is_list(const struct dirent *d) { return strstr(d->d_name, ".jsonl") != NULL; }

static void no_schema_of_the_benchmark_is_decided_wrongly(void **state) {
    (void)state;
    char path[PLACE_BYTES], file[PLACE_BYTES + 300];
    struct dirent **list;
    counts total = {0};
    int every = getenv("SCHEMAS") ? (int)strtol(getenv("SCHEMAS"), NULL, 10) : 8, at = 0;
    int n = place_data(path, "jsonschemabench") ? scandir(path, &list, is_list, alphasort) : 0;
    if (n <= 0) {
        printf("skipped: no %s\n", path);
        skip();
    }
    for (int i = 0; i < n; i++) {
        counts c = {0};
        snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
        FILE *f = fopen(file, "r");
        assert_non_null(f);
        char *line = NULL;
        size_t room = 0;
        while (getline(&line, &room, f) > 0)
            if (at++ % every == 0) run_line(line, &c);
        fclose(f);
        free(line);
        printf("%-24s %5d schemas, %5d passed, %3d refused, %3d gave up, %3d wrong accepts, %3d wrong rejects\n", list[i]->d_name, c.all, c.passed,
               c.refused, c.gave_up, c.wrong_accept, c.wrong_reject);
        for (size_t k = 0; k < sizeof c / sizeof(int); k++) ((int *)&total)[k] += ((int *)&c)[k];
        free(list[i]);
    }
    free(list);
    printf("all: %d of %d passed, %d refused, %d gave up, %d wrong accepts, %d wrong rejects\n", total.passed, total.all, total.refused, total.gave_up,
           total.wrong_accept, total.wrong_reject);
    assert_int_equal(total.wrong_accept, 0);
    assert_int_equal(total.wrong_reject, 0);
    assert_true(total.passed >= total.all * 98 / 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_schema_of_the_benchmark_is_decided_wrongly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
