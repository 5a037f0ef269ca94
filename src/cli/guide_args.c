// --json-schema, --grammar, --regex and --choice: from words to a guide.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/cli.h"

#define MOST_FILE ((size_t)16 << 20)
#define MOST_CHOICES 4096

static void warn(void *user, const char *line) { fprintf(stderr, "%s: %s\n", (const char *)user, line); }

// As cop_guide_json_schema, with what is ignored said on standard error.
static cop_status open_schema(cop_guide **out, cop_engine *engine, const char *path, const char *text, size_t bytes) {
    cop_language *language = NULL;
    COP_TRY(cop_language_json_schema(&language, text, bytes, NULL, warn, (void *)path));
    return cop_engine_guide(out, engine, language);
}

static cop_status open_file(cop_guide **out, cop_engine *engine, const char *path, bool schema) {
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, MOST_FILE, &text, &bytes));
    cop_status st = schema ? open_schema(out, engine, path, text, bytes) : cop_guide_grammar(out, engine, text, bytes);
    cop_free(text);
    if (st) cop_fail_note("%s", path);
    return st;
}

static cop_status open_choice(cop_guide **out, cop_engine *engine, const char *text) {
    int n = 1;
    for (const char *c = text; *c; c++) n += *c == '|';
    if (n > MOST_CHOICES) return cop_fail(COP_ERR_ARG, "--choice: %d texts, at most %d", n, MOST_CHOICES);
    char *copy = cop_text_copy(text, strlen(text));
    const char **texts = cop_alloc_array((size_t)n, sizeof *texts);
    cop_status st = copy && texts ? COP_OK : cop_fail(COP_ERR_NOMEM, "--choice: cannot allocate");
    if (!st) {
        char *at = copy;
        for (int i = 0; i < n; i++) {
            texts[i] = at;
            at += strcspn(at, "|");
            *at++ = 0;
        }
        st = cop_guide_choice(out, engine, texts, n);
    }
    cop_free(copy);
    cop_free(texts);
    return st;
}

cop_status cop_cli_guide_open(cop_guide **out, cop_engine *engine, const cop_guide_args *a) {
    *out = NULL;
    if (!!a->schema + !!a->grammar + !!a->regex + !!a->choice > 1)
        return cop_fail(COP_ERR_ARG, "--json-schema, --grammar, --regex and --choice exclude each other");
    if (a->schema) return open_file(out, engine, a->schema, true);
    if (a->grammar) return open_file(out, engine, a->grammar, false);
    if (a->regex) return cop_guide_regex(out, engine, a->regex, strlen(a->regex));
    return a->choice ? open_choice(out, engine, a->choice) : COP_OK;
}
