// A folder from a GGUF file: tensors under their published names with what GGUF's writers changed undone, config.json,
// the tokenizer's files. Quantised weights become floats. The finished folder is read again and its description compared with the file's.
// Gemma's norms are exact when they once were a float plus one, as in every file that came from a folder.
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "format/folder.h"
#include "kernel/kernel.h"
#include "kernel/quantise_file.h"
#include "model/vocab.h"
#include "surgery/config_write.h"
#include "surgery/conversion_private.h"

// Where an item's bytes come from.
typedef struct origin {
    const cop_gguf_tensor *tensor;
    cop_folder_op op;
    uint64_t expert;
} origin;

typedef struct unfolding {
    cop_conversion *c;
    cop_desc desc;
    const char *model_type;
    COP_ARRAY(cop_convert_item) items;
    COP_ARRAY(origin) origins;
} unfolding;

// ---- listing --------------------------------------------------------------------------------

static void set_shape(cop_convert_item *it, const cop_gguf_tensor *t, cop_folder_op op) {
    it->n_dims = op == COP_FOLDER_STACK ? 2 : t->n_dims;
    for (int i = 0; i < it->n_dims; i++) it->dims[i] = t->dims[it->n_dims - 1 - i];
    if (op == COP_FOLDER_TRANSPOSE && t->n_dims == 2) {
        it->dims[0] = t->dims[0];
        it->dims[1] = t->dims[1];
    }
    if (op == COP_FOLDER_SQUEEZE && t->n_dims == 2) {
        it->n_dims = 3;
        it->dims[2] = it->dims[1];
        it->dims[1] = 1;
    }
}

static cop_status list_tensor(unfolding *u, const cop_gguf_tensor *t) {
    cop_convert_item it = {.type = COP_F32};
    origin from = {.tensor = t};
    COP_TRY(cop_convert_choose(u->c->file, t, u->c->options->type, true, &it.type));
    COP_TRY(cop_folder_name_of(u->model_type, t->name, 0, it.name, &from.op));
    uint64_t n = from.op == COP_FOLDER_STACK ? t->dims[2] : 1;
    set_shape(&it, t, from.op);
    for (; from.expert < n; from.expert++) {
        if (from.expert) COP_TRY(cop_folder_name_of(u->model_type, t->name, (int64_t)from.expert, it.name, &from.op));
        COP_TRY(cop_array_push(&u->items, it));
        COP_TRY(cop_array_push(&u->origins, from));
    }
    return COP_OK;
}

// What the configuration says stands there and not among the tensors.
static bool is_configuration(const char *name) { return !strncmp(name, "rope_f", 6); }

static cop_status list_tensors(unfolding *u) {
    for (size_t i = 0; i < cop_gguf_n_tensors(u->c->file); i++) {
        const cop_gguf_tensor *t = cop_gguf_tensor_at(u->c->file, i);
        if (!is_configuration(t->name)) COP_TRY(list_tensor(u, t));
    }
    return COP_OK;
}

// ---- bytes ----------------------------------------------------------------------------------

typedef struct collected {
    uint8_t *v;
    size_t n, room;
} collected;

static cop_status collect(void *sink, const void *data, size_t bytes) {
    collected *c = sink;
    if (bytes > c->room - c->n) return cop_fail(COP_ERR_FORMAT, "more bytes than the tensor has");
    memcpy(c->v + c->n, data, bytes);
    c->n += bytes;
    return COP_OK;
}

// Pair p, place s of a head becomes row s * half + p.
static void permute_back(uint8_t *out, const collected *in, const cop_gguf_tensor *t, int heads) {
    size_t rows = (size_t)(t->n_dims == 1 ? t->dims[0] : t->dims[1]), row_bytes = in->n / rows, per_head = rows / (size_t)heads, half = per_head / 2;
    for (size_t h = 0; h < (size_t)heads; h++)
        for (size_t r = 0; r < per_head; r++)
            memcpy(out + (h * per_head + r) * row_bytes, in->v + (h * per_head + 2 * (r % half) + r / half) * row_bytes, row_bytes);
}

