/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_LANE_H
#define SERVICE_LANE_H
#include "base/id.h"
#include "base/scoped.h"
#include "service/backends.h"

#include <stddef.h>

/*
 * Runs that wait for the same, the next one first. What admission.h is made of: its owner holds
 * a lock.
 */

/* A repository that runs wait for or are in flight in. */
struct place {
    char *name; /* in lower case: GitHub's names differ by more than that */
    int limit;  /* 0: none */
    int in_flight;
    size_t n_lanes;
};

/* A run's. */
struct turn {
    struct id id;
    int priority;
    enum { WAITING, LATER, FLYING } where;
    size_t at; /* its index in the lane's heap or among the later ones */
    int64_t not_before_ms;
    struct backend_route route;
    struct lane *lane;
};

struct lane {
    char *name;          /* the place's, a blank and the branch; "": for a worker alone. Where
                            no branch orders them, those of different backends stand apart */
    struct place *place; /* NULL: none */
    bool one_at_a_time;  /* it has a branch */
    int in_flight;
    size_t n_turns;     /* waiting, later and flying */
    struct turn **heap; /* the one that goes first on top */
    size_t n_waiting;
    size_t room;
    size_t at; /* its index among the lanes in which somebody waits */
};

/* Takes the name. */
struct lane *lane_new(char *name) CHECKED;
void lane_free(void *lane);
struct place *place_new(char *name, int limit) CHECKED;
void place_free(void *place);

bool turn_goes_before(const struct turn *one, const struct turn *other);
int turn_compare_ids(const void *one, const void *other);

/* turn->lane is this one. */
void lane_push(struct lane *lane, struct turn *turn);
void lane_remove(struct lane *lane, const struct turn *turn);

bool place_is_full(const struct place *place); /* NULL: never */
bool lane_is_free(const struct lane *lane);
/* One more in flight, or (-1) one less. */
void lane_count(struct lane *lane, int change);
#endif
