/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_EVENTS_H
#define RUNNER_EVENTS_H
#include "home/home.h"
#include "text/redaction.h"

/*
 * The run's story, told home as it happens. Adding an event never waits: a thread of its own
 * numbers them, collects them for half a second and sends them in batches. Every text is
 * redacted on the way. Safe from any thread.
 */
struct events;

/* Both must outlive it. Starts the thread. */
struct events *events_new(struct home *home, struct redaction *redaction) CHECKED;
/* Drops what wasn't sent: events_finish first. */
void events_free(struct events *events);
DEFINE_SCOPED(events)

/* Takes `fields`, an object: {seq, at, type} are put in front of them. */
void events_add(struct events *events, const char *type, cJSON *fields);

/* A {type: "warning", message} that is logged here as well. */
void events_warn(struct events *events, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sends what there is and stops the thread; gives up after wait_ms. */
void events_finish(struct events *events, int wait_ms);
#endif
