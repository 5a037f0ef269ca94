// Pages of web/, built into the command: each is its file as text, made by tools/page_text.
#ifndef COP_CLI_PAGE_H
#define COP_CLI_PAGE_H

extern const char cop_page_index[];  // the server's page
extern const char cop_page_trace[];  // the trace's JSON goes where @DATA@ stands

#endif
