// A question's guide, made of its structure or its tools by the thread that reads the question. Compiled guides are kept,
// since clients send the same schema again and again.
#include "serve/structure.h"

#include <string.h>

#include "base/option.h"

#define MOST_KEPT 32
#define MOST_KEPT_BYTES ((size_t)1 << 20)  // a longer text is compiled each time

struct cop_kept_guide {
    cop_kept_guide *next;
    char *text;           // [bytes] kind and text
    size_t bytes;
    cop_guide *guide;
    int users;
    bool listed;
};

cop_guide *cop_kept_guide_get(cop_kept_guide *kept) { return kept ? kept->guide : NULL; }

static void destroy(cop_kept_guide *k) {
    if (!k) return;
    cop_guide_close(k->guide);
    cop_free(k->text);
    cop_free(k);
}

// ---- what is kept; the server's lock is held ----

// The one used last stands first.
static cop_kept_guide *find(cop_server *s, const char *text, size_t bytes) {
    for (cop_kept_guide **at = &s->guides, *k; (k = *at); at = &k->next) {
        if (k->bytes != bytes || memcmp(k->text, text, bytes) != 0) continue;
        *at = k->next;
        k->next = s->guides;
        s->guides = k;
        k->users++;
        return k;
    }
    return NULL;
}

static void list(cop_server *s, cop_kept_guide *k) {
    int n = 0;
    cop_kept_guide **idle = NULL;
    for (cop_kept_guide **at = &s->guides; *at; at = &(*at)->next, n++)
        if (!(*at)->users) idle = at;
    if (n >= MOST_KEPT && !idle) return;
    if (n >= MOST_KEPT) {
        cop_kept_guide *old = *idle;
        *idle = old->next;
        destroy(old);
    }
    k->listed = true;
    k->next = s->guides;
    s->guides = k;
}

void cop_guide_give_back(cop_server *s, cop_kept_guide *k) {
    if (!k) return;
    cop_lock_take(s->guiding);
    bool last = --k->users == 0 && !k->listed;
    cop_lock_give(s->guiding);
    if (last) destroy(k);
}

void cop_guide_forget(cop_server *s, cop_kept_guide *k) {
    if (!k) return;
    cop_lock_take(s->guiding);
    for (cop_kept_guide **at = &s->guides; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            k->listed = false;
            break;
        }
    cop_lock_give(s->guiding);
}

void cop_kept_guides_close(cop_server *s) {
    while (s->guides) {
        cop_kept_guide *k = s->guides;
        s->guides = k->next;
        destroy(k);
    }
}

// ---- objects without more members than they name ----

static bool has_any(const json_t *schema, const char *const *keys) {
    for (int i = 0; keys[i]; i++)
        if (json_object_get(schema, keys[i])) return true;
    return false;
}

// Does it anywhere join two schemas of one object? What one of them does not name the other may.
static bool joins(const json_t *schema, int depth) {
    const char *key;
    json_t *value;
    size_t i;
    if (depth > 32) return true;
    if (json_object_get(schema, "allOf") || (json_object_get(schema, "$ref") && json_object_get(schema, "properties"))) return true;
    json_object_foreach((json_t *)schema, key, value) if (joins(value, depth + 1)) return true;
    json_array_foreach(schema, i, value) if (joins(value, depth + 1)) return true;
    return false;
}

static bool names_all_required(const json_t *schema, const json_t *properties) {
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (name && !json_object_get(properties, name)) return false;
    }
    return true;
}

