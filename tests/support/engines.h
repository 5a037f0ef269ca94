// Engines of the tiny models of tests/data, for tests of whole sessions.
#ifndef TESTS_SUPPORT_ENGINES_H
#define TESTS_SUPPORT_ENGINES_H

#include "coppice.h"

/* tests/data/NAME.gguf on so many threads, with itself as draft model and no packed file; the test fails when it does not
 * open. level: of the CPU, NULL for the best. */
cop_engine *engines_open(const char *name, const char *level, int threads);

#endif
