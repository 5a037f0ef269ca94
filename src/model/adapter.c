// Adapters: names of matrices, checks against the model, packing.
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "model/adapter_private.h"

// ---- names ------------------------------------------------------------------------------------

#define N_NAMES 3

// The matrices of a layer that an adapter can change; a linear's number is 1 + layer * N_SITES + its place here.
static const struct site {
    const char *gguf;
    const char *peft[N_NAMES];
    size_t offset;
} sites[] = {
    {"attn_q", {"self_attn.q_proj"}, offsetof(cop_layer, q)},
    {"attn_k", {"self_attn.k_proj"}, offsetof(cop_layer, k)},
    {"attn_v", {"self_attn.v_proj"}, offsetof(cop_layer, v)},
    {"attn_output", {"self_attn.o_proj", "self_attn.out_proj", "attn.c_proj"}, offsetof(cop_layer, o)},
    {"ffn_gate", {"mlp.gate_proj", "feed_forward.w1"}, offsetof(cop_layer, gate)},
    {"ffn_up", {"mlp.up_proj", "feed_forward.w3", "mlp.c_fc"}, offsetof(cop_layer, up)},
    {"ffn_down", {"mlp.down_proj", "feed_forward.w2", "mlp.c_proj"}, offsetof(cop_layer, down)},
    {"shortconv.in_proj", {"conv.in_proj"}, offsetof(cop_layer, conv_in)},
    {"shortconv.out_proj", {"conv.out_proj"}, offsetof(cop_layer, conv_out)},
};
#define N_SITES ((int)(sizeof sites / sizeof *sites))

static cop_linear *linear_at(const cop_model *m, int number) {
    if (number == 1 + m->desc.L * N_SITES) return (cop_linear *)&m->output;
    return (cop_linear *)(void *)((char *)&m->layers[(number - 1) / N_SITES] + sites[(number - 1) % N_SITES].offset);
}

void cop_model_number_linears(cop_model *m) {
    m->n_linears = m->desc.L * N_SITES + 2;
    for (int i = 1; i < m->n_linears; i++) {
        cop_linear *l = linear_at(m, i);
        bool experts = i < m->n_linears - 1 && m->desc.layers[(i - 1) / N_SITES].experts;
        bool mlp = experts && (l == &m->layers[(i - 1) / N_SITES].gate || l == &m->layers[(i - 1) / N_SITES].up || l == &m->layers[(i - 1) / N_SITES].down);
        l->number = l->w.data && !mlp ? i : 0;
    }
}

static bool equal(const char *text, size_t n, const char *name) { return name && strlen(name) == n && !memcmp(text, name, n); }

// Matrices that some model files hold in one, and adapters for them too.
static const struct fused {
    const char *gguf, *absent;  // the model's file has the first and not the second
    const char *peft[N_NAMES];
    int n, first;               // sites[first … first + n)
} fused[] = {
    {"attn_qkv", "attn_q", {"self_attn.qkv_proj", "attn.c_attn"}, 3, 0},
    {"ffn_up", "ffn_gate", {"mlp.gate_up_proj"}, 2, 4},
};

static bool file_has(const cop_model *m, int layer, const char *stem) {
    char name[COP_GGUF_NAME_BYTES];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, stem);
    return cop_gguf_find_tensor(m->file, name) != NULL;
}

static bool same(const char *text, size_t n, const char *gguf, const char *const *peft, bool is_peft) {
    if (!is_peft) return equal(text, n, gguf);
    for (int i = 0; i < N_NAMES; i++)
        if (equal(text, n, peft[i])) return true;
    return false;
}

static cop_lora_target find_plain(const cop_model *m, int layer, const char *text, size_t n, bool peft) {
    for (int i = 0; i < N_SITES; i++) {
        int number = linear_at(m, 1 + layer * N_SITES + i)->number;
        if (number && same(text, n, sites[i].gguf, sites[i].peft, peft)) return (cop_lora_target){1, {number}};
    }
    return (cop_lora_target){0};
}

