// Workers wait on a job number, then on a phase number: both are plain words that are spun on for a while and
// then slept on (futex), because a pure spin loses whole time slices when other processes run on the same
// cores (docs/speed-log.md). A phase is over when as many items are finished as it has; the counters carry
// the phase's number in their upper bits, so that a worker that is behind cannot touch a later phase.
#include "base/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

#define SPINS 1000           // some 20 µs: more than a wake-up costs, less than a time slice
#define COUNT_BITS 40        // items of a phase; the phase's number is above them
#define COUNT_MASK (((uint64_t)1 << COUNT_BITS) - 1)
#define PHASE_MASK (UINT64_MAX >> COUNT_BITS)
#define GATE_CLOSED (1 << 30)

struct cop_lock {
    pthread_mutex_t mutex;
};

struct cop_pool {
    int n;
    cop_job_fn *fn;
    void *arg;
    uint64_t first_phase;               // of the running job
    pthread_mutex_t run_lock;
    _Alignas(64) atomic_uint job;       // number of the current job; workers look at the gate when it changes
    _Alignas(64) atomic_int gate;       // workers inside the job, or'ed with GATE_CLOSED when none may enter
    atomic_uint left;                   // changes when a worker leaves a closed gate
    _Alignas(64) atomic_uint phase;     // number of the current phase
    _Alignas(64) atomic_ullong next;    // phase, first item that nobody has taken
    _Alignas(64) atomic_ullong finished;  // phase, number of items done
    atomic_ullong claim;                // phase that no worker has claimed the end of
    atomic_int sleepers;
    atomic_int limit;                   // workers from this one on stay out
    atomic_bool stop;
    cop_error_record *errors;           // [n], one per worker
    cop_status *results;                // [n]
    pthread_t *threads;                 // [n], entry 0 unused
    struct worker { cop_pool *pool; int index; } *workers;
};

// Where the calling worker is in the job.
typedef struct place {
    uint64_t phase;
    int64_t n, done;  // items of the phase, as far as this worker knows, and how many of them it took
} place;
static _Thread_local place here;

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

static uint64_t tagged(uint64_t phase) { return (phase & PHASE_MASK) << COUNT_BITS; }
static bool is_of(uint64_t counter, uint64_t phase) { return counter >> COUNT_BITS == (phase & PHASE_MASK); }

static void run_worker(cop_pool *pool, int index) {
    here = (place){.phase = pool->first_phase};
    pool->results[index] = pool->fn(pool->arg, index);
    if (pool->results[index]) {
        cop_error_get(&pool->errors[index]);
        // The job has failed: what is left of this phase is done by nobody, and nobody may wait for it.
        for (int64_t begin, end; cop_pool_take(pool, here.n, here.n, &begin, &end);) {}
    }
    cop_pool_barrier(pool, NULL, NULL);  // what it took last counts as done
}

static bool enter(cop_pool *pool) {
    int gate = atomic_load(&pool->gate);
    while (!(gate & GATE_CLOSED))
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) return true;
    return false;
}

static void leave(cop_pool *pool) {
    if (atomic_fetch_sub(&pool->gate, 1) == (GATE_CLOSED | 1)) change(pool, &pool->left);
}

static void *worker_main(void *p) {
    struct worker *w = p;
    cop_pool *pool = w->pool;
    for (unsigned seen = 0;;) {
        wait_change(pool, &pool->job, seen);
        if (atomic_load(&pool->stop)) return NULL;
        seen = atomic_load(&pool->job);
        if (w->index >= atomic_load(&pool->limit) || !enter(pool)) continue;
        seen = atomic_load(&pool->job);  // the one that was entered: it does not end before this worker leaves
        run_worker(pool, w->index);
        leave(pool);
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
    atomic_store(&pool->gate, GATE_CLOSED);
    atomic_store(&pool->limit, COP_MAX_THREADS);
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
    atomic_store(&pool->stop, true);
    if (pool->n > 1) change(pool, &pool->job);
    for (int i = 1; i < pool->n; i++) pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->run_lock);
    cop_free(pool->errors);
    cop_free(pool->results);
    cop_free(pool->threads);
    cop_free(pool->workers);
    cop_free(pool);
}

void cop_pool_limit(cop_pool *pool, int n) { atomic_store(&pool->limit, n < 1 ? 1 : n); }

int cop_pool_threads(const cop_pool *pool) { return pool->n; }

