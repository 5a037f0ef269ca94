// Rotary angles: position times frequency in float32, as the reference does, then cos and sin of that
// number by our own functions. Su et al. 2021 (arXiv:2104.09864).
#include "base/maths.h"
#include "model/forward_private.h"

void cop_rope_freqs(const cop_desc *d, float *freqs) {
    for (int r = 0; r < d->n_ropes; r++) {
        const cop_rope_desc *rope = &d->rope[r];
        for (int i = 0; i < rope->n_rot / 2; i++) {
            float freq = (float)cop_pow((double)rope->base, -2.0 * i / rope->n_rot);
            freq *= rope->factor;
            if (rope->divisors) freq /= rope->divisors[i];
            freqs[r * d->K + i] = freq;
        }
    }
}

void cop_rope_angles(const cop_forward *f, int row) {
    const cop_desc *d = &f->model->desc;
    const cop_visible *v = &f->ws->visible[row];
    float position = (float)(v->lin + v->n_tail - 1);
    for (int r = 0; r < d->n_ropes; r++) {
        const cop_rope_desc *rope = &d->rope[r];
        float *cs = f->ws->angles + ((size_t)r * (size_t)f->ws->max_rows + (size_t)row) * (size_t)d->K;
        for (int i = 0; i < rope->n_rot / 2; i++) {
            double angle = (double)(position * f->ws->freqs[r * d->K + i]);
            cs[2 * i] = (float)cop_cos(angle) * rope->magnitude;
            cs[2 * i + 1] = (float)cop_sin(angle) * rope->magnitude;
        }
    }
}
