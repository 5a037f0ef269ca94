// One table for each kind of step: its name in the file and the function that reads it.  What is not in
// the table is refused by name.
#include "text/json_steps.h"

#include <string.h>

#define MOST_DEPTH 8

#define SPACE "[" COP_PATTERN_SPACE "]"
#define PUNCTUATION "[!-\\/:-@\\[-`{-~\\p{P}]"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"
#define WORDS_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef cop_status read_fn(void *to, const json_t *step);

typedef struct step_kind {
    const char *name;
    read_fn *read;
} step_kind;

// Reads `step`, or each step of its sequence, whose member is `list`.
static cop_status read_step(const step_kind *kinds, size_t n, const char *list, void *to, const json_t *step, int depth) {
    const char *type;
    if (!step) return COP_OK;
    if (!json_is_object(step)) return cop_fail(COP_ERR_FORMAT, "a step is not an object");
    COP_TRY(cop_json_text(step, "type", NULL, &type));
    if (!type) return cop_fail(COP_ERR_FORMAT, "a step without \"type\"");
    if (!strcmp(type, "Sequence")) {
        const json_t *steps = cop_json_member(step, list), *each;
        size_t i;
        if (!json_is_array(steps)) return cop_fail(COP_ERR_FORMAT, "Sequence without an array \"%s\"", list);
        if (depth == MOST_DEPTH) return cop_fail(COP_ERR_LIMIT, "sequences nested deeper than %d", MOST_DEPTH);
        json_array_foreach(steps, i, each) COP_TRY(read_step(kinds, n, list, to, each, depth + 1));
        return COP_OK;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(kinds[i].name, type) != 0) continue;
        cop_status st = kinds[i].read(to, step);
        if (st) cop_fail_note("%s", type);
        return st;
    }
    cop_fail(COP_ERR_UNSUPPORTED, "\"%.40s\" is not known; known are", type);
    for (size_t i = 0; i < n; i++) cop_fail_note("%s", kinds[i].name);
    return COP_ERR_UNSUPPORTED;
}
#define READ(kinds, list, to, step) read_step((kinds), sizeof(kinds) / sizeof(kinds)[0], (list), (to), (step), 0)

cop_status cop_json_short_text(const json_t *object, const char *key, size_t most, char *to) {
    const char *text;
    COP_TRY(cop_json_text(object, key, "", &text));
    size_t n = strlen(text);
    if (n > most) return cop_fail(COP_ERR_LIMIT, "%s: %zu bytes, at most %zu", key, n, most);
    memcpy(to, text, n + 1);
    return COP_OK;
}

static cop_status read_text(const json_t *object, const char *key, cop_text *out) {
    char text[COP_MAX_AFFIX + 1];
    COP_TRY(cop_json_short_text(object, key, COP_MAX_AFFIX, text));
    out->n = strlen(text);
    out->v = cop_text_copy(text, out->n);
    return out->v ? COP_OK : cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", key);
}

// {"String": text} or {"Regex": text}.
static cop_status read_pattern(const json_t *step, cop_pattern **out) {
    const char *text;
    const json_t *pattern = cop_json_member(step, "pattern");
    if (!json_is_object(pattern)) return cop_fail(COP_ERR_FORMAT, "pattern: need {\"String\": ...} or {\"Regex\": ...}");
    COP_TRY(cop_json_text(pattern, "String", NULL, &text));
    if (text) return cop_pattern_new_literal(out, text, strlen(text));
    COP_TRY(cop_json_text(pattern, "Regex", NULL, &text));
    if (text) return cop_pattern_new(out, text, strlen(text));
    return cop_fail(COP_ERR_FORMAT, "pattern: need {\"String\": ...} or {\"Regex\": ...}");
}

// ---- normalizers ----

// NULL, with the failure recorded, when there are too many.
static cop_rewrite *add_rewrite(cop_pipeline *p, cop_rewrite_kind kind) {
    if (p->n_rewrites == COP_MAX_STEPS) {
        cop_fail(COP_ERR_LIMIT, "more than %d steps", COP_MAX_STEPS);
        return NULL;
    }
    cop_rewrite *r = &p->rewrites[p->n_rewrites++];
    r->kind = kind;
    return r;
}

