// coppice completion: completions for bash, zsh and fish, made from the tables of options and plug-ins.
// What follows an option is guessed from its placeholder: files, models, or the names of a table.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "format/registry.h"

static const cop_arg options[] = {{0}};

// What can stand behind an option: words, files, both, or only what the user knows.
typedef struct values {
    char words[1024];  // separated by spaces
    bool files;
} values;

static void add_word(values *v, const char *word) {
    const size_t n = strlen(v->words);
    snprintf(v->words + n, sizeof v->words - n, n ? " %s" : "%s", word);
}

static void add_models(values *v) {
    for (const cop_named_model *m = cop_named_models; m->name; m++) add_word(v, m->name);
}

static values values_of(const cop_arg *a) {
    values v = {"", false};
    if (a->kind == COP_ARG_FLAG) return v;
    v.files = !strncmp(a->value, "FILE", 4) || !strcmp(a->value, "FOLDER") || !strcmp(a->value, "M") || strchr(a->value, '.');
    if (!strcmp(a->value, "M")) add_models(&v);
    if (!strcmp(a->value, "LEVEL")) add_word(&v, "scalar avx2 avx512 neon");
    if (!strcmp(a->name, "cache")) add_word(&v, "f16 bf16 q8_0 f32");
    if (!strcmp(a->name, "draft")) {
        add_word(&v, "auto none");
        for (int i = 0; cop_drafters[i]; i++) add_word(&v, cop_drafters[i]->name);
    }
    for (int i = 0; !strcmp(a->name, "verify") && cop_verifiers[i]; i++) add_word(&v, cop_verifiers[i]->name);
    for (int i = 0; !strcmp(a->name, "control") && cop_controllers[i]; i++) add_word(&v, cop_controllers[i]->name);
    return v;
}

// What can stand behind a command: the fixed words of its usage, the commands, or named models.
static values operands_of(const cop_command *c) {
    values v = {"", true};
    for (const char *line = c->usage; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *word = line + strcspn(line, " \n");
        while (*word == ' ' || *word == '|') {
            char one[32];
            const size_t n = strspn(++word, "abcdefghijklmnopqrstuvwxyz");
            snprintf(one, sizeof one, "%.*s", (int)n, word);
            if (n) add_word(&v, one);
            word += n;
            if (*word != '|') break;
        }
    }
    if (v.words[0]) v.files = false;
    if (!strcmp(c->name, "pull") || !strcmp(c->name, "info")) add_models(&v);
    for (int i = 0; !strcmp(c->name, "man") && cop_commands[i]; i++) add_word(&v, cop_commands[i]->name);
    return v;
}

static void print_command_names(void) {
    for (int i = 0; cop_commands[i]; i++) printf("%s ", cop_commands[i]->name);
    printf("help");
}

// ---- bash -----------------------------------------------------------------------------------------

static void print_bash_values(const values *v) {
    if (v->words[0]) printf(" $(compgen -W '%s' -- \"$cur\")", v->words);
    if (v->files) printf(" $(compgen -f -- \"$cur\")");
}

static void print_bash_option(const cop_command *c, const cop_arg *a) {
    if (a->kind == COP_ARG_FLAG || !a->help) return;
    const values v = values_of(a);
    printf("    %s:--%s", c->name, a->name);
    if (a->letter) printf(" | %s:-%c", c->name, a->letter);
    printf(") COMPREPLY=(");
    print_bash_values(&v);
    printf("); return ;;\n");
}

static void print_bash(void) {
    printf("# Completion of coppice for bash: made by `coppice completion bash`.\n"
           "# shellcheck shell=bash disable=SC2207\n"
           "_coppice() {\n"
           "    local IFS=$' \\n' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W '");
    print_command_names();
    printf("' -- \"$cur\"))\n        return\n    fi\n    case $command:$prev in\n");
    for (int i = 0; cop_commands[i]; i++)
        for (const cop_arg *a = cop_commands[i]->options; a->name; a++) print_bash_option(cop_commands[i], a);
    printf("    esac\n    case $command:$cur in\n");
    for (int i = 0; cop_commands[i]; i++) {
        const values v = operands_of(cop_commands[i]);
        printf("    %s:-*) COMPREPLY=($(compgen -W '", cop_commands[i]->name);
        for (const cop_arg *a = cop_commands[i]->options; a->name; a++)
            if (a->help) printf("--%s ", a->name);
        printf("--help' -- \"$cur\")) ;;\n    %s:*) COMPREPLY=(", cop_commands[i]->name);
        print_bash_values(&v);
        printf(") ;;\n");
    }
    printf("    esac\n}\ncomplete -o filenames -F _coppice coppice\n");
}

