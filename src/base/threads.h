// One pool of workers, phases, dynamic ranges.  Locks live here.
//
// A forward is one job: every worker runs the same function from top to bottom. Between two barriers lies
// a phase, whose items are taken in ranges from a shared counter: what is computed never depends on who
// computes it. A barrier waits for the phase's items, not for the workers: one that the system has put
// aside holds nobody up unless it holds items, and skips what was done without it when it comes back.
#ifndef COP_BASE_THREADS_H
#define COP_BASE_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define COP_MAX_THREADS 256

typedef struct cop_pool cop_pool;

/* n_threads workers including the calling thread, 1 … COP_MAX_THREADS; 0 means one per usable core. */
cop_status cop_pool_new(cop_pool **out, int n_threads);
void cop_pool_free(cop_pool *pool);  // accepts NULL
int cop_pool_threads(const cop_pool *pool);
/* Let only the first n workers take part in the jobs to come (at least the caller); the others stay out of the way. */
void cop_pool_limit(cop_pool *pool, int n);
int cop_threads_usable(void);  // cores this process may run on

/* Run fn(arg, worker) on the workers, the caller being worker 0, and return when all items are done and all
 * workers that began have returned. A worker that comes late may not run it at all: what has to be done
 * must be taken with cop_pool_take, or done by worker 0.
 * The first failure, in worker order, becomes the caller's failure; a worker that fails gives up what is
 * left of the phase. One job at a time: callers from several threads queue. Allocates nothing. */
typedef cop_status cop_job_fn(void *arg, int worker);
cop_status cop_pool_run(cop_pool *pool, cop_job_fn *fn, void *arg);

/* Inside a job: end the phase. Returns when its items are done and serial(arg), if given, has run once: a
 * small piece of work that needs everything before it and is needed by everyone after it, done by the
 * worker that finds the items done. Every worker passes the same barriers in the same order.  Spins
 * briefly, then sleeps. */
void cop_pool_barrier(cop_pool *pool, void (*serial)(void *arg), void *arg);

/* Inside a job: take the next [*begin, *end) of the phase's items 0 … n-1; false when none is left. At first a
 * good part of the worker's share, then less and less, down to `grain` items at once. All workers give the
 * same n in one phase, and have done what they took when they next call cop_pool_barrier or return. */
bool cop_pool_take(cop_pool *pool, int64_t n, int64_t grain, int64_t *begin, int64_t *end);

/* One thing at a time beside the caller, on a thread of its own. start needs an idle task; wait returns when fn has. */
typedef struct cop_task cop_task;
cop_status cop_task_new(cop_task **out);
void cop_task_free(cop_task *task);  // waits; accepts NULL
void cop_task_start(cop_task *task, void (*fn)(void *arg), void *arg);
void cop_task_wait(cop_task *task);

/* A plain lock for the few places that need one: engine/scheduler, serve/queue, the model table. */
typedef struct cop_lock cop_lock;
cop_status cop_lock_new(cop_lock **out);
void cop_lock_free(cop_lock *lock);
void cop_lock_take(cop_lock *lock);
void cop_lock_give(cop_lock *lock);

/* Something changed. wait: the lock is taken, given while waiting, and taken again; false when `seconds` (< 0: no end)
 * are over. It may return early: look again at what is waited for. raise wakes all. */
typedef struct cop_signal cop_signal;
cop_status cop_signal_new(cop_signal **out);
void cop_signal_free(cop_signal *signal);  // accepts NULL
bool cop_signal_wait(cop_signal *signal, cop_lock *lock, double seconds);
void cop_signal_raise(cop_signal *signal);

#endif