// A step that is its name.
static cop_status read_plain(void *to, const json_t *step) {
    static const struct { const char *name; cop_rewrite_kind kind; } names[] = {
        {"NFC", COP_REWRITE_NFC}, {"NFD", COP_REWRITE_NFD}, {"NFKC", COP_REWRITE_NFKC}, {"NFKD", COP_REWRITE_NFKD},
        {"Lowercase", COP_REWRITE_LOWER}, {"StripAccents", COP_REWRITE_STRIP_ACCENTS}, {"Nmt", COP_REWRITE_NMT},
        {"ByteLevel", COP_REWRITE_BYTES},
    };
    const char *type = json_string_value(json_object_get(step, "type"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i].name, type)) return add_rewrite(to, names[i].kind) ? COP_OK : COP_ERR_LIMIT;
    return COP_OK;
}

static cop_status read_bert_normalizer(void *to, const json_t *step) {
    cop_rewrite *r = add_rewrite(to, COP_REWRITE_BERT);
    if (!r) return COP_ERR_LIMIT;
    COP_TRY(cop_json_bool(step, "clean_text", true, &r->clean));
    COP_TRY(cop_json_bool(step, "handle_chinese_chars", true, &r->chinese));
    COP_TRY(cop_json_bool(step, "lowercase", true, &r->lower));
    return cop_json_bool(step, "strip_accents", r->lower, &r->accents);
}

static cop_status read_replace(void *to, const json_t *step) {
    cop_rewrite *r = add_rewrite(to, COP_REWRITE_REPLACE);
    if (!r) return COP_ERR_LIMIT;
    COP_TRY(read_text(step, "content", &r->text));
    return read_pattern(step, &r->pattern);
}

static cop_status read_prepend(void *to, const json_t *step) {
    cop_rewrite *r = add_rewrite(to, COP_REWRITE_PREPEND);
    if (!r) return COP_ERR_LIMIT;
    return read_text(step, "prepend", &r->text);
}

static cop_status read_strip(void *to, const json_t *step) {
    cop_rewrite *r = add_rewrite(to, COP_REWRITE_STRIP);
    if (!r) return COP_ERR_LIMIT;
    COP_TRY(cop_json_bool(step, "strip_left", true, &r->left));
    return cop_json_bool(step, "strip_right", true, &r->right);
}

static cop_status read_precompiled(void *to, const json_t *step) {
    const char *text;
    COP_TRY(cop_json_text(step, "precompiled_charsmap", NULL, &text));
    if (!text || !*text) return COP_OK;  // no table: nothing changes
    cop_rewrite *r = add_rewrite(to, COP_REWRITE_CHARSMAP);
    if (!r) return COP_ERR_LIMIT;
    return cop_charsmap_new_base64(&r->map, text, strlen(text));
}

cop_status cop_json_normalizer(cop_pipeline *p, const json_t *member) {
    static const step_kind kinds[] = {
        {"NFC", read_plain}, {"NFD", read_plain}, {"NFKC", read_plain}, {"NFKD", read_plain}, {"Lowercase", read_plain},
        {"StripAccents", read_plain}, {"Nmt", read_plain}, {"ByteLevel", read_plain},
        {"BertNormalizer", read_bert_normalizer}, {"Replace", read_replace}, {"Prepend", read_prepend},
        {"Strip", read_strip}, {"Precompiled", read_precompiled},
    };
    cop_status st = READ(kinds, "normalizers", p, member);
    if (st) cop_fail_note("normalizer");
    return st;
}

// ---- pre-tokenizers ----

// NULL, with the failure recorded, when there are too many.
static cop_cut *add_cut(cop_pipeline *p, cop_cut_kind kind) {
    if (p->n_cuts == COP_MAX_STEPS) {
        cop_fail(COP_ERR_LIMIT, "more than %d steps", COP_MAX_STEPS);
        return NULL;
    }
    for (int i = 0; kind != COP_CUT_PATTERN && i < p->n_cuts; i++) {
        if (p->cuts[i].kind != kind) continue;
        cop_fail(COP_ERR_LIMIT, "the step is there twice");  // each makes the text longer
        return NULL;
    }
    cop_cut *c = &p->cuts[p->n_cuts++];
    c->kind = kind;
    return c;
}

static cop_status add_pattern(cop_pipeline *p, const char *pattern, cop_cut_how how, bool invert) {
    cop_cut *c = add_cut(p, COP_CUT_PATTERN);
    if (!c) return COP_ERR_LIMIT;
    c->how = how;
    c->invert = invert;
    return cop_pattern_new(&c->pattern, pattern, strlen(pattern));
}

