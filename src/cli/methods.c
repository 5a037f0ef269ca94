// coppice methods: every plug-in, from the tables.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

typedef struct methods_args {
    bool json;
} methods_args;

static const cop_arg options[] = {
    {0, "json", COP_ARG_FLAG, offsetof(methods_args, json), 0, 0, NULL, "one JSON object on standard output"},
    {0},
};

static json_t *option_list(const cop_option *options_) {
    json_t *list = json_array();
    for (const cop_option *o = options_; o && o->name; o++) {
        json_t *one = o->kind == COP_OPTION_TEXT_KIND
                          ? json_pack("{s:s, s:s, s:s, s:f}", "name", o->name, "default", "", "help", o->help, "bytes", o->high)
                          : json_pack("{s:s, s:f, s:f, s:f, s:s, s:s*}", "name", o->name, "default", o->initial, "low", o->low, "high", o->high,
                                      "help", o->help, "words", o->words);
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *need_list(unsigned needs) {
    static const char *const names[] = {"hidden states", "second model", "training", "logits of all rows", NULL, NULL, "store"};
    json_t *list = json_array();
    for (int i = 0; i < 7; i++)
        if (names[i] && needs >> i & 1) json_array_append_new(list, json_string(names[i]));
    return list;
}

static void add(json_t *all, const char *kind, const char *name, const char *summary, const char *source, bool lossless, unsigned needs,
                const cop_option *o) {
    json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "kind", kind, "name", name, "summary", summary, "source",
                                         source, "lossless", lossless, "needs", need_list(needs), "options", option_list(o)));
}

static json_t *collect(void) {
    json_t *all = json_array();
    for (int i = 0; cop_drafters[i]; i++) {
        const cop_drafter_type *d = cop_drafters[i];
        add(all, "draft", d->name, d->summary, d->source, true, d->needs, d->options);
    }
    for (int i = 0; cop_verifiers[i]; i++) {
        const cop_verifier_type *v = cop_verifiers[i];
        add(all, "verify", v->name, v->summary, v->source, v->lossless, 0, v->options);
    }
    for (int i = 0; cop_controllers[i]; i++) {
        const cop_controller_type *c = cop_controllers[i];
        add(all, "control", c->name, c->summary, c->source, true, 0, c->options);
    }
    add(all, "switch", "entropy", "the draft model writes while it is sure, the model while it is not", "Simonds 2025", false,
        COP_NEEDS_SECOND_MODEL, cop_switch_options());
    return all;
}

static void print_option(json_t *o) {
    const char *name = json_string_value(json_object_get(o, "name")), *help = json_string_value(json_object_get(o, "help"));
    const char *words = json_string_value(json_object_get(o, "words"));
    double initial = json_real_value(json_object_get(o, "default"));
    if (words) {
        const char *word = words;
        for (int i = 0; i < (int)initial; i++) word = strchr(word, '|') + 1;
        printf("%20s%s=%.*s  %s, %s\n", "", name, (int)strcspn(word, "|"), word, help, words);
    } else if (json_is_string(json_object_get(o, "default"))) {
        printf("%20s%s=TEXT  %s\n", "", name, help);
    } else {
        printf("%20s%s=%g  %s, %g to %g\n", "", name, initial, help, json_real_value(json_object_get(o, "low")), json_real_value(json_object_get(o, "high")));
    }
}

static void print_method(json_t *m) {
    printf("%-8s %-10s %s, %s (%s)\n", json_string_value(json_object_get(m, "kind")), json_string_value(json_object_get(m, "name")),
           json_string_value(json_object_get(m, "summary")), json_is_true(json_object_get(m, "lossless")) ? "lossless" : "lossy",
           json_string_value(json_object_get(m, "source")));
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(m, "options"), i, o) print_option(o);
}

static cop_status run(int argc, char **argv) {
    methods_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    json_t *all = collect();
    if (a.json) return cop_cli_print_json(json_pack("{s:o}", "methods", all));
    size_t i;
    json_t *m;
    json_array_foreach(all, i, m) print_method(m);
    json_decref(all);
    return cop_cli_write("", 0);
}

const cop_command cop_command_methods = {
    .name = "methods", .summary = "every drafter, verifier and controller, with options and sources", .usage = "methods [--json]", .options = options, .run = run,
};
