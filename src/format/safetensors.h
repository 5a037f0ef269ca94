// safetensors files, alone or sharded, read from the mapping.
// Source: the format's description (huggingface/safetensors, README): a length, a JSON header, the data.
// All that the header says is checked on opening, and the data must be covered without gap or overlap,
// so what these functions hand out lies inside a mapping and stays valid until close. After open the
// object never changes: any number of threads may read it.
// Cost: O(tensors) memory; no weights are read. Not here: what names mean (format/folder.h), writing
// (safetensors_write.h).
#ifndef COP_FORMAT_SAFETENSORS_H
#define COP_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/map.h"
#include "base/status.h"

#define COP_SAFETENSORS_MOST_HEADER ((size_t)64 << 20)
#define COP_SAFETENSORS_MOST_TENSORS 131072  // in all shards; arbitrary, above any model known
#define COP_SAFETENSORS_MOST_SHARDS 1024
#define COP_SAFETENSORS_MOST_DIMS 8
#define COP_SAFETENSORS_MOST_NAME 255

typedef struct cop_safetensors cop_safetensors;

typedef struct cop_safetensors_tensor {
    const char *name;       // printable ASCII
    const char *type_name;  // as the format spells it: "BF16"
    cop_dtype type;         // COP_F32, COP_F16, COP_BF16; COP_N_DTYPES for the others, which nothing here computes with
    int n_dims;             // 0: a single number
    uint64_t dims[COP_SAFETENSORS_MOST_DIMS];  // slowest first, as in the file: a matrix is [out][in]; never 0; unused ones are 1
    uint64_t bytes;
    const uint8_t *data;    // on any boundary: the format does not align
    const cop_map *map;     // that holds the data; for cop_map_forget
} cop_safetensors_tensor;

/* One file. Errors end with the path: COP_ERR_FORMAT for a file that is not what it says, COP_ERR_LIMIT. */
cop_status cop_safetensors_open(cop_safetensors **out, const char *path);
/* folder/model.safetensors, else all files that folder/model.safetensors.index.json lists; each tensor must be
 * in the file that the index says. COP_ERR_NOT_FOUND when there is neither. */
cop_status cop_safetensors_open_folder(cop_safetensors **out, const char *folder);
/* As open, on borrowed memory that outlives the object; `name` is for messages. */
cop_status cop_safetensors_from_memory(cop_safetensors **out, const void *data, size_t bytes, const char *name);
void cop_safetensors_close(cop_safetensors *s);  // accepts NULL

const char *cop_safetensors_name(const cop_safetensors *s);  // the path, for messages
size_t cop_safetensors_n_shards(const cop_safetensors *s);
const cop_map *cop_safetensors_map(const cop_safetensors *s, size_t i);  // of shard i

size_t cop_safetensors_n_tensors(const cop_safetensors *s);
const cop_safetensors_tensor *cop_safetensors_tensor_at(const cop_safetensors *s, size_t i);             // sorted by name
const cop_safetensors_tensor *cop_safetensors_find_tensor(const cop_safetensors *s, const char *name);  // NULL when missing

/* As find; COP_ERR_FORMAT when it is missing, COP_ERR_UNSUPPORTED naming its type when that is none of
 * F32, F16 and BF16. */
cop_status cop_safetensors_get(const cop_safetensors *s, const char *name, const cop_safetensors_tensor **out);

#endif
