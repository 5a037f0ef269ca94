// base/threads: jobs, barriers, ranges and failures, with 1 to 8 workers. Worth running under V=tsan:
// what the workers share here is plain memory that only the pool orders.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/mini_cmocka.h"
#include "base/alloc.h"
#include "base/threads.h"

enum { MOST_WORKERS = 8, N_ITEMS = 1000, N_SLOTS = 16 };

// What a job works on. Workers only note `bad`: an assertion has to be made by the main thread.
typedef struct work {
    cop_pool *pool;
    int rounds, fail_at, n_runs[MOST_WORKERS];
    int slot[N_SLOTS], sum, n_serial;  // written plainly, ordered by barriers
    uint8_t taken[N_ITEMS];
    int64_t n, grain;
    atomic_int bad, away_until;
} work;

static void start(work *w, int n_threads) {
    memset(w, 0, sizeof *w);
    w->fail_at = -1;
    assert_int_equal(cop_pool_new(&w->pool, n_threads), COP_OK);
    assert_int_equal(cop_pool_threads(w->pool), n_threads);
}

static cop_status count_run(void *arg, int worker) {
    work *w = arg;
    w->n_runs[worker]++;
    return COP_OK;
}

static void the_caller_runs_every_job_and_no_worker_runs_one_twice(void **state) {
    (void)state;
    for (int n = 1; n <= MOST_WORKERS; n++) {
        work w;
        start(&w, n);
        int n_jobs = n <= 2 ? 1000 : 100;
        for (int job = 0; job < n_jobs; job++) assert_int_equal(cop_pool_run(w.pool, count_run, &w), COP_OK);
        assert_int_equal(w.n_runs[0], n_jobs);
        for (int i = 1; i < MOST_WORKERS; i++) assert_true(w.n_runs[i] <= (i < n ? n_jobs : 0));
        cop_pool_free(w.pool);
    }
}

static void add_up(void *arg) {
    work *w = arg;
    w->sum = 0;
    for (int i = 0; i < N_SLOTS; i++) w->sum += w->slot[i];
    w->n_serial++;
}

static cop_status rounds_with_a_serial_section(void *arg, int worker) {
    work *w = arg;
    (void)worker;
    for (int r = 0; r < w->rounds; r++) {
        for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 1, &i, &end);)
            for (; i < end; i++) w->slot[i] = r + (int)i;
        cop_pool_barrier(w->pool, add_up, w);
        for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 3, &i, &end);)
            if (w->sum != N_SLOTS * r + N_SLOTS * (N_SLOTS - 1) / 2) w->bad++;
        cop_pool_barrier(w->pool, NULL, NULL);
    }
    return COP_OK;
}

static void a_barrier_orders_what_lies_before_and_after_its_serial_section(void **state) {
    (void)state;
    for (int n = 1; n <= MOST_WORKERS; n++) {
        work w;
        start(&w, n);
        w.rounds = n <= 2 ? 200 : 30;  // more workers than cores cost a sleep at every barrier
        for (int job = 0; job < 3; job++) assert_int_equal(cop_pool_run(w.pool, rounds_with_a_serial_section, &w), COP_OK);
        assert_int_equal(w.bad, 0);
        assert_int_equal(w.n_serial, 3 * w.rounds);
        cop_pool_free(w.pool);
    }
}

// Worker 1 stays away until the others have gone through all phases without it, then comes back.
static cop_status stay_away(void *arg, int worker) {
    work *w = arg;
    for (int r = 0; r < w->rounds; r++) {
        if (worker == 1 && r == 1)
            while (!w->away_until) usleep(100);
        for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 1, &i, &end);)
            for (; i < end; i++) w->slot[i] = r + (int)i;
        cop_pool_barrier(w->pool, add_up, w);
        if (r == w->rounds - 1 && worker == 0) w->away_until = 1;
    }
    return COP_OK;
}

