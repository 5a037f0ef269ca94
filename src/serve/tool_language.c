// The language of an answer with tools: a graph of places (guide/tags.h) made from a format's row and the request's
// tools. Calls are constrained to the model's own form; arguments are the tool's JSON Schema, or for the forms without
// JSON a list of parameters whose values are.
#include <string.h>

#include "guide/tags.h"
#include "serve/tools_private.h"

#define MOST_TOOLS 128
#define MOST_PARAMETERS 64
#define MOST_BYTES ((size_t)1 << 22)  // of names, and of a schema

typedef COP_ARRAY(int32_t) symbol_array;

// Edges of one place. Their texts lie in one array as it grows, so they are known by where they begin until the end.
typedef struct draft_edge {
    size_t begin, n_begin, end, n_end, n_trigger;
    int inner, to;
} draft_edge;

typedef struct draft_place {
    cop_tag_place place;
    COP_ARRAY(draft_edge) edges;
} draft_place;

typedef struct draft {
    const cop_tokenizer *tok;
    symbol_array symbols;
    COP_ARRAY(draft_place) places;
    COP_ARRAY(cop_language *) inner;
    COP_ARRAY(cop_tag_edge) edges;
} draft;

static void forget(draft *d) {
    for (size_t i = 0; i < d->inner.n; i++) d->inner.v[i]->type->close(d->inner.v[i]);
    for (size_t i = 0; i < d->places.n; i++) cop_array_fini(&d->places.v[i].edges);
    cop_array_fini(&d->places);
    cop_array_fini(&d->symbols);
    cop_array_fini(&d->inner);
    cop_array_fini(&d->edges);
}

static cop_status add_place(draft *d, bool free, bool accepting, int otherwise) {
    draft_place p = {.place = {.free = free, .accepting = accepting, .otherwise = otherwise}, .edges = {.most = COP_TAG_MOST_SYMBOLS}};
    return cop_array_push(&d->places, p);
}

// Append a text; what spells a control token becomes that token.
static cop_status add_text(draft *d, const char *text) {
    size_t n = strlen(text);
    if (d->symbols.n > MOST_BYTES) return cop_fail(COP_ERR_LIMIT, "tools: more than %zu bytes of names", MOST_BYTES);
    for (size_t i = 0; i < n; i++) {
        int32_t symbol = (uint8_t)text[i];
        for (size_t end = n < i + 64 ? n : i + 64; d->tok && (text[i] == '<' || text[i] == '[') && end > i + 1; end--) {
            int32_t id = cop_tokenizer_find(d->tok, text + i, end - i);
            if (id < 0 || !cop_tokenizer_is_control(d->tok, id)) continue;
            symbol = COP_GUIDE_TOKEN + id;
            i = end - 1;
            break;
        }
        COP_TRY(cop_array_push(&d->symbols, symbol));
    }
    return COP_OK;
}

// An edge whose begin and end are the texts of two lists that end with NULL; its trigger is as long as `trigger` is.
static cop_status add_edge(draft *d, int place, const char *const *begin, const char *trigger, int inner, const char *const *end, int to) {
    draft_edge e = {.begin = d->symbols.n, .inner = inner, .to = to};
    COP_TRY(add_text(d, trigger));
    e.n_trigger = d->symbols.n - e.begin;
    d->symbols.n = e.begin;
    for (; begin && *begin; begin++) COP_TRY(add_text(d, *begin));
    e.n_begin = d->symbols.n - e.begin;
    e.end = d->symbols.n;
    for (; end && *end; end++) COP_TRY(add_text(d, *end));
    e.n_end = d->symbols.n - e.end;
    if (!e.n_trigger || e.n_trigger > e.n_begin) e.n_trigger = e.n_begin;
    return cop_array_push(&d->places.v[place].edges, e);
}

static cop_status finish(draft *d, cop_language **out) {
    size_t n = 0;
    for (size_t i = 0; i < d->places.n; i++) n += d->places.v[i].edges.n;
    COP_TRY(cop_array_reserve(&d->edges, n + 1));
    cop_tag_place *places = cop_alloc_array(d->places.n, sizeof *places);
    if (!places) return cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    for (size_t i = 0; i < d->places.n; i++) {
        const draft_place *p = &d->places.v[i];
        places[i] = p->place;
        places[i].edges = d->edges.v + d->edges.n;
        places[i].n_edges = p->edges.n;
        for (size_t k = 0; k < p->edges.n; k++) {
            const draft_edge *e = &p->edges.v[k];
            d->edges.v[d->edges.n++] = (cop_tag_edge){.begin = d->symbols.v + e->begin, .n_begin = e->n_begin, .n_trigger = e->n_trigger,
                                                      .end = d->symbols.v + e->end, .n_end = e->n_end, .inner = e->inner, .to = e->to};
        }
    }
    int n_inner = (int)d->inner.n;
    d->inner.n = 0;  // taken
    cop_status st = cop_language_tags(out, d->inner.v, n_inner, places, (int)d->places.n);
    cop_free(places);
    return st;
}

