// Fuzzer of the readers of adapters. The first byte says which: 0, the rest is a GGUF file; 1, a 16-bit length, so many
// bytes of adapter_config.json, and the rest is the safetensors file. They are read for a small model that computes
// nothing. Whatever is read has matrices of that model's shapes and finite numbers; whatever is not has one line of text.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "model/adapter_private.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { D = 8, F = 12, V = 20, L = 2 };

static cop_linear linear(int rows, int cols) {
    static const uint8_t some[64];
    return (cop_linear){.w = {.type = COP_F32, .rows = rows, .cols = cols, .data = some}};
}

// "general.architecture" = "llama" in the smallest file that opens.
static const cop_gguf *model_file(void) {
    static cop_gguf *file;
    static _Alignas(8) uint8_t data[128];
    if (file) return file;
    static const char key[] = "general.architecture", value[] = "llama";
    uint64_t counts[2] = {0, 1}, n = sizeof key - 1, m = sizeof value - 1;
    uint32_t version = 3, text = COP_GGUF_TEXT;
    uint8_t *p = data;
    memcpy(p, "GGUF", 4), p += 4;
    memcpy(p, &version, 4), p += 4;
    memcpy(p, counts, 16), p += 16;
    memcpy(p, &n, 8), p += 8;
    memcpy(p, key, n), p += n;
    memcpy(p, &text, 4), p += 4;
    memcpy(p, &m, 8), p += 8;
    memcpy(p, value, m), p += m;
    must(!cop_gguf_from_memory(&file, data, (size_t)(p - data), "model"));
    return file;
}

static const cop_model *small_model(void) {
    static cop_layer_desc layer_descs[L];
    static cop_layer layers[L];
    static cop_model m;
    if (m.n_linears) return &m;
    m.desc = (cop_desc){.L = L, .D = D, .H = 2, .G = 1, .K = 4, .F = F, .V = V, .positions = COP_POSITION_ROPE, .n_ropes = 1, .layers = layer_descs};
    for (int i = 0; i < L; i++)
        layers[i] = (cop_layer){.q = linear(8, D), .k = linear(4, D), .v = linear(4, D), .o = linear(D, 8), .gate = linear(F, D),
                                .up = linear(F, D), .down = linear(D, F)};
    layer_descs[1].experts = true;
    m.layers = layers;
    m.output = linear(V, D);
    m.file = (cop_gguf *)model_file();
    cop_model_number_linears(&m);
    return &m;
}

static cop_status read_gguf(cop_adapter **out, cop_adapter_plan *p, const uint8_t *data, size_t bytes) {
    uint8_t *aligned = cop_alloc(bytes);
    cop_gguf *g = NULL;
    must(aligned != NULL);
    memcpy(aligned, data, bytes);
    cop_status st = cop_gguf_from_memory(&g, aligned, bytes, "fuzz");
    if (!st) st = cop_adapter_read_gguf(out, p, g);
    cop_gguf_close(g);
    cop_free(aligned);
    return st;
}

static cop_status read_peft(cop_adapter **out, cop_adapter_plan *p, const uint8_t *data, size_t bytes) {
    static const cop_json_limits limits = {1 << 16, 4096, 16};
    size_t n = bytes < 2 ? 0 : (size_t)data[0] | (size_t)data[1] << 8;
    if (bytes < n + 2) return cop_fail(COP_ERR_FORMAT, "too short");
    json_t *v;
    cop_safetensors *s = NULL;
    COP_TRY(cop_json_parse(&v, (const char *)data + 2, n, &limits));
    cop_status st = cop_safetensors_from_memory(&s, data + 2 + n, bytes - 2 - n, "fuzz");
    if (!st) st = cop_adapter_from_peft(out, p, v, s);
    cop_safetensors_close(s);
    json_decref(v);
    return st;
}

static void check(const cop_adapter *a) {
    must(a->rank >= 1 && a->rank <= COP_MAX_ADAPTER_RANK && a->n_matrices >= 1);
    for (size_t i = 0; i < a->memory_bytes / sizeof(float); i++) must(isfinite(((const float *)(const void *)a->memory)[i]));
    for (int i = 0; i < a->model->n_linears; i++) {
        const cop_lora *l = &a->loras[i];
        if (!l->rank) continue;
        must(i > 0 && isfinite(l->scale) && l->a.rows == l->rank && l->b.cols == l->rank && l->a.data >= a->memory);
        must(l->b.data + (size_t)l->b.n_tiles * l->b.tile_bytes <= a->memory + a->memory_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const cop_model *m = small_model();
    if (bytes < 1) return 0;
    cop_adapter_plan p = {.model = m, .file = "fuzz", .pairs = cop_alloc_array((size_t)m->n_linears, sizeof *p.pairs)};
    cop_adapter *a = NULL;
    must(p.pairs != NULL);
    cop_status st = data[0] % 2 ? read_peft(&a, &p, data + 1, bytes - 1) : read_gguf(&a, &p, data + 1, bytes - 1);
    must((st == COP_OK) == (a != NULL));
    if (st) must(*cop_error_text() && !strchr(cop_error_text(), '\n'));
    else check(a);
    cop_adapter_close(a);
    cop_free(p.pairs);
    return 0;
}
