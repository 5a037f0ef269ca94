// Watching a session decode: drafted text in colours, and a file of every step's tree.
#ifndef COP_CLI_WATCH_H
#define COP_CLI_WATCH_H

#include "cli/cli.h"

typedef struct cop_cli_watch cop_cli_watch;

/* Options of the commands that write text. */
typedef struct cop_watch_args {
    const char *trace;
    bool show_draft;
} cop_watch_args;
#define COP_WATCH_ARGS(type, field)                                                                                                   \
    {0, "show-draft", COP_ARG_FLAG, offsetof(type, field.show_draft), 0, 0, NULL, "colour the tokens that drafters proposed, on a terminal"}, \
    {0, "trace", COP_ARG_TEXT, offsetof(type, field.trace), 0, 0, "FILE", "write every step's tree to FILE; `coppice trace` shows it"}

/* Watch `session` as the options ask. *out is NULL when they ask for nothing, which the others accept. */
cop_status cop_cli_watch_open(cop_cli_watch **out, cop_session *session, const cop_watch_args *args);

/* The sequence is the prompt; call before cop_session_generate. */
cop_status cop_cli_watch_begin(cop_cli_watch *w);

/* Write text that generate gave, each part in its drafter's colour. */
cop_status cop_cli_watch_text(cop_cli_watch *w, const char *text, size_t bytes);

/* After generate: what went wrong with the file, if anything did. */
cop_status cop_cli_watch_end(cop_cli_watch *w);
/* Before the session is closed; where the text went to a terminal, the legend. Accepts NULL. */
void cop_cli_watch_close(cop_cli_watch *w);

#endif