// ---- zsh ------------------------------------------------------------------------------------------

// Text inside single quotes; `special` are characters that get a backslash.
static void print_quoted(const char *text, const char *special, const char *quote) {
    for (; *text; text++) {
        if (*text == '\'') printf("%s", quote);
        else if (strchr(special, *text)) printf("\\%c", *text);
        else putchar(*text);
    }
}

static void print_zsh_option(const cop_arg *a) {
    if (!a->help) return;
    const char *repeat = a->kind == COP_ARG_TEXTS ? "*" : "";
    const values v = values_of(a);
    if (a->letter && !*repeat) printf("        '(-%c --%s)'{-%c,--%s}", a->letter, a->name, a->letter, a->name);
    else printf("        '%s--%s'", repeat, a->name);
    printf("'[");
    print_quoted(a->help, "[]\\", "'\\''");
    printf("]");
    if (a->kind != COP_ARG_FLAG) {
        printf(":");
        print_quoted(a->value, ":[]\\", "'\\''");
        if (v.files && v.words[0]) printf(":{_files; compadd %s}", v.words);
        else if (v.files) printf(":_files");
        else if (v.words[0]) printf(":(%s)", v.words);
        else printf(": ");
    }
    printf("' \\\n");
}

static void print_zsh(void) {
    printf("#compdef coppice\n# Completion of coppice for zsh: made by `coppice completion zsh`.\n"
           "_coppice() {\n    local -a commands\n    commands=(\n");
    for (int i = 0; cop_commands[i]; i++) {
        printf("        '%s:", cop_commands[i]->name);
        print_quoted(cop_commands[i]->summary, "\\:", "'\\''");
        printf("'\n");
    }
    printf("    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
           "    shift words\n    ((CURRENT--))\n    case $words[1] in\n");
    for (int i = 0; cop_commands[i]; i++) {
        const values v = operands_of(cop_commands[i]);
        printf("    %s)\n        _arguments \\\n", cop_commands[i]->name);
        for (const cop_arg *a = cop_commands[i]->options; a->name; a++) print_zsh_option(a);
        printf("        '--help[show the options]' \\\n        '*: :%s%s%s' ;;\n", v.words[0] ? "(" : "", v.words[0] ? v.words : "_files", v.words[0] ? ")" : "");
    }
    printf("    esac\n}\n_coppice \"$@\"\n");
}

// ---- fish -----------------------------------------------------------------------------------------

static void print_fish_option(const cop_command *c, const cop_arg *a) {
    if (!a->help) return;
    const values v = values_of(a);
    printf("complete -c coppice -n '__fish_seen_subcommand_from %s' -l %s", c->name, a->name);
    if (a->letter) printf(" -s %c", a->letter);
    if (a->kind != COP_ARG_FLAG) printf(v.files ? " -r -F" : " -x");
    if (v.words[0]) printf(" -a '%s'", v.words);
    printf(" -d '");
    print_quoted(a->help, "\\", "\\'");
    printf("'\n");
}

static void print_fish(void) {
    printf("# Completion of coppice for fish: made by `coppice completion fish`.\ncomplete -c coppice -f\n");
    for (int i = 0; cop_commands[i]; i++) {
        const cop_command *c = cop_commands[i];
        const values v = operands_of(c);
        printf("complete -c coppice -n __fish_use_subcommand -a %s -d '", c->name);
        print_quoted(c->summary, "\\", "\\'");
        printf("'\n");
        for (const cop_arg *a = c->options; a->name; a++) print_fish_option(c, a);
        printf("complete -c coppice -n '__fish_seen_subcommand_from %s'%s", c->name, v.files ? " -F" : "");
        if (v.words[0]) printf(" -a '%s'", v.words);
        printf("\n");
    }
}

static cop_status run(int argc, char **argv) {
    char unused;
    cop_texts words = {.n = 0};
    COP_TRY(cop_args_parse(options, &unused, argc, argv, &words));
    if (words.n != 1) return cop_fail(COP_ERR_ARG, "which shell? bash, zsh or fish");
    if (!strcmp(words.v[0], "bash")) print_bash();
    else if (!strcmp(words.v[0], "zsh")) print_zsh();
    else if (!strcmp(words.v[0], "fish")) print_fish();
    else return cop_fail(COP_ERR_ARG, "no completion for %s; there is one for bash, zsh and fish", words.v[0]);
    return cop_cli_write("", 0);
}

const cop_command cop_command_completion = {
    .name = "completion", .summary = "completions of this command for a shell, to be read by it",
    .usage = "completion bash|zsh|fish", .options = options, .run = run,
};
