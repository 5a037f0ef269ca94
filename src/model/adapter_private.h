// Inside of adapters: the matrices in memory, and what the readers of files share.
#ifndef COP_ADAPTER_PRIVATE_H
#define COP_ADAPTER_PRIVATE_H

#include "base/json.h"
#include "format/safetensors.h"
#include "model/adapter.h"
#include "model/model_private.h"

// The pair of one matrix of the model, packed as F32 tiles: A [rank][in], B [out][rank]. rank 0: none.
typedef struct cop_lora {
    cop_matrix a, b;
    int rank;
    float scale;  // alpha / rank
} cop_lora;

struct cop_adapter {
    const cop_model *model;
    cop_lora *loras;   // [model->n_linears], by cop_linear.number
    int rank, n_matrices;
    uint8_t *memory;
    size_t memory_bytes;
    uint64_t hash;
};

// A matrix as a file has it, row-major; name NULL: not in the file.
typedef struct cop_lora_side {
    const char *name;  // of its tensor
    cop_dtype type;
    const uint8_t *data;
    uint64_t rows, cols;
} cop_lora_side;

typedef struct cop_lora_pair {
    cop_lora_side a, b;
    double alpha;   // scale = alpha / rank, or / sqrt(rank) with root_rank
    bool root_rank;
    bool permute;   // rows of B from half-split to interleaved rotary pairs, for heads of K
} cop_lora_pair;

// What was found in a file, by the number of the matrix that it changes.
typedef struct cop_adapter_plan {
    const cop_model *model;
    const char *file;      // for messages
    cop_lora_pair *pairs;  // [model->n_linears]
} cop_adapter_plan;

// The matrices that one of a file stands for: one, or those that the model's own file has behind one another in one.
typedef struct cop_lora_target {
    int n, numbers[3];
} cop_lora_target;

/* Note one side, and how the pair is scaled; COP_ERR_FORMAT when there is one already. */
cop_status cop_adapter_add(cop_adapter_plan *plan, const cop_lora_target *to, bool is_b, const cop_lora_side *side, const cop_lora_pair *like);
/* What "blk.LAYER.SITE" or "output" in the names of GGUF, or "layers.LAYER.SITE" or "lm_head" in those of PEFT,
 * text[0 … n), stands for; n is 0 when the model has no such matrix, or one that cannot be adapted. */
cop_lora_target cop_adapter_find_gguf(const cop_model *model, const char *text, size_t n);
cop_lora_target cop_adapter_find_peft(const cop_model *model, const char *text, size_t n);
/* Check the pairs against the model, and pack them. */
cop_status cop_adapter_build(cop_adapter **out, const cop_adapter_plan *plan);

cop_status cop_adapter_read_gguf(cop_adapter **out, cop_adapter_plan *plan, const cop_gguf *file);
cop_status cop_adapter_read_peft(cop_adapter **out, cop_adapter_plan *plan, const char *folder);
/* The same from what adapter_config.json and the file of tensors hold. */
cop_status cop_adapter_from_peft(cop_adapter **out, cop_adapter_plan *plan, const json_t *config, const cop_safetensors *tensors);

/* The beginning of a text from outside, for messages: what is not printable ASCII becomes a question mark. */
typedef struct cop_printable {
    char text[49];
} cop_printable;
static inline cop_printable cop_print_text(const char *text, size_t n) {
    cop_printable p = {{0}};
    for (size_t i = 0; i < n && i < sizeof p.text - 1; i++) p.text[i] = text[i] < 0x20 || text[i] > 0x7e ? '?' : text[i];
    return p;
}

static inline int cop_round_rank(int rank) { return (rank + COP_TILE - 1) & ~(COP_TILE - 1); }

#endif
