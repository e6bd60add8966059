/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_STOP_H
#define RUNNER_STOP_H
#include <stdbool.h>

/*
 * Whether this run should stop: home said so, or SIGTERM or SIGINT arrived. A signal may be
 * home's stop on its short way, or the end of the machine under us: then what there is may
 * be saved in the time that is left (stop_postpone). Safe from any thread and from signal
 * handlers.
 *
 * The agent has a flag of its own, which a stop sets as well: it can be ended without the
 * run, as when its budget is spent.
 */
void stop_on_signals(void);
void stop_request(void); /* by home: for good */
bool stop_requested(void);
bool stop_by_home(void); /* stop_request was called */

/* Once, after a signal and nothing else: no stop for `for_ms`, then it is on again. False when
 * home has asked, or it was postponed before. */
bool stop_postpone(int for_ms);

/* For those who watch it while they wait. */
const volatile bool *stop_flag(void);

void stop_agent(void);
const volatile bool *stop_agent_flag(void);

/* Sleeps, but not past a request to stop: false when there was one. */
bool stop_sleep(int for_ms);
#endif
