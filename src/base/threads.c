// Workers wait on a job number, then on a phase number: both are plain words that are spun on for a
// while and then slept on (futex), because a pure spin loses whole time slices when other processes
// run on the same cores (performance.md section 4, point 7).
#include "base/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#define SPINS 3000  // about 20 µs: measured as the knee between wake-up cost and stolen time slices

struct cop_lock {
    pthread_mutex_t mutex;
};

struct cop_pool {
    int n;
    cop_job_fn *fn;
    void *arg;
    pthread_mutex_t run_lock;
    _Alignas(64) atomic_uint job;       // number of the current job; workers start when it changes
    _Alignas(64) atomic_int running;    // workers that have not yet returned from the job
    atomic_uint done;                   // changes when the last worker returned
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint phase;
    _Alignas(64) atomic_llong next;     // range counter
    atomic_int sleepers;
    bool stop;
    cop_error_record *errors;           // [n], one per worker
    cop_status *results;                // [n]
    pthread_t *threads;                 // [n], entry 0 unused
    struct worker { cop_pool *pool; int index; } *workers;
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned value) {
    syscall(SYS_futex, (unsigned *)word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word) { syscall(SYS_futex, (unsigned *)word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0); }

// Wait until *word is no longer `old`.
static void wait_change(cop_pool *pool, atomic_uint *word, unsigned old) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return;
        pause_cpu();
    }
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(word) == old) futex_wait(word, old);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void change(cop_pool *pool, atomic_uint *word) {
    atomic_fetch_add(word, 1);
    if (atomic_load(&pool->sleepers)) futex_wake_all(word);
}

static void run_worker(cop_pool *pool, int index) {
    pool->results[index] = pool->fn(pool->arg, index);
    if (pool->results[index]) cop_error_get(&pool->errors[index]);
    if (atomic_fetch_sub(&pool->running, 1) == 1) change(pool, &pool->done);
}

static void *worker_main(void *p) {
    struct worker *w = p;
    cop_pool *pool = w->pool;
    for (unsigned seen = 0;; seen++) {
        wait_change(pool, &pool->job, seen);
        if (pool->stop) return NULL;
        run_worker(pool, w->index);
    }
}

int cop_threads_usable(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > COP_MAX_THREADS ? COP_MAX_THREADS : n;
}

cop_status cop_pool_new(cop_pool **out, int n_threads) {
    *out = NULL;
    if (n_threads == 0) n_threads = cop_threads_usable();
    if (n_threads < 1 || n_threads > COP_MAX_THREADS)
        return cop_fail(COP_ERR_ARG, "threads: %d, must be 1 to %d", n_threads, COP_MAX_THREADS);
    cop_pool *pool = cop_alloc(sizeof *pool);
    if (!pool) return cop_fail(COP_ERR_NOMEM, "threads: cannot allocate");
    pthread_mutex_init(&pool->run_lock, NULL);
    size_t n = (size_t)n_threads;
    pool->errors = cop_alloc_array(n, sizeof *pool->errors);
    pool->results = cop_alloc_array(n, sizeof *pool->results);
    pool->threads = cop_alloc_array(n, sizeof *pool->threads);
    pool->workers = cop_alloc_array(n, sizeof *pool->workers);
    pool->n = 1;
    cop_status st = COP_OK;
    if (!pool->errors || !pool->results || !pool->threads || !pool->workers)
        st = cop_fail(COP_ERR_NOMEM, "threads: cannot allocate");
    for (int i = 1; !st && i < n_threads; i++) {
        pool->workers[i] = (struct worker){pool, i};
        int e = pthread_create(&pool->threads[i], NULL, worker_main, &pool->workers[i]);
        if (e) st = cop_fail(COP_ERR_LIMIT, "threads: cannot start worker %d of %d", i, n_threads);
        else pool->n = i + 1;
    }
    if (st) {
        cop_pool_free(pool);
        return st;
    }
    *out = pool;
    return COP_OK;
}

void cop_pool_free(cop_pool *pool) {
    if (!pool) return;
    pool->stop = true;
    if (pool->n > 1) change(pool, &pool->job);
    for (int i = 1; i < pool->n; i++) pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->run_lock);
    cop_free(pool->errors);
    cop_free(pool->results);
    cop_free(pool->threads);
    cop_free(pool->workers);
    cop_free(pool);
}

int cop_pool_threads(const cop_pool *pool) { return pool->n; }

cop_status cop_pool_run(cop_pool *pool, cop_job_fn *fn, void *arg) {
    pthread_mutex_lock(&pool->run_lock);
    pool->fn = fn;
    pool->arg = arg;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->running, pool->n);
    unsigned done = atomic_load(&pool->done);
    if (pool->n > 1) change(pool, &pool->job);
    run_worker(pool, 0);
    wait_change(pool, &pool->done, done);
    cop_status st = COP_OK;
    for (int i = 0; i < pool->n && !st; i++) {
        st = pool->results[i];
        if (st) cop_error_set(&pool->errors[i]);
    }
    pthread_mutex_unlock(&pool->run_lock);
    return st;
}

void cop_pool_barrier(cop_pool *pool, void (*serial)(void *arg), void *arg) {
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
    if (atomic_fetch_add(&pool->arrived, 1) == pool->n - 1) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
        if (serial) serial(arg);
        if (pool->n > 1) change(pool, &pool->phase);
    } else {
        wait_change(pool, &pool->phase, phase);
    }
}

bool cop_pool_take(cop_pool *pool, int64_t n, int64_t grain, int64_t *begin, int64_t *end) {
    int64_t at = atomic_fetch_add_explicit(&pool->next, grain, memory_order_relaxed);
    if (at >= n) return false;
    *begin = at;
    *end = at + grain < n ? at + grain : n;
    return true;
}

cop_status cop_lock_new(cop_lock **out) {
    *out = cop_alloc(sizeof **out);
    if (!*out) return cop_fail(COP_ERR_NOMEM, "lock: cannot allocate");
    pthread_mutex_init(&(*out)->mutex, NULL);
    return COP_OK;
}
void cop_lock_free(cop_lock *lock) {
    if (lock) pthread_mutex_destroy(&lock->mutex);
    cop_free(lock);
}
void cop_lock_take(cop_lock *lock) { pthread_mutex_lock(&lock->mutex); }
void cop_lock_give(cop_lock *lock) { pthread_mutex_unlock(&lock->mutex); }
