#ifndef COP_BASE_CLOCK_H
#define COP_BASE_CLOCK_H

double cop_clock(void);  // seconds of a clock that never goes back

#endif
