#ifndef COP_FORMAT_HUB_PRIVATE_H
#define COP_FORMAT_HUB_PRIVATE_H

#include "format/hub.h"

cop_status cop_hub_path(char out[COP_PATH_MAX], const char *a, const char *b);  // a/b
cop_status cop_hub_repository(char out[COP_PATH_MAX], const cop_hub_name *name);  // its folder in the cache
bool cop_hub_is_file(const char *path);    // a plain relative path, at most 255 bytes
bool cop_hub_is_commit(const char *text);  // hexadecimal digits
bool cop_hub_is_gguf(const char *file);
bool cop_hub_fits(const char *file, const char *wanted);  // is it the file, or a .gguf with that part in its name
// Of a model in several .gguf files the first stands for all.
bool cop_hub_counts(const char *file);
bool cop_hub_same_set(const char *file, const char *wanted);  // are both parts of one model

#endif
