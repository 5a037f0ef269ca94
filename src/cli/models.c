// coppice models: the models that have names, and which of them are here.
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "format/registry.h"

typedef struct models_args {
    bool json;
} models_args;

static const cop_arg options[] = {
    {0, "json", COP_ARG_FLAG, offsetof(models_args, json), 0, 0, NULL, "one JSON object on standard output"},
    {0},
};

static bool is_here(const char *folder, const cop_named_model *m) {
    char path[2 * COP_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s.gguf", folder, m->name);
    return n > 0 && (size_t)n < sizeof path && !access(path, R_OK);
}

static cop_status run(int argc, char **argv) {
    models_args a = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    char folder[COP_PATH_MAX];
    COP_TRY(cop_registry_folder(folder));
    json_t *list = json_array();
    for (const cop_named_model *m = cop_named_models; m->name; m++) {
        if (!a.json) {
            printf("%c %-20s %6.0f MB  %s\n", is_here(folder, m) ? '*' : ' ', m->name, (double)m->bytes / 1e6, m->description);
            continue;
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:b}", "name", m->name, "description", m->description, "bytes",
                                              (json_int_t)m->bytes, "sha256", m->sha256, "here", is_here(folder, m)));
    }
    if (a.json) return cop_cli_print_json(json_pack("{s:s, s:o}", "folder", folder, "models", list));
    json_decref(list);
    printf("* is here, in %s; `coppice pull NAME` gets the others\n", folder);
    return cop_cli_write("", 0);
}

const cop_command cop_command_models = {
    .name = "models", .summary = "the models that have names, and which of them are here", .usage = "models [--json]",
    .options = options, .run = run,
};
