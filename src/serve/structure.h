// From a question's structure and tools to the guide of its requests.
#ifndef COP_SERVE_STRUCTURE_H
#define COP_SERVE_STRUCTURE_H

#include "serve/server_private.h"

/* Submit a request under the question's guide. COP_ERR_LIMIT: the queue is full; other limits are COP_ERR_ARG. */
cop_status cop_structure_submit(cop_request **out, cop_server *s, const cop_question *q, cop_request_options *options);

#endif
