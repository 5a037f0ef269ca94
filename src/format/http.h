// One HTTP GET at a time, by libcurl. This file's .c is the only one that touches it.
// Certificates are checked, redirects followed (never from https to http), and the token is not carried to
// another host. What the server sends is bounded by the caller: `write` may refuse.
#ifndef COP_FORMAT_HTTP_H
#define COP_FORMAT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct cop_http_request {
    const char *url;      // https://, or http:// when it begins so
    const char *token;    // bearer token, or NULL
    uint64_t from;        // ask for the bytes from here on
    /* Called once, before the first byte and only for a reply that has the content: it begins at byte `from`,
     * which is 0 when the server does not do ranges. */
    cop_status (*begin)(void *user, uint64_t from);
    cop_status (*write)(void *user, const void *data, size_t bytes);
    bool (*tick)(void *user);  // about ten times a second; false ends it with COP_ERR_CANCELLED
    void *user;
} cop_http_request;

/* *code is the reply's (0 when there was none). COP_OK only for 200 and 206 whose content arrived whole.
 * *transient: trying again may help. COP_ERR_UNSUPPORTED when the build has no libcurl. */
cop_status cop_http_get(const cop_http_request *request, long *code, bool *transient);

#endif