static void a_worker_that_was_put_aside_holds_nobody_up(void **state) {
    (void)state;
    for (int n = 1; n <= 4; n++) {
        work w;
        start(&w, n);
        w.rounds = 50;
        for (int job = 0; job < 5; job++) {
            w.away_until = 0;
            assert_int_equal(cop_pool_run(w.pool, stay_away, &w), COP_OK);
            assert_int_equal(w.sum, N_SLOTS * (w.rounds - 1) + N_SLOTS * (N_SLOTS - 1) / 2);
        }
        assert_int_equal(w.n_serial, 5 * w.rounds);
        cop_pool_free(w.pool);
    }
}

static cop_status take_ranges(void *arg, int worker) {
    work *w = arg;
    (void)worker;
    for (int r = 0; r < w->rounds; r++) {
        for (int64_t begin, end; cop_pool_take(w->pool, w->n, w->grain, &begin, &end);) {
            if (begin < 0 || end <= begin || end > w->n) w->bad++;
            else for (int64_t i = begin; i < end; i++) w->taken[i]++;
        }
        cop_pool_barrier(w->pool, NULL, NULL);
    }
    return COP_OK;
}

static void every_item_is_taken_once_between_barriers(void **state) {
    (void)state;
    const struct { int64_t n, grain; } shapes[] = {{1000, 1}, {1000, 7}, {999, 1000}, {1, 4}, {0, 4}, {64, 16}};
    for (int n = 1; n <= MOST_WORKERS; n++) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            work w;
            start(&w, n);
            w.n = shapes[i].n, w.grain = shapes[i].grain, w.rounds = 5;
            for (int job = 0; job < 2; job++) assert_int_equal(cop_pool_run(w.pool, take_ranges, &w), COP_OK);
            assert_int_equal(w.bad, 0);
            for (int item = 0; item < N_ITEMS; item++)
                if (w.taken[item] != (item < w.n ? 10 : 0))
                    fail_msg("%d threads, %d items by %d: item %d taken %d times, not 10", n, (int)w.n, (int)w.grain, item,
                             w.taken[item]);
            cop_pool_free(w.pool);
        }
    }
}

static cop_status fail_at_an_item(void *arg, int worker) {
    work *w = arg;
    (void)worker;
    for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 1, &i, &end);)
        for (; i < end; i++)
            if (i == w->fail_at) return cop_fail(COP_ERR_FORMAT, "item %d is out of ideas", (int)i);
    return COP_OK;
}

static void a_workers_failure_reaches_the_caller_with_its_text(void **state) {
    (void)state;
    for (int n = 1; n <= MOST_WORKERS; n++) {
        work w;
        start(&w, n);
        for (int at = 0; at < N_SLOTS; at++) {
            char want[64];
            snprintf(want, sizeof want, "item %d is out of ideas", at);
            w.fail_at = at;
            assert_int_equal(cop_pool_run(w.pool, fail_at_an_item, &w), COP_ERR_FORMAT);
            assert_string_equal(cop_error_text(), want);
            w.fail_at = -1;
            assert_int_equal(cop_pool_run(w.pool, fail_at_an_item, &w), COP_OK);
        }
        cop_pool_free(w.pool);
    }
}

static cop_status be_late_with_an_item(void *arg, int worker) {
    work *w = arg;
    (void)worker;
    for (int r = 0; r < w->rounds; r++) {
        for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 1, &i, &end);) {
            for (; i < end; i++) {
                if (i == r % N_SLOTS) usleep(3000);
                w->slot[i] = r;
            }
        }
        cop_pool_barrier(w->pool, add_up, w);
        for (int64_t i, end; cop_pool_take(w->pool, N_SLOTS, 1, &i, &end);)
            if (w->sum != r * N_SLOTS) w->bad++;
        cop_pool_barrier(w->pool, NULL, NULL);
    }
    return COP_OK;
}

static void workers_that_fell_asleep_wake_again(void **state) {
    (void)state;
    for (int n = 1; n <= MOST_WORKERS; n += 3) {
        work w;
        start(&w, n);
        w.rounds = 8;
        for (int job = 0; job < 5; job++) {
            usleep(5000);
            assert_int_equal(cop_pool_run(w.pool, be_late_with_an_item, &w), COP_OK);
        }
        usleep(5000);
        assert_int_equal(w.bad, 0);
        assert_int_equal(w.n_serial, 40);
        cop_pool_free(w.pool);
    }
}

