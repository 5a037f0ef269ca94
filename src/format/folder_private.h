// What the files of the folder reader share: rules from published names to GGUF's, and the values of
// config.json on their way to keys.
#ifndef COP_FORMAT_FOLDER_PRIVATE_H
#define COP_FORMAT_FOLDER_PRIVATE_H

#include "base/json.h"
#include "format/folder.h"
#include "format/gguf_write.h"
#include "format/safetensors.h"

#define COP_FOLDER_MOST_LAYERS 4096
#define COP_FOLDER_MOST_EXTRA 2

// '#' stands for the number of a layer, '@' for the number of an expert; both sides end before ".weight" or
// ".bias", which stays. `to` NULL with COP_FOLDER_DROP; a `from` that ends in '.' is then a prefix.
typedef struct cop_folder_rule {
    const char *from, *to;
    cop_folder_op op;
} cop_folder_rule;

typedef struct cop_folder_config {
    json_t *values;        // config.json, or its text_config, over the family's defaults
    const char *arch;      // GGUF's
    cop_gguf_writer *keys;
    int64_t L, H, G, K, D;  // layers, query heads, key heads, head size, width
    struct cop_folder_extra {
        const char *name;  // NULL: none
        float *v;          // [n]
        size_t n;
    } extra[COP_FOLDER_MOST_EXTRA];  // tensors that the configuration gives: rope_freqs.weight and its like
    bool tied;             // the embedding is the output matrix
} cop_folder_config;

typedef struct cop_folder_family {
    const char *model_type;       // of config.json
    const char *arch;             // GGUF's general.architecture
    const char *defaults;         // JSON: what the configuration class of the library assumes for a missing value
    const char *acts;             // activations that the family computes, separated by spaces
    const char *const *renames;   // pairs (name in this family's files, common name), ends with NULL; or NULL
    const cop_folder_rule *rules; // they come before the common ones; ends with a NULL from
    bool own_kv_heads;            // `keys` adds attention.head_count_kv
    cop_status (*prepare)(cop_folder_config *c);  // changes c->values before they become keys; may be NULL
    cop_status (*keys)(cop_folder_config *c);     // beyond the common keys; may be NULL
} cop_folder_family;

extern const cop_folder_family cop_folder_families[];    // folder_families.c; ends with a NULL model_type
extern const cop_folder_rule cop_folder_common_rules[];  // ends with a NULL from

/* folder_config.c: keys from the texts of config.json and generation_config.json (may be NULL).
 * *family is the row of the table; c is the caller's to fini, also on failure. */
cop_status cop_folder_read_config(cop_folder_config *c, const cop_folder_family **family, const char *config, size_t config_bytes,
                                  const char *generation, size_t generation_bytes);
void cop_folder_config_fini(cop_folder_config *c);

/* For the functions `keys`: copy the value `name` of the configuration to key "ARCH.key"; nothing is written when
 * it is missing or null. */
cop_status cop_folder_copy_int(cop_folder_config *c, const char *name, const char *key);
cop_status cop_folder_copy_number(cop_folder_config *c, const char *name, const char *key);
cop_status cop_folder_add_int(cop_folder_config *c, const char *key, int64_t value);
cop_status cop_folder_add_number(cop_folder_config *c, const char *key, double value);
/* The rope of all layers, or of layer type `type` where rope_parameters has one object per type: its base
 * goes to rope.freq_base, its scaling to rope.scaling.* and c->extra. */
cop_status cop_folder_add_rope(cop_folder_config *c, const char *type);
/* attention.sliding_window and its pattern: layer_types where it is given, else layers from `first` on with
 * every `period`-th (i + 1) % period == 0 full; period 0: none. window 0: nothing is written. */
cop_status cop_folder_add_window(cop_folder_config *c, int64_t window, int64_t first, int64_t period);

/* What a folder's cop_gguf has beside keys and tensors (gguf.c calls these). */
typedef struct cop_folder cop_folder;
void cop_folder_free(cop_folder *f);  // accepts NULL
const char *cop_folder_path(const cop_folder *f);
size_t cop_folder_n_maps(const cop_folder *f);
const cop_map *cop_folder_map(const cop_folder *f, size_t i);
cop_status cop_folder_make(const cop_folder *f, const cop_gguf *g, const cop_gguf_tensor *t, uint8_t *data);  // t->bytes bytes
void cop_folder_forget(const cop_folder *f, const cop_gguf *g, const cop_gguf_tensor *t);

#endif
