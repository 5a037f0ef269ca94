// Writing one safetensors file. Tensors are listed, then their bytes are asked for in the order of the list
// while the file is written; it appears whole or not at all.
#ifndef COP_FORMAT_SAFETENSORS_WRITE_H
#define COP_FORMAT_SAFETENSORS_WRITE_H

#include "format/gguf_write.h"

typedef struct cop_safetensors_writer cop_safetensors_writer;

cop_status cop_safetensors_writer_new(cop_safetensors_writer **out);
void cop_safetensors_writer_free(cop_safetensors_writer *w);  // accepts NULL

/* F32, F16 or BF16; dims slowest first. COP_ERR_ARG for another type, a name that the reader would refuse or one
 * used twice. Wider types should be added first, so that every tensor lies on a boundary of its elements. */
cop_status cop_safetensors_add(cop_safetensors_writer *w, const char *name, cop_dtype type, int n_dims, const uint64_t *dims);
uint64_t cop_safetensors_writer_data_bytes(const cop_safetensors_writer *w);

/* `source` is called with the number of each tensor, in the order of the adds. */
cop_status cop_safetensors_writer_save(cop_safetensors_writer *w, const char *path, cop_gguf_source *source, void *user);

#endif
