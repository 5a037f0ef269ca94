// From a question's structure and tools to the guide of its requests.
#ifndef COP_SERVE_STRUCTURE_H
#define COP_SERVE_STRUCTURE_H

#include "serve/server_private.h"

typedef struct cop_kept_guide cop_kept_guide;

/* The guide that the replies to a question are written under; *out NULL: any text. What is wrong with the structure is
 * never COP_ERR_LIMIT. Guides are kept for later questions that ask for the same. */
cop_status cop_guide_for(cop_kept_guide **out, cop_server *s, cop_question *q);
void cop_guide_give_back(cop_server *s, cop_kept_guide *kept);  // when the requests are submitted; accepts NULL
/* It failed: whoever asks for the same gets a new one. */
void cop_guide_forget(cop_server *s, cop_kept_guide *kept);     // accepts NULL
cop_guide *cop_kept_guide_get(cop_kept_guide *kept);            // NULL for NULL

/* May the question draft as it says: options that name files are the operator's. */
cop_status cop_check_drafting(const cop_server *s, const cop_question *q);

void cop_kept_guides_close(cop_server *s);

#endif
