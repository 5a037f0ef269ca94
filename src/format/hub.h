// The public model hub: OWNER/NAME repositories, its cache folder in the layout that its own programs use, and
// fetching into it.
// Source: the hub's HTTP interface and the cache layout as huggingface_hub documents them:
//   models--OWNER--NAME/blobs/ETAG            the files, named by their SHA-256 or git hash
//   models--OWNER--NAME/snapshots/COMMIT/FILE links to them
//   models--OWNER--NAME/refs/main             the commit; written last, so a half-fetched one is never found
// Environment: HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE, HF_HOME. The token goes to the endpoint only.
#ifndef COP_FORMAT_HUB_H
#define COP_FORMAT_HUB_H

#include <stdbool.h>

#include "format/download.h"

#define COP_HUB_MOST_NAME 96  // of an owner or a repository, as the hub has it

typedef struct cop_hub_name {
    char owner[COP_HUB_MOST_NAME + 1], name[COP_HUB_MOST_NAME + 1];
    char file[256];  // "" when none is named; a file's name, or a part that only one .gguf has ("Q4_K_M")
} cop_hub_name;

/* OWNER/NAME or OWNER/NAME:FILE; false when the text is no such name. */
bool cop_hub_parse(cop_hub_name *out, const char *text);

/* HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
cop_status cop_hub_folder(char out[COP_PATH_MAX]);

/* The model of this name in the cache: a .gguf file or a folder. COP_ERR_NOT_FOUND names the remedy. */
cop_status cop_hub_locate(char out[COP_PATH_MAX], const cop_hub_name *name);
/* The folder of the snapshot that refs/main of models--OWNER--NAME names; false when `folder` is none such. */
bool cop_hub_snapshot(char out[COP_PATH_MAX], const char *folder);

typedef struct cop_hub_options {
    cop_progress_fn *progress;  // may be NULL
    void *user;
} cop_hub_options;

/* Fetch the files of a model: with a file named, that one; else of a repository of safetensors these and the
 * configuration and vocabulary, else its only .gguf. Each is checked by its hash; an interrupted fetch goes on where
 * it was. Writes what cop_hub_locate would give.
 * COP_ERR_NOT_FOUND for a repository or file that is not there or needs another token, COP_ERR_IO for network and
 * disk, COP_ERR_FORMAT for a wrong hash, COP_ERR_LIMIT for a full disk, COP_ERR_CANCELLED. */
cop_status cop_hub_pull(const cop_hub_name *name, const cop_hub_options *options, char out[COP_PATH_MAX]);

#endif
