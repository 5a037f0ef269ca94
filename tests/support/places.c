#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

bool place_data(char path[PLACE_BYTES], const char *name) {
    const char *folder = variable("COPPICE_DATA");
    snprintf(path, PLACE_BYTES, "%s/%s", folder ? folder : "../shared/data", name);
    return !access(path, R_OK);
}

bool place_model(char path[PLACE_BYTES], const char *name) {
    const char *models = variable("COPPICE_MODELS"), *cache = variable("XDG_CACHE_HOME"), *home = variable("HOME");
    if (models) snprintf(path, PLACE_BYTES, "%s/%s.gguf", models, name);
    else if (cache) snprintf(path, PLACE_BYTES, "%s/coppice/models/%s.gguf", cache, name);
    else snprintf(path, PLACE_BYTES, "%s/.cache/coppice/models/%s.gguf", home ? home : "", name);
    return !access(path, R_OK);
}
