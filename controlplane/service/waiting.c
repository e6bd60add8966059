/* SPDX-License-Identifier: Apache-2.0 */
#include "service/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define ROOM_FIRST 64

void waiting_done(struct waiting *waiting)
{
    free(waiting->runs);
    *waiting = (struct waiting){0};
}

/* Where the key is or would be. */
static size_t place_of(const struct waiting *waiting, int64_t key)
{
    size_t low = 0;
    size_t high = waiting->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (waiting->runs[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct waiting *waiting, size_t place, int64_t key)
{
    return place < waiting->count && waiting->runs[place].key == key;
}

void waiting_note(struct waiting *waiting, struct id run)
{
    size_t place = place_of(waiting, run.key);

    if (!is_at(waiting, place, run.key)) {
        if (waiting->count == waiting->room) {
            waiting->room = waiting->room ? waiting->room * 2 : ROOM_FIRST;
            waiting->runs = xrealloc(waiting->runs, waiting->room * sizeof(*waiting->runs));
        }
        memmove(&waiting->runs[place + 1], &waiting->runs[place],
                (waiting->count - place) * sizeof(*waiting->runs));
        waiting->count++;
        waiting->runs[place].key = run.key;
    }
    waiting->runs[place].round = waiting->round;
}

bool waiting_over(struct waiting *waiting, struct id run)
{
    size_t place = place_of(waiting, run.key);

    if (!is_at(waiting, place, run.key))
        return false;
    waiting->count--;
    memmove(&waiting->runs[place], &waiting->runs[place + 1],
            (waiting->count - place) * sizeof(*waiting->runs));
    return true;
}

void waiting_begin(struct waiting *waiting)
{
    waiting->round++;
}

void waiting_end(struct waiting *waiting)
{
    size_t kept = 0;

    for (size_t i = 0; i < waiting->count; i++)
        if (waiting->runs[i].round == waiting->round)
            waiting->runs[kept++] = waiting->runs[i];
    waiting->count = kept;
}
