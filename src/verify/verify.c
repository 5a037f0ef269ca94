#include "verify/verify.h"

#include <string.h>

extern const cop_verifier_type cop_verifier_coupled, cop_verifier_rejection, cop_verifier_typical, cop_verifier_relaxed;

const cop_verifier_type *const cop_verifiers[] = {
    &cop_verifier_coupled, &cop_verifier_rejection, &cop_verifier_typical, &cop_verifier_relaxed, NULL,
};

cop_status cop_verifier_find(const cop_verifier_type **out, const char *name, size_t bytes) {
    for (int i = 0; cop_verifiers[i]; i++) {
        if (strlen(cop_verifiers[i]->name) != bytes || memcmp(cop_verifiers[i]->name, name, bytes)) continue;
        *out = cop_verifiers[i];
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "verifier %.*s: not one of those that `coppice methods` lists", bytes > 40 ? 40 : (int)bytes, name);
}
