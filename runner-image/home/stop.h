/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_STOP_H
#define RUNNER_STOP_H
#include <stdbool.h>

/*
 * Whether this run should stop: SIGTERM or SIGINT arrived, or home said so. One flag for the
 * process, set once and never cleared; safe from any thread and from signal handlers.
 */
void stop_on_signals(void);
void stop_request(void);
bool stop_requested(void);

/* For those who watch it while they wait. */
const volatile bool *stop_flag(void);

/* Sleeps, but not past a request to stop: false when there was one. */
bool stop_sleep(int for_ms);
#endif