static cop_lora_target find_site(const cop_model *m, int layer, const char *text, size_t n, bool peft) {
    cop_lora_target t = {0};
    for (int i = 0; i < 2; i++) {
        const struct fused *f = &fused[i];
        if (!same(text, n, f->gguf, f->peft, peft) || !file_has(m, layer, f->gguf) || file_has(m, layer, f->absent)) continue;
        for (int j = 0; j < f->n; j++) {
            int number = linear_at(m, 1 + layer * N_SITES + f->first + j)->number;
            if (!number) return find_plain(m, layer, text, n, peft);
            t.numbers[t.n++] = number;
        }
        return t;
    }
    return find_plain(m, layer, text, n, peft);
}

// "PREFIX.LAYER.SITE"
static cop_lora_target find(const cop_model *m, const char *text, size_t n, const char *prefix, bool peft) {
    size_t at = strlen(prefix);
    if (n < at || memcmp(text, prefix, at)) return (cop_lora_target){0};
    int layer = 0;
    size_t digits = at;
    for (; at < n && at < digits + 5 && text[at] >= '0' && text[at] <= '9'; at++) layer = layer * 10 + (text[at] - '0');
    if (at == digits || at == n || text[at] != '.' || layer >= m->desc.L) return (cop_lora_target){0};
    return find_site(m, layer, text + at + 1, n - at - 1, peft);
}

static cop_lora_target output_of(const cop_model *m) { return (cop_lora_target){m->output.number > 0, {m->output.number}}; }

cop_lora_target cop_adapter_find_gguf(const cop_model *m, const char *text, size_t n) {
    return equal(text, n, "output") ? output_of(m) : find(m, text, n, "blk.", false);
}

cop_lora_target cop_adapter_find_peft(const cop_model *m, const char *text, size_t n) {
    if (equal(text, n, "lm_head")) return output_of(m);
    return find(m, text, n, n && text[0] == 'h' ? "h." : "layers.", true);
}

// ---- building ---------------------------------------------------------------------------------

static cop_status add_one(cop_adapter_plan *p, int number, bool is_b, const cop_lora_side *side, const cop_lora_pair *like) {
    cop_lora_pair *pair = &p->pairs[number];
    cop_lora_side *to = is_b ? &pair->b : &pair->a;
    if (to->name) return cop_fail(COP_ERR_FORMAT, "tensor %.120s: a second one for the same matrix", side->name);
    *to = *side;
    pair->alpha = like->alpha;
    pair->root_rank = like->root_rank;
    pair->permute = like->permute;
    return COP_OK;
}

// Of several matrices each has the whole of A, and its own rows of B.
cop_status cop_adapter_add(cop_adapter_plan *p, const cop_lora_target *t, bool is_b, const cop_lora_side *side, const cop_lora_pair *like) {
    cop_lora_side part = *side;
    uint64_t rows = 0, row_bytes = 0;
    for (int i = 0; i < t->n; i++) rows += (uint64_t)linear_at(p->model, t->numbers[i])->w.rows;
    if (is_b && t->n > 1) {
        if (side->rows != rows)
            return cop_fail(COP_ERR_FORMAT, "tensor %.120s: %llu rows, need %llu", side->name, (unsigned long long)side->rows, (unsigned long long)rows);
        COP_TRY(cop_dtype_bytes(side->type, side->cols, &row_bytes));
    }
    for (int i = 0; i < t->n; i++) {
        if (row_bytes) part.rows = (uint64_t)linear_at(p->model, t->numbers[i])->w.rows;
        COP_TRY(add_one(p, t->numbers[i], is_b, &part, like));
        part.data += row_bytes * part.rows;
    }
    return COP_OK;
}

