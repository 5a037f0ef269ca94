// Earley rows (Earley 1970; nullable names are stepped over as in Aycock and Horspool 2002). A row holds what is being
// read (a production's place, the name it completes, the row that waits for that name, the state in the automaton at the
// place) and who waits here for which name. Rows are interned by their content, so a loop comes back to a row it
// knows, and a text's state is a row's number. A name at the end of a production is a tail call: its productions complete
// what the caller's would have, and nobody waits. That makes right recursion as cheap as left.
// Cost: per byte the items of a row, mostly below ten.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "guide/grammar_private.h"

#define MAX_ITEMS 4000                   // of one row

#define N_MEMO ((size_t)1 << 12)

void cop_gr_give_up(cop_grammar_language *l, cop_status status, const char *reason) {
    if (l->failed) return;
    l->failed = status;
    l->reason = reason;
}

static void burn(cop_grammar_language *l, size_t amount) {
    l->fuel -= (int64_t)amount;
    if (l->fuel < 0) cop_gr_give_up(l, COP_ERR_LIMIT, "too ambiguous: a byte has too many readings");
}

static const cop_gr_symbol *symbol_at(const cop_grammar_language *l, uint32_t dot) { return &l->grammar->symbols.v[dot]; }

// ---- distances ----

// Bytes from where `name`, waited for in `origin`, is complete to the end of the text.
static int32_t wait_distance(const cop_grammar_language *l, uint32_t name, uint32_t origin) {
    if (origin == COP_GR_ROOT) return 0;
    const cop_gr_row *row = &l->rows.v[origin];
    int32_t best = COP_GUIDE_FAR;
    for (uint32_t i = row->at + row->n; i < row->at + row->n + row->n_waiting; i++)
        if (symbol_at(l, l->items.v[i].dot)->value == name && l->waits.v[i] < best) best = l->waits.v[i];
    return best;
}

int32_t cop_gr_item_distance(const cop_grammar_language *l, uint32_t row, const cop_gr_item *item, int32_t missing) {
    int32_t behind = wait_distance(l, item->name, item->origin == COP_GR_SELF ? row : item->origin);
    return cop_gr_sum(missing, cop_gr_sum(symbol_at(l, item->dot + 1)->rest, behind));
}

static int32_t missing_bytes(const cop_grammar_language *l, const cop_gr_item *item) {
    const cop_gr_symbol *s = symbol_at(l, item->dot);
    if (s->kind == COP_GR_DFA) return cop_dfa_distance(l->grammar->dfas.v[s->value], item->q);
    if (s->kind == COP_GR_TOKEN) return 1;
    return l->languages[s->value]->type->distance(l->languages[s->value], item->q);
}

// The row's own waiters may wait for one another: shortest ways by relaxation.
static void find_waits(cop_grammar_language *l, uint32_t r) {
    cop_gr_row *row = &l->rows.v[r];
    uint32_t first = row->at + row->n, end = first + row->n_waiting;
    for (uint32_t i = first; i < end; i++) l->waits.v[i] = COP_GUIDE_FAR;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = first; i < end; i++) {
            const cop_gr_item *w = &l->items.v[i];
            int32_t behind = wait_distance(l, w->name, w->origin == COP_GR_SELF ? r : w->origin);
            if (behind == COP_GUIDE_FAR) continue;
            int32_t d = cop_gr_sum(symbol_at(l, w->dot + 1)->rest, behind);
            if (d < l->waits.v[i]) l->waits.v[i] = d, changed = true;
        }
    }
}

static void find_distance(cop_grammar_language *l, uint32_t r) {
    cop_gr_row *row = &l->rows.v[r];
    row->distance = row->accepting ? 0 : COP_GUIDE_FAR - 1;
    for (uint32_t i = row->at; i < row->at + row->n && !row->accepting; i++) {
        int32_t d = cop_gr_item_distance(l, r, &l->items.v[i], missing_bytes(l, &l->items.v[i]));
        if (d < row->distance) row->distance = d;
    }
}

// ---- interning ----