cop_status cop_pool_run(cop_pool *pool, cop_job_fn *fn, void *arg) {
    pthread_mutex_lock(&pool->run_lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->first_phase = atomic_load(&pool->phase);
    for (int i = 0; i < pool->n; i++) pool->results[i] = COP_OK;
    atomic_store(&pool->gate, 0);
    if (pool->n > 1) change(pool, &pool->job);
    run_worker(pool, 0);
    atomic_fetch_or(&pool->gate, GATE_CLOSED);
    for (;;) {
        unsigned left = atomic_load(&pool->left);
        if (atomic_load(&pool->gate) == GATE_CLOSED) break;
        wait_change(pool, &pool->left, left);
    }
    cop_status st = COP_OK;
    for (int i = 0; i < pool->n && !st; i++) {
        st = pool->results[i];
        if (st) cop_error_set(&pool->errors[i]);
    }
    pthread_mutex_unlock(&pool->run_lock);
    return st;
}

// One worker ends the phase: the first that finds all items done and claims it.
static void try_end(cop_pool *pool, void (*serial)(void *arg), void *arg) {
    uint64_t mine = here.phase, next = (here.phase + 1) & UINT32_MAX;
    if (!atomic_compare_exchange_strong(&pool->claim, &(unsigned long long){mine}, next)) return;
    if (serial) serial(arg);
    atomic_store(&pool->finished, tagged(next));
    atomic_store(&pool->next, tagged(next));
    change(pool, &pool->phase);
}

void cop_pool_barrier(cop_pool *pool, void (*serial)(void *arg), void *arg) {
    // Only a phase that is not over can hold items of this worker, so adding to `finished` is safe.
    uint64_t finished = here.done ? atomic_fetch_add(&pool->finished, (uint64_t)here.done) + (uint64_t)here.done
                                  : atomic_load(&pool->finished);
    if (is_of(finished, here.phase) && (int64_t)(finished & COUNT_MASK) == here.n) try_end(pool, serial, arg);
    wait_change(pool, &pool->phase, (unsigned)here.phase);
    here = (place){.phase = (here.phase + 1) & UINT32_MAX};
}

bool cop_pool_take(cop_pool *pool, int64_t n, int64_t grain, int64_t *begin, int64_t *end) {
    here.n = n;
    unsigned long long next = atomic_load_explicit(&pool->next, memory_order_relaxed);
    for (;;) {
        int64_t at = (int64_t)(next & COUNT_MASK), most = (n - at) / (pool->n + 1);
        if (most < grain) most = n - at < grain ? n - at : grain;
        if (!is_of(next, here.phase) || most <= 0) return false;
        if (!atomic_compare_exchange_weak(&pool->next, &next, next + (uint64_t)most)) continue;
        *begin = at;
        *end = at + most;
        here.done += most;
        return true;
    }
}

struct cop_task {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void (*fn)(void *arg);  // NULL: idle
    void *arg;
    bool stop;
};

static void *task_main(void *p) {
    cop_task *t = p;
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        while (!t->fn && !t->stop) pthread_cond_wait(&t->changed, &t->mutex);
        if (!t->fn) break;
        pthread_mutex_unlock(&t->mutex);
        t->fn(t->arg);
        pthread_mutex_lock(&t->mutex);
        t->fn = NULL;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

cop_status cop_task_new(cop_task **out) {
    *out = NULL;
    cop_task *t = cop_alloc(sizeof *t);
    if (!t) return cop_fail(COP_ERR_NOMEM, "task: cannot allocate");
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->changed, NULL);
    if (pthread_create(&t->thread, NULL, task_main, t)) {
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->mutex);
        cop_free(t);
        return cop_fail(COP_ERR_LIMIT, "task: cannot start a thread");
    }
    *out = t;
    return COP_OK;
}

void cop_task_start(cop_task *t, void (*fn)(void *arg), void *arg) {
    pthread_mutex_lock(&t->mutex);
    t->fn = fn;
    t->arg = arg;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

void cop_task_wait(cop_task *t) {
    pthread_mutex_lock(&t->mutex);
    while (t->fn) pthread_cond_wait(&t->changed, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

void cop_task_free(cop_task *t) {
    if (!t) return;
    cop_task_wait(t);
    pthread_mutex_lock(&t->mutex);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    cop_free(t);
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

struct cop_signal {
    pthread_cond_t changed;
};

cop_status cop_signal_new(cop_signal **out) {
    *out = cop_alloc(sizeof **out);
    if (!*out) return cop_fail(COP_ERR_NOMEM, "signal: cannot allocate");
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&(*out)->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return COP_OK;
}

void cop_signal_free(cop_signal *signal) {
    if (signal) pthread_cond_destroy(&signal->changed);
    cop_free(signal);
}

bool cop_signal_wait(cop_signal *signal, cop_lock *lock, double seconds) {
    if (seconds < 0) {
        pthread_cond_wait(&signal->changed, &lock->mutex);
        return true;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (seconds > 1e6) seconds = 1e6;
    int64_t ns = (int64_t)until.tv_nsec + (int64_t)(seconds * 1e9);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(&signal->changed, &lock->mutex, &until) == 0;
}

void cop_signal_raise(cop_signal *signal) { pthread_cond_broadcast(&signal->changed); }
