// Formats as expressions, after the documents that JSON Schema names: RFC 3339, 5321, 1123, 2673, 4291, 9562, 3986, 6901,
// 6570, ECMA-262. What an expression cannot say well (idn-hostname, idn-email beyond its shape) is not here.
#include "guide/schema_private.h"

#define MONTHS                                                                                                            \
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define LEAP "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
#define DATE "(?:[0-9]{4}-" MONTHS "|" LEAP "-02-29)"
#define ZONE "(?:[zZ]|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define TIME "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?" ZONE "|23:59:60(?:\\.[0-9]+)?(?:[zZ]|[+\\-]00:00))"
#define DAYS "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
#define HOURS "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,61}[A-Za-z0-9])?"
#define HOST LABEL "(?:\\." LABEL ")*"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4 OCTET "(?:\\." OCTET "){3}"
#define H16 "[0-9A-Fa-f]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                              \
    "(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32                             \
    "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16 ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32         \
    "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32                               \
    "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16 "|(?:(?:" H16 ":){0,6}" H16 ")?::)"
#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]+"
#define QUOTED "\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\""
#define MAIL "(?:" ATEXT "(?:\\." ATEXT ")*|" QUOTED ")@(?:" HOST "|\\[" IPV4 "\\]|\\[IPv6:" IPV6 "\\])"
// U: letters beyond ASCII for IRIs, or nothing.
#define PCT "%[0-9A-Fa-f]{2}"
#define PCHAR(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=:@" U "]|" PCT ")"
#define NOCOLON(U) "(?:[A-Za-z0-9\\-._~!$&'()*+,;=@" U "]|" PCT ")"
#define AUTHORITY(U)                                                                                                      \
    "(?:(?:[A-Za-z0-9\\-._~!$&'()*+,;=:" U "]|" PCT ")*@)?(?:\\[(?:" IPV6 "|[vV][0-9A-Fa-f]+\\.[A-Za-z0-9\\-._~!$&'()*+,;=:]+)\\]" \
    "|(?:[A-Za-z0-9\\-._~!$&'()*+,;=" U "]|" PCT ")*)(?::[0-9]*)?"
#define TAIL(U) "(?:\\?(?:" PCHAR(U) "|[/?])*)?(?:#(?:" PCHAR(U) "|[/?])*)?"
#define ABSOLUTE(U)                                                                                                       \
    "[A-Za-z][A-Za-z0-9+.\\-]*:(?://" AUTHORITY(U) "(?:/" PCHAR(U) "*)*|/(?:" PCHAR(U) "+(?:/" PCHAR(U) "*)*)?|" PCHAR(U) \
    "+(?:/" PCHAR(U) "*)*|)" TAIL(U)
#define RELATIVE(U)                                                                                                       \
    "(?://" AUTHORITY(U) "(?:/" PCHAR(U) "*)*|/(?:" PCHAR(U) "+(?:/" PCHAR(U) "*)*)?|" NOCOLON(U) "+(?:/" PCHAR(U) "*)*|)" TAIL(U)
#define WIDE "\\u00a0-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\uffef\\u{10000}-\\u{efffd}"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"
#define VARIABLE "(?:[A-Za-z0-9_]|" PCT ")+(?:\\.?(?:[A-Za-z0-9_]|" PCT "))*(?::[1-9][0-9]{0,3}|\\*)?"
#define TEMPLATE                                                                                                          \
    "(?:[!#$&(-;=?-\\[\\]_a-z~" WIDE "]|" PCT "|\\{[+#./;?&=,!@|]?" VARIABLE "(?:," VARIABLE ")*\\})*"

// Groups may be nested four deep; a brace that begins no count stands for itself, as browsers have it.
#define ESCAPE                                                                                                            \
    "\\\\(?:[dDsSwWbBnrtfv0-9/\\-^$\\\\.*+?()\\[\\]{}|,:;=!@#%&'\"<>_~` ]|c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\\{[0-9A-Fa-f]+\\}"   \
    "|[pP]\\{[A-Za-z_=]+\\}|k<[A-Za-z_$][A-Za-z0-9_$]*>)"
#define COUNT "(?:(?:[*+?]|\\{[0-9]+(?:,[0-9]*)?\\})\\?" "?)?"
#define ATOM "(?:[^\\\\\\[()|*+?]|" ESCAPE "|\\[\\^?(?:[^\\]\\\\]|\\\\[^\\n])*\\])" COUNT "|\\|"
#define GROUP(inner) "\\((?:\\?(?::|=|!|<=|<!|P?<[A-Za-z_$][A-Za-z0-9_$]*>))?" inner "\\)" COUNT
#define REGEX0 "(?:" ATOM ")*"
#define REGEX1 "(?:" ATOM "|" GROUP(REGEX0) ")*"
#define REGEX2 "(?:" ATOM "|" GROUP(REGEX1) ")*"
#define REGEX3 "(?:" ATOM "|" GROUP(REGEX2) ")*"
#define REGEX4 "(?:" ATOM "|" GROUP(REGEX3) ")*"

cop_status cop_schema_format(schema *s, const char *name, cop_rx *out, bool *known) {
    static const struct {
        const char *name, *pattern;
    } formats[] = {
        {"date-time", DATE "[tT]" TIME},
        {"date", DATE},
        {"time", TIME},
        {"duration", "P(?:[0-9]+W|" DAYS "(?:" HOURS ")?|" HOURS ")"},
        {"email", MAIL},
        {"idn-email", "[^@ ]+@[^@ ]+"},
        {"hostname", HOST},
        {"ipv4", IPV4},
        {"ip-address", IPV4},
        {"ipv6", IPV6},
        {"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
        {"uri", ABSOLUTE("")},
        {"uri-reference", "(?:" ABSOLUTE("") "|" RELATIVE("") ")"},
        {"iri", ABSOLUTE(WIDE)},
        {"iri-reference", "(?:" ABSOLUTE(WIDE) "|" RELATIVE(WIDE) ")"},
        {"uri-template", TEMPLATE},
        {"json-pointer", POINTER},
        {"regex", REGEX4},
        {"relative-json-pointer", "(?:0|[1-9][0-9]*)(?:#|" POINTER ")"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(name, formats[i].name)) continue;
        *known = true;
        COP_TRY(cop_rx_parse(s->regexes, formats[i].pattern, strlen(formats[i].pattern), COP_RX_WHOLE, out));
        if (!strcmp(name, "hostname"))
            *out = cop_rx_and(s->regexes, *out, cop_rx_repeat(s->regexes, cop_rx_any_character(s->regexes), 1, 253));
        return COP_OK;
    }
    *known = false;
    return COP_OK;
}
