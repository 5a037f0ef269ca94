// SHA-256 of a stream (FIPS 180-4), and SHA-1 where git's hashes ask for it, by libcrypto. This file's .c is the only one that touches it.
#ifndef COP_FORMAT_SHA256_H
#define COP_FORMAT_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define COP_SHA256_HEX 65  // 64 digits and a NUL

typedef struct cop_sha256 {
    void *state;
} cop_sha256;

/* Begin a new hash; an object that is in use starts again. Zero the object before the first call.
 * COP_ERR_UNSUPPORTED when the build has no libcrypto. */
cop_status cop_sha256_init(cop_sha256 *hash);
cop_status cop_sha1_init(cop_sha256 *hash);  // the same object for SHA-1: 40 digits
cop_status cop_sha256_update(cop_sha256 *hash, const void *data, size_t n);
/* The hash of everything so far in lower-case digits; more may follow. */
cop_status cop_sha256_hex(const cop_sha256 *hash, char hex[COP_SHA256_HEX]);
void cop_sha256_fini(cop_sha256 *hash);  // accepts a zeroed object

#endif
