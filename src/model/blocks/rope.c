// Rotary angles: position times frequency in float32, as the reference does, then cos and sin of that
// number by our own functions. Su et al. 2021 (arXiv:2104.09864).
#include "base/maths.h"
#include "model/forward_private.h"

// How much of pair i is slowed: 0 … 1. Peng et al. 2023 (arXiv:2309.00071).
static float ramp(const cop_rope_desc *rope, int i) {
    float at = ((float)i - rope->low) / (rope->high - rope->low);
    return at < 0 ? 0 : at > 1 ? 1 : at;
}

static void fill(const cop_rope_desc *rope, const float *divisors, float *freqs) {
    for (int i = 0; i < rope->n_rot / 2; i++) {
        float freq = (float)cop_pow((double)rope->base, -2.0 * i / rope->n_rot);
        freq *= rope->factor;
        if (rope->yarn > 1) freq *= ramp(rope, i) / rope->yarn + (1 - ramp(rope, i));
        freqs[i] = divisors ? freq / divisors[i] : freq;
    }
}

void cop_rope_freqs(const cop_desc *d, float *freqs) {
    for (int r = 0; r < d->n_ropes; r++) {
        fill(&d->rope[r], d->rope[r].divisors, freqs + r * d->K);
        fill(&d->rope[r], d->rope[r].far_divisors, freqs + r * d->K + d->K / 2);
    }
}

void cop_rope_angles(const cop_forward *f, int row) {
    const cop_desc *d = &f->model->desc;
    const cop_visible *v = &f->ws->visible[row];
    float position = (float)(v->lin + v->n_tail - 1);
    bool far = cop_model_far_rope(f->model, cop_seq_capacity(f->rows[row].seq));
    for (int r = 0; r < d->n_ropes; r++) {
        const cop_rope_desc *rope = &d->rope[r];
        const float *freqs = f->ws->freqs + r * d->K + (far ? d->K / 2 : 0);
        float *cs = f->ws->angles + ((size_t)r * (size_t)f->ws->max_rows + (size_t)row) * (size_t)d->K;
        for (int i = 0; i < rope->n_rot / 2; i++) {
            double angle = (double)(position * freqs[i]);
            cs[2 * i] = (float)cop_cos(angle) * rope->magnitude;
            cs[2 * i + 1] = (float)cop_sin(angle) * rope->magnitude;
        }
    }
}
