// coppice serve: one model behind HTTP. docs/serve.md says what it answers.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/page.h"
#include "serve/server.h"

typedef struct serve_args {
    cop_model_args model;
    const char *draft, *verify, *control;
    cop_sampling_args sampling;
    const char *host, *unix_path, *key_file, *tls_cert, *tls_key, *alias, *slot_folder, *template;
    cop_texts keys, cors;
    int32_t port, parallel, queue, connections, cache_tokens, n, max_body, wait;
    double timeout;
    bool metrics, hide_slots, verbose, ignored;
    const char *ignored_text;
} serve_args;

#define FIELD(field) offsetof(serve_args, field)

static const cop_arg options[] = {
    COP_MODEL_ARGS(serve_args, model),
    COP_CONTEXT_ARGS(serve_args, model),
    {0, "host", COP_ARG_TEXT, FIELD(host), 0, 0, "HOST", "address to listen at; default 127.0.0.1, 0.0.0.0 for all"},
    {0, "port", COP_ARG_INT, FIELD(port), 0, 65535, "N", "port; default 8080, 0 takes a free one"},
    {0, "unix", COP_ARG_TEXT, FIELD(unix_path), 0, 0, "PATH", "listen at a Unix socket instead"},
    {0, "parallel", COP_ARG_INT, FIELD(parallel), 1, COP_MAX_SLOTS, "N", "requests that run at once; default 4"},
    {0, "queue", COP_ARG_INT, FIELD(queue), 0, 100000, "N", "requests that may wait, more get 429; default 64"},
    {0, "cache-tokens", COP_ARG_INT, FIELD(cache_tokens), 0, 1 << 28, "N", "tokens of the cache for all of them; default parallel x ctx"},
    {'n', "predict", COP_ARG_INT, FIELD(n), -1, 1 << 22, "N", "tokens of a reply where a request does not say; -1, the default: no limit"},
    {0, "api-key", COP_ARG_TEXTS, FIELD(keys), 0, 0, "KEY", "a key that requests must bring; may be given several times"},
    {0, "api-key-file", COP_ARG_TEXT, FIELD(key_file), 0, 0, "FILE", "such keys, one a line"},
    {0, "cors", COP_ARG_TEXTS, FIELD(cors), 0, 0, "ORIGIN", "pages of this origin may ask; * for all"},
    {0, "tls-cert", COP_ARG_TEXT, FIELD(tls_cert), 0, 0, "FILE", "certificate chain, PEM: speak HTTPS"},
    {0, "tls-key", COP_ARG_TEXT, FIELD(tls_key), 0, 0, "FILE", "its private key, PEM"},
    {'a', "alias", COP_ARG_TEXT, FIELD(alias), 0, 0, "NAME", "how replies name the model"},
    {0, "timeout", COP_ARG_NUMBER, FIELD(timeout), 1, 86400, "S", "seconds that a client may take to ask or to read; default 120"},
    {0, "connections", COP_ARG_INT, FIELD(connections), 1, 10000, "N", "connections at once; default 256"},
    {0, "max-body", COP_ARG_INT, FIELD(max_body), 1024, 1 << 30, "BYTES", "longest question; default 16777216"},
    {0, "stop-wait", COP_ARG_INT, FIELD(wait), 0, 3600, "S", "seconds that running replies get to end at a stop; default 30"},
    {0, "metrics", COP_ARG_FLAG, FIELD(metrics), 0, 0, NULL, "answer GET /metrics"},
    {0, "no-slots", COP_ARG_FLAG, FIELD(hide_slots), 0, 0, NULL, "do not answer GET /slots"},
    {0, "slot-save-path", COP_ARG_TEXT, FIELD(slot_folder), 0, 0, "FOLDER", "where POST /slots saves sequences; without it it is refused"},
    {0, "chat-template-file", COP_ARG_TEXT, FIELD(template), 0, 0, "FILE", "a chat template instead of the model's"},
    COP_LORA_ARG(serve_args, model),
    {0, "draft", COP_ARG_TEXT, FIELD(draft), 0, 0, "NAMES", "drafters where a request does not say: auto (default), none, NAME[:option=value,...][+NAME...]"},
    {0, "draft-model", COP_ARG_TEXT, FIELD(model.draft_model), 0, 0, "M", "a smaller model to draft with, of the same vocabulary unless --draft translate"},
    {0, "verify", COP_ARG_TEXT, FIELD(verify), 0, 0, "NAME", "verifier; default coupled, which changes no text"},
    {0, "control", COP_ARG_TEXT, FIELD(control), 0, 0, "NAME", "controller; default auto with --draft auto, else fixed"},
    COP_SAMPLING_ARGS(serve_args, sampling),
    {'v', "verbose", COP_ARG_FLAG, FIELD(verbose), 0, 0, NULL, "a line for each request on standard error"},
    // llama-server's names for the same
    {0, "ctx-size", COP_ARG_INT, FIELD(model.context), 2, 1 << 22, "N", NULL},
    {0, "np", COP_ARG_INT, FIELD(parallel), 1, COP_MAX_SLOTS, "N", NULL},
    {0, "threads-http", COP_ARG_INT, FIELD(connections), 1, 10000, "N", NULL},
    {0, "to", COP_ARG_NUMBER, FIELD(timeout), 1, 86400, "S", NULL},
    {0, "n-predict", COP_ARG_INT, FIELD(n), -1, 1 << 22, "N", NULL},
    {0, "ssl-cert-file", COP_ARG_TEXT, FIELD(tls_cert), 0, 0, "FILE", NULL},
    {0, "ssl-key-file", COP_ARG_TEXT, FIELD(tls_key), 0, 0, "FILE", NULL},
    {0, "md", COP_ARG_TEXT, FIELD(model.draft_model), 0, 0, "M", NULL},
    {0, "model-draft", COP_ARG_TEXT, FIELD(model.draft_model), 0, 0, "M", NULL},
    {0, "ctk", COP_ARG_TEXT, FIELD(model.cache_type), 0, 0, "TYPE", NULL},
    {0, "cache-type-k", COP_ARG_TEXT, FIELD(model.cache_type), 0, 0, "TYPE", NULL},
    {0, "typical", COP_ARG_NUMBER, FIELD(sampling.typical_p), 0, 1, "P", NULL},
    {0, "repeat-last-n", COP_ARG_INT, FIELD(sampling.penalty_window), 0, 1 << 20, "N", NULL},
    {0, "temperature", COP_ARG_NUMBER, FIELD(sampling.temp), 0, 100, "T", NULL},
    {0, "slots", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "cb", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "cont-batching", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "jinja", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "embedding", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "embeddings", COP_ARG_FLAG, FIELD(ignored), 0, 0, NULL, NULL},
    {0, "ngl", COP_ARG_TEXT, FIELD(ignored_text), 0, 0, "N", NULL},
    {0},
};

