#include "engines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#ifndef COP_MINI_CMOCKA
#include <cmocka.h>
#endif

cop_engine *engines_open(const char *name, const char *level, int threads) {
    char path[128];
    snprintf(path, sizeof path, "tests/data/%s.gguf", name);
    cop_engine_options o = cop_engine_defaults();
    o.keep_packed = 0;
    o.threads = threads;
    o.cpu_level = level;
    o.draft_model = path;  // for the drafters that want one
    cop_engine *e;
    if (cop_engine_open(&e, path, &o)) fail_msg("%s", cop_error_text());
    return e;
}
