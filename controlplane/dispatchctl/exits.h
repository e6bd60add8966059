/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_EXITS_H
#define DISPATCHCTL_EXITS_H
#include "base/err.h"

#include "json/json.h"

/*
 * What the program ends with, for scripts to act on. The manual page and
 * hack/ci/dispatch-and-wait have the same list.
 */
enum exit_code {
    EXIT_DONE = 0,      /* the run completed; or there was none to wait for, and it's done */
    EXIT_FAILED = 1,    /* the run failed; or the server can't do that: no such run, ended */
    EXIT_USAGE = 2,     /* called or set up wrongly, or a request the server finds invalid */
    EXIT_PARTIAL = 3,   /* the run completed with a draft, or calls its work partial */
    EXIT_STOPPED = 4,   /* the run was stopped */
    EXIT_TIMED_OUT = 5, /* the run took too long for its limits, or for --timeout */
    EXIT_SERVER = 6,    /* no connection, or a failure on the server's side */
    EXIT_REFUSED = 7,   /* no credential, an unknown one, or one that may not do this */
    EXIT_INTERRUPTED = 130, /* Ctrl-C; the run goes on */
};

enum exit_code exits_for_error(const struct err *err);

/* For the document of a run, as either face has it, that has ended. */
enum exit_code exits_for_run(const cJSON *run);

/* completed, failed or stopped. */
bool exits_status_ended(const char *status);
#endif