static void transpose(uint8_t *out, const collected *in, const cop_gguf_tensor *t) {
    size_t cols = (size_t)t->dims[0], rows = (size_t)t->dims[1], width = in->n / rows / cols;
    for (size_t block = 0; block < cols; block += 32)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = block; c < cols && c < block + 32; c++) memcpy(out + (c * rows + r) * width, in->v + (r * cols + c) * width, width);
}

static cop_status put_minus_one(uint8_t *out, cop_dtype type, const collected *in) {
    float *x = (float *)(void *)in->v;
    size_t n = in->n / sizeof *x;
    for (size_t i = 0; i < n; i++) x[i] -= 1.0f;
    return cop_quantise_row(out, type, x, (int64_t)n);
}

// The whole tensor is in memory twice while its bytes change places.
static cop_status make(const unfolding *u, const origin *from, cop_dtype type, uint8_t *out, const collected *in) {
    const cop_gguf_tensor *t = from->tensor;
    int heads = from->op == COP_FOLDER_PERMUTE_Q ? u->desc.H : u->desc.G;
    uint64_t rows = t->n_dims == 1 ? t->dims[0] : t->dims[1];
    switch (from->op) {
    case COP_FOLDER_PERMUTE_Q:
    case COP_FOLDER_PERMUTE_K:
        if (rows % (uint64_t)(2 * heads)) return cop_fail(COP_ERR_FORMAT, "tensor %s: %llu rows for %d heads", t->name, (unsigned long long)rows, heads);
        permute_back(out, in, t, heads);
        return COP_OK;
    case COP_FOLDER_TRANSPOSE: transpose(out, in, t); return COP_OK;
    default: return put_minus_one(out, type, in);
    }
}

static cop_status put_changed(const unfolding *u, const origin *from, cop_dtype type, cop_gguf_put *put, void *sink) {
    const cop_gguf_tensor *t = from->tensor;
    cop_dtype read_as = from->op == COP_FOLDER_PLUS_ONE ? COP_F32 : type;
    uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3], in_bytes, out_bytes;
    COP_TRY(cop_dtype_bytes(read_as, n, &in_bytes));
    COP_TRY(cop_dtype_bytes(type, n, &out_bytes));
    collected in = {.v = cop_alloc((size_t)in_bytes), .room = (size_t)in_bytes};
    uint8_t *out = cop_alloc((size_t)out_bytes);
    cop_status st = in.v && out ? COP_OK : cop_fail(COP_ERR_NOMEM, "tensor %s: cannot allocate", t->name);
    if (!st) st = cop_convert_tensor(u->c, t, read_as, collect, &in);
    if (!st) st = make(u, from, type, out, &in);
    if (!st) st = put(sink, out, (size_t)out_bytes);
    cop_free(in.v);
    cop_free(out);
    return st;
}

static bool keeps_order(const origin *from) {
    return from->op == COP_FOLDER_AS_IS || from->op == COP_FOLDER_SQUEEZE || from->op == COP_FOLDER_STACK ||
           (from->op == COP_FOLDER_TRANSPOSE && from->tensor->n_dims == 1);
}

static cop_status source(void *user, size_t i, cop_gguf_put *put, void *sink) {
    const unfolding *u = user;
    const origin *from = &u->origins.v[i];
    if (!keeps_order(from)) return put_changed(u, from, u->items.v[i].type, put, sink);
    cop_gguf_tensor t = *from->tensor;
    if (from->op == COP_FOLDER_STACK) {
        t.bytes /= t.dims[2];
        t.data += from->expert * t.bytes;
        t.offset += from->expert * t.bytes;
        t.dims[2] = 1;
    }
    return cop_convert_tensor(u->c, &t, u->items.v[i].type, put, sink);
}

// ---- the other files ------------------------------------------------------------------------

static cop_status copy_key(const cop_gguf *file, const char *key, const char *folder, const char *name) {
    const char *text;
    size_t bytes;
    if (!cop_gguf_has(file, key)) return COP_OK;
    COP_TRY(cop_gguf_get_text(file, key, &text, &bytes));
    return cop_convert_write(folder, name, text, bytes);
}

