// From GGUF's names to those of a folder: the rules of folder_families.c, read from right to left.
#include <stdio.h>
#include <string.h>

#include "format/folder_private.h"

// Does the GGUF name fit the rule's right side? *layer -1: none; *rest: "", ".weight", ".bias".
static bool fits(const char *to, const char *name, long *layer, const char **rest) {
    *layer = -1;
    for (; *to; to++) {
        if (*to != '#') {
            if (*to != *name++) return false;
            continue;
        }
        const char *start = name;
        *layer = 0;
        while (*name >= '0' && *name <= '9' && name - start < 5) *layer = 10 * *layer + (*name++ - '0');
        if (name == start) return false;
    }
    *rest = name;
    return !*name || !strcmp(name, ".weight") || !strcmp(name, ".bias");
}

static cop_status write_name(char *out, const char *from, long layer, int64_t expert, const char *rest) {
    size_t at = 0, room = COP_SAFETENSORS_MOST_NAME + 1;
    for (; *from && at < room; from++) {
        if (*from == '#' || *from == '@') at += (size_t)snprintf(out + at, room - at, "%lld", *from == '#' ? (long long)layer : (long long)expert);
        else out[at++] = *from;
    }
    if (at < room) at += (size_t)snprintf(out + at, room - at, "%s", rest);
    return at < room ? COP_OK : cop_fail(COP_ERR_LIMIT, "a tensor's name of %zu bytes", at);
}

static bool is_overridden(const cop_folder_rule *rules, const char *from) {
    for (; rules && rules->from; rules++)
        if (!strcmp(rules->from, from)) return true;
    return false;
}

cop_status cop_folder_name_of(const char *model_type, const char *gguf, int64_t expert, char out[COP_SAFETENSORS_MOST_NAME + 1],
                              cop_folder_op *op) {
    const cop_folder_family *f = cop_folder_families;
    while (f->model_type && strcmp(f->model_type, model_type) != 0) f++;
    for (int common = 0; common < 2; common++)
        for (const cop_folder_rule *r = common ? cop_folder_common_rules : f->rules; f->model_type && r && r->from; r++) {
            long layer;
            const char *rest;
            if (!r->to || (common && is_overridden(f->rules, r->from)) || !fits(r->to, gguf, &layer, &rest)) continue;
            *op = r->op;
            return write_name(out, r->from, layer, expert, rest);
        }
    return cop_fail(COP_ERR_UNSUPPORTED, "tensor %s has no name in folders of %s", gguf, model_type);
}
