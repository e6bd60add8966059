/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* --- Life cycle --------------------------------------------------------------------------- */

struct lane *lane_new(char *name)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));

    *lane = (struct lane){.name = name, .one_at_a_time = strchr(name, ' ') != NULL};
    return lane;
}

void lane_free(void *lane)
{
    struct lane *gone = lane;

    free(gone->name);
    free(gone->heap);
    free(gone);
}

struct place *place_new(char *name, int limit)
{
    struct place *place = xcalloc(1, sizeof(*place));

    *place = (struct place){.name = name, .limit = limit};
    return place;
}

void place_free(void *place)
{
    struct place *gone = place;

    free(gone->name);
    free(gone);
}

/* --- Order -------------------------------------------------------------------------------- */

int turn_compare_ids(const void *one, const void *other)
{
    const struct turn *a = one;
    const struct turn *b = other;

    if (a->id.key != b->id.key)
        return a->id.key < b->id.key ? -1 : 1;
    return (a->id.tail > b->id.tail) - (a->id.tail < b->id.tail);
}

bool turn_goes_before(const struct turn *one, const struct turn *other)
{
    if (one->priority != other->priority)
        return one->priority > other->priority;
    return turn_compare_ids(one, other) < 0;
}

/* --- The heap ----------------------------------------------------------------------------- */

static void put_at(struct lane *lane, size_t at, struct turn *turn)
{
    lane->heap[at] = turn;
    turn->at = at;
}

static void sift_up(struct lane *lane, size_t at, struct turn *turn)
{
    for (; at && turn_goes_before(turn, lane->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put_at(lane, at, lane->heap[(at - 1) / 2]);
    put_at(lane, at, turn);
}

static void sift_down(struct lane *lane, size_t at, struct turn *turn)
{
    for (size_t child; (child = 2 * at + 1) < lane->n_waiting; at = child) {
        if (child + 1 < lane->n_waiting
            && turn_goes_before(lane->heap[child + 1], lane->heap[child]))
            child++;
        if (!turn_goes_before(lane->heap[child], turn))
            break;
        put_at(lane, at, lane->heap[child]);
    }
    put_at(lane, at, turn);
}

void lane_push(struct lane *lane, struct turn *turn)
{
    if (lane->n_waiting == lane->room) {
        lane->room = lane->room ? lane->room * 2 : 4;
        lane->heap = xrealloc(lane->heap, lane->room * sizeof(struct turn *));
    }
    sift_up(lane, lane->n_waiting++, turn);
}

void lane_remove(struct lane *lane, const struct turn *turn)
{
    size_t at = turn->at;
    struct turn *last = lane->heap[--lane->n_waiting];

    if (last == turn)
        return;
    sift_down(lane, at, last);
    sift_up(lane, last->at, last);
}

/* --- In flight ---------------------------------------------------------------------------- */

bool place_is_full(const struct place *place)
{
    return place && place->limit && place->in_flight >= place->limit;
}

bool lane_is_free(const struct lane *lane)
{
    return !(lane->one_at_a_time && lane->in_flight) && !place_is_full(lane->place);
}

void lane_count(struct lane *lane, int change)
{
    lane->in_flight += change;
    if (lane->place)
        lane->place->in_flight += change;
}
