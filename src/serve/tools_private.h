// What the files of tool calls share: the formats as data, and values on their way to JSON.
#ifndef COP_SERVE_TOOLS_PRIVATE_H
#define COP_SERVE_TOOLS_PRIVATE_H

#include "base/array.h"
#include "serve/tools.h"

typedef enum cop_call_style {
    COP_CALL_JSON,    // {"name": NAME, "arguments": {...}}; several, or a list of them
    COP_CALL_NAMED,   // NAME, a separator, {...}
    COP_CALL_TAGS,    // NAME and each parameter between tags
    COP_CALL_PYTHON,  // [NAME(KEY=VALUE, ...), ...]
} cop_call_style;

// Tags are as the templates write them. The parser also takes white space between the parts.
struct cop_tool_format {
    const char *name;
    cop_call_style style;
    const char *has[2];          // a template of this format holds these strings
    const char *section, *section_end;  // around all calls of an answer
    const char *begin[3];        // what a call begins with: any of them
    const char *end;             // behind a call, or behind the list of them
    const char *separator;       // NAMED, TAGS: behind the name
    const char *key, *key_end, *value, *value_end;  // TAGS: around a parameter's name and value
    bool lines;                  // TAGS: a value stands on lines of its own
    bool bare;                   // a text that begins with a call in JSON, without a tag, is one
    // What the language and the description of tools write: first OPEN name MIDDLE arguments CLOSE next OPEN ... last.
    const char *first, *open, *middle, *close, *next, *last;
    const char *trigger;         // in free text: behind these first bytes of first and open it has to be a call
};

struct cop_reasoning {
    const char *open, *close;
};

extern const cop_tool_format cop_tool_formats[];  // ends with one whose name is NULL

/* The member "function" of tools[i], or the tool itself when it is written flat. */
const json_t *cop_tool_function(const json_t *tool);
const json_t *cop_tool_named(const json_t *tools, const char *name);  // its function, or NULL
/* Is this parameter of the function a text, whatever it looks like? */
bool cop_tool_is_text(const json_t *tools, const char *function, const char *key);

// ---- JSON, recognised byte by byte ----

#define COP_SCAN_MOST_DEPTH 64

typedef struct cop_json_scan {
    uint8_t state, literal, literal_at, hex;
    bool key;              // the string that is read is a key
    bool high;             // a high surrogate came: its other half has to follow
    uint16_t unit;
    int depth;
    uint64_t objects;      // bit d: the container at depth d + 1 is an object
} cop_json_scan;

typedef enum cop_scan { COP_SCAN_MORE, COP_SCAN_DONE, COP_SCAN_BEFORE, COP_SCAN_BAD } cop_scan;  // BEFORE: ended before this byte

void cop_json_scan_start(cop_json_scan *s);
cop_scan cop_json_scan_byte(cop_json_scan *s, unsigned char c);
bool cop_json_scan_in_text(const cop_json_scan *s);
/* Can the value end here: a number may. */
bool cop_json_scan_may_end(const cop_json_scan *s);
bool cop_json_is_value(const char *text, size_t bytes);

// ---- values ----

/* Append one byte of a text as it stands in a JSON string. */
cop_status cop_json_put_escaped(cop_char_array *out, unsigned char c);
cop_status cop_json_put_string(cop_char_array *out, const char *text, size_t bytes);
cop_status cop_json_put_value(cop_char_array *out, const json_t *value);
/* Append a value that is written as JSON, as a literal of Python, or else as bare text: then it is a string. */
cop_status cop_value_to_json(cop_char_array *out, const char *text, size_t bytes);

#endif