static int compare_items(const void *a, const void *b) {
    const cop_gr_item *x = a, *y = b;
    if (x->dot != y->dot) return x->dot < y->dot ? -1 : 1;
    if (x->origin != y->origin) return x->origin < y->origin ? -1 : 1;
    if (x->name != y->name) return x->name < y->name ? -1 : 1;
    return (x->q > y->q) - (x->q < y->q);
}

static size_t tidy(cop_gr_item *v, size_t n) {
    size_t k = 0;
    if (n > 1) qsort(v, n, sizeof *v, compare_items);
    for (size_t i = 0; i < n; i++)
        if (!k || compare_items(&v[k - 1], &v[i])) v[k++] = v[i];
    return k;
}

static uint32_t hash_items(uint32_t h, const cop_gr_item *v, size_t n) {
    const uint32_t *words = (const uint32_t *)v;
    uint64_t x = h;
    for (size_t i = 0; i < n * sizeof *v / sizeof *words; i++) x = (x ^ words[i]) * 0x9E3779B97F4A7C15u, x ^= x >> 32;
    return (uint32_t)x;
}

static bool grow_buckets(cop_grammar_language *l) {
    size_t size = l->n_buckets ? l->n_buckets * 2 : 64;
    uint32_t *larger = cop_alloc_array(size, sizeof *larger);
    if (!larger) return cop_gr_give_up(l, COP_ERR_NOMEM, "cannot allocate"), false;
    for (uint32_t r = 1; r < l->rows.n; r++) {
        uint32_t at = l->rows.v[r].hash & (uint32_t)(size - 1);
        l->rows.v[r].next = larger[at];
        larger[at] = r;
    }
    cop_free(l->buckets);
    l->buckets = larger;
    l->n_buckets = size;
    return true;
}

static bool is_row(const cop_grammar_language *l, const cop_gr_row *row) {
    return row->n == l->now.n && row->n_waiting == l->waiting.n && row->accepting == l->accepting &&
           (!l->now.n || !memcmp(l->items.v + row->at, l->now.v, l->now.n * sizeof *l->now.v)) &&
           (!l->waiting.n || !memcmp(l->items.v + row->at + row->n, l->waiting.v, l->waiting.n * sizeof *l->waiting.v));
}

// The row of what was collected.
static uint32_t intern_row(cop_grammar_language *l) {
    l->now.n = tidy(l->now.v, l->now.n);
    l->waiting.n = tidy(l->waiting.v, l->waiting.n);
    if (l->failed || (!l->now.n && !l->accepting)) return COP_GUIDE_DEAD;
    uint32_t hash = hash_items(l->accepting, l->now.v, l->now.n);
    hash = hash_items(hash, l->waiting.v, l->waiting.n);
    if (l->rows.n >= l->n_buckets && !grow_buckets(l)) return COP_GUIDE_DEAD;
    uint32_t *bucket = &l->buckets[hash & (uint32_t)(l->n_buckets - 1)];
    for (uint32_t r = *bucket; r; r = l->rows.v[r].next)
        if (l->rows.v[r].hash == hash && is_row(l, &l->rows.v[r])) return r;
    size_t n = l->now.n + l->waiting.n;
    burn(l, n + n * l->waiting.n / 8);  // distances
    cop_gr_row row = {.at = (uint32_t)l->items.n, .n = (uint32_t)l->now.n, .n_waiting = (uint32_t)l->waiting.n, .next = *bucket,
                      .hash = hash, .accepting = l->accepting, .worst = -1};
    if (cop_array_reserve(&l->items, n) || cop_array_reserve(&l->waits, n) || cop_array_push(&l->rows, row))
        return cop_gr_give_up(l, COP_ERR_LIMIT, "the text's rows take too much memory"), COP_GUIDE_DEAD;
    if (l->now.n) memcpy(l->items.v + l->items.n, l->now.v, l->now.n * sizeof *l->now.v);
    if (l->waiting.n) memcpy(l->items.v + l->items.n + l->now.n, l->waiting.v, l->waiting.n * sizeof *l->waiting.v);
    l->items.n += n;
    l->waits.n = l->items.n;
    uint32_t r = *bucket = (uint32_t)l->rows.n - 1;
    find_waits(l, r);
    find_distance(l, r);
    return r;
}

