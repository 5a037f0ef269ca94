// The models that have names, and where a name, a file or a folder leads on this machine.
// A new model is one row of the table in registry.c; how its bytes arrive is download.h.
#ifndef COP_FORMAT_REGISTRY_H
#define COP_FORMAT_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define COP_PATH_MAX 1024  // longest path that this floor builds, with its NUL

typedef struct cop_named_model {
    const char *name;         // NAME.gguf is its file in the cache folder
    const char *description;  // one line for people
    uint64_t bytes;           // of the whole file
    const char *sha256;       // of the whole file, lower-case digits
    const char *package;      // Python package that carries it; a stem when there are several
    int n_packages;           // 1: `package` itself; more: the stem followed by 1 … n_packages, in file order
    const char *version;      // of every package
    const char *hub;          // path on the public model hub; not fetched from there yet
} cop_named_model;

extern const cop_named_model cop_named_models[];  // the first is the default; ends with a NULL name

const cop_named_model *cop_registry_find(const char *name);  // NULL for an unknown name

/* The name of package i = 0 … n_packages - 1. */
void cop_registry_package(const cop_named_model *model, int i, char *out, size_t size);

/* The cache folder: COPPICE_MODELS, else $XDG_CACHE_HOME/coppice/models, else ~/.cache/coppice/models.
 * It need not exist. COP_ERR_NOT_FOUND when the environment names no home. */
cop_status cop_registry_folder(char out[COP_PATH_MAX]);

/* What a user means by -m: a name of the table that is in the cache folder, a file, a folder
 * of safetensors or of exactly one .gguf, a repository's folder in the hub's cache, or OWNER/NAME[:FILE] of what
 * is in that cache. Writes the path of the model file. COP_ERR_NOT_FOUND names the remedy: the
 * pull to run for an absent model, the nearest name and all names for an unknown one. */
cop_status cop_model_locate(char out[COP_PATH_MAX], const char *name_or_path);

#endif