// ---- arguments ----

static cop_status schema_language(cop_language **out, const json_t *schema, const cop_schema_options *options) {
    cop_char_array text = {.most = MOST_BYTES};
    cop_status st = cop_json_put_value(&text, schema);
    if (!st) st = cop_language_json_schema(out, text.v, text.n, options, NULL, NULL);
    cop_array_fini(&text);
    return st;
}

// Arguments are an object, whether the schema says so or not.
static cop_status object_language(cop_language **out, const json_t *function, const cop_schema_options *options) {
    const json_t *parameters = json_object_get(function, "parameters");
    json_t *schema = json_is_object(parameters) ? json_copy((json_t *)parameters) : json_object();
    if (!schema) return cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    cop_status st = COP_OK;
    if (!json_object_get(schema, "type") && json_object_set_new(schema, "type", json_string("object"))) st = cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    if (!st) st = schema_language(out, schema, options);
    json_decref(schema);
    return st;
}

// The schema of one parameter, with what its references may mean.
static cop_status parameter_language(cop_language **out, const json_t *parameters, const json_t *property, const cop_schema_options *options) {
    static const char *const shared[] = {"$defs", "definitions", "$schema"};
    if (!json_is_object(property)) return schema_language(out, property, options);
    json_t *schema = json_copy((json_t *)property);
    cop_status st = schema ? COP_OK : cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    for (size_t i = 0; i < 3 && !st; i++) {
        json_t *member = json_object_get(parameters, shared[i]);
        if (member && !json_object_get(schema, shared[i]) && json_object_set(schema, shared[i], member)) st = cop_fail(COP_ERR_NOMEM, "tools: cannot allocate");
    }
    if (!st) st = schema_language(out, schema, options);
    json_decref(schema);
    return st;
}

static bool is_required(const json_t *parameters, const char *key) {
    const json_t *list = json_object_get(parameters, "required");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && !strcmp(name, key)) return true;
    }
    return false;
}

// What is known of a parameter wherever it comes: its language, or the place of its text.
typedef struct parameter {
    const char *key;
    bool required, is_text;
    int inner, inside;
} parameter;

// One edge for each of the texts that it may be.
static cop_status add_values(draft *d, int from, const char *const *begin, const json_t *values, const char *const *end, int to) {
    for (size_t i = 0; i < json_array_size(values); i++) {
        const char *text = json_string_value(json_array_get(values, i)), *other = NULL;
        for (size_t k = 0; k < i && text; k++)
            if ((other = json_string_value(json_array_get(values, k))) && !strcmp(other, text)) text = NULL;
        const char *whole[] = {begin[0], begin[1], begin[2], begin[3], begin[4], text, end[0], end[1], end[2], NULL};
        if (text) COP_TRY(add_edge(d, from, whole, "", -1, NULL, to));
    }
    return COP_OK;
}

static cop_status add_parameter(draft *d, const cop_tool_language_options *o, const json_t *parameters, parameter *p, int from, int to,
                                const char *separator) {
    const cop_tool_format *f = o->format;
    const json_t *property = json_object_get(json_object_get(parameters, "properties"), p->key), *values = json_object_get(property, "enum");
    const char *gap = f->lines || f->value ? "\n" : "", *line = f->lines ? "\n" : "";
    const char *tags[] = {f->key, p->key, f->key_end, gap, f->value ? f->value : "", NULL}, *tags_end[] = {line, f->value_end, "\n", NULL};
    const char *assign[] = {separator, p->key, "=", NULL};
    if (p->is_text && json_array_size(values)) return add_values(d, from, tags, values, tags_end, to);
    if (p->is_text) {  // any text up to the tag
        if (p->inside < 0) {
            COP_TRY(add_place(d, true, false, -1));
            p->inside = (int)d->places.n - 1;
            COP_TRY(add_edge(d, p->inside, tags_end, "", -1, NULL, to));
        }
        return add_edge(d, from, tags, "", -1, NULL, p->inside);
    }
    if (p->inner < 0) {
        cop_language *value = NULL;
        COP_TRY(parameter_language(&value, parameters, property, o->schema));
        cop_status st = cop_array_push(&d->inner, value);
        if (st) {
            value->type->close(value);
            return st;
        }
        p->inner = (int)d->inner.n - 1;
    }
    if (f->style == COP_CALL_PYTHON) return add_edge(d, from, assign, "", p->inner, NULL, to);
    return add_edge(d, from, tags, "", p->inner, tags_end, to);
}

