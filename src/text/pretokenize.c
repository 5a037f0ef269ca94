// Splitting a text into pre-tokens, which merges never cross: one row of patterns per family.
// Facts about the patterns come from the tokenizer configurations that the families publish.
// A row's patterns are applied in turn, each inside the pieces that the one before left, and what
// lies between matches is a piece of its own.  White space is spelt out: the published patterns mean
// Unicode's White_Space, which lacks U+180E that PCRE2's \s has.
// Not here: adding a space before the text, which no family in the table asks for.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/text_private.h"
#include "text/utf8.h"

#include <pcre2.h>
#include <string.h>

#define MOST_PATTERNS 5
#define S "\\x09-\\x0D\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define WORDS_GPT2                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" S "\\p{L}\\p{N}]+|[" S "]+(?![^" S "])|[" S "]+"
#define WORDS_LLAMA3(digits)                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                         \
    "| ?[^" S "\\p{L}\\p{N}]+[\\r\\n]*|[" S "]*[\\r\\n]+|[" S "]+(?![^" S "])|[" S "]+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define WORDS_CASED(ending, digits)                                                              \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" ending \
    "|" digits "| ?[^" S "\\p{L}\\p{N}]+[\\r\\n/]*|[" S "]*[\\r\\n]+|[" S "]+(?![^" S "])|[" S "]+"
#define WORDS_GPT4O WORDS_CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")
#define WORDS_DEEPSEEK3                                                                          \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"              \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|[" S "]*[\\r\\n]+|[" S "]+(?![^" S "])|[" S "]+"
#define WORDS_BLOOM " ?[^(" S "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{0964}\\x{06D4}\\x{060C})]+"
#define EACH_DIGIT "\\p{N}"
#define DEEPSEEK_CJK "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

typedef struct split_family {
    const char *pre;
    const char *patterns[MOST_PATTERNS];  // up to the first NULL
    bool nfc;          // normalise before splitting
    bool whole_words;  // a pre-token that is a token is taken as it is
} split_family;

static const split_family families[] = {
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", WORDS_GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
    {"gpt-2", {WORDS_GPT2}, false, false},
    {"phi-2", {WORDS_GPT2}, false, false},
    {"mpt", {WORDS_GPT2}, false, false},
    {"olmo", {WORDS_GPT2}, false, false},
    {"roberta-bpe", {WORDS_GPT2}, false, false},
    {"smollm", {EACH_DIGIT, WORDS_GPT2}, false, false},
    {"starcoder", {EACH_DIGIT, WORDS_GPT2}, false, false},
    {"refact", {EACH_DIGIT, WORDS_GPT2}, false, false},
    {"exaone", {EACH_DIGIT, WORDS_GPT2}, false, false},
    {"codeshell", {EACH_DIGIT, WORDS_GPT2}, false, false},
    {"command-r", {EACH_DIGIT, WORDS_GPT2}, true, false},
    {"qwen2", {WORDS_LLAMA3("\\p{N}")}, true, false},
    {"deepseek-r1-qwen", {WORDS_LLAMA3("\\p{N}")}, true, false},
    {"stablelm2", {WORDS_LLAMA3("\\p{N}")}, true, false},
    {"llama-bpe", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, true},
    {"llama3", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, true},
    {"llama-v3", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, true},
    {"lfm2", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, true},
    {"falcon3", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, true},
    {"dbrx", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, false},
    {"smaug-bpe", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, false},
    {"glm4", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, false},
    {"chatglm-bpe", {WORDS_LLAMA3("\\p{N}{1,3}")}, false, false},
    {"gpt-4o", {WORDS_GPT4O}, false, false},
    {"llama4", {WORDS_GPT4O}, false, false},
    {"tekken", {WORDS_CASED("", "\\p{N}")}, false, true},
    {"deepseek-v3", {"\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+", WORDS_DEEPSEEK3}, false, false},
    {"bloom", {WORDS_BLOOM}, false, false},
    {"poro-chat", {WORDS_BLOOM}, false, false},
    {"viking", {WORDS_BLOOM, EACH_DIGIT}, false, false},
    {"deepseek-coder", {"[\\r\\n]", "[" S "]?\\p{L}+", "[" S "]?\\p{P}+", DEEPSEEK_CJK, EACH_DIGIT}, false, false},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", WORDS_GPT2, "[0-9][0-9][0-9]"}, false, false},
};
#define N_FAMILIES (sizeof families / sizeof families[0])

struct cop_splitter {
    const split_family *family;
    int n;
    pcre2_general_context *memory;
    pcre2_code *codes[MOST_PATTERNS];
};

struct cop_split_work {
    pcre2_match_context *limits;
    pcre2_match_data *match[MOST_PATTERNS];
};

static void *take_memory(PCRE2_SIZE bytes, void *unused) {
    (void)unused;
    return cop_alloc(bytes);
}
static void give_memory(void *p, void *unused) {
    (void)unused;
    cop_free(p);
}

static const split_family *known_family(const char *pre) {
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (!strcmp(families[i].pre, pre)) return &families[i];
    return NULL;
}

static const split_family *find_family(const char *pre) {
    const split_family *known = known_family(pre);
    if (known) return known;
    cop_fail(COP_ERR_UNSUPPORTED, "tokenizer.ggml.pre: \"%.40s\" is not known; known are", pre);
    for (size_t i = 0; i < N_FAMILIES; i++) cop_fail_note("%s", families[i].pre);
    return NULL;
}

