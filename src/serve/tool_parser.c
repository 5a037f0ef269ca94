// The parser of streamed answers: free text and reasoning, the tags in them, and where a call begins and ends.
// What a call is made of is read in tool_call.c.
//
// One byte at a time, a state machine over a buffer: bytes from `mark` on are not decided yet. A call that turns out
// not to be one is undone by going back to mark, giving out its first byte as content, and reading on behind it.
#include <string.h>

#include "base/noise.h"
#include "serve/tool_parser_private.h"

#define MOST_FAILURES 256 // tags without a call, after which no more are looked for

// ---- events ----

static void give(cop_tool_parser *p, cop_tool_event *e) {
    if (p->options.event) p->options.event(p->options.user, e);
}

static void flush(cop_tool_parser *p) {
    if (!p->out.n || p->status) return;
    p->out.v[p->out.n] = 0;
    cop_tool_event e = {.kind = p->out_kind, .call = p->calls - 1, .text = p->out.v, .bytes = p->out.n};
    p->out.n = 0;
    give(p, &e);
}

void cop_parser_put(cop_tool_parser *p, cop_tool_event_kind kind, const char *text, size_t bytes) {
    if (p->status || !bytes) return;
    if (p->out_kind != kind) flush(p);
    p->out_kind = kind;
    p->status = cop_array_reserve(&p->out, bytes + 1);
    if (p->status) return;
    memcpy(p->out.v + p->out.n, text, bytes);
    p->out.n += bytes;
}

static void make_id(cop_tool_parser *p, char id[10]) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t n = strspn(p->id, letters);
    if (n == 9 && !p->id[9]) {
        memcpy(id, p->id, 10);
        return;
    }
    uint64_t bits = cop_noise_bits(p->options.seed, COP_NOISE_SAMPLE, UINT64_MAX, (uint64_t)p->calls);
    for (int i = 0; i < 9; i++, bits /= 62) id[i] = letters[bits % 62];
    id[9] = 0;
}

void cop_parser_announce(cop_tool_parser *p) {
    char id[10];
    make_id(p, id);
    flush(p);
    if (p->status) return;
    cop_tool_event e = {.kind = COP_TOOL_CALL, .call = p->calls++, .text = p->name, .bytes = strlen(p->name), .id = id};
    give(p, &e);
    p->announced = true;
    p->in_section = p->options.format->section != NULL;
    p->mark = p->at;
}

void cop_parser_end_call(cop_tool_parser *p, bool complete) {
    flush(p);
    if (p->status) return;
    cop_tool_event e = {.kind = COP_TOOL_CALL_END, .call = p->calls - 1, .complete = complete};
    give(p, &e);
    p->announced = false;
    p->id[0] = p->name[0] = 0;
}

void cop_parser_free_text(cop_tool_parser *p, bool behind_tag) {
    p->state = COP_PARSE_FREE;
    p->skip = behind_tag;
    p->at = p->mark;
}

void cop_parser_fail(cop_tool_parser *p) {
    if (p->announced) {
        cop_parser_end_call(p, false);
        cop_parser_free_text(p, false);
        return;
    }
    p->failures++;
    p->name[0] = p->id[0] = 0;
    cop_parser_put(p, COP_TOOL_CONTENT, p->buf.v + p->mark, p->blanks + 1);
    p->mark += p->blanks + 1;
    p->any_content = true;
    cop_parser_free_text(p, false);
}

// ---- tags ----

cop_match cop_parser_match(const char *text, size_t bytes, const char *const *tags, int n, int *which) {
    cop_match best = COP_MATCH_NONE;
    for (int i = 0; i < n; i++) {
        if (!tags[i]) continue;
        size_t m = strlen(tags[i]);
        if (bytes > m || memcmp(text, tags[i], bytes)) continue;
        if (bytes == m) {
            *which = i;
            return COP_MATCH_FULL;
        }
        best = COP_MATCH_PART;
    }
    return best;
}

enum { TAG_REASONING, TAG_SECTION, TAG_SECTION_END, TAG_FENCE, TAG_OBJECT, TAG_LIST, TAG_BEGIN, TAGS = TAG_BEGIN + 3 };

// The tags that have a meaning where the text is now.
static void list_tags(const cop_tool_parser *p, const char *tags[TAGS]) {
    const cop_tool_format *f = p->options.format;
    const cop_reasoning *r = p->options.reasoning;
    memset(tags, 0, TAGS * sizeof *tags);
    if (r && p->reasoning) tags[TAG_REASONING] = r->close;
    if (r && !p->reasoning && !p->any_content && !p->calls) tags[TAG_REASONING] = r->open;
    if (!f || p->reasoning || p->failures > MOST_FAILURES) return;
    tags[TAG_SECTION] = f->section;
    if (p->in_section) tags[TAG_SECTION_END] = f->section_end;
    for (int i = 0; i < 3; i++) tags[TAG_BEGIN + i] = f->begin[i];
    if (f->bare && p->options.tools && !p->any_content && !p->calls) {
        tags[TAG_FENCE] = "```json";
        tags[TAG_OBJECT] = "{";
        tags[TAG_LIST] = "[";
    }
}

