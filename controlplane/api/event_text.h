/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_EVENT_TEXT_H
#define API_EVENT_TEXT_H
#include "service/live.h"

/*
 * What an entry of the journal looks like to those who watch: as an event of a stream
 * (text/event-stream), by the names of the task surfaces or of the agent surface, and as lines
 * of a log for people.
 */
extern const struct live_face task_events;
extern const struct live_face agent_events;
extern const struct live_face log_lines;

/* The beginning of a run that the journal doesn't have one of: see store/journal.h. Its number
 * is 0. */
char *event_text_queued(const struct live_face *face, struct id run) CHECKED;

/* Bytes that could steer a terminal become question marks. */
void event_text_tame(char *text, size_t size);
#endif
