#include "format/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#if __has_include(<curl/curl.h>)
#include <curl/curl.h>

typedef struct transfer {
    const cop_http_request *r;
    CURL *curl;
    uint64_t range_start;   // of the reply's content-range
    bool ranged, begun, cancelled;
    cop_status status;      // of the caller's functions
    cop_error_record failure;
} transfer;

static size_t stop(transfer *t, cop_status st) {
    t->status = st;
    cop_error_get(&t->failure);
    return 0;
}

// Headers of every reply of a chain of redirects come by; a status line begins the next.
static size_t on_header(char *data, size_t size, size_t n, void *user) {
    transfer *t = user;
    size_t bytes = size * n;
    char line[128];
    snprintf(line, sizeof line, "%.*s", bytes < 127 ? (int)bytes : 127, data);
    if (!strncmp(line, "HTTP/", 5)) t->ranged = false;
    if (!strncasecmp(line, "content-range:", 14) && sscanf(line + 14, " bytes %" SCNu64 "-", &t->range_start) == 1) t->ranged = true;
    return bytes;
}

static size_t on_data(char *data, size_t size, size_t n, void *user) {
    transfer *t = user;
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code != 200 && code != 206) return size * n;  // the page of an error
    if (!t->begun) {
        uint64_t from = code == 206 && t->ranged ? t->range_start : 0;
        if (code == 206 && from != t->r->from) return stop(t, cop_fail(COP_ERR_IO, "the server sent another range than asked for"));
        cop_status st = t->r->begin ? t->r->begin(t->r->user, from) : COP_OK;
        if (st) return stop(t, st);
        t->begun = true;
    }
    cop_status st = t->r->write(t->r->user, data, size * n);
    return st ? stop(t, st) : size * n;
}

static int on_tick(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    transfer *t = user;
    t->cancelled = t->r->tick && !t->r->tick(t->r->user);
    return t->cancelled;
}

static struct curl_slist *set_options(transfer *t) {
    CURL *c = t->curl;
    const cop_http_request *r = t->r;
    char range[32], header[2200];
    struct curl_slist *headers = NULL;
    bool plain = !strncmp(r->url, "http://", 7);
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);  // nothing for a minute: give up
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "coppice/" COP_VERSION);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    if (r->from) {
        snprintf(range, sizeof range, "%" PRIu64 "-", r->from);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    if (r->token) {  // libcurl drops a header of this name when a redirect leads to another host
        snprintf(header, sizeof header, "Authorization: Bearer %.2048s", r->token);
        headers = curl_slist_append(NULL, header);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    }
    return headers;
}

static cop_status judge(transfer *t, CURLcode result, long code, bool *transient) {
    if (t->cancelled) return cop_fail(COP_ERR_CANCELLED, "stopped; the same command goes on from here");
    if (t->status) {
        cop_error_set(&t->failure);
        return t->status;
    }
    if (result != CURLE_OK) {
        *transient = result != CURLE_URL_MALFORMAT && result != CURLE_UNSUPPORTED_PROTOCOL && result != CURLE_PEER_FAILED_VERIFICATION &&
                     result != CURLE_TOO_MANY_REDIRECTS;
        return cop_fail(COP_ERR_IO, "%.200s: %s", t->r->url, curl_easy_strerror(result));
    }
    if (code == 200 || code == 206) {
        if (t->begun || !t->r->begin) return COP_OK;
        return t->r->begin(t->r->user, code == 206 ? t->r->from : 0);  // an empty file
    }
    *transient = code == 408 || code == 429 || code >= 500;
    return cop_fail(COP_ERR_IO, "%.200s: the server answers %ld", t->r->url, code);
}

cop_status cop_http_get(const cop_http_request *request, long *code, bool *transient) {
    *code = 0;
    *transient = false;
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) return cop_fail(COP_ERR_NOMEM, "http: libcurl does not start");
    transfer t = {.r = request, .curl = curl_easy_init()};
    if (!t.curl) {
        curl_global_cleanup();
        return cop_fail(COP_ERR_NOMEM, "http: cannot allocate");
    }
    struct curl_slist *headers = set_options(&t);
    CURLcode result = curl_easy_perform(t.curl);
    curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, code);
    cop_status st = judge(&t, result, *code, transient);
    curl_slist_free_all(headers);
    curl_easy_cleanup(t.curl);
    curl_global_cleanup();
    return st;
}

#else

cop_status cop_http_get(const cop_http_request *request, long *code, bool *transient) {
    (void)request;
    *code = 0;
    *transient = false;
    return cop_fail(COP_ERR_UNSUPPORTED, "http: this build has no libcurl; install libcurl4-openssl-dev and build again");
}

#endif
