// What the files of the template interpreter share: values, the tree of a template, one rendering.
// Everything lives in arenas: the tree in the template's, values in the rendering's, freed at once.
// Values are immutable but for namespaces, loops, joiners and cyclers, so they are shared freely.
#ifndef COP_TEXT_JINJA_PRIVATE_H
#define COP_TEXT_JINJA_PRIVATE_H

#include <stdarg.h>
#include <string.h>

#include "text/jinja.h"
#include "text/tokenizer.h"

#define COP_JINJA_MOST_NESTING 200  // of brackets and blocks in a template, of lists in JSON
#define COP_JINJA_MOST_DEPTH 2000   // of evaluation: nesting, macros that call macros
#define COP_JINJA_MOST_PARAMS 8     // of a filter, test or method

typedef struct jrun jrun;
typedef struct jnode jnode;
typedef struct jmethod jmethod;
typedef struct jfunction jfunction;
typedef struct jscope jscope;

// ---- memory ----

typedef struct jchunk jchunk;
typedef struct jarena {
    jchunk *chunks;
    size_t total, most;  // bytes taken from the heap, and their ceiling
    const uint32_t *line;  // for messages, or NULL
} jarena;

/* Zeroed memory of the arena.  COP_ERR_LIMIT at its ceiling, COP_ERR_NOMEM. */
cop_status cop_jinja_take(jarena *arena, size_t bytes, void **out);
void cop_jinja_arena_fini(jarena *arena);
#define TAKE(arena, pointer) cop_jinja_take((arena), sizeof *(pointer), (void **)&(pointer))

// A growing text.
typedef struct jbuffer {
    char *v;
    size_t used, cap;
} jbuffer;
cop_status cop_jinja_put(jrun *r, jbuffer *b, const char *text, size_t bytes);
cop_status cop_jinja_put_text(jrun *r, jbuffer *b, const char *text);
cop_status cop_jinja_put_point(jrun *r, jbuffer *b, uint32_t point);  // as UTF-8

// ---- values ----

typedef enum jkind {
    J_UNDEFINED, J_NONE, J_BOOL, J_INT, J_FLOAT, J_TEXT, J_LIST, J_TUPLE, J_DICT, J_RANGE, J_KEYS, J_VALUES, J_ITEMS,
    J_GENERATOR, J_NAMESPACE, J_MACRO, J_METHOD, J_FUNCTION, J_LOOP, J_JOINER, J_CYCLER
} jkind;

typedef struct jtext {
    const char *v;    // UTF-8, not NUL-terminated
    size_t n;         // bytes
    size_t points;    // code points
    jbuffer *buffer;  // that v lies at the beginning of, so that appending to the newest text copies nothing; or NULL
} jtext;

typedef enum jwhy { J_WHY_NAME, J_WHY_ATTRIBUTE, J_WHY_ELEMENT, J_WHY_UNSAFE, J_WHY_CONDITION, J_WHY_EMPTY, J_WHY_PARAMETER } jwhy;  // of an undefined

typedef struct jvalue {
    uint8_t kind;    // jkind
    uint8_t markup;  // text: marked safe, so joining it with other text escapes that
    uint8_t why;     // undefined: jwhy
    uint8_t owner;   // undefined attribute: kind of the object; tuple: J_DICT for a group of groupby
    union {
        bool b;
        int64_t i;
        double f;
        const jtext *text;        // also the name of an undefined, or NULL
        struct jlist *list;       // list, tuple, generator
        struct jdict *dict;       // dict and its views, namespace
        struct jrange *range;
        struct jmacro *macro;
        struct jbound *method;
        const jfunction *function;
        struct jloop *loop;
        struct jturn *turn;       // joiner, cycler
    };
} jvalue;

typedef struct jlist {
    jvalue *v;
    size_t n, cap;
    size_t at;  // generator: elements before it are used up
} jlist;

typedef struct jpair {
    jvalue key, value;
} jpair;
typedef struct jdict {
    jpair *v;         // in order of insertion
    size_t n, cap;
    uint32_t *slots;  // [n_slots] 1 + place in v, or 0; NULL while there are few
    size_t n_slots;
} jdict;

typedef struct jrange {
    int64_t start, stop, step;
    size_t n;
} jrange;
typedef struct jmacro {
    const jnode *node;  // N_MACRO or N_CALL_BLOCK
    jscope *scope;      // where it was defined
} jmacro;
typedef struct jbound {
    jvalue self;
    const jmethod *method;
} jbound;
typedef struct jloop {
    const jnode *node;
    jscope *scope;      // around the loop
    jlist *items;
    size_t at, depth;
    jvalue changed;     // what loop.changed saw last
    bool has_changed;
} jloop;
typedef struct jturn {
    jvalue separator;   // joiner
    jlist *items;       // cycler
    size_t at;
} jturn;

