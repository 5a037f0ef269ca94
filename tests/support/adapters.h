// Random adapters for any model.
#ifndef COP_TESTS_ADAPTERS_H
#define COP_TESTS_ADAPTERS_H

#include "model/adapter.h"

/* An adapter of this rank for the sites of COP_TEST_* in every layer that has them. Fails the test when it cannot. */
enum { COP_TEST_ATTENTION = 1, COP_TEST_MLP = 2, COP_TEST_OUTPUT = 4, COP_TEST_CONVOLUTION = 8, COP_TEST_ALL = 15 };
cop_adapter *cop_test_adapter(const cop_model *model, uint64_t seed, int rank, unsigned sites);

#endif
