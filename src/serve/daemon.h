// The HTTP library's side of the server (daemon.c).
#ifndef COP_SERVE_DAEMON_H
#define COP_SERVE_DAEMON_H

#include "serve/server_private.h"

cop_status cop_daemon_start(cop_server *s);    // on s->listener
void cop_daemon_quiesce(cop_server *s);        // accepts no more connections; the listener is closed
void cop_daemon_stop(cop_server *s);           // waits for the threads; accepts one that did not start

#endif