#define J_NOTHING ((jvalue){.kind = J_NONE})
static inline jvalue cop_jinja_bool(bool b) { return (jvalue){.kind = J_BOOL, .b = b}; }
static inline jvalue cop_jinja_int(int64_t i) { return (jvalue){.kind = J_INT, .i = i}; }
static inline jvalue cop_jinja_float(double f) { return (jvalue){.kind = J_FLOAT, .f = f}; }
static inline jvalue cop_jinja_text(const jtext *t) { return (jvalue){.kind = J_TEXT, .text = t}; }
static inline jvalue cop_jinja_list(jlist *l, jkind kind) { return (jvalue){.kind = (uint8_t)kind, .list = l}; }
static inline jvalue cop_jinja_undefined(jwhy why, jkind owner, const jtext *name) {
    return (jvalue){.kind = J_UNDEFINED, .why = (uint8_t)why, .owner = (uint8_t)owner, .text = name};
}
static inline bool cop_jinja_is_text(jvalue v, const char *text) {
    return v.kind == J_TEXT && v.text->n == strlen(text) && !memcmp(v.text->v, text, v.text->n);
}

/* How much of a name fits into a message, for %.*s. */
static inline int cop_jinja_shown(const jtext *t) { return t->n > 60 ? 60 : (int)t->n; }

// ---- the tree ----

typedef enum jnode_kind {
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTRIBUTE, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT, N_MINUS, N_PLUS,
    N_AND, N_OR, N_BINARY, N_CONCAT, N_COMPARE, N_CONDITION, N_CAPTURED, N_FIELD,
    N_DATA, N_PRINT, N_IF, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_WITH, N_BODY, N_BREAK, N_CONTINUE
} jnode_kind;

typedef enum jop { OP_ADD = 1, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN } jop;

typedef struct jnodes {
    jnode **v;
    size_t n, cap;
} jnodes;

typedef struct jkeyword {
    const jtext *name;
    jnode *value;
    struct jkeyword *next;
} jkeyword;

// Which fields a kind uses is said where the parser makes it.
struct jnode {
    uint8_t kind, op;
    bool flag;
    uint32_t line;
    int symbol;               // N_NAME, N_FIELD, N_MACRO: number of the name
    jnode *a, *b, *c;
    jnodes list, body, other;
    jkeyword *keywords;
    const jtext *name;
    const void *callee;       // N_FILTER, N_TEST: table row, or NULL: unknown
    jvalue value;             // N_CONST, N_DATA
};

struct cop_jinja {
    jarena arena;
    jnode *root;              // N_BODY
    const jtext **symbols;    // [n_symbols] names of variables
    size_t n_symbols;
    size_t cap_symbols;
};

// Names that have a meaning in a macro; op of N_MACRO says which of them it uses.
enum { COP_JINJA_VARARGS = 1, COP_JINJA_KWARGS = 2, COP_JINJA_CALLER = 4 };

// ---- tokens ----

typedef enum jtoken_kind {
    T_END, T_DATA, T_PRINT_BEGIN, T_PRINT_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_TEXT, T_INT, T_FLOAT,
    T_ADD, T_SUB, T_MUL, T_DIV, T_FLOORDIV, T_MOD, T_POW, T_TILDE, T_EQ, T_NE, T_LT, T_LE, T_GT, T_GE, T_ASSIGN, T_DOT, T_COLON,
    T_PIPE, T_COMMA, T_SEMICOLON, T_LPAREN, T_RPAREN, T_LBRACKET, T_RBRACKET, T_LBRACE, T_RBRACE
} jtoken_kind;

typedef struct jtoken {
    jtoken_kind kind;
    uint32_t line;
    const char *v;   // as written; T_DATA, T_TEXT: what it stands for
    size_t n;
    double number;   // T_FLOAT
    int64_t integer; // T_INT
} jtoken;

typedef struct jtokens {
    jtoken *v;
    size_t n, cap;
} jtokens;

/* jinja_lexer.c: the tokens of a template, the last of them T_END. */
cop_status cop_jinja_tokenise(jarena *arena, const char *text, size_t bytes, jtokens *out);

typedef struct jparser {
    cop_jinja *t;
    const jtoken *token;     // the current one
    int depth, loops;
    int specials;            // COP_JINJA_… names that the macro being parsed uses
    bool soft;               // directly inside an if: an unknown filter fails only where it is used
    jnode **maybe;           // unknown filters and tests that no condition guards
    size_t n_maybe, cap_maybe;
} jparser;

