// Tool calls and reasoning in what a model writes: formats as data, a parser of streamed text, and the language
// that lets a model write nothing but calls that are valid.
//
// A format is chosen by the strings in the model's chat template. Sources: the published templates of the families.
// For the server, in this order:
//   1. format = cop_tool_format_find(template), reasoning = cop_reasoning_find(template), once for a model;
//   2. cop_tool_prepare(conversation, ...) before the conversation is rendered;
//   3. cop_tool_language(...) for the request's guide when tools are constrained or forbidden;
//   4. the stream must show the text of the control tokens that cop_tool_tokens names (Mistral's [TOOL_CALLS], <think>
//      where it is a control token); other control tokens stay hidden. Tokens that are merely user-defined, such as
//      Qwen's <tool_call>, are text already;
//   5. each piece of the stream goes to cop_tool_parser_push, its end to cop_tool_parser_finish.
#ifndef COP_SERVE_TOOLS_H
#define COP_SERVE_TOOLS_H

#include <jansson.h>

#include "guide/language.h"
#include "text/chat.h"

typedef struct cop_tool_format cop_tool_format;
typedef struct cop_reasoning cop_reasoning;

/* The format of a model with this chat template; never NULL: "generic" when nothing in it is known. template may be
 * NULL. */
const cop_tool_format *cop_tool_format_find(const char *template);
const cop_tool_format *cop_tool_format_named(const char *name);  // NULL: no such format
const char *cop_tool_format_name(const cop_tool_format *format);
/* The tags around reasoning, or NULL when the template has none. */
const cop_reasoning *cop_reasoning_find(const char *template);
/* Does the rendered prompt end inside reasoning: then the parser and the language start there. */
bool cop_reasoning_opened(const cop_reasoning *reasoning, const char *prompt, size_t bytes);  // reasoning may be NULL

/* The control tokens whose text the parser must see, at most `max`; their number. format and reasoning may be NULL. */
int cop_tool_tokens(const cop_tool_format *format, const cop_reasoning *reasoning, const cop_tokenizer *tok, int32_t *tokens,
                    int max);
#define COP_TOOL_MOST_TOKENS 16

/* Make a conversation ({"messages": [...], "tools": [...]} as cop_chat_render_json takes it) what the template expects,
 * in place: arguments of earlier calls that are JSON texts become objects; where the template knows no tools, they are
 * described in the system message, calls become text, and results become messages of the user. Checks the tools: each
 * {"type": "function", "function": {"name", "description", "parameters"}}; COP_ERR_ARG names what is wrong. */
cop_status cop_tool_prepare(json_t *conversation, const char *template, const cop_tool_format *format);

/* ---- the parser ---- */

typedef enum cop_tool_event_kind {
    COP_TOOL_CONTENT,    // text for the reader
    COP_TOOL_REASONING,  // text of the reasoning
    COP_TOOL_CALL,       // a call begins: name, id
    COP_TOOL_ARGUMENTS,  // a piece of its arguments, JSON
    COP_TOOL_CALL_END,   // complete: the arguments are one JSON object
} cop_tool_event_kind;

typedef struct cop_tool_event {
    cop_tool_event_kind kind;
    int call;          // number of the call, from 0
    const char *text;  // CONTENT, REASONING, ARGUMENTS: whole UTF-8 characters; CALL: the name. NUL-terminated
    size_t bytes;
    const char *id;    // CALL: 9 letters and digits; the model's own when it wrote one
    bool complete;     // CALL_END: false when the text ended or stopped being JSON inside the call
} cop_tool_event;

typedef struct cop_tool_parser_options {
    const cop_tool_format *format;   // NULL: no calls are looked for
    const cop_reasoning *reasoning;  // NULL: none is looked for
    bool reasoning_opened;           // the text begins inside reasoning
    const json_t *tools;             // the request's, for the types of parameters; borrowed, may be NULL
    uint64_t seed;                   // of the ids
    void (*event)(void *user, const cop_tool_event *event);  // what it points to is valid during the call
    void *user;
} cop_tool_parser_options;

typedef struct cop_tool_parser cop_tool_parser;

/* Text is cut anywhere between whole UTF-8 characters; events joined do not depend on the cuts. What may be the beginning
 * of a tag is held back until that is decided. No byte of content is lost but white space beside a tag. A tag that turns
 * out not to begin a call is content. */
cop_status cop_tool_parser_new(cop_tool_parser **out, const cop_tool_parser_options *options);
cop_status cop_tool_parser_push(cop_tool_parser *p, const char *text, size_t bytes);
cop_status cop_tool_parser_finish(cop_tool_parser *p);  // gives what is held back; a call that is open ends incomplete
int cop_tool_parser_calls(const cop_tool_parser *p);    // calls so far: finish_reason "tool_calls" when there are any
void cop_tool_parser_free(cop_tool_parser *p);          // accepts NULL

/* ---- the language ---- */

typedef enum cop_tool_choice { COP_TOOLS_AUTO, COP_TOOLS_NONE, COP_TOOLS_REQUIRED } cop_tool_choice;

typedef struct cop_tool_language_options {
    const cop_tool_format *format;
    const cop_reasoning *reasoning;
    bool reasoning_opened;
    const json_t *tools;       // borrowed during the call
    cop_tool_choice choice;    // NONE: calls are forbidden
    const char *only;          // with REQUIRED: one call of this function and nothing else; NULL: of any
    bool parallel;             // more than one call in an answer
    const cop_tokenizer *tok;  // for tags that are control tokens; NULL: all are text
    const cop_schema_options *schema;  // NULL: the defaults
} cop_tool_language_options;

/* Text in which every call is one of the tools, with arguments that its schema accepts, in the model's own format. A
 * schema that cannot be kept is refused: "tools[1] (get_weather): schema: ...". */
cop_status cop_tool_language(cop_language **out, const cop_tool_language_options *options);

#endif