// ---- closure ----

static void begin_row(cop_grammar_language *l) {
    l->now.n = l->waiting.n = l->todo.n = l->n_pushed = 0;
    l->accepting = false;
    l->turn++;
}

static bool grow_pushed(cop_grammar_language *l) {
    size_t size = l->pushed_size ? l->pushed_size * 4 : 64;
    struct cop_gr_seen *old = l->pushed, *larger = cop_alloc_array(size, sizeof *larger);
    if (!larger) return cop_gr_give_up(l, COP_ERR_NOMEM, "cannot allocate"), false;
    l->pushed = larger;
    for (size_t i = 0; i < l->pushed_size; i++) {
        if (old[i].turn != l->turn) continue;
        size_t at = (old[i].dot * 31u + old[i].name * 7u + old[i].origin) * (size_t)0x9E3779B1u >> 8 & (size - 1);
        while (larger[at].turn == l->turn) at = (at + 1) & (size - 1);
        larger[at] = old[i];
    }
    cop_free(old);
    l->pushed_size = size;
    return true;
}

// Note that something is at a place, to be looked at once.
static void push(cop_grammar_language *l, uint32_t dot, uint32_t name, uint32_t origin) {
    if (l->failed || (l->n_pushed * 2 >= l->pushed_size && !grow_pushed(l))) return;
    size_t at = (dot * 31u + name * 7u + origin) * (size_t)0x9E3779B1u >> 8 & (l->pushed_size - 1);
    for (; l->pushed[at].turn == l->turn; at = (at + 1) & (l->pushed_size - 1))
        if (l->pushed[at].dot == dot && l->pushed[at].name == name && l->pushed[at].origin == origin) return;
    burn(l, 1);
    l->pushed[at] = (struct cop_gr_seen){dot, name, origin, l->turn};
    l->n_pushed++;
    if (l->n_pushed > MAX_ITEMS || cop_array_push(&l->todo, ((cop_gr_item){dot, name, origin, 0})))
        cop_gr_give_up(l, COP_ERR_LIMIT, "too ambiguous: a byte has too many readings");
}

static void add(cop_grammar_language *l, bool waits, cop_gr_item item) {
    cop_status st = waits ? cop_array_push(&l->waiting, item) : cop_array_push(&l->now, item);
    if (st) cop_gr_give_up(l, COP_ERR_LIMIT, "too ambiguous: a byte has too many readings");
}

// `name` is complete: go on with all that waited for it.
static void complete(cop_grammar_language *l, uint32_t name, uint32_t origin) {
    if (origin == COP_GR_ROOT) l->accepting = true;
    if (origin == COP_GR_ROOT || origin == COP_GR_SELF) return;  // self: nothing was read, and who waits stepped over it
    const cop_gr_row row = l->rows.v[origin];
    burn(l, row.n_waiting / 4);
    for (uint32_t i = row.at + row.n; i < row.at + row.n + row.n_waiting && !l->failed; i++) {
        const cop_gr_item w = l->items.v[i];
        if (symbol_at(l, w.dot)->value == name) push(l, w.dot + 1, w.name, w.origin == COP_GR_SELF ? origin : w.origin);
    }
}

static void predict(cop_grammar_language *l, cop_gr_item item, uint32_t name) {
    const cop_gr_name *n = &l->grammar->names.v[name];
    bool tail = symbol_at(l, item.dot + 1)->kind == COP_GR_END;
    if (n->shortest == 0) push(l, item.dot + 1, item.name, item.origin);
    if (!tail) add(l, true, item);
    for (uint32_t p = n->first; p < n->first + n->n; p++)
        push(l, l->grammar->starts.v[p], tail ? item.name : name, tail ? item.origin : COP_GR_SELF);
}

