// coppice pull: get a named model, or a repository of the public hub, into its cache folder.
#include <stdio.h>

#include "cli/cli.h"
#include "format/download.h"
#include "format/hub.h"

static const cop_arg options[] = {{0}};

static bool on_progress(void *user, uint64_t done, uint64_t total, const char *text) {
    (void)user;
    cop_cli_progress(text, total ? (double)done / (double)total * 0.999 : 0);
    return !cop_cli_interrupted();
}

static cop_status run(int argc, char **argv) {
    cop_texts words = {0};
    COP_TRY(cop_args_parse(options, NULL, argc, argv, &words));
    if (words.n != 1) return cop_fail(COP_ERR_ARG, "which model? coppice pull NAME, or OWNER/NAME[:FILE] of the hub; `coppice models` lists the names");
    const cop_named_model *model = cop_registry_find(words.v[0]);
    char path[COP_PATH_MAX];
    cop_hub_name hub;
    bool from_hub = !model && cop_hub_parse(&hub, words.v[0]);
    if (!model && !from_hub) {
        cop_status st = cop_model_locate(path, words.v[0]);  // its message names the nearest name
        return st ? st : cop_fail(COP_ERR_ARG, "%s is a file or a folder, not a name", words.v[0]);
    }
    cop_cli_catch_interrupts();
    const cop_pull_options o = {.progress = on_progress};
    const cop_hub_options h = {.progress = on_progress};
    cop_status st = from_hub ? cop_hub_pull(&hub, &h, path) : cop_pull(model, &o, path);
    cop_cli_progress("", 1);
    if (!st) printf("%s\n", path);
    return st ? st : cop_cli_write("", 0);
}

const cop_command cop_command_pull = {
    .name = "pull", .summary = "get a model into the cache folder, verified", .usage = "pull NAME\npull OWNER/NAME[:FILE]", .options = options, .run = run,
};
