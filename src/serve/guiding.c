// A question's guide: made of its structure and its tools before the request is submitted.
#include "serve/structure.h"

#include <string.h>

#include "base/option.h"

// Options that name files are the operator's: a request may not read what it likes.
static cop_status check_spec(const char *what, const char *spec, const cop_option *options, const char *name, size_t name_bytes) {
    for (const cop_option *o = options; o && o->name; o++) {
        if (o->kind != COP_OPTION_TEXT_KIND) continue;
        size_t n = strlen(o->name);
        for (const char *at = spec; (at = strstr(at, o->name)); at += n)
            if (at[n] == '=') return cop_fail(COP_ERR_ARG, "coppice.%s: %.*s:%s can be set at the server's start only", what, (int)name_bytes, name, o->name);
    }
    return COP_OK;
}

static cop_status check_draft(const char *spec) {
    for (int i = 0; spec && cop_drafters[i]; i++)
        COP_TRY(check_spec("draft", spec, cop_drafters[i]->options, cop_drafters[i]->name, strlen(cop_drafters[i]->name)));
    return COP_OK;
}

cop_status cop_structure_submit(cop_request **out, cop_server *s, const cop_question *q, cop_request_options *options) {
    *out = NULL;
    if (q->structure.kind != COP_FREE_TEXT) return cop_fail(COP_ERR_UNSUPPORTED, "structured output is not there yet");
    if (atomic_load(&s->stopping)) return cop_fail(COP_ERR_LIMIT, "the server stops");
    if (options->session.draft != s->options.session.draft) COP_TRY(check_draft(options->session.draft));
    return cop_request_submit(out, s->scheduler, options);
}
