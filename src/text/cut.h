// Cutting a text into the pieces that the model sees: the steps of a pipeline, each inside the pieces that
// the one before left.
#ifndef COP_TEXT_CUT_H
#define COP_TEXT_CUT_H

#include "text/pipeline_private.h"

typedef cop_status cop_cut_fn(void *arg, const char *text, size_t bytes);

// Buffers of a run, one set for each step.
typedef struct cop_cut_work {
    cop_pattern_work *match;
    cop_text_buffer text[COP_MAX_STEPS], spelt[COP_MAX_STEPS];
    cop_cut_fn *piece;
    void *arg;
} cop_cut_work;

/* Call piece for each piece of text, well-formed UTF-8.  first: the text begins where the whole input does. */
cop_status cop_cut_run(const cop_pipeline *p, cop_cut_work *w, const char *text, size_t bytes, bool first);
void cop_cut_work_fini(cop_cut_work *w);

void cop_cut_fini(cop_cut *c);

#endif
