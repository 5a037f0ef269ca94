// Automata: a state is a derivative, numbered when it is first reached, and known to reach acceptance. The table lies in
// segments that never move, so a step that is known is two loads without a lock; others take the set's lock.
#include <string.h>

#include "base/alloc.h"
#include "guide/regex_private.h"

#define STEP_FUEL 400000  // of one step: some 0.1 s at worst

static cop_status fail_as(cop_regex_set *set) {
    cop_status st = (cop_status)atomic_load(&set->failed);
    return st ? cop_fail(st, "%s", set->reason) : COP_OK;
}

static bool grow_states(cop_dfa *dfa) {
    uint32_t at;
    if (dfa->n_states >= COP_DFA_MAX_STATES) {
        cop_rx_give_up(dfa->set, COP_ERR_LIMIT, "regular expression: its automaton has too many states");
        return false;
    }
    if (cop_dfa_find(dfa, dfa->n_states, &at)) return true;
    uint32_t k = 31u - (uint32_t)__builtin_clz(dfa->n_states + (1u << COP_DFA_FIRST_BITS)), size = 1u << k;
    size_t n = (size_t)dfa->classes.n;
    cop_dfa_segment *s = cop_alloc(sizeof *s);
    if (s) s->info = cop_alloc_array(size, sizeof *s->info);
    if (s) s->to = cop_alloc_array(size, n * sizeof *s->to);
    if (!s || !s->info || !s->to) {
        cop_rx_give_up(dfa->set, COP_ERR_NOMEM, "regular expression: cannot allocate");
        if (s) cop_free(s->info), cop_free(s->to);
        cop_free(s);
        return false;
    }
    dfa->bytes += size * (sizeof *s->info + n * sizeof *s->to);
    atomic_store_explicit(&dfa->segments[k - COP_DFA_FIRST_BITS], s, memory_order_release);
    return true;
}

static uint32_t *index_slot(cop_dfa *dfa, cop_rx e) {
    size_t at = e * (size_t)0x9E3779B1u & (dfa->index_size - 1);
    for (; dfa->index[at]; at = (at + 1) & (dfa->index_size - 1)) {
        uint32_t in;
        cop_dfa_segment *s = cop_dfa_find(dfa, dfa->index[at], &in);
        if (s->info[in].rx == e) break;
    }
    return &dfa->index[at];
}

static bool grow_index(cop_dfa *dfa) {
    size_t size = dfa->index_size ? dfa->index_size * 2 : 32;
    uint32_t *larger = cop_alloc_array(size, sizeof *larger), *old = dfa->index;
    if (!larger) return cop_rx_give_up(dfa->set, COP_ERR_NOMEM, "regular expression: cannot allocate"), false;
    dfa->index = larger;
    dfa->index_size = size;
    for (uint32_t s = 1; s < dfa->n_states; s++) {
        uint32_t in;
        *index_slot(dfa, cop_dfa_find(dfa, s, &in)->info[in].rx) = s;
    }
    cop_free(old);
    return true;
}

// The state of an expression; COP_DFA_DEAD when it has no text, or the set failed.
static cop_dfa_state state_of(cop_dfa *dfa, cop_rx e) {
    int32_t distance = cop_rx_find_distance(dfa->set, e, &dfa->classes);
    if (distance == COP_GUIDE_FAR) return COP_DFA_DEAD;
    if (dfa->n_states * 2 >= dfa->index_size && !grow_index(dfa)) return COP_DFA_DEAD;
    uint32_t *slot = index_slot(dfa, e), at;
    if (*slot) return *slot;
    if (!grow_states(dfa)) return COP_DFA_DEAD;
    cop_dfa_segment *s = cop_dfa_find(dfa, dfa->n_states, &at);
    s->info[at] = (cop_dfa_info){e, distance, COP_RX_NODE(dfa->set, e)->reach};
    return *slot = dfa->n_states++;
}