// An object that names its members and says nothing of others has no others, unless something beside the list may be about
// members as well: what comes is what was described, and is valid all the same.
static void close_objects(json_t *schema, int depth) {
    static const char *const others[] = {"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames", "allOf", "anyOf", "oneOf",
                                         "not", "if", "$ref", "$dynamicRef", "dependentSchemas", "dependencies", "minProperties", NULL};
    static const char *const objects[] = {"properties", "$defs", "definitions", NULL}, *const lists[] = {"anyOf", "oneOf", "prefixItems", NULL};
    json_t *properties = json_object_get(schema, "properties"), *value;
    const char *key;
    size_t i;
    if (!json_is_object(schema) || depth > 32) return;
    if (json_is_object(properties) && !has_any(schema, others) && names_all_required(schema, properties))
        json_object_set_new(schema, "additionalProperties", json_false());
    for (int k = 0; objects[k]; k++) json_object_foreach(json_object_get(schema, objects[k]), key, value) close_objects(value, depth + 1);
    for (int k = 0; lists[k] && !properties; k++) json_array_foreach(json_object_get(schema, lists[k]), i, value) close_objects(value, depth + 1);
    close_objects(json_object_get(schema, "items"), depth + 1);
}

static int append_piece(const char *text, size_t bytes, void *out) { return cop_append(out, text, bytes) ? -1 : 0; }

static cop_status open_schema(cop_guide **out, cop_server *s, const char *text, size_t bytes) {
    const cop_json_limits limits = {.bytes = bytes, .values = (size_t)1 << 18, .depth = 128};
    cop_char_array closed = {.most = SIZE_MAX / 8};
    json_t *schema;
    if (cop_json_parse(&schema, text, bytes, &limits)) return cop_guide_json_schema(out, s->engine, text, bytes);
    if (!joins(schema, 0)) close_objects(schema, 0);
    cop_status st = json_dump_callback(schema, append_piece, &closed, JSON_COMPACT) ? cop_fail(COP_ERR_NOMEM, "guide: cannot allocate") : COP_OK;
    json_decref(schema);
    if (!st) st = cop_guide_json_schema(out, s->engine, closed.v, closed.n);
    cop_array_fini(&closed);
    return st;
}

// ---- making one ----

static cop_status open_choices(cop_guide **out, cop_server *s, const json_t *choices) {
    cop_char_array text = {.most = SIZE_MAX / 8};
    cop_status st = cop_append_json(&text, json_incref((json_t *)choices));
    if (!st) st = cop_guide_open(out, s->engine, "choice", text.v, text.n);
    cop_array_fini(&text);
    return st;
}

static cop_status open_structure(cop_guide **out, cop_server *s, const cop_structure *t) {
    static const char object[] = "{\"type\": \"object\"}";
    switch (t->kind) {
    case COP_JSON_OBJECT: return cop_guide_json_schema(out, s->engine, object, sizeof object - 1);
    case COP_JSON_SCHEMA: {
        cop_status st = open_schema(out, s, t->text, t->bytes);
        return st == COP_ERR_UNSUPPORTED && t->lazy ? cop_guide_json_schema(out, s->engine, object, sizeof object - 1) : st;
    }
    case COP_GRAMMAR: return cop_guide_grammar(out, s->engine, t->text, t->bytes);
    case COP_REGEX: return cop_guide_regex(out, s->engine, t->text, t->bytes);
    case COP_CHOICES: return open_choices(out, s, t->choices);
    default: return COP_OK;
    }
}

static bool has_tools(const cop_question *q) { return q->chat && q->tools && q->tool_choice != COP_TOOLS_NONE; }

// ---- tools ----

static json_t *closed_tools(const json_t *tools) {
    json_t *copy = json_deep_copy(tools), *tool;
    size_t i;
    json_array_foreach(copy, i, tool) {
        json_t *function = json_object_get(tool, "function");
        if (json_is_object(function) && !cop_json_member(function, "parameters"))
            json_object_set_new(function, "parameters", json_pack("{s:s, s:{}}", "type", "object", "properties"));
        json_t *parameters = json_object_get(function, "parameters");
        if (!joins(parameters, 0)) close_objects(parameters, 0);
    }
    return copy;
}

static cop_status open_tools(cop_guide **out, cop_server *s, const cop_question *q) {
    json_t *tools = closed_tools(q->tools);
    if (!tools) return cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    const cop_tool_language_options o = {.format = s->served.format,
                                         .reasoning = s->served.reasoning,
                                         .reasoning_opened = q->reasoning_opened,
                                         .tools = tools,
                                         .choice = q->tool_choice,
                                         .only = q->tool_only,
                                         .parallel = !q->one_call,
                                         .tok = s->served.tokenizer};
    cop_language *language;
    cop_status st = cop_tool_language(&language, &o);
    json_decref(tools);
    return st ? st : cop_engine_guide(out, s->engine, language);
}

