// LoRA adapters: y += scale * B (A x) beside weights that stay as they are.
//
// An adapter belongs to one model. A row of a forward names a set of them with scales of its own; rows of many sets,
// and of none, go through one forward together. The products are in 32 bits, row by row, so that a row has the same
// bits in any company and a row without adapters those of the plain model. Cost: rank x (in + out) multiplications
// per row and adapted matrix, one more barrier for each group of products.
// Hu et al. 2021 (arXiv:2106.09685). Not here: what keys and values hold: a sequence that was computed with
// adapters continues with the same ones.
#ifndef COP_MODEL_ADAPTER_H
#define COP_MODEL_ADAPTER_H

#include "model/model.h"

#define COP_MAX_ADAPTERS 8        // in one set
#define COP_MAX_ADAPTER_RANK 1024

typedef struct cop_adapter cop_adapter;

struct cop_adapter_set {
    int n;
    const cop_adapter *adapters[COP_MAX_ADAPTERS];  // borrowed
    float scales[COP_MAX_ADAPTERS];                 // what the user asks for, beside the adapter's own alpha / rank
};

/* Read an adapter for `model`, which must outlive it: a GGUF file, or a PEFT folder with adapter_config.json and
 * adapter_model.safetensors (the folder, or that file in it). Everything in it is checked against the model; errors
 * end with the file's name. */
cop_status cop_adapter_open(cop_adapter **out, const cop_model *model, const char *path);
void cop_adapter_close(cop_adapter *adapter);  // accepts NULL

int cop_adapter_rank(const cop_adapter *adapter);       // the largest of its matrices
int cop_adapter_n_matrices(const cop_adapter *adapter); // that it changes
size_t cop_adapter_bytes(const cop_adapter *adapter);
/* A hash of what it computes; of a set with its scales, 0 for none. */
uint64_t cop_adapter_hash(const cop_adapter *adapter);
uint64_t cop_adapter_set_hash(const cop_adapter_set *set);

/* Room in a workspace for rows with sets up to this one's size; NULL: for none. Not during a forward. */
cop_status cop_workspace_reserve_adapters(cop_workspace *ws, const cop_adapter_set *set);

#endif
