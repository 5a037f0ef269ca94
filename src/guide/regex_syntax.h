// A pattern as a tree, between the parser and the compiler.
#ifndef COP_GUIDE_REGEX_SYNTAX_H
#define COP_GUIDE_REGEX_SYNTAX_H

#include "guide/regex_private.h"

typedef enum cop_syntax_kind { COP_SYNTAX_CHARACTERS, COP_SYNTAX_CONCAT, COP_SYNTAX_OR, COP_SYNTAX_REPEAT, COP_SYNTAX_BEGIN,
                               COP_SYNTAX_END, COP_SYNTAX_WORD_EDGE, COP_SYNTAX_NO_WORD_EDGE, COP_SYNTAX_AHEAD,
                               COP_SYNTAX_NOT_AHEAD, COP_SYNTAX_BEHIND, COP_SYNTAX_NOT_BEHIND } cop_syntax_kind;

typedef struct cop_syntax {
    uint8_t kind;
    bool asserts;            // it, or what is in it, looks at what is around
    bool looks;              // … other than by ^ and $
    cop_rx rx;               // characters
    uint32_t low, high;      // repeat
    uint32_t first, last;    // parts, 0: none
    uint32_t next;           // the next part of the same whole
} cop_syntax;
typedef COP_ARRAY(cop_syntax) cop_syntax_tree;  // [0] is not used

cop_status cop_syntax_parse(cop_regex_set *set, const char *pattern, size_t bytes, cop_rx_how how, cop_syntax_tree *tree, uint32_t *root);
/* Releases nothing of the tree. */
cop_status cop_syntax_compile(cop_regex_set *set, const cop_syntax_tree *tree, uint32_t root, cop_rx_how how, cop_rx *out);

#endif
