/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_EVENT_QUEUE_H
#define RUNNER_EVENT_QUEUE_H
#include "base/buf.h"

#include <stdint.h>

/*
 * Events on their way home, as JSON texts in order, never more bytes than a limit: an agent
 * that prints faster than home takes it costs lines, not memory. Embedded in its owner: all
 * zeroes is empty. Not thread-safe: its owner has the lock.
 */
#define EVENT_QUEUE_MAX_BYTES (1024 * 1024)
/* Room on top that only events which people must see may use. */
#define EVENT_QUEUE_RESERVE_BYTES (256 * 1024)

struct queued_event;

struct event_queue {
    struct queued_event *first;
    struct queued_event *last;
    size_t n_events;
    size_t size_bytes;
    uint64_t dropped; /* since the owner last asked */
};

void event_queue_done(struct event_queue *queue);

/* Takes `text`. False when there was no room and it was dropped and counted. */
bool event_queue_add(struct event_queue *queue, char *text, bool must_see);

/* Appends the first events to `out`, with commas between, up to n_max and size_max bytes (one
 * at least); returns how many. They stay in the queue until they are known to have arrived. */
size_t event_queue_peek(const struct event_queue *queue, size_t n_max, size_t size_max,
                        struct buf *out);
void event_queue_drop_first(struct event_queue *queue, size_t n);

/* How many were dropped since the last call. */
uint64_t event_queue_take_dropped(struct event_queue *queue);
#endif
