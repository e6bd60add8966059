/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_IDENTITY_H
#define SANDBOX_IDENTITY_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A user for the agent that is nobody else's, neither another run's nor a person's: numbers
 * from IDENTITY_FIRST_UID on, by the runner's pid. Only for a runner that may change its own.
 */
#define IDENTITY_FIRST_UID 1879048192U /* 0x70000000: far above people, daemons, subuids */

/* May we become another user (CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL),
 * and is this number there in our user namespace? */
bool identity_may_become(uid_t uid);

/* The number for our agent. */
uid_t identity_for_agent(void);

/* Can it get to this file or directory: may it search all directories above? A path that
 * isn't there counts as reached. */
bool identity_reaches(uid_t uid, const char *path);

/*
 * Gives a directory and all in it to `uid`; links are given, not followed. Nobody else may be
 * writing there. ERR_... from errno.
 */
int identity_give(const char *directory, uid_t uid, struct err *err) CHECKED;

/* How many tasks (threads) a user has on this machine, as far as we can see. */
unsigned identity_count_tasks(uid_t uid);
#endif
