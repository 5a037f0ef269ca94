#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/option.h"

static const cop_arg *find_letter(const cop_arg *table, char letter) {
    for (const cop_arg *a = table; a->name; a++)
        if (a->letter && a->letter == letter) return a;
    return NULL;
}

static const cop_arg *find_name(const cop_arg *table, const char *name, size_t bytes) {
    for (const cop_arg *a = table; a->name; a++)
        if (strlen(a->name) == bytes && !memcmp(a->name, name, bytes)) return a;
    return NULL;
}

static cop_status unknown(const cop_arg *table, const char *word) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *near = NULL;
    int least = INT32_MAX;
    const char *bare = name + strspn(name, "-");
    for (const cop_arg *a = table; a->name; a++) {
        int distance = cop_word_distance(bare, a->name);
        if (distance < least && cop_word_is_near(bare, a->name)) {
            near = a->name;
            least = distance;
        }
    }
    return near ? cop_fail(COP_ERR_ARG, "no option %s; the nearest is --%s", name, near) : cop_fail(COP_ERR_ARG, "no option %s", name);
}

static cop_status store(const cop_arg *a, void *state, const char *value) {
    char *field = (char *)state + a->offset, what[64];
    snprintf(what, sizeof what, "--%s", a->name);
    int64_t i = 0;
    switch (a->kind) {
    case COP_ARG_TEXT: *(const char **)(void *)field = value; return COP_OK;
    case COP_ARG_TEXTS: {
        cop_texts *t = (cop_texts *)(void *)field;
        if (t->n == COP_MAX_TEXTS) return cop_fail(COP_ERR_ARG, "%s: given more than %d times", what, COP_MAX_TEXTS);
        t->v[t->n++] = value;
        return COP_OK;
    }
    case COP_ARG_INT:
        COP_TRY(cop_parse_int(what, value, strlen(value), (int64_t)a->low, (int64_t)a->high, &i));
        *(int32_t *)(void *)field = (int32_t)i;
        return COP_OK;
    case COP_ARG_SEED:
        COP_TRY(cop_parse_int(what, value, strlen(value), 0, INT64_MAX, &i));
        *(uint64_t *)(void *)field = (uint64_t)i;
        return COP_OK;
    case COP_ARG_NUMBER: return cop_parse_number(what, value, strlen(value), a->low, a->high, (double *)(void *)field);
    default: *(bool *)field = true; return COP_OK;
    }
}

// One option at argv[*i], and its value behind '=' or in the next word.
static cop_status take(const cop_arg *table, void *state, int argc, char **argv, int *i) {
    const char *word = argv[*i], *value = NULL;
    const cop_arg *a;
    if (word[1] == '-') {
        size_t n = strcspn(word + 2, "=");
        a = find_name(table, word + 2, n);
        if (word[2 + n]) value = word + 3 + n;
    } else {
        a = word[2] ? NULL : find_letter(table, word[1]);
        if (!a && word[2]) a = find_name(table, word + 1, strlen(word + 1));  // -ngl style
    }
    if (!a) return unknown(table, word);
    if (a->kind == COP_ARG_FLAG) {
        if (value) return cop_fail(COP_ERR_ARG, "--%s takes no value", a->name);
        return store(a, state, NULL);
    }
    if (!value) {
        if (*i + 1 >= argc) return cop_fail(COP_ERR_ARG, "--%s: its value is missing", a->name);
        value = argv[++*i];
    }
    return store(a, state, value);
}

cop_status cop_args_parse(const cop_arg *table, void *state, int argc, char **argv, cop_texts *words) {
    bool options = true;
    for (int i = 0; i < argc; i++) {
        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            COP_TRY(take(table, state, argc, argv, &i));
        } else if (!words || words->n == COP_MAX_TEXTS) {
            return cop_fail(COP_ERR_ARG, "'%s' was not expected", argv[i]);
        } else {
            words->v[words->n++] = argv[i];
        }
    }
    return COP_OK;
}

void cop_args_print(const cop_arg *table) {
    for (const cop_arg *a = table; a->name; a++) {
        if (!a->help) continue;
        char left[64];
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", a->letter ? '-' : ' ', a->letter ? a->letter : ' ', a->letter ? ", " : "  ", a->name,
                 a->value ? " " : "", a->value ? a->value : "");
        printf("  %-28s %s\n", left, a->help);
    }
}