static int list_parameters(const cop_tool_language_options *o, const json_t *function, parameter *list) {
    const json_t *parameters = json_object_get(function, "parameters"), *properties = json_object_get(parameters, "properties");
    const char *name = json_string_value(json_object_get(function, "name")), *key;
    json_t *value;
    int n = 0;
    json_object_foreach((json_t *)properties, key, value) {
        if (n == MOST_PARAMETERS) return n + 1;
        bool is_text = o->format->style == COP_CALL_TAGS && cop_tool_is_text(o->tools, name, key);
        list[n++] = (parameter){key, is_required(parameters, key), is_text, -1, -1};
    }
    return n;
}

// Parameters in the schema's order, those that are not required perhaps left out. Place 2 i, or 2 i + 1 when one came
// before, is where parameter i may come.
static cop_status parameters_language(cop_language **out, const cop_tool_language_options *o, const json_t *function) {
    draft d = {.places = {.most = 1000}, .symbols = {.most = COP_TAG_MOST_SYMBOLS}, .inner = {.most = 1000}, .edges = {.most = 100000}};
    parameter list[MOST_PARAMETERS];
    int n = list_parameters(o, function, list);
    if (n > MOST_PARAMETERS) return cop_fail(COP_ERR_LIMIT, "more than %d parameters", MOST_PARAMETERS);
    cop_status st = COP_OK;
    for (int i = 0; i < 2 * (n + 1) && !st; i++) {
        bool may_end = true;
        for (int k = i / 2; k < n; k++) may_end = may_end && !list[k].required;
        st = add_place(&d, false, may_end, -1);
    }
    for (int i = 0; i < 2 * n && !st; i++)
        for (int k = i / 2; k < n && !st; k++) {
            st = add_parameter(&d, o, json_object_get(function, "parameters"), &list[k], i, 2 * k + 3, i % 2 ? ", " : "");
            if (list[k].required) break;
        }
    if (!st) st = finish(&d, out);
    forget(&d);
    return st;
}

static cop_status arguments_language(cop_language **out, const cop_tool_language_options *o, const json_t *function) {
    bool json = o->format->style == COP_CALL_JSON || o->format->style == COP_CALL_NAMED;
    return json ? object_language(out, function, o->schema) : parameters_language(out, o, function);
}

// ---- the answer ----

// Where the text begins is the first place.
enum { FIRST, THINKING, ANSWER, MORE, DONE };
static int first_place(const cop_tool_language_options *o) { return o->reasoning && o->reasoning_opened ? THINKING : FIRST; }
static int thinking_place(const cop_tool_language_options *o) { return o->reasoning && o->reasoning_opened ? FIRST : THINKING; }

static bool is_offered(const cop_tool_language_options *o, const json_t *function) {
    const char *name = json_string_value(json_object_get(function, "name"));
    return name && (!o->only || !strcmp(o->only, name));
}

// One edge for each tool, behind `lead`. The inner languages are in the order of the tools.
static cop_status add_calls(draft *d, const cop_tool_language_options *o, int place, const char *lead, const char *trigger, bool first) {
    const cop_tool_format *f = o->format;
    const char *end[] = {f->close, o->parallel ? "" : f->last, NULL};
    int inner = 0;
    for (size_t i = 0; i < json_array_size(o->tools); i++) {
        const json_t *function = cop_tool_function(json_array_get(o->tools, i));
        if (!is_offered(o, function)) continue;
        const char *begin[] = {lead, first ? f->first : f->next, f->open, json_string_value(json_object_get(function, "name")), f->middle, NULL};
        COP_TRY(add_edge(d, place, begin, trigger, inner++, end, o->parallel ? MORE : DONE));
    }
    return COP_OK;
}

static cop_status forbid(draft *d, int place, const char *text) {
    const char *begin[] = {text, NULL};
    return add_edge(d, place, begin, "", -1, NULL, COP_TAG_FORBIDDEN);
}

static cop_status add_reasoning(draft *d, const cop_tool_language_options *o, int place) {
    const char *open[] = {o->reasoning ? o->reasoning->open : "", NULL};
    return o->reasoning ? add_edge(d, place, open, "", -1, NULL, thinking_place(o)) : COP_OK;
}

static cop_status add_thinking(draft *d, const cop_tool_language_options *o) {
    bool must = o->choice == COP_TOOLS_REQUIRED;
    if (!o->reasoning) return COP_OK;
    const char *close[] = {o->reasoning->close, NULL};
    return add_edge(d, thinking_place(o), close, "", -1, NULL, must ? first_place(o) : ANSWER);
}

