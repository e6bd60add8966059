/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_HEARTBEAT_H
#define RUNNER_HEARTBEAT_H
#include "home/home.h"

/*
 * Tells home every few seconds, from a thread of its own, that we are alive, and asks for the
 * run to be stopped when home says so or says that the run isn't ours any more. Home being
 * away is no reason to stop: the work goes on and is reported later.
 */
struct heartbeat;

/* `home` must outlive it. */
struct heartbeat *heartbeat_new(struct home *home, int every_ms) CHECKED;
void heartbeat_free(struct heartbeat *heartbeat);
DEFINE_SCOPED(heartbeat)
#endif
