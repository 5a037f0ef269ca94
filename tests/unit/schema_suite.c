// The official JSON Schema Test Suite: each instance, written out and read byte by byte in checker mode, is accepted when it
// is valid and only then. A schema may be refused by name; nothing may be decided wrongly.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>
#include <string.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/alloc.h"
#include "guide/language.h"

typedef struct counts {
    int right, refused, wrong;
} counts;

static bool accepts(cop_language *l, const char *text, size_t bytes) {
    cop_guide_state s = l->type->start(l);
    for (size_t i = 0; i < bytes && s; i++) s = l->type->step(l, s, (unsigned char)text[i]);
    return s && l->type->accepting(l, s);
}

// The shortest text that is read as the same value: numbers as the suite has them, not as jansson prints them.
static char *write_value(json_t *v) {
    for (size_t precision = 15;; precision++) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(precision));
        json_t *back = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        bool same = json_equal(v, back);
        json_decref(back);
        if (same || precision == 17) return text;
        free(text);
    }
}

static void run_group(const char *file, json_t *group, const char *draft_uri, counts *c) {
    bool loud = getenv("SCHEMA_LOUD") != NULL;
    json_t *schema = json_object_get(group, "schema"), *tests = json_object_get(group, "tests"), *test;
    if (json_is_object(schema) && !json_object_get(schema, "$schema")) json_object_set_new(schema, "$schema", json_string(draft_uri));
    char *text = write_value(schema);
    cop_schema_options o = cop_schema_defaults();
    o.checker = true;
    o.annotate_formats = true;
    cop_language *l;
    cop_status st = cop_language_json_schema(&l, text, strlen(text), &o, NULL, NULL);
    bool none = st == COP_ERR_UNSUPPORTED && strstr(cop_error_text(), "no value is an instance");
    if (st && !none) {
        c->refused += (int)json_array_size(tests);
        if (loud) printf("refused %s: %s: %.200s\n", file, json_string_value(json_object_get(group, "description")), cop_error_text());
    }
    size_t i;
    json_array_foreach(tests, i, test) {
        if (st && !none) break;
        char *data = write_value(json_object_get(test, "data"));
        bool valid = json_is_true(json_object_get(test, "valid")), got = !none && accepts(l, data, strlen(data));
        cop_status failed = none ? COP_OK : l->type->failed(l);
        if (failed) c->refused++;
        else if (got == valid) c->right++;
        else c->wrong++;
        if (failed && loud) printf("gave up %s: %s: %.200s\n", file, json_string_value(json_object_get(group, "description")), cop_error_text());
        if (got != valid && !failed)
            printf("wrong %s: %s: %s: %s should be %s\n", file, json_string_value(json_object_get(group, "description")),
                   json_string_value(json_object_get(test, "description")), data, valid ? "valid" : "invalid");
        free(data);
    }
    if (!st) l->type->close(l);
    free(text);
}

static int is_json(const struct dirent *d) { return strstr(d->d_name, ".json") != NULL; }

static counts run_draft(const char *folder, const char *draft_uri) {
    counts c = {0};
    char path[PLACE_BYTES];
    struct dirent **list;
    char name[100];
    snprintf(name, sizeof name, "json-schema-test-suite/%s", folder);
    int n = place_data(path, name) ? scandir(path, &list, is_json, alphasort) : 0;
    if (n <= 0) {
        printf("skipped: no %s\n", path);
        skip();
    }
    for (int i = 0; i < n; i++) {
        char file[PLACE_BYTES + 300];
        snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
        json_t *groups = json_load_file(file, JSON_ALLOW_NUL, NULL), *group;
        size_t k;
        json_array_foreach(groups, k, group) run_group(list[i]->d_name, group, draft_uri, &c);
        json_decref(groups);
        free(list[i]);
    }
    free(list);
    printf("%s: %d right, %d refused, %d wrong\n", folder, c.right, c.refused, c.wrong);
    return c;
}

static void draft_7_is_decided(void **state) {
    (void)state;
    counts c = run_draft("draft7", "http://json-schema.org/draft-07/schema#");
    assert_int_equal(c.wrong, 0);
    assert_true(c.right >= 513);
}

static void draft_2020_12_is_decided(void **state) {
    (void)state;
    counts c = run_draft("draft2020-12", "https://json-schema.org/draft/2020-12/schema");
    assert_int_equal(c.wrong, 0);
    assert_true(c.right >= 745);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draft_7_is_decided),
        cmocka_unit_test(draft_2020_12_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
