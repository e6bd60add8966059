/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_ATTEMPTS_H
#define LAUNCH_CLOUDRUN_ATTEMPTS_H
#include "base/id.h"
#include "base/scoped.h"

#include <stdbool.h>

/*
 * What is under way for a run's attempt besides its execution: a start by some thread, a start
 * whose outcome nobody knows, a secret with its task token. Safe from any thread.
 */
struct cloudrun_attempts;

struct cloudrun_attempts *cloudrun_attempts_new(void) CHECKED;
void cloudrun_attempts_free(struct cloudrun_attempts *attempts);
DEFINE_SCOPED(cloudrun_attempts)

/* --- Starts --- */
/* Waits until no other thread starts this attempt. When a start went unanswered, monotonic; 0:
 * none did. */
int64_t cloudrun_attempts_enter(struct cloudrun_attempts *attempts, struct id run, int attempt);
/* asked_ms: it went unanswered then; 0: it is known what became of it. */
void cloudrun_attempts_leave(struct cloudrun_attempts *attempts, struct id run, int attempt,
                             int64_t asked_ms);
/* Is it unknown whether this attempt was started? */
bool cloudrun_attempts_is_open(struct cloudrun_attempts *attempts, struct id run, int attempt);
/* It has been given up: nobody asks again. */
void cloudrun_attempts_close(struct cloudrun_attempts *attempts, struct id run, int attempt);

/* --- Secrets --- */
void cloudrun_attempts_secret_made(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt);
/* Nobody needs it any more: cloudrun_attempts_secret_due gives it. Does nothing when there is
 * none that we know of. */
void cloudrun_attempts_secret_done(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt);
/* The same where a dispatchd before us may have made it. */
void cloudrun_attempts_secret_over(struct cloudrun_attempts *attempts, struct id run,
                                   int attempt);
/* One to be deleted, which is the caller's to do. */
bool cloudrun_attempts_secret_due(struct cloudrun_attempts *attempts, struct id *out_run,
                                  int *out_attempt);
#endif
