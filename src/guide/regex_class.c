// Classes of characters: \d \w \s as ECMA-262 has them, general categories from utf8proc, scripts and other properties
// by asking PCRE2 about every character once.
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "guide/regex_private.h"
#include "text/pattern.h"

#define N_CODES 0x110000
#define MAX_NAME 64
#define MAX_PROPERTIES 64

typedef struct cop_rx_property {
    char name[MAX_NAME];
    cop_rx_pairs pairs;
} cop_rx_property;

cop_status cop_rx_pairs_add(cop_rx_pairs *p, uint32_t low, uint32_t high) {
    if (!p->most) p->most = 1 << 20;
    COP_TRY(cop_array_reserve(p, 2));
    p->v[p->n++] = low;
    p->v[p->n++] = high;
    return COP_OK;
}

cop_status cop_rx_add_class(cop_rx_pairs *p, char letter) {
    static const uint32_t digits[] = {'0', '9'}, word[] = {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'};
    static const uint32_t space[] = {9, 13, ' ', ' ', 0xA0, 0xA0, 0x1680, 0x1680, 0x2000, 0x200A, 0x2028, 0x2029,
                                     0x202F, 0x202F, 0x205F, 0x205F, 0x3000, 0x3000, 0xFEFF, 0xFEFF};
    const uint32_t *list = letter == 'd' ? digits : letter == 'w' ? word : space;
    size_t n = letter == 'd' ? 2 : letter == 'w' ? 8 : sizeof space / sizeof *space;
    for (size_t i = 0; i < n; i += 2) COP_TRY(cop_rx_pairs_add(p, list[i], list[i + 1]));
    return COP_OK;
}

static int compare_pairs(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return (x[0] > y[0]) - (x[0] < y[0]);
}

cop_status cop_rx_invert_pairs(cop_rx_pairs *p) {
    cop_rx_pairs out = {.most = 1 << 20};
    uint32_t from = 0;
    cop_status st = COP_OK;
    if (p->n) qsort(p->v, p->n / 2, 2 * sizeof *p->v, compare_pairs);
    for (size_t i = 0; i < p->n && !st; i += 2) {
        if (p->v[i] > from) st = cop_rx_pairs_add(&out, from, p->v[i] - 1);
        if (p->v[i + 1] + 1 > from) from = p->v[i + 1] + 1;
    }
    if (!st && from < N_CODES) st = cop_rx_pairs_add(&out, from, N_CODES - 1);
    cop_array_fini(p);
    *p = out;
    return st;
}

// ---- properties ----

static const char *const categories[][2] = {
    {"Letter", "L"}, {"Cased_Letter", "LC"}, {"Uppercase_Letter", "Lu"}, {"Lowercase_Letter", "Ll"}, {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"}, {"Other_Letter", "Lo"}, {"Mark", "M"}, {"Nonspacing_Mark", "Mn"}, {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"}, {"Number", "N"}, {"Decimal_Number", "Nd"}, {"Letter_Number", "Nl"}, {"Other_Number", "No"},
    {"Punctuation", "P"}, {"punct", "P"}, {"Connector_Punctuation", "Pc"}, {"Dash_Punctuation", "Pd"}, {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"}, {"Initial_Punctuation", "Pi"}, {"Final_Punctuation", "Pf"}, {"Other_Punctuation", "Po"},
    {"Symbol", "S"}, {"Math_Symbol", "Sm"}, {"Currency_Symbol", "Sc"}, {"Modifier_Symbol", "Sk"}, {"Other_Symbol", "So"},
    {"Separator", "Z"}, {"Space_Separator", "Zs"}, {"Line_Separator", "Zl"}, {"Paragraph_Separator", "Zp"}, {"Other", "C"},
    {"Control", "Cc"}, {"cntrl", "Cc"}, {"Format", "Cf"}, {"Private_Use", "Co"}, {"Unassigned", "Cn"}, {"digit", "Nd"}};

// The short name of a general category, or NULL when the name is none.
static const char *find_category(const char *name) {
    if (!strncmp(name, "General_Category=", 17)) name += 17;
    else if (!strncmp(name, "gc=", 3)) name += 3;
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (!strcmp(name, categories[i][0]) || !strcmp(name, categories[i][1])) return categories[i][1];
    return NULL;
}

static cop_status add_category(cop_rx_pairs *p, const char *category) {
    bool cased = !strcmp(category, "LC"), major = strlen(category) == 1;
    uint32_t from = N_CODES;
    for (uint32_t c = 0; c <= N_CODES; c++) {
        const char *its = c < N_CODES ? utf8proc_category_string((utf8proc_int32_t)c) : "--";
        bool in = cased ? *its == 'L' && strchr("ult", its[1]) : major ? *its == *category : !strcmp(its, category);
        if (in && from == N_CODES) from = c;
        if (!in && from != N_CODES) {
            COP_TRY(cop_rx_pairs_add(p, from, c - 1));
            from = N_CODES;
        }
    }
    return COP_OK;
}

static size_t put_utf8(char *out, uint32_t c) {
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}
static uint32_t get_utf8(const char *text) {
    utf8proc_int32_t c = 0;
    utf8proc_iterate((const utf8proc_uint8_t *)text, 4, &c);
    return (uint32_t)c;
}

// Every character of text[0..n) that the pattern finds.
static cop_status add_found(cop_rx_pairs *p, const cop_pattern *pattern, cop_pattern_work *work, const char *text, size_t n) {
    size_t at = 0, begin, end;
    bool found;
    while (at < n) {
        COP_TRY(cop_pattern_find(pattern, work, text, n, at, &begin, &end, &found));
        if (!found) break;
        size_t last = end - 1;
        while (((uint8_t)text[last] & 0xC0) == 0x80) last--;
        COP_TRY(cop_rx_pairs_add(p, get_utf8(text + begin), get_utf8(text + last)));
        at = end;
    }
    return COP_OK;
}

static cop_status add_property(cop_rx_pairs *p, const char *name) {
    char text[MAX_NAME + 8] = "\\p{";
    size_t n = strlen(name);
    bool script = !strncmp(name, "sc=", 3) || !strncmp(name, "Script=", 7);
    if (script) name = strchr(name, '=') + 1, n = strlen(name);
    memcpy(text + 3, name, n);
    memcpy(text + 3 + n, "}+", 3);
    cop_pattern *pattern = NULL;
    cop_pattern_work *work = NULL;
    if (cop_pattern_new(&pattern, text, n + 5)) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: property \\p{%s} is not known", name);
    cop_status st = cop_pattern_work_new(&work);
    char *all = cop_alloc((size_t)4 * 0x4000 + 4);
    if (!st && !all) st = cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
    for (uint32_t block = 0; block < N_CODES && !st; block += 0x4000) {
        size_t bytes = 0;
        for (uint32_t c = block; c < block + 0x4000; c++)
            if (c < 0xD800 || c > 0xDFFF) {
                bytes += put_utf8(all + bytes, c);
                if (c == 0xD7FF) break;
            }
        st = add_found(p, pattern, work, all, bytes);
    }
    cop_free(all);
    cop_pattern_work_free(work);
    cop_pattern_free(pattern);
    return st;
}

static cop_status look_up(cop_rx_property *property) {
    const char *name = property->name, *category = find_category(name);
    cop_rx_pairs *p = &property->pairs;
    if (category) return add_category(p, category);
    if (!strcmp(name, "Any")) return cop_rx_pairs_add(p, 0, N_CODES - 1);
    if (!strcmp(name, "ASCII")) return cop_rx_pairs_add(p, 0, 127);
    return add_property(p, name);
}

cop_status cop_rx_find_property(cop_regex_set *set, const char *name, size_t bytes, const uint32_t (**ranges)[2], size_t *n) {
    cop_rx_property *found = NULL;
    if (!bytes || bytes >= MAX_NAME) return cop_fail(COP_ERR_UNSUPPORTED, "pattern: a property's name has %zu bytes, must be 1 to %d", bytes, MAX_NAME - 1);
    for (size_t i = 0; i < bytes; i++)
        if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_=0123456789", name[i], 64))
            return cop_fail(COP_ERR_FORMAT, "pattern: a property's name has letters, _ and =");
    for (size_t i = 0; i < set->n_properties && !found; i++)
        if (!strncmp(set->properties[i].name, name, bytes) && !set->properties[i].name[bytes]) found = &set->properties[i];
    if (!found) {
        if (!set->properties) set->properties = cop_alloc_array(MAX_PROPERTIES, sizeof *set->properties);
        if (!set->properties) return cop_fail(COP_ERR_NOMEM, "pattern: cannot allocate");
        if (set->n_properties == MAX_PROPERTIES) return cop_fail(COP_ERR_LIMIT, "pattern: more than %d properties", MAX_PROPERTIES);
        found = &set->properties[set->n_properties];
        memcpy(found->name, name, bytes);
        found->name[bytes] = 0;
        cop_status st = look_up(found);
        if (st) {
            cop_array_fini(&found->pairs);
            memset(found, 0, sizeof *found);
            return st;
        }
        set->n_properties++;
    }
    *ranges = (const uint32_t(*)[2])found->pairs.v;
    *n = found->pairs.n / 2;
    return COP_OK;
}

void cop_rx_free_properties(cop_regex_set *set) {
    for (size_t i = 0; i < set->n_properties; i++) cop_array_fini(&set->properties[i].pairs);
    cop_free(set->properties);
}
