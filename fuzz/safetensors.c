// Fuzzer of the safetensors reader. Whatever opens keeps the promises of format/safetensors.h: every
// tensor lies in the file, none overlaps another, and its bytes are those of its shape.
#include <stdint.h>
#include <string.h>

#include "format/safetensors.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static volatile uint8_t sink;

static uint64_t check_tensor(const cop_safetensors *s, size_t i, const uint8_t *data, size_t bytes) {
    const cop_safetensors_tensor *t = cop_safetensors_tensor_at(s, i), *got = NULL;
    must(cop_safetensors_find_tensor(s, t->name) == t);
    must(!i || strcmp(cop_safetensors_tensor_at(s, i - 1)->name, t->name) < 0);
    must(t->n_dims >= 0 && t->n_dims <= COP_SAFETENSORS_MOST_DIMS && t->bytes > 0);
    must(t->data >= data + 8 && t->bytes <= (uint64_t)(data + bytes - t->data));
    uint64_t n = 1, want;
    for (int k = 0; k < COP_SAFETENSORS_MOST_DIMS; k++) n *= t->dims[k];
    if (t->type != COP_N_DTYPES) must(!cop_dtype_bytes(t->type, n, &want) && want == t->bytes);
    must((cop_safetensors_get(s, t->name, &got) == COP_OK) == (t->type != COP_N_DTYPES));
    sink = t->data[0];
    sink = t->data[t->bytes - 1];
    return t->bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    cop_safetensors *s;
    if (cop_safetensors_from_memory(&s, data, bytes, "fuzz")) {
        must(!s && *cop_error_text() && !strchr(cop_error_text(), '\n'));
        return 0;
    }
    uint64_t sum = 0, header;
    memcpy(&header, data, 8);
    for (size_t i = 0; i < cop_safetensors_n_tensors(s); i++) sum += check_tensor(s, i, data, bytes);
    must(sum == bytes - 8 - header);
    cop_safetensors_close(s);
    return 0;
}
