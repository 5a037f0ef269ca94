// /slots: what runs, and sequences to files and back.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "serve/server_private.h"

#define MOST_NAME 128

static json_t *slot_json(const cop_server *s, int i, const cop_slot_info *info) {
    const cop_request_stats *t = &info->stats;
    return json_pack("{s:i, s:i, s:b, s:b, s:i, s:i, s:i, s:{s:i, s:I, s:I}}", "id", i, "n_ctx", s->options.scheduler.context, "speculative",
                     strcmp(s->options.session.draft ? s->options.session.draft : "none", "none") != 0, "is_processing", info->busy, "n_tokens",
                     info->n_tokens, "n_prompt_tokens", info->prompt_tokens, "n_prompt_tokens_cache", t->cached_tokens, "next_token", "n_decoded",
                     t->tokens, "draft_n", (json_int_t)t->drafted, "draft_n_accepted", (json_int_t)t->accepted);
}

void cop_serve_slots(cop_exchange *x) {
    const cop_server *s = x->server;
    const char *fail = x->query(x, "fail_on_no_slot");
    json_t *list = json_array();
    int idle = 0, n = s->scheduler ? s->options.scheduler.slots : 0;
    if (s->options.hide_slots) {
        json_decref(list);
        cop_reply_error(x, 501, NULL, "this server does not tell its slots: it was started with --no-slots");
        return;
    }
    for (int i = 0; i < n; i++) {
        cop_slot_info info;
        if (cop_scheduler_get_slot(s->scheduler, i, &info)) continue;
        idle += !info.busy;
        json_array_append_new(list, slot_json(s, i, &info));
    }
    if (fail && !idle) {
        json_decref(list);
        x->retry_after = 1;
        cop_reply_error(x, 503, NULL, "no slot is idle");
        return;
    }
    cop_reply_json(x, 200, list);
}

// ---- files ----

// Names, not paths: nothing that could lead out of the folder.
static bool plain_name(const char *name) {
    size_t n = strlen(name);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return n && n <= MOST_NAME && name[0] != '.' && strspn(name, letters) == n;
}

static bool read_path(cop_exchange *x, cop_question *q, char *path, size_t bytes, const char **name) {
    *name = NULL;
    if (cop_read_text(q, q->body, "filename", name)) {
        cop_reply_failure(x, COP_ERR_ARG, "filename");
        return false;
    }
    if (!*name || !plain_name(*name)) {
        cop_reply_error(x, 400, "filename", "filename: must be 1 to %d letters, digits, '.', '_' or '-', not beginning with '.'", MOST_NAME);
        return false;
    }
    int n = snprintf(path, bytes, "%s/%s", x->server->options.slot_folder, *name);
    if (n > 0 && (size_t)n < bytes) return true;
    cop_reply_error(x, 400, "filename", "filename: the path is too long");
    return false;
}

// A sentence about a file shows its name, not where the server keeps it.
static void reply_slot_failure(cop_exchange *x, cop_status st, const char *name) {
    if (st == COP_ERR_NOT_FOUND) cop_reply_error(x, 404, "filename", "no file %s", name);
    else if (st == COP_ERR_LIMIT) cop_reply_error(x, 503, NULL, "the slot is busy");
    else if (st == COP_ERR_FORMAT) cop_reply_error(x, 400, "filename", "%s is no sequence of this model", name);
    else if (st == COP_ERR_IO) cop_reply_error(x, 500, NULL, "%s cannot be read or written", name);
    else cop_reply_failure(x, st, NULL);
}

static void act_on_file(cop_exchange *x, cop_question *q, int slot, bool save) {
    cop_server *s = x->server;
    const char *name;
    char path[4096];
    if (!s->options.slot_folder) {
        cop_reply_error(x, 501, NULL, "slots are not saved: start the server with --slot-save-path FOLDER");
        return;
    }
    if (!read_path(x, q, path, sizeof path, &name)) return;
    double start = cop_clock();
    cop_status st = save ? cop_scheduler_save_slot(s->scheduler, slot, path) : cop_scheduler_load_slot(s->scheduler, slot, path);
    if (st) {
        reply_slot_failure(x, st, name);
        return;
    }
    cop_slot_info info = {0};
    struct stat file = {0};
    cop_scheduler_get_slot(s->scheduler, slot, &info);
    if (stat(path, &file)) file.st_size = 0;
    double ms = (cop_clock() - start) * 1e3;
    cop_reply_json(x, 200, json_pack("{s:i, s:s, s:i, s:I, s:{s:f}}", "id_slot", slot, "filename", name, save ? "n_saved" : "n_restored", info.n_tokens,
                                     save ? "n_written" : "n_read", (json_int_t)file.st_size, "timings", save ? "save_ms" : "restore_ms", ms));
}

static void erase(cop_exchange *x, int slot) {
    cop_slot_info info = {0};
    cop_scheduler_get_slot(x->server->scheduler, slot, &info);
    cop_status st = cop_scheduler_clear_slot(x->server->scheduler, slot);
    if (st) reply_slot_failure(x, st, "");
    else cop_reply_json(x, 200, json_pack("{s:i, s:i}", "id_slot", slot, "n_erased", info.n_tokens));
}

static int slot_number(const cop_exchange *x) {
    const char *text = x->path + strlen("/slots/");
    int n = x->server->scheduler ? x->server->options.scheduler.slots : 0;
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 3 || text[digits]) return -1;
    int slot = 0;
    for (size_t i = 0; i < digits; i++) slot = slot * 10 + (text[i] - '0');
    return slot < n ? slot : -1;
}

void cop_serve_slot_action(cop_exchange *x) {
    const char *action = x->query(x, "action");
    int slot = slot_number(x);
    cop_question *q = NULL;
    if (slot < 0) {
        cop_reply_error(x, 400, "id_slot", "no slot %.40s", x->path + strlen("/slots/"));
        return;
    }
    const char *body = x->body_bytes ? x->body : "{}";
    cop_status st = cop_question_new(&q, &x->server->served, body, x->body_bytes ? x->body_bytes : 2, x->server->options.max_body);
    if (st) cop_reply_failure(x, st, NULL);
    else if (action && !strcmp(action, "save")) act_on_file(x, q, slot, true);
    else if (action && !strcmp(action, "restore")) act_on_file(x, q, slot, false);
    else if (action && !strcmp(action, "erase")) erase(x, slot);
    else cop_reply_error(x, 400, "action", "action: must be save, restore or erase");
    cop_question_free(q);
}
