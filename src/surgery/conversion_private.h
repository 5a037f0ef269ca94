#ifndef COP_SURGERY_CONVERSION_PRIVATE_H
#define COP_SURGERY_CONVERSION_PRIVATE_H

#include "base/json.h"
#include "format/gguf_write.h"
#include "format/safetensors.h"
#include "surgery/conversion.h"

#define COP_CONVERT_PATH 4096

typedef struct cop_conversion {
    const cop_gguf *file;
    const cop_convert_options *options;
    uint64_t done, total;  // bytes of the result
} cop_conversion;

/* The bytes of tensor t as `type`, row by row, to `put`. (conversion.c) */
cop_status cop_convert_tensor(cop_conversion *c, const cop_gguf_tensor *t, cop_dtype type, cop_gguf_put *put, void *sink);
/* Does the disk of `path` have room for c->total bytes? */
cop_status cop_convert_room(const cop_conversion *c, const char *path);

/* conversion_folder.c: a folder, from whatever the model is in. */
cop_status cop_convert_to_folder(cop_conversion *c, const char *path);
cop_status cop_convert_join(char path[COP_CONVERT_PATH], const char *folder, const char *file);
cop_status cop_convert_write(const char *folder, const char *name, const void *data, size_t bytes);
cop_status cop_convert_write_json(const char *folder, const char *name, const json_t *value, size_t flags);

// A tensor of the new folder.
typedef struct cop_convert_item {
    char name[COP_SAFETENSORS_MOST_NAME + 1];
    cop_dtype type;
    int n_dims;
    uint64_t dims[COP_SAFETENSORS_MOST_DIMS];  // slowest first
} cop_convert_item;

/* conversion_shards.c: model.safetensors, or files of at most options->shard_bytes with their index, in `folder`, which
 * will be `final`. `source` is called with numbers of items. */
cop_status cop_convert_shards(cop_conversion *c, const char *folder, const char *final, const cop_convert_item *items, size_t n, cop_gguf_source *source,
                              void *user);

/* conversion_unfold.c: all files of a folder that says what a GGUF file says. */
cop_status cop_convert_unfold(cop_conversion *c, const char *folder, const char *final);

#endif
