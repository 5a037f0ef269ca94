#include "verify/verify.h"

#include <string.h>

extern const cop_verifier_type cop_verifier_coupled;

const cop_verifier_type *const cop_verifiers[] = {&cop_verifier_coupled, NULL};

cop_status cop_verifier_find(const cop_verifier_type **out, const char *name) {
    for (int i = 0; cop_verifiers[i]; i++) {
        if (strcmp(cop_verifiers[i]->name, name)) continue;
        *out = cop_verifiers[i];
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "verifier %s: not one of those that `coppice methods` lists", name);
}