cop_dfa_state cop_dfa_step_slowly(cop_dfa *dfa, cop_dfa_state s, uint8_t byte) {
    uint32_t at, c = dfa->classes.of[byte];
    cop_dfa_segment *seg = cop_dfa_find(dfa, s, &at);
    _Atomic uint32_t *to = &seg->to[at * (uint32_t)dfa->classes.n + c];
    cop_lock_take(dfa->set->lock);
    cop_dfa_state next = COP_DFA_DEAD;
    uint32_t known = atomic_load_explicit(to, memory_order_relaxed);
    if (known) {
        next = known - 1;
    } else if (!atomic_load(&dfa->set->failed)) {
        uint64_t had = dfa->set->fuel, lent = had < STEP_FUEL ? had : STEP_FUEL;
        dfa->set->fuel = lent;
        next = state_of(dfa, cop_rx_derive(dfa->set, seg->info[at].rx, dfa->classes.byte[c]));
        dfa->set->fuel = had - (lent - dfa->set->fuel);
        if (!atomic_load(&dfa->set->failed)) atomic_store_explicit(to, next + 1, memory_order_release);
        else next = COP_DFA_DEAD;
    }
    cop_lock_give(dfa->set->lock);
    return next;
}

cop_status cop_dfa_new(cop_dfa **out, cop_regex_set *set, cop_rx a) {
    *out = NULL;
    cop_dfa *dfa = cop_alloc(sizeof *dfa);
    if (!dfa) return cop_fail(COP_ERR_NOMEM, "regular expression: cannot allocate");
    cop_status st = cop_lock_new(&dfa->mask_lock);
    if (st) {
        cop_free(dfa);
        return st;
    }
    atomic_store(&dfa->owners, 1);
    dfa->set = cop_regex_set_share(set);
    cop_lock_take(set->lock);
    cop_rx e = cop_rx_mk_encoded(set, a, COP_RX_UTF8);
    cop_rx_find_classes(set, e, &dfa->classes);
    if (grow_states(dfa)) {
        dfa->n_states = 1;
        uint32_t at;
        cop_dfa_segment *dead = cop_dfa_find(dfa, COP_DFA_DEAD, &at);
        dead->info[at] = (cop_dfa_info){COP_RX_NONE, COP_GUIDE_FAR, COP_RX_MANY};
        for (int c = 0; c < dfa->classes.n; c++) atomic_store_explicit(&dead->to[c], COP_DFA_DEAD + 1, memory_order_relaxed);
        dfa->start = state_of(dfa, e);
    }
    cop_lock_give(set->lock);
    st = fail_as(set);
    if (st) {
        cop_dfa_free(dfa);
        return st;
    }
    *out = dfa;
    return COP_OK;
}

cop_dfa *cop_dfa_share(cop_dfa *dfa) {
    atomic_fetch_add(&dfa->owners, 1);
    return dfa;
}

void cop_dfa_free(cop_dfa *dfa) {
    if (!dfa || atomic_fetch_sub(&dfa->owners, 1) > 1) return;
    for (int i = 0; i < COP_DFA_SEGMENTS; i++) {
        cop_dfa_segment *s = atomic_load(&dfa->segments[i]);
        if (s) cop_free(s->info), cop_free(s->to);
        cop_free(s);
    }
    cop_dfa_free_masks(dfa);
    cop_free(dfa->index);
    cop_lock_free(dfa->mask_lock);
    cop_regex_set_free(dfa->set);
    cop_free(dfa);
}

static const cop_dfa_info *info_of(cop_dfa *dfa, cop_dfa_state s) {
    uint32_t at;
    cop_dfa_segment *seg = cop_dfa_find(dfa, s, &at);
    return &seg->info[at];
}

cop_dfa_state cop_dfa_start(cop_dfa *dfa) { return dfa->start; }
cop_dfa_state cop_dfa_step(cop_dfa *dfa, cop_dfa_state s, uint8_t byte) { return cop_dfa_step_fast(dfa, s, byte); }
bool cop_dfa_accepting(cop_dfa *dfa, cop_dfa_state s) { return info_of(dfa, s)->distance == 0; }
int32_t cop_dfa_distance(cop_dfa *dfa, cop_dfa_state s) { return info_of(dfa, s)->distance; }
cop_status cop_dfa_failed(cop_dfa *dfa) { return fail_as(dfa->set); }
size_t cop_dfa_memory(const cop_dfa *dfa) { return dfa->bytes + dfa->index_size * sizeof *dfa->index; }

int32_t cop_dfa_reach(cop_dfa *dfa, cop_dfa_state s) {
    uint32_t reach = info_of(dfa, s)->reach;
    return reach < COP_GUIDE_FAR ? (int32_t)reach : COP_GUIDE_FAR;
}

bool cop_dfa_ends(cop_dfa *dfa, cop_dfa_state s) {
    for (int c = 0; c < dfa->classes.n; c++)
        if (cop_dfa_step_fast(dfa, s, dfa->classes.byte[c]) != COP_DFA_DEAD) return false;
    return true;
}
