// The `coppice` command: finds the subcommand, prints failures, turns statuses into exit codes.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"

extern const cop_command cop_command_run, cop_command_chat, cop_command_serve, cop_command_template, cop_command_logits, cop_command_tokenize, cop_command_detokenize,
    cop_command_perplexity, cop_command_info, cop_command_models, cop_command_pull, cop_command_convert,
    cop_command_methods, cop_command_embed, cop_command_bench, cop_command_index, cop_command_trace, cop_command_selftest,
    cop_command_completion, cop_command_man;

const cop_command *const cop_commands[] = {
    &cop_command_run,
    &cop_command_chat,
    &cop_command_serve,
    &cop_command_logits,
    &cop_command_template,
    &cop_command_tokenize,
    &cop_command_detokenize,
    &cop_command_perplexity,
    &cop_command_embed,
    &cop_command_info,
    &cop_command_models,
    &cop_command_pull,
    &cop_command_convert,
    &cop_command_methods,
    &cop_command_bench,
    &cop_command_index,
    &cop_command_trace,
    &cop_command_selftest,
    &cop_command_completion,
    &cop_command_man,
    NULL,
};

static void print_commands(void) {
    printf("coppice: a language-model decoding engine\n\n");
    for (int i = 0; cop_commands[i]; i++) printf("  coppice %-12s %s\n", cop_commands[i]->name, cop_commands[i]->summary);
    printf("\n`coppice COMMAND --help` shows its options.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 bad file, 5 input/output, 6 no memory,\n"
           "7 a limit, 8 unsupported, 130 cancelled.\n");
}

static void print_help(const cop_command *c) {
    const char *line = c->usage;
    while (*line) {
        int n = (int)strcspn(line, "\n");
        printf("coppice %.*s\n", n, line);
        line += n + (line[n] == '\n');
    }
    printf("\n%s\n\n", c->summary);
    cop_args_print(c->options);
}

static int no_such_command(const char *name) {
    const char *near = NULL;
    int least = INT32_MAX;
    for (int i = 0; cop_commands[i]; i++) {
        int distance = cop_word_distance(name, cop_commands[i]->name);
        if (distance >= least || !cop_word_is_near(name, cop_commands[i]->name)) continue;
        near = cop_commands[i]->name;
        least = distance;
    }
    fprintf(stderr, near ? "coppice: no command %s; the nearest is %s\n" : "coppice: no command %s; `coppice help` lists them\n", name, near);
    return cop_exit_code(COP_ERR_ARG);
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, handled like any other
    if (argc < 2 || !strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_commands();
        return argc < 2 ? cop_exit_code(COP_ERR_ARG) : 0;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
        printf("coppice %s\n", cop_version());
        return 0;
    }
    for (int i = 0; cop_commands[i]; i++) {
        const cop_command *c = cop_commands[i];
        if (strcmp(c->name, argv[1])) continue;
        if (wants_help(argc - 2, argv + 2)) {
            print_help(c);
            return 0;
        }
        cop_status st = c->run(argc - 2, argv + 2);
        if (st) fprintf(stderr, "coppice %s: %s\n", c->name, cop_error_text());
        return cop_exit_code(st);
    }
    return no_such_command(argv[1]);
}
