#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local cop_error_record record;
static _Thread_local char place[96];

cop_status cop_fail_at(const char *file, int line, cop_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(record.text, sizeof record.text, fmt, args);
    va_end(args);
    record.status = status;
    record.file = file;
    record.line = line;
    return status;
}

void cop_fail_note(const char *fmt, ...) {
    size_t used = strlen(record.text);
    if (used + 3 >= sizeof record.text) return;
    memcpy(record.text + used, "; ", 3);
    va_list args;
    va_start(args, fmt);
    vsnprintf(record.text + used + 2, sizeof record.text - used - 2, fmt, args);
    va_end(args);
}

void cop_error_get(cop_error_record *out) { *out = record; }
void cop_error_set(const cop_error_record *from) { record = *from; }

const char *cop_error_text(void) { return record.text; }

const char *cop_error_place(void) {
    snprintf(place, sizeof place, "%s:%d", record.file ? record.file : "?", record.line);
    return place;
}

const char *cop_status_name(cop_status status) {
    switch (status) {
    case COP_OK: return "ok";
    case COP_ERR_ARG: return "bad argument";
    case COP_ERR_IO: return "input/output error";
    case COP_ERR_FORMAT: return "bad format";
    case COP_ERR_NOMEM: return "out of memory";
    case COP_ERR_LIMIT: return "limit reached";
    case COP_ERR_UNSUPPORTED: return "unsupported";
    case COP_ERR_NOT_FOUND: return "not found";
    case COP_ERR_CANCELLED: return "cancelled";
    }
    return "unknown status";
}