static cop_status check_pair(const cop_adapter_plan *p, const cop_lora_pair *pair, const cop_linear *l) {
    const cop_lora_side *a = &pair->a, *b = &pair->b;
    if (!a->name || !b->name) return cop_fail(COP_ERR_FORMAT, "tensor %.120s: its other half is missing; %s", a->name ? a->name : b->name, p->file);
    if (a->rows < 1 || a->rows > COP_MAX_ADAPTER_RANK)
        return cop_fail(COP_ERR_LIMIT, "tensor %.120s: rank %llu, must be 1 to %d; %s", a->name, (unsigned long long)a->rows, COP_MAX_ADAPTER_RANK, p->file);
    if (a->cols != (uint64_t)l->w.cols)
        return cop_fail(COP_ERR_FORMAT, "tensor %.120s: %llu columns, this model needs %d; %s", a->name, (unsigned long long)a->cols, l->w.cols, p->file);
    if (b->rows != (uint64_t)l->w.rows || b->cols != a->rows)
        return cop_fail(COP_ERR_FORMAT, "tensor %.120s: %llu x %llu, need %d x %llu; %s", b->name, (unsigned long long)b->rows,
                        (unsigned long long)b->cols, l->w.rows, (unsigned long long)a->rows, p->file);
    double scale = pair->alpha / (pair->root_rank ? sqrt((double)a->rows) : (double)a->rows);
    if (!(fabs(scale) < 1e6)) return cop_fail(COP_ERR_FORMAT, "tensor %.120s: scale %g is not a sensible number; %s", a->name, scale, p->file);
    return COP_OK;
}

static cop_status measure(cop_matrix *m, int rows, int cols, size_t *bytes) {
    *m = (cop_matrix){.type = COP_F32, .rows = rows, .cols = cols, .tile_bytes = cop_pack_tile_bytes(COP_F32, cols),
                      .n_tiles = (rows + COP_TILE - 1) / COP_TILE};
    size_t n;
    if (!cop_mul_size(m->tile_bytes, (size_t)m->n_tiles, &n) || !cop_add_size(*bytes, n, bytes)) return cop_fail(COP_ERR_FORMAT, "adapter: size overflows");
    return COP_OK;
}

static cop_status plan_loras(cop_adapter *a, const cop_adapter_plan *p) {
    size_t bytes = 0;
    for (int i = 1; i < p->model->n_linears; i++) {
        const cop_lora_pair *pair = &p->pairs[i];
        if (!pair->a.name && !pair->b.name) continue;
        const cop_linear *l = linear_at(p->model, i);
        COP_TRY(check_pair(p, pair, l));
        cop_lora *lora = &a->loras[i];
        lora->rank = (int)pair->a.rows;
        lora->scale = (float)(pair->alpha / (pair->root_rank ? sqrt((double)lora->rank) : lora->rank));
        COP_TRY(measure(&lora->a, lora->rank, l->w.cols, &bytes));
        COP_TRY(measure(&lora->b, l->w.rows, lora->rank, &bytes));
        if (lora->rank > a->rank) a->rank = lora->rank;
        a->n_matrices++;
    }
    if (!a->n_matrices) return cop_fail(COP_ERR_FORMAT, "adapter without matrices; %s", p->file);
    a->memory_bytes = bytes;
    a->memory = cop_pages_alloc(bytes);
    return a->memory ? COP_OK : cop_fail(COP_ERR_NOMEM, "adapter: cannot allocate %zu bytes; %s", bytes, p->file);
}

// Row r of a permuted matrix is this row of the file: per head, from halves to neighbours.
static int source_row(int r, int head) { return r / head * head + r % head % 2 * (head / 2) + r % head / 2; }

// One side as floats, checked, and packed at *at.
static cop_status pack_side(cop_matrix *m, const cop_lora_side *side, int permuted_head, const char *file, uint8_t **at) {
    size_t n = (size_t)m->rows * (size_t)m->cols, row = (size_t)m->cols;
    float *x = cop_alloc_array(2 * n, sizeof *x), *y = x ? x + n : NULL;
    if (!x) return cop_fail(COP_ERR_NOMEM, "tensor %.120s: cannot allocate; %s", side->name, file);
    cop_dequantise(x, side->type, side->data, (int64_t)n);
    cop_status st = COP_OK;
    for (size_t i = 0; i < n && !st; i++)
        if (!isfinite(x[i])) st = cop_fail(COP_ERR_FORMAT, "tensor %.120s: element %zu is not a finite number; %s", side->name, i, file);
    for (int r = 0; permuted_head && r < m->rows; r++) memcpy(y + (size_t)r * row, x + (size_t)source_row(r, permuted_head) * row, row * sizeof *x);
    m->data = *at;
    for (int t = 0; !st && t < m->n_tiles; t++, *at += m->tile_bytes)
        cop_pack_tile(*at, COP_F32, (const uint8_t *)(permuted_head ? y : x), row * sizeof *x, m->rows, m->cols, t);
    cop_free(x);
    return st;
}

