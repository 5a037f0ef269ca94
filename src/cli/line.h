// Messages that a person types: with editing and history on a terminal, plain lines from anything else.
// A backslash at the end of a line, or """ around several, makes a message of more than one line.
#ifndef COP_CLI_LINE_H
#define COP_CLI_LINE_H

#include <stdbool.h>

#include "base/status.h"

#define COP_MOST_LINE ((size_t)16 << 20)  // bytes of a message

typedef struct cop_cli_line cop_cli_line;

/* From standard input.  Messages are edited when it and standard output are terminals. */
cop_status cop_cli_line_open(cop_cli_line **out);
void cop_cli_line_close(cop_cli_line *l);  // accepts NULL
bool cop_cli_line_edits(const cop_cli_line *l);

/* The next message, NUL-terminated, valid until the next call; NULL at the end of the input.  *interrupted:
 * Ctrl-C was typed, and what was typed before it is gone. */
cop_status cop_cli_line_read(cop_cli_line *l, const char **text, bool *interrupted);

#endif
