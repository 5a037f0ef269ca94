#ifndef COP_SURGERY_CONVERSION_PRIVATE_H
#define COP_SURGERY_CONVERSION_PRIVATE_H

#include "format/gguf_write.h"
#include "surgery/conversion.h"

typedef struct cop_conversion {
    const cop_gguf *file;
    const cop_convert_options *options;
    uint64_t done, total;  // bytes of the result
} cop_conversion;

/* The bytes of tensor t as `type`, row by row, to `put`. (conversion.c) */
cop_status cop_convert_tensor(cop_conversion *c, const cop_gguf_tensor *t, cop_dtype type, cop_gguf_put *put, void *sink);
/* Does the disk of `path` have room for c->total bytes? */
cop_status cop_convert_room(const cop_conversion *c, const char *path);

/* conversion_folder.c */
cop_status cop_convert_to_folder(cop_conversion *c, const char *path);

#endif
