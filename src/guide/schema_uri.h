// Addresses inside a schema document and between those that are known.
#ifndef COP_GUIDE_SCHEMA_URI_H
#define COP_GUIDE_SCHEMA_URI_H

#include "guide/schema_private.h"

typedef struct schema_anchor {
    const struct schema_anchor *next;
    const char *name, *pointer;
    const json_t *j;
    bool dynamic;
} schema_anchor;

typedef struct schema_target {  // what a reference leads to
    const json_t *j;
    uint32_t resource;
    const char *pointer;
    const schema_anchor *anchor;  // when it was found by one
} schema_target;

/* `reference`, without fragment, as seen from `base`. */
cop_status cop_schema_join(schema *s, const char *base, const char *reference, const char **out);
/* Errors say what is wrong, without the reference. */
cop_status cop_schema_resolve(schema *s, const schema_node *from, const char *reference, schema_target *t);
const char *cop_schema_pointer(schema *s, const char *parent, const char *key);  // parent/key, escaped
uint32_t cop_schema_resource_at(const schema *s, const json_t *j);               // UINT32_MAX: it is not the root of one
const schema_anchor *cop_schema_anchor(const schema *s, uint32_t resource, const char *name);
/* Note the resources and anchors of a document. */
cop_status cop_schema_index(schema *s, const json_t *document, const char *uri);

cop_status cop_schema_node_of(schema *s, const json_t *j, uint32_t resource, uint32_t scope, const char *pointer, uint32_t *out);
cop_status cop_schema_child(schema *s, uint32_t parent, const json_t *j, const char *key, const char *key2, uint32_t *out);
schema_word cop_schema_find_word(const char *name, uint8_t draft);  // W_NONE: not a keyword of that draft
/* A keyword that is ignored: a warning, or a problem when `strict`. */
cop_status cop_schema_ignored(schema *s, const schema_node *n, const char *keyword, const char *what, bool strict);

#endif