static uint32_t close_row(cop_grammar_language *l) {
    for (size_t i = 0; i < l->todo.n && !l->failed; i++) {
        cop_gr_item item = l->todo.v[i];
        const cop_gr_symbol *s = symbol_at(l, item.dot);
        cop_language *inner = s->kind == COP_GR_LANGUAGE ? l->languages[s->value] : NULL;
        bool nullable = false;
        switch (s->kind) {
        case COP_GR_END: complete(l, item.name, item.origin); continue;
        case COP_GR_NAME: predict(l, item, s->value); continue;
        case COP_GR_DFA:
            item.q = cop_dfa_start(l->grammar->dfas.v[s->value]);
            nullable = cop_dfa_accepting(l->grammar->dfas.v[s->value], item.q);
            break;
        case COP_GR_LANGUAGE:
            item.q = inner->type->start(inner);
            nullable = inner->type->accepting(inner, item.q);
            break;
        default: break;
        }
        add(l, false, item);
        if (nullable) push(l, item.dot + 1, item.name, item.origin);
    }
    return intern_row(l);
}

uint32_t cop_gr_first_row(cop_grammar_language *l) {
    const cop_gr_name *n = &l->grammar->names.v[l->grammar->start];
    if (!l->rows.n && cop_array_push(&l->rows, ((cop_gr_row){.distance = COP_GUIDE_FAR, .has_first = true})))
        return cop_gr_give_up(l, COP_ERR_NOMEM, "cannot allocate"), COP_GUIDE_DEAD;
    begin_row(l);
    for (uint32_t p = n->first; p < n->first + n->n; p++) push(l, l->grammar->starts.v[p], l->grammar->start, COP_GR_ROOT);
    return close_row(l);
}

bool cop_gr_has_token(const cop_grammar *g, uint32_t set, int32_t token) {
    const cop_gr_tokens *t = &g->tokens.v[set];
    if (token >= g->V || !(g->is_named[token / 64] >> (token % 64) & 1)) return false;
    return (token >= t->low && token <= t->high) != t->but;
}

// The row behind one symbol, byte or token, made from every item that reads it.
static uint32_t make_step(cop_grammar_language *l, uint32_t r, int32_t symbol) {
    const cop_gr_row row = l->rows.v[r];
    begin_row(l);
    burn(l, row.n);
    for (uint32_t i = row.at; i < row.at + row.n; i++) {
        cop_gr_item item = l->items.v[i];
        const cop_gr_symbol *s = symbol_at(l, item.dot);
        if (item.origin == COP_GR_SELF) item.origin = r;
        bool done = false;
        if (s->kind == COP_GR_DFA && symbol < 256) {
            cop_dfa *dfa = l->grammar->dfas.v[s->value];
            item.q = cop_dfa_step(dfa, item.q, (uint8_t)symbol);
            if (item.q == COP_DFA_DEAD) continue;
            add(l, false, item);
            done = cop_dfa_accepting(dfa, item.q);
        } else if (s->kind == COP_GR_LANGUAGE) {
            cop_language *inner = l->languages[s->value];
            item.q = symbol < 256 ? inner->type->step(inner, item.q, symbol) : COP_GUIDE_DEAD;
            if (item.q == COP_GUIDE_DEAD) continue;
            add(l, false, item);
            done = inner->type->accepting(inner, item.q);
        } else if (s->kind == COP_GR_TOKEN && symbol >= 256) {
            done = cop_gr_has_token(l->grammar, s->value, symbol - COP_GUIDE_TOKEN);
        }
        if (done) push(l, item.dot + 1, item.name, item.origin);
    }
    return close_row(l);
}

uint32_t cop_gr_row_behind(cop_grammar_language *l, uint32_t row, uint32_t i) {
    cop_gr_item item = l->items.v[l->rows.v[row].at + i];
    begin_row(l);
    push(l, item.dot + 1, item.name, item.origin == COP_GR_SELF ? row : item.origin);
    return close_row(l);
}