// What makes two guides the same.
static cop_status describe(const cop_question *q, cop_char_array *key) {
    const cop_structure *t = &q->structure;
    if (has_tools(q)) {
        const char choice[4] = {'t', (char)('0' + q->tool_choice), q->one_call ? '1' : '*', q->reasoning_opened ? 'r' : ' '};
        COP_TRY(cop_append(key, choice, 4));
        COP_TRY(cop_append(key, q->tool_only, q->tool_only ? strlen(q->tool_only) : 0));
        return cop_append_json(key, json_incref(q->tools));
    }
    const char kind[2] = {(char)('0' + t->kind), t->lazy ? '?' : '!'};
    COP_TRY(cop_append(key, kind, 2));
    if (t->choices) return cop_append_json(key, json_incref((json_t *)t->choices));
    return cop_append(key, t->text, t->bytes);
}

static cop_status make(cop_kept_guide **out, cop_server *s, const cop_question *q, const cop_char_array *key) {
    cop_kept_guide *k = cop_alloc(sizeof *k);
    cop_status st = k ? COP_OK : cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    if (!st && !(k->text = cop_text_copy(key->v, key->n))) st = cop_fail(COP_ERR_NOMEM, "guide: cannot allocate");
    if (!st) st = has_tools(q) ? open_tools(&k->guide, s, q) : open_structure(&k->guide, s, &q->structure);
    if (st) {
        cop_error_record record;
        cop_error_get(&record);
        destroy(k);
        cop_error_set(&record);
        return st == COP_ERR_LIMIT ? cop_fail(COP_ERR_UNSUPPORTED, "%s", record.text) : st;
    }
    k->bytes = key->n;
    k->users = 1;
    cop_lock_take(s->guiding);
    if (k->bytes <= MOST_KEPT_BYTES) list(s, k);
    cop_lock_give(s->guiding);
    *out = k;
    return COP_OK;
}

cop_status cop_guide_for(cop_kept_guide **out, cop_server *s, cop_question *q) {
    cop_char_array key = {.most = SIZE_MAX / 8};
    *out = NULL;
    bool structured = q->structure.kind != COP_FREE_TEXT, tools = has_tools(q);
    if (!structured && !tools) return COP_OK;
    if (structured && tools && q->tool_choice == COP_TOOLS_AUTO)
        return cop_fail(COP_ERR_UNSUPPORTED, "a structure and tools that may be called: one of them, or tool_choice required or none");
    cop_status st = describe(q, &key);
    if (!st) {
        cop_lock_take(s->guiding);
        *out = find(s, key.v, key.n);
        cop_lock_give(s->guiding);
    }
    if (!st && !*out) st = make(out, s, q, &key);
    cop_array_fini(&key);
    // A call that need not come need not be valid: what the schema of a tool cannot keep is left to the model.
    bool optional = tools && q->tool_choice == COP_TOOLS_AUTO && st == COP_ERR_UNSUPPORTED;
    return optional ? COP_OK : st;
}

// ---- drafting ----

static cop_status check_spec(const char *spec, const cop_drafter_type *d) {
    for (const cop_option *o = d->options; o && o->name; o++) {
        if (o->kind != COP_OPTION_TEXT_KIND) continue;
        size_t n = strlen(o->name);
        for (const char *at = spec; (at = strstr(at, o->name)); at += n)
            if (at[n] == '=') return cop_fail(COP_ERR_ARG, "coppice.draft: %s:%s can be set at the server's start only", d->name, o->name);
    }
    return COP_OK;
}

cop_status cop_check_drafting(const cop_server *s, const cop_question *q) {
    const char *draft = q->session.draft;
    if (!draft || draft == s->options.session.draft) return COP_OK;
    for (int i = 0; cop_drafters[i]; i++) COP_TRY(check_spec(draft, cop_drafters[i]));
    return COP_OK;
}
