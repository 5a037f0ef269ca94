// The table of drafters. One line per file of this folder.
#include "draft/draft.h"

#include <string.h>

extern const cop_drafter_type cop_drafter_copy;
extern const cop_drafter_type cop_drafter_input;
extern const cop_drafter_type cop_drafter_trigram;
extern const cop_drafter_type cop_drafter_recycle;
extern const cop_drafter_type cop_drafter_pool;
extern const cop_drafter_type cop_drafter_retrieve;
extern const cop_drafter_type cop_drafter_model;
extern const cop_drafter_type cop_drafter_translate;
extern const cop_drafter_type cop_drafter_swift;
extern const cop_drafter_type cop_drafter_pearl;

const cop_drafter_type *const cop_drafters[] = {
    &cop_drafter_copy,
    &cop_drafter_input,
    &cop_drafter_trigram,
    &cop_drafter_recycle,
    &cop_drafter_pool,
    &cop_drafter_retrieve,
    &cop_drafter_model,
    &cop_drafter_pearl,
    &cop_drafter_translate,
    &cop_drafter_swift,
    NULL,
};

cop_status cop_drafter_find(const cop_drafter_type **out, const char *name, size_t bytes) {
    for (int i = 0; cop_drafters[i]; i++) {
        if (strlen(cop_drafters[i]->name) != bytes || memcmp(cop_drafters[i]->name, name, bytes)) continue;
        *out = cop_drafters[i];
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "drafter %.*s: not one of those that `coppice methods` lists", bytes > 40 ? 40 : (int)bytes, name);
}
