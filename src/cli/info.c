// coppice info: what a model file is, without loading its weights.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/vocabulary.h"

typedef struct info_args {
    cop_model_args model;
    bool keys, tensors;
} info_args;

static const cop_arg options[] = {
    COP_VOCABULARY_ARGS(info_args, model),
    {0, "keys", COP_ARG_FLAG, offsetof(info_args, keys), 0, 0, NULL, "every metadata key"},
    {0, "tensors", COP_ARG_FLAG, offsetof(info_args, tensors), 0, 0, NULL, "every tensor"},
    {0},
};

static json_t *type_counts(const cop_gguf *g, uint64_t *weights, uint64_t *bytes) {
    json_t *types = json_object();
    *weights = *bytes = 0;
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
        const char *name = cop_dtype_name(t->type);
        json_int_t had = json_integer_value(json_object_get(types, name));
        json_object_set_new(types, name, json_integer(had + 1));
        *weights += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
        *bytes += t->bytes;
    }
    return types;
}

static json_t *key_list(const cop_gguf *g) {
    json_t *keys = json_object();
    for (size_t i = 0; i < cop_gguf_n_keys(g); i++) {
        cop_gguf_entry e;
        char line[400], name[256];
        cop_gguf_key(g, i, &e);
        cop_gguf_print(g, i, line, sizeof line);
        snprintf(name, sizeof name, "%.*s", e.name_bytes > 255 ? 255 : (int)e.name_bytes, e.name);
        json_object_set_new(keys, name, json_string(line));
    }
    return keys;
}

static json_t *tensor_list(const cop_gguf *g) {
    json_t *list = json_array();
    for (size_t i = 0; i < cop_gguf_n_tensors(g); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(g, i);
        json_t *dims = json_array();
        for (int d = t->n_dims - 1; d >= 0; d--) json_array_append_new(dims, json_integer((json_int_t)t->dims[d]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I}", "name", t->name, "type", cop_dtype_name(t->type), "shape", dims,
                                              "bytes", (json_int_t)t->bytes));
    }
    return list;
}

static bool family_is_known(const char *name, size_t bytes) {
    for (int i = 0; cop_families[i]; i++)
        if (strlen(cop_families[i]->name) == bytes && !memcmp(cop_families[i]->name, name, bytes)) return true;
    return false;
}

static json_t *describe(const cop_gguf *g, const info_args *a) {
    const char *arch = "", *name = "";
    size_t arch_bytes = 0, name_bytes = 0;
    if (cop_gguf_get_text_or(g, "general.architecture", "", &arch, &arch_bytes)) arch_bytes = 0;
    if (cop_gguf_get_text_or(g, "general.name", "", &name, &name_bytes)) name_bytes = 0;
    uint64_t weights, bytes;
    json_t *types = type_counts(g, &weights, &bytes);
    json_t *v = json_pack("{s:s, s:i, s:o, s:b, s:o, s:I, s:I, s:I, s:o}", "file", cop_gguf_name(g), "gguf_version",
                          cop_gguf_folder(g) ? 0 : (int)cop_gguf_version(g), "family", cop_cli_json_text(arch, arch_bytes), "supported",
                          family_is_known(arch, arch_bytes), "name", cop_cli_json_text(name, name_bytes), "weights", (json_int_t)weights,
                          "tensors", (json_int_t)cop_gguf_n_tensors(g), "tensor_bytes", (json_int_t)bytes, "types", types);
    if (v && (a->keys || !a->model.json)) json_object_set_new(v, "keys", key_list(g));
    if (v && a->tensors) json_object_set_new(v, "tensor_list", tensor_list(g));
    return v;
}

static void print_types(json_t *types) {
    const char *type;
    json_t *n;
    json_object_foreach(types, type, n) printf(" %s %lld", type, (long long)json_integer_value(n));
    printf("\n");
}

static cop_status print_text(json_t *v, const info_args *a) {
    const char *key;
    json_t *value;
    size_t i;
    long long version = json_integer_value(json_object_get(v, "gguf_version"));
    char format[32] = "Hugging Face folder";
    if (version) snprintf(format, sizeof format, "GGUF %lld", version);
    printf("%s: %s, family %s%s, %s\n", json_string_value(json_object_get(v, "file")), format, json_string_value(json_object_get(v, "family")),
           json_is_true(json_object_get(v, "supported")) ? "" : " (not supported here)", json_string_value(json_object_get(v, "name")));
    printf("%.1f M weights in %lld tensors, %.1f MB; tensors by type:", (double)json_integer_value(json_object_get(v, "weights")) / 1e6,
           (long long)json_integer_value(json_object_get(v, "tensors")), (double)json_integer_value(json_object_get(v, "tensor_bytes")) / 1e6);
    print_types(json_object_get(v, "types"));
    json_object_foreach(json_object_get(v, "keys"), key, value)
        if (a->keys || strncmp(key, "tokenizer.", 10)) printf("  %-42s %s\n", key, json_string_value(value));
    json_array_foreach(json_object_get(v, "tensor_list"), i, value) {
        printf("  %-42s %-6s", json_string_value(json_object_get(value, "name")), json_string_value(json_object_get(value, "type")));
        size_t d;
        json_t *dim;
        json_array_foreach(json_object_get(value, "shape"), d, dim) printf("%s%lld", d ? " x " : " ", (long long)json_integer_value(dim));
        printf("\n");
    }
    json_decref(v);
    return cop_cli_write("", 0);
}

static cop_status run(int argc, char **argv) {
    info_args a = {0};
    cop_texts words = {0};
    COP_TRY(cop_args_parse(options, &a, argc, argv, &words));
    cop_gguf *g;
    COP_TRY(cop_cli_file(&g, words.n ? words.v[0] : a.model.model));
    json_t *v = describe(g, &a);
    cop_gguf_close(g);
    if (!v) return cop_fail(COP_ERR_NOMEM, "info: cannot allocate");
    return a.model.json ? cop_cli_print_json(v) : print_text(v, &a);
}

const cop_command cop_command_info = {
    .name = "info", .summary = "what a model file is", .usage = "info (M | -m M) [--keys] [--tensors] [--json]", .options = options, .run = run,
};
