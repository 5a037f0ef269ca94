// Range reductions and series are the textbook ones: log by atanh series on [sqrt(1/2), sqrt(2)],
// exp by Taylor after reduction by ln 2 in two parts, sin and cos by Taylor on |r| <= pi/4 after a
// four-part reduction by pi/2.  Compiled without contraction: products and sums round one by one.
#include "base/maths.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static double from_bits(uint64_t b) {
    double d;
    memcpy(&d, &b, sizeof d);
    return d;
}

static const double ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;

double cop_log(double x) {
    if (!(x > 0)) return -INFINITY;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);  // [1, 2)
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;  // log m = 2 (s + s^3/3 + s^5/5 + ...), |s| < 0.172
    for (int k = 23; k >= 3; k -= 2) sum = sum * z + 1.0 / k;
    double r = 2 * s + 2 * s * (sum * z);
    return (double)exponent * ln2_hi + (r + (double)exponent * ln2_lo);
}

double cop_exp(double x) {
    if (x > 700) return INFINITY;
    if (x < -700) return 0;
    double n = nearbyint(x * 1.4426950408889634), r = (x - n * ln2_hi) - n * ln2_lo;
    double sum = 1;
    for (int k = 14; k >= 1; k--) sum = 1 + sum * r / k;
    return sum * from_bits((uint64_t)((int64_t)n + 1023) << 52);
}

// pi/2 in three parts of 23 bits and a rest: n times a part is exact for |n| < 2^30.
static const double half_pi[4] = {0x1.921fb4p+0, 0x1.4442dp-24, 0x1.84698p-48, 0x1.3198a2e037073p-69};

static double reduce(double x, int *quadrant) {
    double n = nearbyint(x * 0.6366197723675814);
    *quadrant = (int)((int64_t)n & 3);
    return (((x - n * half_pi[0]) - n * half_pi[1]) - n * half_pi[2]) - n * half_pi[3];
}

static double sin_small(double r) {
    double z = r * r, sum = 0;
    for (int k = 17; k >= 3; k -= 2) sum = (1 - sum) * z / (double)(k * (k - 1));
    return r * (1 - sum);
}

static double cos_small(double r) {
    double z = r * r, sum = 0;
    for (int k = 18; k >= 2; k -= 2) sum = (1 - sum) * z / (double)(k * (k - 1));
    return 1 - sum;
}

static double sin_quadrant(double r, int q) {
    double v = q & 1 ? cos_small(r) : sin_small(r);
    return q & 2 ? -v : v;
}

double cop_sin(double x) {
    int q;
    double r = reduce(x, &q);
    return sin_quadrant(r, q);
}

double cop_cos(double x) {
    int q;
    double r = reduce(x, &q);
    return sin_quadrant(r, q + 1);
}

double cop_pow(double base, double y) { return cop_exp(y * cop_log(base)); }
