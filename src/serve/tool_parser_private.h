// The parser of streamed answers, for its two files: tool_parser.c has the free text, tool_call.c the calls.
#ifndef COP_SERVE_TOOL_PARSER_PRIVATE_H
#define COP_SERVE_TOOL_PARSER_PRIVATE_H

#include "serve/tools_private.h"

#define COP_PARSER_MOST_HELD ((size_t)1 << 20)   // bytes of a call that is not announced yet
#define COP_PARSER_MOST_BYTES ((size_t)1 << 26)  // of one piece with what is held
#define COP_PARSER_MOST_BLANKS 256                // white space that is held back before a tag that may come
#define COP_PARSER_MOST_NAME 256                 // bytes of the name of a function or of a parameter

typedef enum cop_parse_state {
    COP_PARSE_FREE,     // content or reasoning
    COP_PARSE_SECTION,  // behind the tag that opens all calls
    COP_PARSE_JSON,     // where an object or a list of them begins
    COP_PARSE_MEMBER, COP_PARSE_KEY, COP_PARSE_COLON, COP_PARSE_VALUE, COP_PARSE_IN_VALUE, COP_PARSE_BEHIND,  // in it
    COP_PARSE_AFTER,    // behind a call: its end tag, another call, or free text
    COP_PARSE_NAME,     // NAMED: up to {
    COP_PARSE_TAG_NAME, COP_PARSE_TAG_BODY, COP_PARSE_TAG_KEY, COP_PARSE_TAG_OPEN, COP_PARSE_TAG_VALUE,
    COP_PARSE_FUNCTION, COP_PARSE_ARGUMENT, COP_PARSE_LITERAL, COP_PARSE_NEXT  // PYTHON
} cop_parse_state;

typedef enum cop_member { COP_MEMBER_OTHER, COP_MEMBER_NAME, COP_MEMBER_ARGUMENTS, COP_MEMBER_ID } cop_member;

struct cop_tool_parser {
    cop_tool_parser_options options;
    cop_status status;
    cop_char_array buf;  // from mark on: not decided; at: the next byte
    size_t mark, at, from;  // from: where a tag may begin
    size_t blanks;       // white space at mark, before the tag of the call
    cop_parse_state state;
    bool reasoning, skip;  // skip: white space that comes next belongs to the tag before
    bool any_content, in_section;
    int calls, failures;

    cop_char_array out;  // the event that is collected
    cop_tool_event_kind out_kind;

    // The call.
    bool announced;      // its event was given
    bool bare, fence, list, single;  // without a tag; behind ```json; in a list; nothing else may follow
    char name[COP_PARSER_MOST_NAME + 1], key[COP_PARSER_MOST_NAME + 1], id[16];
    cop_json_scan scan, inner;  // of a member's value; of the JSON in a value that is a text
    cop_member member;
    bool as_text, arguments_seen;  // the arguments are JSON in a text
    int nest;            // an object "function" around name and arguments
    cop_char_array arguments;  // that came before the name
    cop_char_array value;      // of a member, a parameter, a tag
    char escape[8];      // in a text that holds JSON
    int n_escape;
    uint32_t high;       // its high surrogate

    // Parameters.
    bool is_text, first_byte, first;
    char quote;          // PYTHON: of the text that is read
    bool escaped;
    int depth;
    char line_end[64];
};

static inline bool cop_is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void cop_parser_put(cop_tool_parser *p, cop_tool_event_kind kind, const char *text, size_t bytes);
void cop_parser_announce(cop_tool_parser *p);  // p->name, p->id
void cop_parser_end_call(cop_tool_parser *p, bool complete);
/* This is no call, or no longer one: what is not decided is content. */
void cop_parser_fail(cop_tool_parser *p);
/* Back to free text, at mark. behind_tag: white space that comes next is not content. */
void cop_parser_free_text(cop_tool_parser *p, bool behind_tag);

typedef enum cop_match { COP_MATCH_NONE, COP_MATCH_PART, COP_MATCH_FULL } cop_match;
/* Is text one of the tags (NULL: none), or the beginning of one? */
cop_match cop_parser_match(const char *text, size_t bytes, const char *const *tags, int n, int *which);

void cop_parser_begin_call(cop_tool_parser *p);          // behind its tag
void cop_parser_read_call(cop_tool_parser *p, char c);   // one byte, consumed or not
void cop_parser_cut(cop_tool_parser *p);                 // the text ends in a call

#endif
