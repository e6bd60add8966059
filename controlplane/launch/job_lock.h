/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_LOCK_H
#define LAUNCH_JOB_LOCK_H
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The file "job.lock" in a job's directory says who ran the job, and lets it run once.
 *
 * A child that is about to become the runner locks the file, checks that it is empty, writes
 * one line about itself, and keeps the locked descriptor open over exec. So
 *     locked                 it runs (an empty file: it is about to)
 *     not locked, a line     it has ended
 *     not locked, no line    it never ran
 * whoever is asked, dispatchd started anew included, and a second child, started by another
 * thread or another dispatchd at the same moment, finds the lock or the line and leaves.
 *
 * The lock is of the open file description (F_OFD_SETLK): it is inherited, it ends with its
 * last holder however that dies, and F_OFD_GETLK looks at it without taking it.
 *
 * The line is "<pid> <since boot, ms> <boot id> <timeout, s>". A process with this pid that
 * began before that moment of that boot is the runner and no other. A second line says how
 * the runner ended, where its parent lived to see it.
 */
enum job_lock_phase { JOB_LOCK_NEVER, JOB_LOCK_HELD, JOB_LOCK_PAST };

struct job_lock {
    enum job_lock_phase phase;
    bool written;      /* there is a line */
    pid_t pid;         /* 0: not known */
    int64_t since_ms;  /* when it took the lock, by CLOCK_BOOTTIME */
    int64_t timeout_s; /* what its start asked for; 0: none */
    int exit_code;     /* -1: not known */
    int signal;        /* what killed it; 0: nothing, or not known */
};

/* Of what the file says, as far as it makes sense: who, since when, and how it ended. */
void job_lock_parse(const char *text, struct job_lock *out);

/* Looks without disturbing. A directory without the file is JOB_LOCK_NEVER. */
int job_lock_look(int dir_fd, struct job_lock *out, struct err *err) CHECKED;

/* The same, but a child between lock and line is given a second to write it. */
int job_lock_settle(int dir_fd, struct job_lock *out, struct err *err) CHECKED;

/* A descriptor of the runner if the lock's line tells of a process that is alive; or -1. */
int job_lock_open_runner(const struct job_lock *lock);

/* Writes a line for a job that never ran, so that it never will. False when another was
 * first: look again. */
int job_lock_seal(int dir_fd, bool *out_sealed, struct err *err) CHECKED;

/* Adds how it ended. Failing is harmless: the end is then known without its exit code. */
void job_lock_note_end(int dir_fd, int exit_code, int signal);

/* Now by the clock that since_ms is of. */
int64_t job_lock_now_ms(void);

/*
 * The child's part: filled before the fork, run between fork and exec, so it only makes
 * async-signal-safe calls. Non-zero: leave. The locked descriptor stays open on purpose.
 */
struct job_lock_claim {
    char *path;    /* of job.lock */
    char rest[80]; /* of the line */
};

void job_lock_claim_init(struct job_lock_claim *claim, const char *dir, int64_t timeout_s);
void job_lock_claim_done(struct job_lock_claim *claim);
/* Not 0: the child has to leave with it. JOB_LOCK_NO_DISK: the line couldn't be written, and
 * nothing of it was left. */
#define JOB_LOCK_NO_DISK 76
int job_lock_claim_in_child(void *claim);
#endif
