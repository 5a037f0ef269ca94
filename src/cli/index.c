// coppice index: text files to a store for the drafter retrieve.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/vocabulary.h"
#include "draft/suffixes.h"
#include "format/registry.h"
#include "model/vocab.h"

#define MOST_FILE ((size_t)1 << 30)
#define MOST_DEPTH 32
#define MOST_NAMES ((size_t)1 << 20)

typedef struct index_args {
    cop_model_args model;
    const char *output;
    int32_t most;
    bool lines;
} index_args;

static const cop_arg options[] = {
    COP_VOCABULARY_ARGS(index_args, model),
    {'o', "output", COP_ARG_TEXT, offsetof(index_args, output), 0, 0, "FILE", "the store to write"},
    {0, "lines", COP_ARG_FLAG, offsetof(index_args, lines), 0, 0, NULL, "each line is a text of its own; else each file"},
    {0, "tokens", COP_ARG_INT, offsetof(index_args, most), 1, 1 << 29, "N", "tokens at most; default 64 million"},
    {0},
};

typedef struct store {
    cop_tokenizer *tokenizer;
    cop_token_array tokens;
    int V;
    size_t n_texts;
    bool full;
} store;

static cop_status open_model(store *s, const char *model) {
    cop_gguf *file;
    COP_TRY(cop_cli_file(&file, model));
    const cop_gguf_tensor *embedding = cop_gguf_find_tensor(file, "token_embd.weight");
    cop_status st = embedding ? cop_vocab_open(&s->tokenizer, file) : cop_fail(COP_ERR_UNSUPPORTED, "%s: no token_embd.weight, whose rows are the vocabulary", model);
    if (!st) s->V = (int)embedding->dims[1];
    cop_gguf_close(file);
    return st;
}

// The text's tokens and a separator; what is beyond the ceiling is left out.
static cop_status add_text(store *s, const char *text, size_t bytes) {
    if (s->full || !bytes) return COP_OK;
    cop_token_array ids = {.most = SIZE_MAX / 8};
    cop_status st = cop_tokenizer_encode(s->tokenizer, text, bytes, false, false, &ids);
    size_t n = ids.n;
    if (!st && n + 1 > s->tokens.most - s->tokens.n) {
        n = s->tokens.most - s->tokens.n;
        n -= n > 0;
        s->full = true;
    }
    if (!st && n) st = cop_array_reserve(&s->tokens, n + 1);
    if (!st && n) {
        memcpy(s->tokens.v + s->tokens.n, ids.v, n * sizeof *ids.v);
        s->tokens.v[s->tokens.n + n] = s->V;
        s->tokens.n += n + 1;
        s->n_texts++;
    }
    cop_array_fini(&ids);
    return st;
}

static cop_status add_file(store *s, const char *path, bool lines) {
    char *text;
    size_t bytes;
    COP_TRY(cop_file_read(path, MOST_FILE, &text, &bytes));
    cop_status st = COP_OK;
    for (size_t at = 0; !st && at < bytes;) {
        const char *end = lines ? memchr(text + at, '\n', bytes - at) : NULL;
        size_t n = end ? (size_t)(end - (text + at)) : bytes - at;
        st = add_text(s, text + at, n);
        at += n + (end != NULL);
    }
    if (st) cop_fail_note("%s", path);
    cop_free(text);
    return st;
}

typedef COP_ARRAY(char *) name_array;

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Names in a folder, sorted; those that begin with a dot are passed over.
static cop_status list_folder(name_array *names, const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return cop_fail(COP_ERR_IO, "%s: %s", path, strerror(errno));
    cop_status st = COP_OK;
    for (struct dirent *e; !st && (e = readdir(folder));) {
        if (e->d_name[0] == '.') continue;
        char *name = cop_text_copy(e->d_name, strlen(e->d_name));
        st = name ? cop_array_push(names, name) : cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    }
    closedir(folder);
    if (!st && names->n) qsort(names->v, names->n, sizeof *names->v, compare_names);
    return st;
}

// A file, or all files below a folder; links in folders are not followed.
static cop_status add_place(store *s, const char *path, bool lines, int depth) {
    struct stat info;
    if (stat(path, &info) || !S_ISDIR(info.st_mode)) return add_file(s, path, lines);
    if (depth == MOST_DEPTH) return cop_fail(COP_ERR_LIMIT, "%s: more than %d folders deep", path, MOST_DEPTH);
    name_array names = {.most = MOST_NAMES};
    cop_status st = list_folder(&names, path);
    for (size_t i = 0; i < names.n; i++) {
        char below[COP_PATH_MAX];
        int n = snprintf(below, sizeof below, "%s/%s", path, names.v[i]);
        if (!st && (n < 0 || (size_t)n >= sizeof below)) st = cop_fail(COP_ERR_LIMIT, "%s/%s: path is too long", path, names.v[i]);
        if (!st && !s->full && !lstat(below, &info) && !S_ISLNK(info.st_mode)) st = add_place(s, below, lines, depth + 1);
        cop_free(names.v[i]);
    }
    cop_array_fini(&names);
    return st;
}

static cop_status report(const store *s, const index_args *a) {
    if (a->model.json)
        return cop_cli_print_json(json_pack("{s:s, s:I, s:I, s:b}", "store", a->output, "tokens", (json_int_t)s->tokens.n, "texts",
                                            (json_int_t)s->n_texts, "cut", s->full));
    char line[160];
    int n = snprintf(line, sizeof line, "%zu tokens of %zu text%s%s\n", s->tokens.n, s->n_texts, s->n_texts == 1 ? "" : "s",
                     s->full ? "; the rest was left out (--tokens)" : "");
    return cop_cli_write(line, (size_t)n);
}

static cop_status run(int argc, char **argv) {
    index_args a = {.most = 64 << 20};
    cop_texts files = {.n = 0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, &files));
    if (!a.output || !files.n) return cop_fail(COP_ERR_ARG, "which files, and where to? coppice index -m M -o STORE FILE-OR-FOLDER...");
    store s = {.tokens.most = (size_t)a.most};
    cop_status st = open_model(&s, a.model.model);
    for (int i = 0; !st && i < files.n; i++) st = add_place(&s, files.v[i], a.lines, 0);
    if (!st && !s.tokens.n) st = cop_fail(COP_ERR_ARG, "no text in %s%s", files.v[0], files.n > 1 ? " and the others" : "");
    if (!st) st = cop_suffixes_write(a.output, s.tokens.v, s.tokens.n, s.V);
    if (!st) st = report(&s, &a);
    cop_array_fini(&s.tokens);
    cop_tokenizer_free(s.tokenizer);
    return st;
}

const cop_command cop_command_index = {
    .name = "index", .summary = "text files to a store for --draft retrieve", .usage = "index -m M -o STORE FILE-OR-FOLDER... [--lines] [--tokens N] [--json]",
    .options = options, .run = run,
};
