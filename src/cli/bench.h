// What the benches share: arguments, the machine's own limits, interleaved rounds.
#ifndef COP_CLI_BENCH_H
#define COP_CLI_BENCH_H

#include "cli/cli.h"

typedef struct cop_bench_args {
    cop_model_args model;
    cop_draft_args draft;
    const char *types, *widths;
    int32_t k, m, n, rounds;
    bool peaks;
    cop_texts data, methods;
    const char *resume, *svg;
    int32_t limit, total;
    double temp;
    uint64_t seed;
    bool raw, by_turn, remember;
} cop_bench_args;

typedef struct cop_bench {
    const cop_bench_args *args;
    cop_pool *pool;
    cop_kernels kernels;
    double stream_gbps, int_gops, float_gflops;  // measured in this run, all threads
    json_t *rows;
    json_t *facts;    // further members of the JSON object, or NULL
    void (*table)(const struct cop_bench *b, const json_t *rows);  // NULL: one column per member of a row
    int n_different;  // texts that differ and must not: the bench fails, after it has reported
} cop_bench;

/* Best and median seconds of a thing that is timed in turns with others. */
#define COP_BENCH_MOST_ROUNDS 400
typedef struct cop_timing {
    double seconds[COP_BENCH_MOST_ROUNDS];
    int n;
} cop_timing;
void cop_timing_add(cop_timing *t, double seconds);
double cop_timing_best(const cop_timing *t);
double cop_timing_spread(cop_timing *t);  // median over best

/* A list such as "1,2,8" of numbers from 1 to `high` into out[most]; its length. */
cop_status cop_bench_numbers(const char *what, const char *text, int high, int *out, int most, int *n);

/* Streaming rate of the machine: once more, as the best so far, into b->stream_gbps. */
cop_status cop_bench_stream(cop_bench *b);

cop_status cop_bench_kernel(cop_bench *b);
cop_status cop_bench_verify(cop_bench *b, cop_engine *engine);
cop_status cop_bench_prefill(cop_bench *b, cop_engine *engine);
cop_status cop_bench_decode(cop_bench *b, cop_engine *engine);
cop_status cop_bench_load(cop_bench *b);
cop_status cop_bench_spec(cop_bench *b, cop_engine *engine);
cop_status cop_bench_guide(cop_bench *b, cop_engine *engine);

#endif