static void take_tag(cop_tool_parser *p, int which, size_t blanks) {
    p->blanks = blanks;
    p->bare = p->fence = p->list = p->single = false;
    switch (which) {
    case TAG_REASONING:
        flush(p);
        p->reasoning = !p->reasoning;
        p->mark = p->at;
        p->skip = true;
        return;
    case TAG_SECTION_END:
        p->in_section = false;
        p->mark = p->at;
        p->skip = true;
        return;
    case TAG_SECTION:
        p->from = p->at;
        p->state = COP_PARSE_SECTION;
        return;
    case TAG_FENCE:
    case TAG_OBJECT:
    case TAG_LIST:
        p->bare = true;
        p->fence = which == TAG_FENCE;
        if (!p->fence) p->at--;
        p->state = COP_PARSE_JSON;
        return;
    default: cop_parser_begin_call(p);
    }
}

// Give out what can no longer become a tag.
static void settle(cop_tool_parser *p) {
    while (p->mark < p->at && p->state == COP_PARSE_FREE && !p->status) {
        const char *held = p->buf.v + p->mark;
        size_t n = p->at - p->mark, blanks = 0;
        while (blanks < n && cop_is_blank(held[blanks])) blanks++;
        if (p->skip && blanks) {
            p->mark += blanks;
            continue;
        }
        if (blanks == n && blanks <= COP_PARSER_MOST_BLANKS) return;
        const char *tags[TAGS];
        int which = 0;
        list_tags(p, tags);
        cop_match m = blanks < n ? cop_parser_match(held + blanks, n - blanks, tags, TAGS, &which) : COP_MATCH_NONE;
        if (m == COP_MATCH_PART) return;
        if (m == COP_MATCH_FULL) {
            take_tag(p, which, blanks);
            return;
        }
        size_t out = blanks < n ? blanks + 1 : n;
        cop_parser_put(p, p->reasoning ? COP_TOOL_REASONING : COP_TOOL_CONTENT, held, out);
        p->mark += out;
        p->skip = false;
        if (!p->reasoning) p->any_content = true;
    }
}

static void read_section(cop_tool_parser *p, char c) {
    p->at++;
    if (p->from == p->at - 1 && cop_is_blank(c)) {
        p->from++;
        return;
    }
    if (p->from == p->at - 1 && c == '{') {  // a call of another family's form, in JSON
        p->at--;
        p->state = COP_PARSE_JSON;
        return;
    }
    int which;
    cop_match m = cop_parser_match(p->buf.v + p->from, p->at - p->from, p->options.format->begin, 3, &which);
    if (m == COP_MATCH_FULL) cop_parser_begin_call(p);
    if (m == COP_MATCH_NONE) cop_parser_fail(p);
}

// ---- the machine ----

static void run(cop_tool_parser *p) {
    while (p->at < p->buf.n && !p->status) {
        char c = p->buf.v[p->at];
        if (p->at - p->mark > COP_PARSER_MOST_HELD && p->state != COP_PARSE_FREE) {
            cop_parser_fail(p);
        } else if (p->state == COP_PARSE_FREE) {
            p->at++;
            settle(p);
        } else if (p->state == COP_PARSE_SECTION) {
            read_section(p, c);
        } else {
            cop_parser_read_call(p, c);
        }
    }
}

cop_status cop_tool_parser_new(cop_tool_parser **out, const cop_tool_parser_options *options) {
    cop_tool_parser *p = *out = cop_alloc(sizeof *p);
    if (!p) return cop_fail(COP_ERR_NOMEM, "no memory for a parser of tool calls");
    p->options = *options;
    p->reasoning = options->reasoning && options->reasoning_opened;
    p->skip = p->reasoning;
    p->buf.most = p->out.most = p->value.most = p->arguments.most = COP_PARSER_MOST_BYTES;
    const cop_tool_format *f = options->format;
    if (f && f->lines) {
        p->line_end[0] = '\n';
        memcpy(p->line_end + 1, f->value_end, strlen(f->value_end) + 1);
    }
    return COP_OK;
}

cop_status cop_tool_parser_push(cop_tool_parser *p, const char *text, size_t bytes) {
    if (p->status || !bytes) return p->status;
    if ((p->status = cop_array_reserve(&p->buf, bytes + 1))) return p->status;
    memcpy(p->buf.v + p->buf.n, text, bytes);
    p->buf.n += bytes;
    run(p);
    flush(p);
    if (p->mark) {
        size_t gone = p->mark;
        p->buf.n -= gone;
        p->at -= gone;
        p->from = p->from > gone ? p->from - gone : 0;
        p->mark = 0;
        memmove(p->buf.v, p->buf.v + gone, p->buf.n);
    }
    return p->status;
}

cop_status cop_tool_parser_finish(cop_tool_parser *p) {
    while (!p->status && (p->mark < p->buf.n || p->announced)) {
        run(p);
        if (p->state == COP_PARSE_FREE) {
            cop_parser_put(p, p->reasoning ? COP_TOOL_REASONING : COP_TOOL_CONTENT, p->buf.v + p->mark, p->buf.n - p->mark);
            p->mark = p->buf.n;
        } else {
            cop_parser_cut(p);
        }
    }
    flush(p);
    return p->status;
}

int cop_tool_parser_calls(const cop_tool_parser *p) { return p->calls; }

void cop_tool_parser_free(cop_tool_parser *p) {
    if (!p) return;
    cop_array_fini(&p->buf);
    cop_array_fini(&p->out);
    cop_array_fini(&p->value);
    cop_array_fini(&p->arguments);
    cop_free(p);
}