static void *run_many_jobs(void *arg) {
    work *w = arg;
    for (int job = 0; job < 60; job++)
        if (cop_pool_run(w->pool, count_run, w)) w->bad++;
    return NULL;
}

static void jobs_from_several_threads_queue(void **state) {
    (void)state;
    work w;
    start(&w, 3);
    pthread_t callers[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&callers[i], NULL, run_many_jobs, &w), 0);
    for (int i = 0; i < 3; i++) pthread_join(callers[i], NULL);
    assert_int_equal(w.bad, 0);
    assert_int_equal(w.n_runs[0], 180);
    cop_pool_free(w.pool);
}

static void a_job_allocates_nothing(void **state) {
    (void)state;
    work w;
    start(&w, 4);
    w.rounds = 10;
    cop_alloc_forbid(true);
    assert_int_equal(cop_pool_run(w.pool, rounds_with_a_serial_section, &w), COP_OK);
    cop_alloc_forbid(false);
    assert_int_equal(cop_alloc_breaches(), 0);
    cop_pool_free(w.pool);
}

static void a_pool_is_of_1_to_256_workers(void **state) {
    (void)state;
    cop_pool *pool;
    assert_int_equal(cop_pool_new(&pool, -1), COP_ERR_ARG);
    assert_null(pool);
    assert_int_equal(cop_pool_new(&pool, COP_MAX_THREADS + 1), COP_ERR_ARG);
    assert_string_equal(cop_error_text(), "threads: 257, must be 1 to 256");
    assert_int_equal(cop_pool_new(&pool, 0), COP_OK);
    assert_int_equal(cop_pool_threads(pool), cop_threads_usable());
    cop_pool_free(pool);
    cop_pool_free(NULL);
}

static void without_memory_there_is_no_pool(void **state) {
    (void)state;
    for (int n = 1; n < 50; n++) {
        cop_pool *pool;
        cop_alloc_fail_at(n);
        cop_status st = cop_pool_new(&pool, 3);
        bool failed = cop_alloc_failed();
        cop_alloc_fail_at(0);
        if (!failed) {
            assert_int_equal(st, COP_OK);
            cop_pool_free(pool);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(st, COP_ERR_NOMEM);
        assert_null(pool);
    }
    fail_msg("a pool needs 50 allocations");
}

typedef struct counter { cop_lock *lock; int n; } counter;

static void *count_under_lock(void *arg) {
    counter *c = arg;
    for (int i = 0; i < 5000; i++) {
        cop_lock_take(c->lock);
        c->n++;
        cop_lock_give(c->lock);
    }
    return NULL;
}

static void a_lock_lets_one_in_at_a_time(void **state) {
    (void)state;
    counter c = {0};
    assert_int_equal(cop_lock_new(&c.lock), COP_OK);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, count_under_lock, &c), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(c.n, 15000);
    cop_lock_free(c.lock);
    cop_lock_free(NULL);
    cop_alloc_fail_at(1);
    assert_int_equal(cop_lock_new(&c.lock), COP_ERR_NOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_caller_runs_every_job_and_no_worker_runs_one_twice),
        cmocka_unit_test(a_barrier_orders_what_lies_before_and_after_its_serial_section),
        cmocka_unit_test(every_item_is_taken_once_between_barriers),
        cmocka_unit_test(a_workers_failure_reaches_the_caller_with_its_text),
        cmocka_unit_test(a_worker_that_was_put_aside_holds_nobody_up),
        cmocka_unit_test(workers_that_fell_asleep_wake_again),
        cmocka_unit_test(jobs_from_several_threads_queue),
        cmocka_unit_test(a_job_allocates_nothing),
        cmocka_unit_test(a_pool_is_of_1_to_256_workers),
        cmocka_unit_test(without_memory_there_is_no_pool),
        cmocka_unit_test(a_lock_lets_one_in_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