static cop_status add_more(draft *d, const cop_tool_language_options *o) {
    const cop_tool_format *f = o->format;
    if (!o->parallel || o->choice == COP_TOOLS_NONE) return COP_OK;
    const char *last[] = {f->last, NULL};
    if (f->last[0]) COP_TRY(add_edge(d, MORE, last, "", -1, NULL, DONE));
    char trigger[128];
    size_t n = strlen(f->next), m = strlen(f->open);
    if (n + m >= sizeof trigger) return cop_fail(COP_ERR_LIMIT, "tools: a tag that is too long");
    memcpy(trigger, f->next, n);
    memcpy(trigger + n, f->open, m + 1);
    return add_calls(d, o, MORE, "", trigger, false);
}

static cop_status add_places(draft *d, const cop_tool_language_options *o) {
    const cop_tool_format *f = o->format;
    bool must = o->choice == COP_TOOLS_REQUIRED, calls = o->choice == COP_TOOLS_AUTO && json_array_size(o->tools);
    bool bare = f->trigger[0] == '{';
    for (int p = FIRST; p <= THINKING; p++)
        COP_TRY(p == first_place(o) ? add_place(d, false, false, must ? -1 : ANSWER) : add_place(d, true, !must, -1));
    COP_TRY(add_place(d, !must, true, -1));
    COP_TRY(add_place(d, false, !f->last[0], !must && !f->last[0] ? ANSWER : -1));
    COP_TRY(add_place(d, !must, true, -1));
    if (must) {
        static const char *const leads[] = {"", "\n", "\n\n"};  // behind reasoning
        for (int i = 0; i < (o->reasoning ? 3 : 1); i++) COP_TRY(add_calls(d, o, first_place(o), leads[i], "", true));
    } else {
        if (bare && calls) COP_TRY(add_calls(d, o, first_place(o), "", f->trigger, true));
        if (bare && !calls) COP_TRY(forbid(d, first_place(o), f->trigger));
        if (calls) COP_TRY(add_calls(d, o, ANSWER, bare ? f->begin[0] : "", bare ? f->begin[0] : f->trigger, true));
        else COP_TRY(forbid(d, ANSWER, bare ? f->begin[0] : f->trigger));
        COP_TRY(forbid(d, DONE, bare ? f->begin[0] : f->trigger));
        if (f->section && strncmp(f->begin[0], f->trigger, strlen(f->trigger))) {  // no call without its section
            COP_TRY(forbid(d, ANSWER, f->begin[0]));
            COP_TRY(forbid(d, DONE, f->begin[0]));
        }
    }
    COP_TRY(add_thinking(d, o));
    COP_TRY(add_reasoning(d, o, first_place(o)));
    return add_more(d, o);
}

static cop_status add_arguments(draft *d, const cop_tool_language_options *o) {
    if (json_array_size(o->tools) > MOST_TOOLS) return cop_fail(COP_ERR_LIMIT, "tools: %zu of them, at most %d", json_array_size(o->tools), MOST_TOOLS);
    for (size_t i = 0; i < json_array_size(o->tools) && o->choice != COP_TOOLS_NONE; i++) {
        const json_t *function = cop_tool_function(json_array_get(o->tools, i));
        if (!is_offered(o, function)) continue;
        cop_language *arguments = NULL;
        cop_status st = arguments_language(&arguments, o, function);
        if (!st && (st = cop_array_push(&d->inner, arguments))) arguments->type->close(arguments);
        if (st) {
            cop_fail_note("tools[%zu] (%s)", i, json_string_value(json_object_get(function, "name")));
            return st;
        }
    }
    if (o->choice == COP_TOOLS_REQUIRED && !d->inner.n) return cop_fail(COP_ERR_ARG, o->only ? "tool_choice: no tool %s" : "tool_choice: no tools", o->only);
    return COP_OK;
}

cop_status cop_tool_language(cop_language **out, const cop_tool_language_options *wanted) {
    cop_tool_language_options one = *wanted, *options = &one;
    draft d = {.tok = options->tok, .places = {.most = 16}, .symbols = {.most = COP_TAG_MOST_SYMBOLS * 4}, .inner = {.most = MOST_TOOLS},
               .edges = {.most = 100000}};
    *out = NULL;
    if (one.only) one.parallel = false;
    cop_status st = add_arguments(&d, options);
    if (!st) st = add_places(&d, options);
    if (!st) st = finish(&d, out);
    forget(&d);
    return st;
}
