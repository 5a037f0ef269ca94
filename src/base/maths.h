// Elementary functions in double with one written sequence of IEEE operations each, so that every
// machine gives the same bits (the C library's differ between versions).  Errors are below 4 units
// in the last place of double over the stated ranges; they are for tables and sampling, not for
// inner loops (those have float versions in kernel/).
#ifndef COP_BASE_MATHS_H
#define COP_BASE_MATHS_H

double cop_log(double x);   // x > 0, normal; returns -inf at 0
double cop_exp(double x);   // |x| < 700; saturates to 0 and inf beyond
double cop_sin(double x);   // |x| < 1e9
double cop_cos(double x);   // |x| < 1e9
double cop_pow(double base, double y);  // base > 0: exp(y log base), relative error below 1e-13 while |y log base| < 100

#endif
