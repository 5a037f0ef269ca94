#include "guide/grammar_private.h"
cop_status cop_gr_read_lark(cop_gr_source *s) { return cop_gr_fail(s, COP_ERR_UNSUPPORTED, "lark"); }
