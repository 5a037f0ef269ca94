// Structured output: what a reply has to be, in every way a request can say it.
#include <string.h>

#include "serve/exchange.h"
#include "serve/question.h"

static int append_piece(const char *text, size_t bytes, void *out) { return cop_append(out, text, bytes) ? -1 : 0; }

cop_status cop_structure_set(cop_question *q, cop_structure_kind kind, const json_t *value) {
    cop_structure *s = &q->structure;
    if (s->kind != COP_FREE_TEXT) return cop_fail(COP_ERR_ARG, "%s: the structure of the reply is given more than once", q->field);
    if (kind == COP_CHOICES) {
        size_t n = json_array_size(value);
        if (!n) return cop_fail(COP_ERR_ARG, "%s: must be a list of texts, not empty", q->field);
        for (size_t i = 0; i < n; i++)
            if (!json_is_string(json_array_get(value, i))) return cop_fail(COP_ERR_ARG, "%s[%zu]: must be a text", q->field, i);
        s->choices = value;
        s->kind = kind;
        return COP_OK;
    }
    if (kind == COP_JSON_SCHEMA && !json_is_string(value) && !json_is_object(value) && !json_is_boolean(value))
        return cop_fail(COP_ERR_ARG, "%s: must be a JSON Schema", q->field);
    if ((kind == COP_GRAMMAR || kind == COP_REGEX) && !json_is_string(value)) return cop_fail(COP_ERR_ARG, "%s: must be a text", q->field);
    if (json_is_string(value)) {
        s->text = cop_text_copy(json_string_value(value), json_string_length(value));
        s->bytes = json_string_length(value);
    } else if (value) {  // the order of members is the order of the reply
        cop_char_array text = {.most = SIZE_MAX / 8};
        if (!json_dump_callback(value, append_piece, &text, JSON_COMPACT | JSON_ENCODE_ANY)) s->text = cop_text_copy(text.v, text.n);
        s->bytes = text.n;
        cop_array_fini(&text);
    }
    if (value && !s->text) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", q->field);
    s->kind = kind;
    return COP_OK;
}

cop_status cop_response_format(cop_question *q, const json_t *format) {
    const char *type = "text";
    q->field = "response_format";
    if (!format) return COP_OK;
    if (!json_is_object(format)) return cop_fail(COP_ERR_ARG, "response_format: must be an object");
    COP_TRY(cop_json_text(format, "type", "text", &type));
    if (!strcmp(type, "text")) return COP_OK;
    const json_t *inner = cop_json_member(format, "json_schema"), *schema = cop_json_member(inner ? inner : format, "schema");
    if (!strcmp(type, "json_object") && !schema) return cop_structure_set(q, COP_JSON_OBJECT, NULL);
    if (!strcmp(type, "json_schema") || !strcmp(type, "json_object")) {
        bool strict = true;
        if (!schema) return cop_fail(COP_ERR_ARG, "response_format: json_schema without a schema");
        COP_TRY(cop_json_bool(inner ? inner : format, "strict", true, &strict));
        COP_TRY(cop_structure_set(q, COP_JSON_SCHEMA, schema));
        q->structure.lazy = !strict;
        return COP_OK;
    }
    if (!strcmp(type, "grammar")) return cop_structure_set(q, COP_GRAMMAR, cop_json_member(format, "grammar"));
    return cop_fail(COP_ERR_ARG, "response_format: type %.40s, must be text, json_object, json_schema or grammar", type);
}

static cop_status member(cop_question *q, const json_t *object, const char *key, cop_structure_kind kind) {
    const json_t *v = cop_json_member(object, key);
    q->field = key;
    return v ? cop_structure_set(q, kind, v) : COP_OK;
}

static cop_status json_wanted(cop_question *q, const json_t *object, const char *key) {
    bool wanted = false;
    COP_TRY(cop_read_bool(q, object, key, &wanted));
    return wanted ? cop_structure_set(q, COP_JSON_OBJECT, NULL) : COP_OK;
}

// An empty grammar is none.
static bool is_empty(const json_t *v) { return json_is_string(v) && !json_string_length(v); }

cop_status cop_read_structure(cop_question *q) {
    json_t *b = q->body, *outputs;
    COP_TRY(cop_response_format(q, cop_json_member(b, "response_format")));
    COP_TRY(member(q, b, "json_schema", COP_JSON_SCHEMA));
    if (!is_empty(cop_json_member(b, "grammar"))) COP_TRY(member(q, b, "grammar", COP_GRAMMAR));
    COP_TRY(member(q, b, "guided_json", COP_JSON_SCHEMA));
    COP_TRY(member(q, b, "guided_regex", COP_REGEX));
    COP_TRY(member(q, b, "guided_choice", COP_CHOICES));
    COP_TRY(member(q, b, "guided_grammar", COP_GRAMMAR));
    outputs = cop_json_member(b, "structured_outputs");
    q->field = "structured_outputs";
    if (outputs && !json_is_object(outputs)) return cop_fail(COP_ERR_ARG, "structured_outputs: must be an object");
    COP_TRY(member(q, outputs, "json", COP_JSON_SCHEMA));
    COP_TRY(member(q, outputs, "regex", COP_REGEX));
    COP_TRY(member(q, outputs, "choice", COP_CHOICES));
    COP_TRY(member(q, outputs, "grammar", COP_GRAMMAR));
    return json_wanted(q, outputs, "json_object");
}
