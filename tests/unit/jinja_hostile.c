// The hostile chat templates of the data sets: what is harmless renders, what reaches for the host ends with a
// sentence, all of it at once.
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <time.h>

#include "../support/mini_cmocka.h"
#include "../support/places.h"
#include "base/alloc.h"
#include "text/chat.h"

#define MOST_FILE ((size_t)1 << 20)

// Files of the archive whose templates are as harmless as they look, though some have an odd form.
static const char *const harmless[] = {"benign", "standalone/suspicious", "edge_cases/multiple", "edge_cases/oversized"};

static bool is_harmless(const char *name) {
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strstr(name, harmless[i])) return true;
    return false;
}

static void judge(const char *name, const char *text, size_t bytes) {
    json_t *conversation = json_loads("{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"add_generation_prompt\": true}", 0, NULL);
    cop_char_array out = {0};
    clock_t start = clock();
    cop_status st = cop_chat_render_template(NULL, text, bytes, conversation, NULL, &out);
    if ((double)(clock() - start) / CLOCKS_PER_SEC > 10) fail_msg("%s: too slow", name);
    if (is_harmless(name) && st) fail_msg("%s: %s", name, cop_error_text());
    if (!is_harmless(name) && !st) fail_msg("%s: rendered as '%.*s'", name, (int)out.n, out.v);
    if (!is_harmless(name) && !strstr(cop_error_text(), "line ")) fail_msg("%s: '%s' names no line", name, cop_error_text());
    cop_array_fini(&out);
    json_decref(conversation);
}

// A configuration's chat_template is a text, a list of named templates, or an object of them. Returns how many.
// Its model_max_length may be an integer of 31 digits.
static int judge_configuration(const char *name, const char *text, size_t bytes) {
    json_t *file = json_loadb(text, bytes, JSON_DECODE_INT_AS_REAL, NULL), *value = json_object_get(file, "chat_template"), *item;
    const char *key;
    size_t i;
    int n = 0;
    if (json_is_string(value)) judge(name, json_string_value(value), json_string_length(value)), n++;
    json_array_foreach(value, i, item) {
        item = json_object_get(item, "template");
        judge(name, json_string_value(item), json_string_length(item));
        n++;
    }
    json_object_foreach(value, key, item) judge(name, json_string_value(item), json_string_length(item)), n++;
    json_decref(file);
    return n;
}

static void hostile_templates_end_with_a_sentence(void **state) {
    (void)state;
    char path[PLACE_BYTES];
    struct archive_entry *entry;
    int n = 0;
    if (!place_data(path, "hostile-chat-templates/templates.tar.gz")) {
        print_message("skipped: hostile-chat-templates is absent\n");
        skip();
    }
    struct archive *a = archive_read_new();
    archive_read_support_format_tar(a);
    archive_read_support_filter_gzip(a);
    assert_int_equal(archive_read_open_filename(a, path, 1 << 16), ARCHIVE_OK);
    char *text = cop_alloc(MOST_FILE);
    while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        la_ssize_t bytes = archive_read_data(a, text, MOST_FILE);
        assert_true(bytes >= 0);
        if (archive_entry_filetype(entry) != AE_IFREG) continue;
        if (strstr(name, ".json")) n += judge_configuration(name, text, (size_t)bytes);
        else judge(name, text, (size_t)bytes), n++;
    }
    archive_read_free(a);
    cop_free(text);
    if (n < 29) fail_msg("%d templates", n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hostile_templates_end_with_a_sentence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
