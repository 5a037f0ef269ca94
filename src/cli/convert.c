// coppice convert: a model in another file, of another type.
#include <stdio.h>

#include "cli/cli.h"
#include "cli/vocabulary.h"
#include "surgery/conversion.h"

typedef struct convert_args {
    const char *type;
    int32_t threads, shard;
    bool force, no_tokenizer;
} convert_args;

static const cop_arg options[] = {
    {0, "type", COP_ARG_TEXT, offsetof(convert_args, type), 0, 0, "T", "type of the matrices: f32, f16, bf16, q8_0, q4_k ...; default what they are"},
    {'t', "threads", COP_ARG_INT, offsetof(convert_args, threads), 0, COP_MAX_THREADS, "N", "threads; 0: one per usable core"},
    {0, "shard", COP_ARG_INT, offsetof(convert_args, shard), 1, 1 << 30, "MB", "size of a folder's safetensors files at most; default 5000"},
    {0, "no-tokenizer", COP_ARG_FLAG, offsetof(convert_args, no_tokenizer), 0, 0, NULL, "a folder from a GGUF file: without the tokenizer's files"},
    {0, "force", COP_ARG_FLAG, offsetof(convert_args, force), 0, 0, NULL, "replace what is there"},
    {0},
};

static bool on_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    cop_cli_progress("converting", total ? (double)done / (double)total * 0.999 : 0);
    return !cop_cli_interrupted();
}

static cop_status run(int argc, char **argv) {
    convert_args a = {0};
    cop_texts words = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, &words));
    if (words.n != 2) return cop_fail(COP_ERR_ARG, "from where to where? coppice convert IN OUT");
    cop_convert_options o = {.type = COP_N_DTYPES, .shard_bytes = (uint64_t)a.shard * 1000000, .replace = a.force, .no_tokenizer = a.no_tokenizer, .progress = on_progress};
    if (a.type) COP_TRY(cop_convert_type(a.type, &o.type));
    cop_gguf *file;
    COP_TRY(cop_cli_file(&file, words.v[0]));
    cop_cli_catch_interrupts();
    cop_status st = cop_pool_new(&o.pool, a.threads);
    if (!st) st = cop_convert(file, words.v[1], &o);
    cop_cli_progress("", 1);
    cop_pool_free(o.pool);
    cop_gguf_close(file);
    if (!st) printf("%s\n", words.v[1]);
    return st ? st : cop_cli_write("", 0);
}

const cop_command cop_command_convert = {
    .name = "convert", .summary = "a model in another file, of another type", .usage = "convert IN OUT.gguf [--type T]\nconvert IN FOLDER [--type f32|f16|bf16]",
    .options = options, .run = run,
};