static cop_status read_how(const json_t *step, const char *fallback, cop_cut_how *how) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name;
    COP_TRY(cop_json_text(step, "behavior", fallback, &name));
    for (int i = 0; name && i < 5; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *how = (cop_cut_how)i;
        return COP_OK;
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "behavior: \"%.40s\" is not known", name ? name : "");
}

static cop_status read_byte_level(void *to, const json_t *step) {
    bool split;
    cop_cut *c = add_cut(to, COP_CUT_BYTES);
    if (!c) return COP_ERR_LIMIT;
    c->how = COP_CUT_ISOLATED;
    COP_TRY(cop_json_bool(step, "add_prefix_space", true, &c->space_first));
    COP_TRY(cop_json_bool(step, "use_regex", true, &split));
    return split ? cop_pattern_new(&c->pattern, WORDS_GPT2, strlen(WORDS_GPT2)) : COP_OK;
}

static cop_status read_split(void *to, const json_t *step) {
    cop_cut *c = add_cut(to, COP_CUT_PATTERN);
    if (!c) return COP_ERR_LIMIT;
    COP_TRY(read_how(step, NULL, &c->how));
    COP_TRY(cop_json_bool(step, "invert", false, &c->invert));
    return read_pattern(step, &c->pattern);
}

static cop_status read_digits(void *to, const json_t *step) {
    bool each;
    COP_TRY(cop_json_bool(step, "individual_digits", false, &each));
    return add_pattern(to, "\\p{N}", each ? COP_CUT_ISOLATED : COP_CUT_CONTIGUOUS, false);
}

static cop_status read_punctuation(void *to, const json_t *step) {
    cop_cut_how how;
    COP_TRY(read_how(step, "Isolated", &how));
    return add_pattern(to, PUNCTUATION, how, false);
}

static cop_status read_whitespace(void *to, const json_t *step) {
    (void)step;
    return add_pattern(to, "[" WORD "]+|[^" WORD "\\s]+", COP_CUT_REMOVED, true);
}

static cop_status read_whitespace_split(void *to, const json_t *step) {
    (void)step;
    return add_pattern(to, "\\s", COP_CUT_REMOVED, false);
}

static cop_status read_bert_cuts(void *to, const json_t *step) {
    (void)step;
    COP_TRY(add_pattern(to, "\\s", COP_CUT_REMOVED, false));
    return add_pattern(to, PUNCTUATION, COP_CUT_ISOLATED, false);
}

static cop_status read_delimiter(void *to, const json_t *step) {
    const char *text;
    COP_TRY(cop_json_text(step, "delimiter", "", &text));
    cop_cut *c = add_cut(to, COP_CUT_PATTERN);
    if (!c) return COP_ERR_LIMIT;
    c->how = COP_CUT_REMOVED;
    return cop_pattern_new_literal(&c->pattern, text, strlen(text));
}

// The scheme by name; files from before it have add_prefix_space.
static cop_status read_prefix(const json_t *step, cop_cut_prefix *prefix) {
    static const char *const names[] = {"never", "first", "always"};
    const char *name;
    bool add;
    COP_TRY(cop_json_text(step, "prepend_scheme", "always", &name));
    COP_TRY(cop_json_bool(step, "add_prefix_space", true, &add));
    if (!add) name = "never";
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *prefix = (cop_cut_prefix)i;
        return COP_OK;
    }
    return cop_fail(COP_ERR_UNSUPPORTED, "prepend_scheme: \"%.40s\" is not known", name);
}

static cop_status read_metaspace(void *to, const json_t *step) {
    cop_cut *c = add_cut(to, COP_CUT_METASPACE);
    if (!c) return COP_ERR_LIMIT;
    COP_TRY(read_text(step, "replacement", &c->mark));
    if (!c->mark.n || c->mark.n > 4) return cop_fail(COP_ERR_FORMAT, "replacement: %zu bytes, one character is wanted", c->mark.n);
    COP_TRY(read_prefix(step, &c->prefix));
    return cop_json_bool(step, "split", true, &c->split);
}

