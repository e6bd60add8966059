/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMAND_CONFINE_H
#define COMMAND_CONFINE_H
#include <stdbool.h>

#include "command/reach.h"

/*
 * A serving dispatchd gives up what it doesn't need, for good, once it knows its settings and
 * before it has a second thread. As far as the machine has them:
 *
 *   always         not dumpable, no core dumps
 *   no_new_privs   no program that it starts gains rights by being setuid
 *   capabilities   none. Kept are CAP_NET_BIND_SERVICE for a port below 1024, and
 *                  CAP_DAC_OVERRIDE where a root's files are others'
 *   Landlock       the database's folder and work_dir to write; settings, keys, certificates,
 *                  tokens, /etc and libraries to read; nothing to execute; one TCP port to
 *                  listen on; no ptrace, no signal, no abstract socket towards others
 *   seccomp        only system calls that a server needs, which isn't to start a program
 *
 * What is given up is given up for our children as well. Runners of launcher `process`, and a
 * kubeconfig's exec plugin, need whatever this machine has: no rule about files is right for
 * them, and a helper that stayed outside to start them would do for an intruder whatever it did
 * for us. So where we start programs there is no Landlock, a list of what is refused (that of
 * the agents) instead of what is allowed, and a root keeps what a runner makes its agent
 * another user with.
 */
struct confinement {
    bool entered;
    bool said;
    bool seccomp;
    int landlock_abi;      /* 0: there is none in force */
    char *mode;            /* as it was set */
    const char *closed;    /* the path that CAP_DAC_OVERRIDE is kept for */
    struct err incomplete; /* what `auto` goes without */
    struct reach reach;
};

/* A second call changes nothing. ERR_UNAVAILABLE when `strict` asks for what this machine
 * lacks; ERR_... from errno. */
int confine_enter(struct confinement *confinement, const struct config *config,
                  struct err *err) CHECKED;
/* In the log, once. Not by confine_enter: stderr may be a pipe that nobody reads, which takes
 * the log's thread. */
void confine_say(struct confinement *confinement);

/* Can no program be started any more? */
bool confine_forbids_programs(const struct confinement *confinement);

void confinement_done(struct confinement *confinement);

/* Could we serve with these settings, as we are? ERR_INVALID says what takes a new start. */
int confine_admits(const struct confinement *confinement, const struct config *config,
                   struct err *err) CHECKED;
#endif
