// The data inside a Python package, opened as what it is: a zip (wheel) or a tar.gz (source package).
// The archive is hostile: no name in it becomes a path, every length is bounded, nothing is run.
// This file's .c is the only one that touches libarchive.
#ifndef COP_FORMAT_PACKAGE_H
#define COP_FORMAT_PACKAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef cop_status cop_package_sink(void *user, const void *data, size_t n);

/* Give the data members of the archive at `path` to `sink`, in the order of their names (numbers count
 * as numbers): the only *.gguf; else every data/ *.bin; else every data/ *.partNN.
 *   most  bytes that may come out; one more is COP_ERR_LIMIT
 * COP_ERR_FORMAT for an archive that is damaged or holds no data; the sink may have had bytes by then.
 * Reads the archive once for the names and once more per member. */
cop_status cop_package_read(const char *path, uint64_t most, cop_package_sink *sink, void *user);

#endif