cop_status cop_json_pre_tokenizer(cop_pipeline *p, const json_t *member) {
    static const step_kind kinds[] = {
        {"ByteLevel", read_byte_level}, {"Split", read_split}, {"Digits", read_digits}, {"Punctuation", read_punctuation},
        {"Whitespace", read_whitespace}, {"WhitespaceSplit", read_whitespace_split}, {"Metaspace", read_metaspace},
        {"BertPreTokenizer", read_bert_cuts}, {"CharDelimiterSplit", read_delimiter},
    };
    cop_status st = READ(kinds, "pretokenizers", p, member);
    if (st) cop_fail_note("pre_tokenizer");
    return st;
}

// ---- post-processors ----

static cop_status put_around(int32_t *list, int *n, int64_t id) {
    if (*n == COP_MAX_AROUND) return cop_fail(COP_ERR_LIMIT, "more than %d tokens before or behind a text", COP_MAX_AROUND);
    list[(*n)++] = (int32_t)id;
    return COP_OK;
}

// What an outer processor adds stands outside what an inner one added.
static cop_status wrap(cop_around *a, const cop_around *outer) {
    cop_around inner = *a;
    a->n_before = 0;
    a->known = true;
    for (int i = 0; i < outer->n_before; i++) COP_TRY(put_around(a->before, &a->n_before, outer->before[i]));
    for (int i = 0; i < inner.n_before; i++) COP_TRY(put_around(a->before, &a->n_before, inner.before[i]));
    for (int i = 0; i < outer->n_behind; i++) COP_TRY(put_around(a->behind, &a->n_behind, outer->behind[i]));
    return COP_OK;
}

// The ids of a template's token, which has a name and is described beside the template.
static cop_status put_named(const json_t *step, const json_t *token, int32_t *list, int *n) {
    const char *name;
    COP_TRY(cop_json_text(token, "id", NULL, &name));
    const json_t *known = name ? cop_json_member(cop_json_member(step, "special_tokens"), name) : NULL;
    const json_t *ids = cop_json_member(known, "ids"), *id;
    size_t i;
    if (!json_is_array(ids)) return cop_fail(COP_ERR_FORMAT, "special_tokens: \"%.40s\" has no \"ids\"", name ? name : "");
    json_array_foreach(ids, i, id) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return cop_fail(COP_ERR_FORMAT, "special_tokens: \"%.40s\" has an id that is none", name);
        COP_TRY(put_around(list, n, json_integer_value(id)));
    }
    return COP_OK;
}

static cop_status read_template(void *to, const json_t *step) {
    const json_t *single = cop_json_member(step, "single"), *each;
    cop_around outer = {0};
    bool behind = false;
    size_t i;
    if (!json_is_array(single)) return cop_fail(COP_ERR_FORMAT, "no array \"single\"");
    json_array_foreach(single, i, each) {
        const json_t *token = cop_json_member(each, "SpecialToken");
        if (cop_json_member(each, "Sequence")) {
            if (behind) return cop_fail(COP_ERR_UNSUPPORTED, "single: the text stands there twice");
            behind = true;
        } else if (token) {
            COP_TRY(behind ? put_named(step, token, outer.behind, &outer.n_behind)
                           : put_named(step, token, outer.before, &outer.n_before));
        } else {
            return cop_fail(COP_ERR_FORMAT, "single: need SpecialToken or Sequence");
        }
    }
    if (!behind) return cop_fail(COP_ERR_UNSUPPORTED, "single: the text is not in it");
    return wrap(to, &outer);
}

// ["[CLS]", 101]
static cop_status read_pair(const json_t *step, const char *key, int32_t *list, int *n) {
    const json_t *id = json_array_get(cop_json_member(step, key), 1);
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
        return cop_fail(COP_ERR_FORMAT, "%s: need a text and an id", key);
    return put_around(list, n, json_integer_value(id));
}

static cop_status read_bert_around(void *to, const json_t *step) {
    cop_around outer = {0};
    COP_TRY(read_pair(step, "cls", outer.before, &outer.n_before));
    COP_TRY(read_pair(step, "sep", outer.behind, &outer.n_behind));
    return wrap(to, &outer);
}

static cop_status read_nothing(void *to, const json_t *step) {
    (void)to;
    (void)step;
    return COP_OK;
}

cop_status cop_json_post_processor(cop_around *a, const json_t *member) {
    static const step_kind kinds[] = {
        {"TemplateProcessing", read_template}, {"BertProcessing", read_bert_around}, {"RobertaProcessing", read_bert_around},
        {"ByteLevel", read_nothing},  // moves offsets only
    };
    cop_status st = READ(kinds, "processors", a, member);
    if (st) cop_fail_note("post_processor");
    return st;
}

