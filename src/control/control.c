// The table of controllers. One line per file of this folder.
#include "control/control.h"

#include <string.h>

extern const cop_controller_type cop_controller_fixed, cop_controller_auto, cop_controller_goodput, cop_controller_threshold,
    cop_controller_specdecpp;

const cop_controller_type *const cop_controllers[] = {
    &cop_controller_fixed, &cop_controller_auto, &cop_controller_goodput, &cop_controller_threshold, &cop_controller_specdecpp, NULL,
};

cop_status cop_controller_find(const cop_controller_type **out, const char *name, size_t bytes) {
    for (int i = 0; cop_controllers[i]; i++) {
        if (strlen(cop_controllers[i]->name) != bytes || memcmp(cop_controllers[i]->name, name, bytes)) continue;
        *out = cop_controllers[i];
        return COP_OK;
    }
    return cop_fail(COP_ERR_ARG, "controller %.*s: not one of those that `coppice methods` lists", bytes > 40 ? 40 : (int)bytes, name);
}
