// Where tests find what is not in the repository: data sets and real models.
#ifndef COP_TESTS_PLACES_H
#define COP_TESTS_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_BYTES 1024

/* The path of a file of the data sets: $COPPICE_DATA, or ../shared/data.  False when it is absent. */
bool place_data(char path[PLACE_BYTES], const char *name);
/* The path of a named model: $COPPICE_MODELS, or coppice/models in the user's cache.  False when absent. */
bool place_model(char path[PLACE_BYTES], const char *name);

#endif