static cop_status fill(cop_adapter *a, const cop_adapter_plan *p) {
    a->model = p->model;
    a->loras = cop_alloc_array((size_t)p->model->n_linears, sizeof *a->loras);
    if (!a->loras) return cop_fail(COP_ERR_NOMEM, "adapter: cannot allocate; %s", p->file);
    COP_TRY(plan_loras(a, p));
    uint8_t *at = a->memory;
    for (int i = 1; i < p->model->n_linears; i++) {
        cop_lora *l = &a->loras[i];
        if (!l->rank) continue;
        COP_TRY(pack_side(&l->a, &p->pairs[i].a, 0, p->file, &at));
        COP_TRY(pack_side(&l->b, &p->pairs[i].b, p->pairs[i].permute ? p->model->desc.K : 0, p->file, &at));
        const struct { int number, rank; float scale; } head = {i, l->rank, l->scale};
        a->hash = XXH3_64bits_withSeed(&head, sizeof head, a->hash);
    }
    a->hash = XXH3_64bits_withSeed(a->memory, a->memory_bytes, a->hash);
    return COP_OK;
}

cop_status cop_adapter_build(cop_adapter **out, const cop_adapter_plan *p) {
    cop_adapter *a = cop_alloc(sizeof *a);
    if (!a) return cop_fail(COP_ERR_NOMEM, "adapter: cannot allocate; %s", p->file);
    cop_status st = fill(a, p);
    if (st) cop_adapter_close(a);
    else *out = a;
    return st;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static cop_status open_gguf(cop_adapter **out, cop_adapter_plan *p, const char *path) {
    cop_gguf *file;
    COP_TRY(cop_gguf_open(&file, path));
    cop_status st = cop_adapter_read_gguf(out, p, file);
    cop_gguf_close(file);
    return st;
}

static cop_status open_peft(cop_adapter **out, cop_adapter_plan *p, const char *path, bool folder) {
    const char *slash = strrchr(path, '/');
    char *copy = folder ? cop_text_copy(path, strlen(path)) : cop_text_copy(slash ? path : ".", slash ? (size_t)(slash - path) : 1);
    if (!copy) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    cop_status st = cop_adapter_read_peft(out, p, copy);
    cop_free(copy);
    return st;
}

cop_status cop_adapter_open(cop_adapter **out, const cop_model *model, const char *path) {
    *out = NULL;
    cop_adapter_plan p = {.model = model, .file = path, .pairs = cop_alloc_array((size_t)model->n_linears, sizeof *p.pairs)};
    if (!p.pairs) return cop_fail(COP_ERR_NOMEM, "%s: cannot allocate", path);
    struct stat info;
    bool folder = !stat(path, &info) && S_ISDIR(info.st_mode);
    cop_status st = folder || ends_with(path, ".safetensors") ? open_peft(out, &p, path, folder) : open_gguf(out, &p, path);
    cop_free(p.pairs);
    return st;
}

void cop_adapter_close(cop_adapter *a) {
    if (!a) return;
    cop_pages_free(a->memory, a->memory_bytes);
    cop_free(a->loras);
    cop_free(a);
}

int cop_adapter_rank(const cop_adapter *a) { return a->rank; }
int cop_adapter_n_matrices(const cop_adapter *a) { return a->n_matrices; }
size_t cop_adapter_bytes(const cop_adapter *a) { return a->memory_bytes; }
uint64_t cop_adapter_hash(const cop_adapter *a) { return a->hash; }

uint64_t cop_adapter_set_hash(const cop_adapter_set *set) {
    uint64_t h = 0;
    for (int i = 0; set && i < set->n; i++) {
        h = XXH3_64bits_withSeed(&set->adapters[i]->hash, sizeof(uint64_t), h);
        h = XXH3_64bits_withSeed(&set->scales[i], sizeof(float), h);
    }
    return h;
}
