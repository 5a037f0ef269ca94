// The official metaschemas that a schema may refer to.
#include "guide/schema_private.h"

const char *cop_schema_meta(const char *uri) {
    (void)uri;
    return NULL;
}