bool cop_splitter_is_same(const char *pre, const char *other) {
    const split_family *a = known_family(pre), *b = known_family(other);
    if (!a || !b || a->nfc != b->nfc || a->whole_words != b->whole_words) return false;
    for (int i = 0; i < MOST_PATTERNS; i++) {
        if (!a->patterns[i] || !b->patterns[i]) return a->patterns[i] == b->patterns[i];
        if (strcmp(a->patterns[i], b->patterns[i]) != 0) return false;
    }
    return true;
}

static cop_status compile(cop_splitter *s, const char *pattern) {
    int code;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(s->memory);
    if (!context) return cop_fail(COP_ERR_NOMEM, "split pattern: cannot allocate");
    pcre2_code *made = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at,
                                     context);
    pcre2_compile_context_free(context);
    if (!made) {
        char why[120];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return cop_fail(code == PCRE2_ERROR_HEAP_FAILED ? COP_ERR_NOMEM : COP_ERR_UNSUPPORTED,
                        "split pattern of %s: %s at %zu", s->family->pre, why, (size_t)at);
    }
    pcre2_jit_compile(made, PCRE2_JIT_COMPLETE);  // without it the interpreter serves, some 10 times slower
    s->codes[s->n++] = made;
    return COP_OK;
}

cop_status cop_splitter_new(cop_splitter **out, const char *pre) {
    *out = NULL;
    const split_family *family = find_family(pre);
    if (!family) return COP_ERR_UNSUPPORTED;
    cop_splitter *s = cop_alloc(sizeof *s);
    if (!s) return cop_fail(COP_ERR_NOMEM, "split patterns: cannot allocate");
    s->family = family;
    s->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    cop_status st = s->memory ? COP_OK : cop_fail(COP_ERR_NOMEM, "split patterns: cannot allocate");
    for (int i = 0; !st && i < MOST_PATTERNS && family->patterns[i]; i++) st = compile(s, family->patterns[i]);
    if (st) {
        cop_splitter_free(s);
        return st;
    }
    *out = s;
    return COP_OK;
}

void cop_splitter_free(cop_splitter *s) {
    if (!s) return;
    for (int i = 0; i < s->n; i++) pcre2_code_free(s->codes[i]);
    pcre2_general_context_free(s->memory);
    cop_free(s);
}

const char *cop_splitter_name(const cop_splitter *s) { return s->family->pre; }
bool cop_splitter_wants_nfc(const cop_splitter *s) { return s->family->nfc; }
bool cop_splitter_takes_whole_words(const cop_splitter *s) { return s->family->whole_words; }

cop_status cop_split_work_new(cop_split_work **out, const cop_splitter *s) {
    *out = NULL;
    cop_split_work *w = cop_alloc(sizeof *w);
    if (!w) return cop_fail(COP_ERR_NOMEM, "split: cannot allocate");
    bool ok = (w->limits = pcre2_match_context_create(s->memory)) != NULL;
    for (int i = 0; ok && i < s->n; i++) ok = (w->match[i] = pcre2_match_data_create(1, s->memory)) != NULL;
    if (!ok) {
        cop_split_work_free(w);
        return cop_fail(COP_ERR_NOMEM, "split: cannot allocate");
    }
    *out = w;
    return COP_OK;
}

void cop_split_work_free(cop_split_work *w) {
    if (!w) return;
    for (int i = 0; i < MOST_PATTERNS; i++) pcre2_match_data_free(w->match[i]);
    pcre2_match_context_free(w->limits);
    cop_free(w);
}

// One match of pattern `level` at or after `from`: *begin, *end; both `bytes` when there is none.
static cop_status next_match(const cop_splitter *s, cop_split_work *w, int level, const char *text, size_t bytes,
                             size_t from, size_t *begin, size_t *end) {
    pcre2_match_data *match = w->match[level];
    int got = pcre2_match(s->codes[level], (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK, match, w->limits);
    if (got == PCRE2_ERROR_JIT_STACKLIMIT)
        got = pcre2_match(s->codes[level], (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match,
                          w->limits);
    *begin = *end = bytes;
    if (got == PCRE2_ERROR_NOMATCH) return COP_OK;
    if (got == PCRE2_ERROR_NOMEMORY) return cop_fail(COP_ERR_NOMEM, "split: cannot allocate");
    if (got < 0) return cop_fail(COP_ERR_LIMIT, "split: the pattern of %s gave up (%d)", s->family->pre, got);
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
    *begin = range[0];
    *end = range[1];
    return COP_OK;
}

static cop_status split_level(const cop_splitter *s, cop_split_work *w, int level, const char *text, size_t bytes,
                              cop_piece_fn *piece, void *arg) {
    if (!bytes) return COP_OK;
    if (level == s->n) return piece(arg, text, bytes);
    for (size_t at = 0, begin, end; at < bytes; at = end) {
        COP_TRY(next_match(s, w, level, text, bytes, at, &begin, &end));
        COP_TRY(split_level(s, w, level + 1, text + at, begin - at, piece, arg));
        COP_TRY(split_level(s, w, level + 1, text + begin, end - begin, piece, arg));
        if (end == at) return cop_fail(COP_ERR_UNSUPPORTED, "split: a pattern of %s matches nothing", s->family->pre);
    }
    return COP_OK;
}

// The limit grows with the text: no pattern of the table backtracks over more than its own match, so
// a match that needs more steps than this is a fault of the table, and is said, not swallowed.
cop_status cop_split_run(const cop_splitter *s, cop_split_work *w, const char *text, size_t bytes, cop_piece_fn *piece,
                         void *arg) {
    uint64_t steps = 1000000 + 8 * (uint64_t)bytes;
    pcre2_set_match_limit(w->limits, steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps);
    return split_level(s, w, 0, text, bytes, piece, arg);
}
