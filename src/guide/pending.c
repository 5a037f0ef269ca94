// Languages that are being built: each function here goes when its own file comes.
#include "guide/language.h"

cop_status cop_language_grammar(cop_language **out, const char *text, size_t bytes, const cop_vocab_trie *v) {
    (void)text, (void)bytes, (void)v;
    *out = NULL;
    return cop_fail(COP_ERR_UNSUPPORTED, "grammar: this build cannot");
}