// The files that the vocabulary came from, where the file has them; else its words in their terms.
static cop_status write_tokenizer(const cop_gguf *file, const char *folder) {
    cop_tokenizer *tok;
    json_t *tokenizer, *config;
    if (cop_gguf_has(file, COP_VOCAB_JSON_KEY) && !cop_gguf_has(file, "tokenizer.ggml.model")) {
        COP_TRY(copy_key(file, COP_VOCAB_JSON_KEY, folder, "tokenizer.json"));
        COP_TRY(copy_key(file, COP_VOCAB_CONFIG_KEY, folder, "tokenizer_config.json"));
        return copy_key(file, "tokenizer.chat_template", folder, "chat_template.jinja");
    }
    if (!cop_gguf_has(file, "tokenizer.ggml.model")) return COP_OK;
    COP_TRY(cop_vocab_open(&tok, file));
    cop_status st = cop_tokenizer_to_json(tok, &tokenizer, &config);
    cop_tokenizer_free(tok);
    if (st) return st;
    st = cop_convert_write_json(folder, "tokenizer.json", tokenizer, JSON_INDENT(1));
    if (!st) st = cop_convert_write_json(folder, "tokenizer_config.json", config, JSON_INDENT(2));
    json_decref(tokenizer);
    json_decref(config);
    return st;
}

static cop_status write_configuration(const unfolding *u, const char *folder) {
    const cop_gguf *file = u->c->file;
    cop_dtype type;
    json_t *v;
    COP_TRY(cop_convert_choose(file, cop_gguf_find_tensor(file, "token_embd.weight"), u->c->options->type, true, &type));
    COP_TRY(cop_config_make(&v, file, &u->desc, u->model_type, type));
    cop_status st = cop_convert_write_json(folder, "config.json", v, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(v);
    if (st) return st;
    COP_TRY(cop_config_generation(&v, file));
    st = cop_convert_write_json(folder, "generation_config.json", v, JSON_INDENT(2));
    json_decref(v);
    return st;
}

// ---- the whole ------------------------------------------------------------------------------

// Divisors of the rotation come back as tensors; they are to be the file's, bit for bit.
static cop_status compare_divisors(const cop_gguf *file, const cop_gguf *folder) {
    static const char *const names[] = {"rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cop_gguf_tensor *a = cop_gguf_find_tensor(file, names[i]), *b = cop_gguf_find_tensor(folder, names[i]);
        if (a && (!b || a->type != COP_F32 || a->bytes != b->bytes || memcmp(a->data, b->data, (size_t)a->bytes)))
            return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s: divisors that no scaling of config.json known here gives", names[i]);
    }
    return COP_OK;
}

static cop_status check(const unfolding *u, const char *folder) {
    cop_gguf *g;
    cop_desc d;
    COP_TRY(cop_gguf_open(&g, folder));
    cop_status st = cop_model_describe(g, &d);
    if (!st) {
        st = cop_config_compare(&u->desc, &d);
        if (!st) st = compare_divisors(u->c->file, g);
        cop_desc_fini(&d);
    }
    cop_gguf_close(g);
    return st;
}

static cop_status unfold(unfolding *u, const char *folder, const char *final) {
    const cop_gguf *file = u->c->file;
    COP_TRY(cop_config_type(&u->desc, &u->model_type));
    if (cop_gguf_find_tensor(file, "output.bias")) return cop_fail(COP_ERR_UNSUPPORTED, "tensor output.bias has no place in a folder");
    COP_TRY(list_tensors(u));
    COP_TRY(write_configuration(u, folder));
    if (!u->c->options->no_tokenizer) {
        cop_status st = write_tokenizer(file, folder);
        if (st == COP_ERR_UNSUPPORTED) cop_fail_note("--no-tokenizer leaves the tokenizer out");
        if (st) return st;
    }
    COP_TRY(cop_convert_shards(u->c, folder, final, u->items.v, u->items.n, source, u));
    return check(u, folder);
}

cop_status cop_convert_unfold(cop_conversion *c, const char *folder, const char *final) {
    unfolding u = {.c = c, .items.most = COP_SAFETENSORS_MOST_TENSORS, .origins.most = COP_SAFETENSORS_MOST_TENSORS};
    COP_TRY(cop_model_describe(c->file, &u.desc));
    cop_status st = unfold(&u, folder, final);
    if (st) cop_fail_note("%s", cop_gguf_name(c->file));
    cop_array_fini(&u.items);
    cop_array_fini(&u.origins);
    cop_desc_fini(&u.desc);
    return st;
}
