/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_PROGRESS_H
#define DISPATCHCTL_PROGRESS_H
#include "dispatchctl/commands.h"

/*
 * One line on a terminal that says how a run is getting on, drawn anew a few times a second:
 * a spinner, the time, what is going on. Where standard error is no terminal, or with --quiet,
 * nothing is ever drawn. Used by one thread.
 */
struct progress {
    bool shown;     /* may anything be drawn? */
    bool on_screen; /* a line is */
    int64_t began_ms;
    int64_t drawn_ms;
    unsigned step;
    char *what;
};

#define scoped_progress __attribute__((cleanup(progress_done))) struct progress

void progress_init(struct progress *progress, const struct invocation *call);
void progress_done(struct progress *progress);

/* What is going on from now on; copied and cleaned. */
void progress_say(struct progress *progress, const char *what);
/* Draws the line when it is time. */
void progress_tick(struct progress *progress);
/* Takes the line away, so that something else can be printed. */
void progress_clear(struct progress *progress);
#endif