void cop_gr_find_first(cop_grammar_language *l, uint32_t r) {
    uint64_t bits[4] = {0};
    const cop_gr_row row = l->rows.v[r];
    if (row.has_first) return;
    for (uint32_t i = row.at; i < row.at + row.n; i++) {
        const cop_gr_item item = l->items.v[i];
        const cop_gr_symbol *s = symbol_at(l, item.dot);
        for (int b = 0; b < 256 && s->kind != COP_GR_TOKEN; b++) {
            if (bits[b / 64] >> (b % 64) & 1) continue;
            bool on = s->kind == COP_GR_DFA ? cop_dfa_step(l->grammar->dfas.v[s->value], item.q, (uint8_t)b) != COP_DFA_DEAD
                                            : l->languages[s->value]->type->step(l->languages[s->value], item.q, b) != COP_GUIDE_DEAD;
            if (on) bits[b / 64] |= (uint64_t)1 << (b % 64);
        }
    }
    memcpy(l->rows.v[r].first, bits, sizeof bits);
    l->rows.v[r].has_first = true;
}

uint32_t cop_gr_step(cop_grammar_language *l, uint32_t row, int32_t symbol) {
    if (row == COP_GUIDE_DEAD || row >= l->rows.n || l->failed) return COP_GUIDE_DEAD;
    if (symbol >= 256) return make_step(l, row, symbol);
    cop_gr_find_first(l, row);
    if (!(l->rows.v[row].first[symbol / 64] >> (symbol % 64) & 1)) return COP_GUIDE_DEAD;
    if (!l->memo && !(l->memo = cop_alloc_array(N_MEMO, sizeof *l->memo))) return cop_gr_give_up(l, COP_ERR_NOMEM, "cannot allocate"), COP_GUIDE_DEAD;
    cop_gr_memo *m = &l->memo[(row * 0x9E3779B1u ^ (uint32_t)symbol * 0x85EBCA6Bu) >> 9 & (N_MEMO - 1)];
    if (m->row == row && m->byte == (uint32_t)symbol) return m->to;
    uint32_t to = make_step(l, row, symbol);
    if (!l->failed) *m = (cop_gr_memo){row, (uint32_t)symbol, to};
    return to;
}

// ---- forgetting ----

#define KEEP_BYTES ((size_t)8 << 20)

static void mark_rows(cop_grammar_language *l, uint32_t *now, uint32_t row) {
    now[row] = 1;
    for (uint32_t r = row; r > 0; r--) {  // an origin is always older than who names it
        if (!now[r]) continue;
        const cop_gr_row *w = &l->rows.v[r];
        for (uint32_t i = w->at; i < w->at + w->n + w->n_waiting; i++)
            if (l->items.v[i].origin < r) now[l->items.v[i].origin] = 1;
    }
}

uint32_t cop_gr_keep(cop_grammar_language *l, uint32_t row) {
    if (row == COP_GUIDE_DEAD || l->failed || l->items.n * sizeof *l->items.v + l->rows.n * sizeof *l->rows.v < KEEP_BYTES) return row;
    uint32_t *now = cop_alloc_array(l->rows.n, sizeof *now), n = 1;
    if (!now) return row;
    mark_rows(l, now, row);
    size_t n_items = 0;
    for (uint32_t r = 1; r <= row; r++) {
        if (!now[r]) continue;
        cop_gr_row w = l->rows.v[r];
        now[r] = n;
        for (uint32_t i = 0; i < w.n + w.n_waiting; i++) {
            cop_gr_item item = l->items.v[w.at + i];
            if (item.origin < COP_GR_ROOT) item.origin = now[item.origin];
            l->waits.v[n_items + i] = l->waits.v[w.at + i];
            l->items.v[n_items + i] = item;
        }
        w.at = (uint32_t)n_items;
        n_items += w.n + w.n_waiting;
        w.hash = hash_items(hash_items(w.accepting, l->items.v + w.at, w.n), l->items.v + w.at + w.n, w.n_waiting);
        l->rows.v[n++] = w;
    }
    row = now[row];
    cop_free(now);
    l->rows.n = n;
    l->items.n = l->waits.n = n_items;
    l->n_buckets = l->n_buckets / 2;
    grow_buckets(l);
    if (l->memo) memset(l->memo, 0, N_MEMO * sizeof *l->memo);
    return row;
}
