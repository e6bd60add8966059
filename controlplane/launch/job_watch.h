/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_WATCH_H
#define LAUNCH_JOB_WATCH_H
#include "base/err.h"
#include "launch/job_ref.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Watches runners until they end: one thread, one pidfd each, children of ours or not. Ends
 * those whose time is up or that were told to stop (TERM, then KILL), and then what is left
 * of their session. Safe from any thread.
 */
struct job_watch;

/* How long a runner has between TERM and KILL: it ends its agent, reports, and leaves. */
#define JOB_KILL_AFTER_MS 15000

struct job_watch_end {
    int exit_code;      /* -1: not known (it was no child of ours), or a signal ended it */
    int signal;         /* what killed it, or 0 */
    int64_t started_ms; /* by CLOCK_BOOTTIME; 0: not known */
};

/* Both are called on the watch's thread, without locks held. */
struct job_watch_hooks {
    /* The runner has ended and was reaped; job_watch_has still says yes, so whoever asks
     * waits for what is written down here. */
    void (*ended)(void *ctx, const struct job_ref *ref, const struct job_watch_end *end);
    /* Afterwards: tell others. */
    void (*gone)(void *ctx, const struct job_ref *ref);
    void *ctx;
};

struct job_watch *job_watch_new(const struct job_watch_hooks *hooks, struct err *err) CHECKED;
void job_watch_free(struct job_watch *watch); /* the runners go on */
DEFINE_SCOPED(job_watch)

/* Takes the pidfd. Adding a job that is watched already changes nothing. end_at_ms is by
 * CLOCK_BOOTTIME; 0: never. */
void job_watch_add(struct job_watch *watch, const struct job_ref *ref, pid_t pid, int pidfd,
                   int64_t end_at_ms);

bool job_watch_has(struct job_watch *watch, const struct job_ref *ref);

/* TERM now, KILL later. False when the job isn't watched. */
bool job_watch_stop(struct job_watch *watch, const struct job_ref *ref);
#endif
