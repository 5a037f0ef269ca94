// coppice man: manual pages in roff (man(7)), made from the table of commands and their options.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const cop_arg options[] = {{0}};

// Text for roff: hyphens stay what they are, and no line begins with a control character.
static void print_roff(const char *text) {
    if (*text == '.' || *text == '\'') printf("\\&");
    for (; *text; text++) {
        if (*text == '-') printf("\\-");
        else if (*text == '\\') printf("\\e");
        else putchar(*text);
    }
}

static void print_title(const char *command) {
    printf(".TH COPPICE");
    if (command) putchar('-');
    for (; command && *command; command++) putchar(*command - ('a' <= *command && *command <= 'z' ? 'a' - 'A' : 0));
    printf(" 1 \"\" \"coppice %s\" \"User Commands\"\n.SH NAME\n", cop_version());
}

static void print_usage(const char *line) {
    while (*line) {
        const int name = (int)strcspn(line, " \n"), all = (int)strcspn(line, "\n");
        char rest[1024];
        snprintf(rest, sizeof rest, "%.*s", all - name, line + name);
        if (name) printf("\\fBcoppice %.*s\\fR", name, line);
        print_roff(rest + (name ? 0 : strspn(rest, " ")));  // a line that begins with spaces goes on
        line += all;
        line += *line == '\n';
        printf("\n%s", *line && *line != ' ' ? ".br\n" : "");
    }
}

static void print_option(const cop_arg *a) {
    if (!a->help) return;
    printf(".TP\n");
    if (a->letter) printf("\\fB\\-%c\\fR, ", a->letter);
    printf("\\fB\\-\\-");
    print_roff(a->name);
    printf("\\fR");
    if (a->value) {
        printf(" \\fI");
        print_roff(a->value);
        printf("\\fR");
    }
    printf("\n");
    print_roff(a->help);
    printf("\n");
}

static void print_exit_codes(void) {
    printf(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong use, 3 not found, 4 bad file, 5 input/output, 6 no memory, 7 a limit,\n"
           "8 unsupported, 130 cancelled.\n");
}

static void print_page(const cop_command *c) {
    print_title(c->name);
    printf("coppice\\-%s \\- ", c->name);
    print_roff(c->summary);
    printf("\n.SH SYNOPSIS\n");
    print_usage(c->usage);
    printf(".SH OPTIONS\n");
    for (const cop_arg *a = c->options; a->name; a++) print_option(a);
    printf(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nthis list\n");
    print_exit_codes();
    printf(".SH SEE ALSO\n.BR coppice (1)\n");
}

static void print_overview(void) {
    print_title(NULL);
    printf("coppice \\- a language\\-model decoding engine\n.SH SYNOPSIS\n\\fBcoppice\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH COMMANDS\n");
    for (int i = 0; cop_commands[i]; i++) {
        printf(".TP\n.BR coppice\\-%s (1)\n", cop_commands[i]->name);
        print_roff(cop_commands[i]->summary);
        printf("\n");
    }
    printf(".SH ENVIRONMENT\n.TP\n.B COPPICE_MODELS\nthe folder of models with names\n"
           ".TP\n.B COPPICE_CPU\nthe CPU level: scalar, avx2, avx512 or neon\n");
    print_exit_codes();
}

static cop_status run(int argc, char **argv) {
    char unused;
    cop_texts words = {.n = 0};
    COP_TRY(cop_args_parse(options, &unused, argc, argv, &words));
    if (words.n > 1) return cop_fail(COP_ERR_ARG, "'%s' was not expected", words.v[1]);
    if (!words.n) {
        print_overview();
        return cop_cli_write("", 0);
    }
    for (int i = 0; cop_commands[i]; i++) {
        if (strcmp(cop_commands[i]->name, words.v[0])) continue;
        print_page(cop_commands[i]);
        return cop_cli_write("", 0);
    }
    return cop_fail(COP_ERR_ARG, "no command %s; `coppice help` lists them", words.v[0]);
}

const cop_command cop_command_man = {
    .name = "man", .summary = "the manual page of a command, for man to show", .usage = "man [COMMAND]", .options = options, .run = run,
};
