// The guides of the public interface: from a text to a language, over the engine's vocabulary.
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/session.h"
#include "guide/guide.h"

#define MOST_CHOICES 65536

static cop_status trie_of(cop_engine *e, const cop_vocab_trie **out) {
    cop_status st = COP_OK;
    cop_lock_take(e->lock);
    if (!e->trie) st = cop_vocab_trie_of(&e->trie, e->tokenizer);
    *out = e->trie;
    cop_lock_give(e->lock);
    return st;
}

cop_status cop_engine_guide(cop_guide **out, cop_engine *e, cop_language *language) {
    const cop_vocab_trie *trie;
    *out = NULL;
    cop_status st = trie_of(e, &trie);
    if (!st) return cop_guide_new(out, language, trie);
    language->type->close(language);
    return st;
}

static cop_status finish(cop_status st, cop_guide **out, cop_engine *e, cop_language *language) {
    *out = NULL;
    return st ? st : cop_engine_guide(out, e, language);
}

cop_status cop_guide_json_schema(cop_guide **out, cop_engine *e, const char *schema, size_t bytes) {
    cop_language *l = NULL;
    cop_status st = cop_language_json_schema(&l, schema, bytes, NULL, NULL, NULL);
    return finish(st, out, e, l);
}

cop_status cop_guide_regex(cop_guide **out, cop_engine *e, const char *pattern, size_t bytes) {
    cop_language *l = NULL;
    cop_status st = cop_language_regex(&l, pattern, bytes);
    return finish(st, out, e, l);
}

cop_status cop_guide_grammar(cop_guide **out, cop_engine *e, const char *grammar, size_t bytes) {
    cop_language *l = NULL;
    const cop_vocab_trie *trie;
    *out = NULL;
    COP_TRY(trie_of(e, &trie));
    cop_status st = cop_language_grammar(&l, grammar, bytes, trie);
    return finish(st, out, e, l);
}

cop_status cop_guide_choice(cop_guide **out, cop_engine *e, const char *const *texts, int n_texts) {
    cop_language *l = NULL;
    *out = NULL;
    if (n_texts < 1 || n_texts > MOST_CHOICES) return cop_fail(COP_ERR_ARG, "choice: %d texts, must be 1 to %d", n_texts, MOST_CHOICES);
    size_t *bytes = cop_alloc_array((size_t)n_texts, sizeof *bytes);
    if (!bytes) return cop_fail(COP_ERR_NOMEM, "choice: cannot allocate");
    for (int i = 0; i < n_texts; i++) bytes[i] = strlen(texts[i]);
    cop_status st = cop_language_choice(&l, texts, bytes, n_texts);
    cop_free(bytes);
    return finish(st, out, e, l);
}

static cop_status choice_of_json(cop_guide **out, cop_engine *e, const char *text, size_t bytes) {
    json_error_t error;
    json_t *list = json_loadb(text, bytes, 0, &error);
    size_t n = json_is_array(list) ? json_array_size(list) : 0, i;
    json_t *item;
    const char **texts = n && n <= MOST_CHOICES ? cop_alloc_array(n, sizeof *texts) : NULL;
    cop_status st = COP_OK;
    if (!n || n > MOST_CHOICES) st = cop_fail(COP_ERR_FORMAT, "choice: must be a JSON list of 1 to %d texts", MOST_CHOICES);
    else if (!texts) st = cop_fail(COP_ERR_NOMEM, "choice: cannot allocate");
    if (!st)
        json_array_foreach(list, i, item) {
            texts[i] = json_string_value(item);
            if (!texts[i] && !st) st = cop_fail(COP_ERR_FORMAT, "choice: item %zu is no text", i);
        }
    if (!st) st = cop_guide_choice(out, e, texts, (int)n);
    cop_free(texts);
    json_decref(list);
    return st;
}

cop_status cop_guide_open(cop_guide **out, cop_engine *e, const char *kind, const char *text, size_t bytes) {
    *out = NULL;
    if (!strcmp(kind, "json-schema")) return cop_guide_json_schema(out, e, text, bytes);
    if (!strcmp(kind, "json")) return cop_guide_json_schema(out, e, "true", 4);
    if (!strcmp(kind, "regex")) return cop_guide_regex(out, e, text, bytes);
    if (!strcmp(kind, "grammar")) return cop_guide_grammar(out, e, text, bytes);
    if (!strcmp(kind, "choice")) return choice_of_json(out, e, text, bytes);
    return cop_fail(COP_ERR_ARG, "guide %s: must be json-schema, json, regex, grammar or choice", kind);
}

void cop_guide_close(cop_guide *guide) { cop_guide_free(guide); }