/* jinja_parser.c: expressions. */
cop_status cop_jinja_parse_expression(jparser *p, jnode **out);
cop_status cop_jinja_parse_tuple(jparser *p, bool parentheses, jnode **out);
cop_status cop_jinja_parse_iterable(jparser *p, jnode **out);
cop_status cop_jinja_parse_target(jparser *p, bool field, jnode **out);
cop_status cop_jinja_parse_filters(jparser *p, jnode *base, bool inlined, jnode **out);
cop_status cop_jinja_node(jparser *p, jnode_kind kind, uint32_t line, jnode **out);
cop_status cop_jinja_add_node(jparser *p, jnodes *list, jnode *node);
cop_status cop_jinja_symbol(jparser *p, const char *name, size_t bytes, int *out);
cop_status cop_jinja_expect(jparser *p, jtoken_kind kind, const char *what);
cop_status cop_jinja_syntax(const jtoken *at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool cop_jinja_at_name(const jparser *p, const char *name) {
    return p->token->kind == T_NAME && p->token->n == strlen(name) && !memcmp(p->token->v, name, p->token->n);
}
// ---- a rendering ----

// Variables of a block.  The outermost scope holds an entry for every name of the template.
struct jscope {
    jscope *parent;
    int *names;
    jvalue *v;
    size_t n, cap;
    bool captured;  // by a macro: must outlive its block
    bool root;
};

struct jrun {
    jarena arena;
    const cop_jinja *t;
    const cop_jinja_options *options;
    int64_t steps;
    uint32_t line;       // being evaluated, for messages
    int depth;
    jscope *scope;
    jbuffer *out;        // where printed text goes
    jbuffer output;      // the rendered text
    jvalue captured;     // what N_CAPTURED stands for
    jnode_kind jump;     // N_BREAK, N_CONTINUE while leaving a loop's body; 0: none
    int calls;           // macros and recursive loops inside one another
    int loop_symbol;     // number of the name loop, or -1
    jtext ascii[128];    // one-letter texts
    char letters[128];
};

// What a call brings.  Positional arguments first; names[i] is the keyword of v[i], or NULL.
typedef struct jargs {
    jvalue *v;
    const jtext **names;
    size_t n, cap;
} jargs;

// Arguments bound to parameters by place or name.
typedef struct jbinding {
    jvalue v[COP_JINJA_MOST_PARAMS];
    bool given[COP_JINJA_MOST_PARAMS];
    const jargs *all;  // as they came
} jbinding;

typedef cop_status jcallee(jrun *r, jvalue self, const jbinding *args, jvalue *out);

// A row of a table.  params: names separated by spaces; "*": whatever comes (args->all).
typedef struct jfilter {
    const char *name, *params;
    size_t required;
    jcallee *call;
} jfilter;
typedef struct jtest {
    const char *name;
    size_t n_args;
    cop_status (*call)(jrun *r, jvalue self, const jvalue *args, bool *out);
} jtest;
struct jmethod {
    const char *name, *params;
    size_t required;
    jcallee *call;  // NULL: known to exist, not supported
};
struct jfunction {
    const char *name, *params;
    size_t required;
    jcallee *call;
};

/* A failure in the line being evaluated; line ends and control characters become spaces. */
cop_status cop_jinja_fail(const jrun *r, cop_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
cop_status cop_jinja_fail_undefined(const jrun *r, jvalue v);  // "'x' is undefined" and its like
/* n steps more; COP_ERR_LIMIT when there were too many. */
cop_status cop_jinja_charge(jrun *r, size_t n);

/* jinja_values.c */
const char *cop_jinja_type_name(jvalue v);
cop_status cop_jinja_new_text(jrun *r, const char *v, size_t n, jvalue *out);     // copies
cop_status cop_jinja_view_text(jrun *r, const char *v, size_t n, jvalue *out);    // v outlives the rendering
cop_status cop_jinja_buffer_text(jrun *r, jbuffer *b, jvalue *out);               // takes what the buffer holds
cop_status cop_jinja_join_texts(jrun *r, const jtext *a, const jtext *b, jvalue *out);
size_t cop_jinja_count_points(const char *v, size_t n);
size_t cop_jinja_point_offset(const jtext *t, size_t point);  // byte offset of a code point
bool cop_jinja_is_blank(uint32_t point);                      // what Python's str.isspace says
cop_status cop_jinja_new_list(jrun *r, size_t cap, jlist **out);
cop_status cop_jinja_push(jrun *r, jlist *l, jvalue v);
cop_status cop_jinja_new_dict(jrun *r, jdict **out);
cop_status cop_jinja_dict_set(jrun *r, jdict *d, jvalue key, jvalue value);
cop_status cop_jinja_dict_get(jrun *r, const jdict *d, jvalue key, const jvalue **out);  // NULL: absent
cop_status cop_jinja_dict_find(jrun *r, const jdict *d, const char *name, size_t bytes, const jvalue **out);
cop_status cop_jinja_equal(jrun *r, jvalue a, jvalue b, bool *out);
cop_status cop_jinja_order(jrun *r, jvalue a, jvalue b, const char *op, int *out);  // -1, 0, 1; 2: unordered
cop_status cop_jinja_truth(jrun *r, jvalue v, bool *out);
bool cop_jinja_number(jvalue v, double *out);  // bool, int, float
bool cop_jinja_integer(jvalue v, int64_t *out);  // bool, int

/* jinja_print.c */
cop_status cop_jinja_put_value(jrun *r, jbuffer *b, jvalue v);  // as str()
cop_status cop_jinja_put_repr(jrun *r, jbuffer *b, jvalue v);   // as repr()
cop_status cop_jinja_str(jrun *r, jvalue v, jvalue *out);       // the value as a text
size_t cop_jinja_print_float(double f, char out[32]);           // as repr()
cop_status cop_jinja_to_json(jrun *r, jvalue self, const jbinding *args, jvalue *out);
cop_status cop_jinja_from_json(jrun *r, const json_t *json, jvalue *out);
cop_status cop_jinja_escape(jrun *r, jvalue text, jvalue *out);  // for HTML; a marked text as it is

/* jinja_format.c */
cop_status cop_jinja_percent(jrun *r, jvalue format, jvalue args, jvalue *out);              // format % args
cop_status cop_jinja_braces(jrun *r, jvalue self, const jbinding *args, jvalue *out);        // str.format

/* jinja_access.c */
cop_status cop_jinja_attribute(jrun *r, jvalue object, const jtext *name, jvalue *out);
cop_status cop_jinja_item(jrun *r, jvalue object, jvalue key, jvalue *out);
cop_status cop_jinja_slice(jrun *r, jvalue object, const jvalue bounds[3], jvalue *out);
cop_status cop_jinja_contains(jrun *r, jvalue container, jvalue v, bool *out);
cop_status cop_jinja_elements(jrun *r, jvalue v, jlist **out);  // what iterating gives; uses a generator up
bool cop_jinja_iterable(jvalue v);
cop_status cop_jinja_length(jrun *r, jvalue v, size_t *out);
/* "a.b.0" as map and selectattr take it; otherwise (may be NULL): what an absent part stands for. */
cop_status cop_jinja_path(jrun *r, jvalue object, jvalue path, const jvalue *otherwise, jvalue *out);

/* jinja_expressions.c */
cop_status cop_jinja_eval(jrun *r, const jnode *n, jvalue *out);
cop_status cop_jinja_arguments(jrun *r, const jnode *n, jargs *out);
cop_status cop_jinja_add_argument(jrun *r, jargs *args, const jtext *name, jvalue v);
cop_status cop_jinja_call(jrun *r, jvalue callee, const jargs *args, jvalue *out);
cop_status cop_jinja_bind(jrun *r, const char *what, const char *name, const char *params, size_t required, const jargs *args, jbinding *out);
cop_status cop_jinja_apply(jrun *r, const jfilter *filter, jvalue self, const jargs *args, jvalue *out);
cop_status cop_jinja_check(jrun *r, const jtest *test, jvalue self, const jargs *args, bool *out);
cop_status cop_jinja_binary(jrun *r, jop op, jvalue a, jvalue b, jvalue *out);
cop_status cop_jinja_compare(jrun *r, jop op, jvalue a, jvalue b, bool *out);

/* jinja_run.c: statements */
cop_status cop_jinja_call_macro(jrun *r, const jmacro *m, const jargs *args, const jvalue *caller, jvalue *out);
cop_status cop_jinja_call_loop(jrun *r, const jloop *loop, jvalue items, jvalue *out);

/* jinja_filters.c, jinja_sequences.c, jinja_tests.c, jinja_methods.c, jinja_functions.c */
const jfilter *cop_jinja_find_filter(const char *name, size_t bytes);
const jfilter *cop_jinja_find_sequence_filter(const char *name, size_t bytes);
const jtest *cop_jinja_find_test(const char *name, size_t bytes);
const jmethod *cop_jinja_find_method(jvalue object, const jtext *name, bool *unsafe);
const jmethod *cop_jinja_find_text_method(const jtext *name);
const jfunction *cop_jinja_find_function(const jtext *name);
const jmethod *cop_jinja_find_row(const jmethod *table, const jtext *name);
cop_status cop_jinja_strip(jrun *r, jvalue text, const jvalue *chars, bool left, bool right, jvalue *out);
cop_status cop_jinja_change_case(jrun *r, jvalue text, const char *how, jvalue *out);  // upper, lower, title, capitalize, swapcase
cop_status cop_jinja_replace(jrun *r, jvalue text, jvalue old, jvalue new, int64_t count, jvalue *out);
cop_status cop_jinja_split_lines(jrun *r, jvalue text, bool keep, jlist **out);
cop_status cop_jinja_sort(jrun *r, jlist *keys, jlist *values, bool reverse);  // stable, values by keys

#endif
