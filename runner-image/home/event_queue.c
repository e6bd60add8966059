/* SPDX-License-Identifier: Apache-2.0 */
#include "home/event_queue.h"

#include <string.h>

#include "base/alloc.h"

struct queued_event {
    struct queued_event *next;
    size_t size;
    char *text;
};

void event_queue_done(struct event_queue *queue)
{
    event_queue_drop_first(queue, queue->n_events);
}

bool event_queue_add(struct event_queue *queue, char *text, bool must_see)
{
    size_t limit = EVENT_QUEUE_MAX_BYTES + (must_see ? EVENT_QUEUE_RESERVE_BYTES : 0);
    struct queued_event *event;
    size_t size = strlen(text);

    if (size > limit || queue->size_bytes > limit - size) {
        queue->dropped++;
        free(text);
        return false;
    }
    event = xcalloc(1, sizeof(*event));
    event->size = size;
    event->text = text;
    if (queue->last)
        queue->last->next = event;
    else
        queue->first = event;
    queue->last = event;
    queue->n_events++;
    queue->size_bytes += size;
    return true;
}

size_t event_queue_peek(const struct event_queue *queue, size_t n_max, size_t size_max,
                        struct buf *out)
{
    size_t n = 0;

    for (const struct queued_event *event = queue->first; event && n < n_max;
         event = event->next) {
        if (n && out->size + 1 + event->size > size_max)
            break;
        if (n)
            buf_append(out, ",", 1);
        buf_append(out, event->text, event->size);
        n++;
    }
    return n;
}

void event_queue_drop_first(struct event_queue *queue, size_t n)
{
    while (n-- && queue->first) {
        struct queued_event *gone = queue->first;

        queue->first = gone->next;
        if (!queue->first)
            queue->last = NULL;
        queue->n_events--;
        queue->size_bytes -= gone->size;
        free(gone->text);
        free(gone);
    }
}

uint64_t event_queue_take_dropped(struct event_queue *queue)
{
    uint64_t dropped = queue->dropped;

    queue->dropped = 0;
    return dropped;
}