// ---- decoders ----

static cop_status read_spelt(void *to, const json_t *step) {
    (void)step;
    ((cop_pipeline *)to)->spelt = true;
    return COP_OK;
}

static cop_status read_bytes_back(void *to, const json_t *step) {
    (void)step;
    ((cop_pipeline *)to)->bytes_back = true;
    return COP_OK;
}

static cop_status read_words(void *to, const json_t *step) {
    cop_pipeline *p = to;
    p->words = p->strip_first = true;
    if (!*p->inner) COP_TRY(cop_json_short_text(step, "prefix", COP_MAX_AFFIX - 1, p->inner));
    return cop_json_bool(step, "cleanup", true, &p->clean_up);
}

static cop_status read_suffix(void *to, const json_t *step) {
    cop_pipeline *p = to;
    char suffix[COP_MAX_AFFIX];
    COP_TRY(cop_json_short_text(step, "suffix", COP_MAX_AFFIX - 1, suffix));
    if (strcmp(suffix, p->last) != 0)
        return cop_fail(COP_ERR_UNSUPPORTED, "suffix: \"%s\" is not the model's end_of_word_suffix", suffix);
    p->suffixed = true;
    return COP_OK;
}

static cop_status read_replace_back(void *to, const json_t *step) {
    cop_pipeline *p = to;
    const char *from, *content;
    COP_TRY(cop_json_text(cop_json_member(step, "pattern"), "String", "", &from));
    COP_TRY(cop_json_text(step, "content", "", &content));
    size_t n = strlen(from), m = strlen(content);
    if (!n || n > COP_MAX_AFFIX || m > n || p->n_replace == 4)
        return cop_fail(COP_ERR_UNSUPPORTED, "only up to 4 texts that become shorter ones can be replaced");
    int i = p->n_replace++;
    p->replace[i].from = (cop_text){cop_text_copy(from, n), n};
    p->replace[i].to = (cop_text){cop_text_copy(content, m), m};
    return p->replace[i].from.v && p->replace[i].to.v ? COP_OK : cop_fail(COP_ERR_NOMEM, "decoder: cannot allocate");
}

static cop_status read_metaspace_back(void *to, const json_t *step) {
    cop_pipeline *p = to;
    cop_cut_prefix prefix;
    const int i = p->n_replace;
    COP_TRY(read_prefix(step, &prefix));
    if (prefix != COP_PREFIX_NEVER) p->strip_first = true;
    if (i == 4) return cop_fail(COP_ERR_LIMIT, "too many replacements");
    p->n_replace++;
    COP_TRY(read_text(step, "replacement", &p->replace[i].from));
    if (!p->replace[i].from.n) return cop_fail(COP_ERR_FORMAT, "replacement: it is empty");
    p->replace[i].to = (cop_text){cop_text_copy(" ", 1), 1};
    return p->replace[i].to.v ? COP_OK : cop_fail(COP_ERR_NOMEM, "decoder: cannot allocate");
}

static cop_status read_strip_back(void *to, const json_t *step) {
    const char *content;
    int64_t start, stop;
    COP_TRY(cop_json_text(step, "content", "", &content));
    COP_TRY(cop_json_int(step, "start", 0, 0, INT32_MAX, &start));
    COP_TRY(cop_json_int(step, "stop", 0, 0, INT32_MAX, &stop));
    if (strcmp(content, " ") != 0 || start > 1 || stop)
        return cop_fail(COP_ERR_UNSUPPORTED, "only one space at the start can be stripped");
    ((cop_pipeline *)to)->strip_first = start == 1;
    return COP_OK;
}

cop_status cop_json_decoder(cop_pipeline *p, const json_t *member) {
    static const step_kind kinds[] = {
        {"ByteLevel", read_spelt}, {"ByteFallback", read_bytes_back}, {"WordPiece", read_words}, {"BPEDecoder", read_suffix},
        {"Replace", read_replace_back}, {"Metaspace", read_metaspace_back}, {"Strip", read_strip_back}, {"Fuse", read_nothing},
    };
    cop_status st = READ(kinds, "decoders", p, member);
    if (st) cop_fail_note("decoder");
    return st;
}
