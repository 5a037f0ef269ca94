// The environment, read in one place: floors above base and below cli ask here.
#ifndef COP_BASE_ENV_H
#define COP_BASE_ENV_H

/* The value of an environment variable, or NULL when it is unset or empty. Borrowed from the
 * environment: valid until somebody changes it. */
const char *cop_env(const char *name);

#endif