static void print_line(void *user, const char *line) {
    (void)user;
    fprintf(stderr, "%s\n", line);
}

static cop_server_options read_options(serve_args *a) {
    cop_server_options o = cop_server_defaults();
    o.model = a->model.model;
    o.alias = a->alias;
    o.host = a->host;
    o.port = a->port;
    o.unix_path = a->unix_path;
    o.tls_cert = a->tls_cert;
    o.tls_key = a->tls_key;
    o.keys = a->keys.v;
    o.n_keys = a->keys.n;
    o.key_file = a->key_file;
    o.cors = a->cors.v;
    o.n_cors = a->cors.n;
    o.connections = a->connections;
    o.timeout = a->timeout;
    o.max_body = (size_t)a->max_body;
    o.max_tokens = a->n;
    o.lora = a->model.lora.v;
    o.n_lora = a->model.lora.n;
    o.slot_folder = a->slot_folder;
    o.template = a->template;
    o.metrics = a->metrics;
    o.hide_slots = a->hide_slots;
    o.page = cop_page_index;
    if (a->verbose) o.log = print_line;
    cop_cli_sampling_options(&o.session, &a->sampling);
    o.session.draft = o.scheduler.draft = a->draft ? a->draft : "auto";
    o.session.verify = o.scheduler.verify = a->verify;
    o.session.control = o.scheduler.control = a->control;
    o.seeded = a->sampling.seed != 0;
    o.scheduler.slots = a->parallel;
    o.scheduler.queue = a->queue;
    o.scheduler.context = a->model.context;
    o.scheduler.cache_tokens = a->cache_tokens;
    o.scheduler.cache_type = a->model.cache_type;
    return o;
}

static bool not_twice(void *user) {
    (void)user;
    return true;  // a second signal ends the process at once
}

static cop_status serve(cop_engine *engine, serve_args *a) {
    cop_server_options o = read_options(a);
    cop_server *server;
    char line[1024];
    COP_TRY(cop_server_open(&server, engine, &o));
    cop_cli_catch_interrupts();
    printf("listening at %s\n", cop_server_address(server));
    if (cop_server_curl(server, line, sizeof line)) printf("try: %s\n", line);
    fflush(stdout);
    for (int tick = 0; !cop_cli_interrupted(); tick++) {
        usleep(100000);
        if (tick % 10 == 0) cop_server_tend(server);
    }
    fprintf(stderr, "stopping; once more to stop at once\n");
    cop_server_stop(server, a->wait, not_twice, NULL);
    cop_server_close(server);
    return COP_OK;
}

static cop_status run(int argc, char **argv) {
    serve_args a = {.host = "127.0.0.1", .port = 8080, .parallel = 4, .queue = 64, .connections = 256, .timeout = 120, .max_body = 16 << 20,
                    .n = -1, .wait = 30, .sampling = cop_cli_sampling_defaults()};
    cop_engine *engine = NULL;
    a.sampling.temp = 0.8;
    a.sampling.top_k = 40;
    a.sampling.top_p = 0.95;
    a.sampling.min_p = 0.05;
    COP_TRY(cop_args_parse(options, &a, argc, argv, NULL));
    if (a.model.json) return cop_fail(COP_ERR_ARG, "--json: serve has no such output");
    signal(SIGPIPE, SIG_IGN);
    cop_status st = cop_cli_open(&engine, &a.model);
    if (!st) st = serve(engine, &a);
    cop_engine_close(engine);
    return st;
}

const cop_command cop_command_serve = {
    .name = "serve",
    .summary = "answer over HTTP, in the forms of OpenAI, Anthropic and llama-server",
    .usage = "serve -m M [--host HOST] [--port N | --unix PATH] [--parallel N] [--queue N] [--ctx N] [-t THREADS]\n"
             "    [--api-key KEY | --api-key-file FILE] [--cors ORIGIN] [--tls-cert FILE --tls-key FILE]\n"
             "    [--draft NAMES] [--lora FILE[:S]] [--metrics] [--slot-save-path FOLDER] [--verbose]",
    .options = options,
    .run = run,
};
