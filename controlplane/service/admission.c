/* SPDX-License-Identifier: Apache-2.0 */
#include "service/admission.h"

#include <ctype.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "service/lane.h"
#include "service/queue_rules.h"

struct admission {
    struct queue_rules *rules;
    bool (*gate)(const void *ctx, struct backend_route route); /* NULL: there is none */
    const void *gate_ctx;

    pthread_mutex_t lock; /* over what follows */
    void *places;         /* trees, by name and by id */
    void *lanes;
    void *turns;
    struct lane **waiting; /* lanes in which somebody waits */
    size_t n_waiting;
    size_t waiting_room;
    struct turn **later; /* whose time hasn't come */
    size_t n_later;
    size_t later_room;
    int64_t n_by_priority[RUN_PRIORITY_MAX + 1]; /* waiting or later */
};

int admission_priority(const struct admission *admission, const char *repo, int asked)
{
    return asked != RUN_PRIORITY_UNSAID ? asked : queue_rules_priority(admission->rules, repo);
}

bool admission_has_limits(const struct admission *admission)
{
    return admission->gate || queue_rules_have_limits(admission->rules);
}

bool admission_concerns(const struct admission *admission, const struct admission_run *run)
{
    return admission->gate || run->priority != RUN_PRIORITY_USUAL
           || (run->repo
               && (run->branch || queue_rules_limit(admission->rules, run->repo) > 0));
}

/* --- Life cycle --------------------------------------------------------------------------- */

struct admission *admission_new(const struct config *config)
{
    struct admission *admission = xcalloc(1, sizeof(*admission));

    admission->rules = queue_rules_new(config);
    (void)pthread_mutex_init(&admission->lock, NULL);
    return admission;
}

void admission_gate(struct admission *admission,
                    bool (*open)(const void *ctx, struct backend_route route), const void *ctx)
{
    admission->gate = open;
    admission->gate_ctx = ctx;
}

void admission_free(struct admission *admission)
{
    if (!admission)
        return;
    tdestroy(admission->turns, free);
    tdestroy(admission->lanes, lane_free);
    tdestroy(admission->places, place_free);
    (void)pthread_mutex_destroy(&admission->lock);
    queue_rules_free(admission->rules);
    free(admission->waiting);
    free(admission->later);
    free(admission);
}

/* --- Trees --------------------------------------------------------------------------------
 * Places and lanes begin with their names, so that one comparison does for both. */

static int compare_names(const void *a, const void *b)
{
    const struct lane *one = a;
    const struct lane *other = b;

    return strcmp(one->name, other->name);
}

/* What is in the tree by this key; NULL. */
static void *look_up(void *const *tree, const void *key,
                     int (*compare)(const void *, const void *))
{
    void *const *found = tfind(key, tree, compare);

    return found ? *found : NULL;
}

static void add(void **tree, void *thing, int (*compare)(const void *, const void *))
{
    if (!tsearch(thing, tree, compare))
        out_of_memory();
}

static struct turn *turn_of(const struct admission *admission, struct id id)
{
    return look_up(&admission->turns, &(struct turn){.id = id}, turn_compare_ids);
}

static char *lower(const char *text)
{
    char *copy = xstrdup(text);

    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

static struct place *place_of(struct admission *admission, const char *repo)
{
    struct lane key = {.name = lower(repo)};
    struct place *place = look_up(&admission->places, &key, compare_names);

    if (place) {
        free(key.name);
        return place;
    }
    place = place_new(key.name, queue_rules_limit(admission->rules, repo));
    add(&admission->places, place, compare_names);
    return place;
}

static bool has_place(const struct admission *admission, const char *repo, const char *branch)
{
    return repo && (branch || queue_rules_limit(admission->rules, repo) > 0);
}

/* Its name, for the caller to free. A comma is in no repository's name. */
static char *lane_name(const struct admission *admission, const char *repo, const char *branch,
                       struct backend_route route)
{
    scoped_str place = has_place(admission, repo, branch) ? lower(repo) : xstrdup("");

    if (*place && branch)
        return xasprintf("%s %s", place, branch);
    if (route.chosen || route.at)
        return xasprintf("%s,%d,%d", place, route.chosen, route.at);
    return TAKE(place);
}

static struct lane *lane_of(struct admission *admission, const char *repo, const char *branch,
                            struct backend_route route)
{
    struct lane key = {.name = lane_name(admission, repo, branch, route)};
    struct lane *lane = look_up(&admission->lanes, &key, compare_names);

    if (lane) {
        free(key.name);
        return lane;
    }
    lane = lane_new(key.name);
    if (has_place(admission, repo, branch)) {
        lane->place = place_of(admission, repo);
        lane->place->n_lanes++;
    }
    add(&admission->lanes, lane, compare_names);
    return lane;
}

static void drop_lane(struct admission *admission, struct lane *lane)
{
    struct place *place = lane->place;

    (void)tdelete(lane, &admission->lanes, compare_names);
    lane_free(lane);
    if (!place || --place->n_lanes)
        return;
    (void)tdelete(place, &admission->places, compare_names);
    place_free(place);
}

/* --- Those that wait -----------------------------------------------------------------------
 */

static void enter_lane(struct admission *admission, struct turn *turn)
{
    struct lane *lane = turn->lane;

    turn->where = WAITING;
    lane_push(lane, turn);
    if (lane->n_waiting > 1)
        return;
    if (admission->n_waiting == admission->waiting_room) {
        admission->waiting_room = admission->waiting_room ? admission->waiting_room * 2 : 16;
        admission->waiting =
            xrealloc(admission->waiting, admission->waiting_room * sizeof(struct lane *));
    }
    lane->at = admission->n_waiting;
    admission->waiting[admission->n_waiting++] = lane;
}

static void leave_lane(struct admission *admission, const struct turn *turn)
{
    struct lane *lane = turn->lane;

    lane_remove(lane, turn);
    if (lane->n_waiting)
        return;
    admission->waiting[lane->at] = admission->waiting[--admission->n_waiting];
    admission->waiting[lane->at]->at = lane->at;
}

/* --- Those whose time hasn't come --------------------------------------------------------- */

static void later_add(struct admission *admission, struct turn *turn)
{
    if (admission->n_later == admission->later_room) {
        admission->later_room = admission->later_room ? admission->later_room * 2 : 16;
        admission->later =
            xrealloc(admission->later, admission->later_room * sizeof(struct turn *));
    }
    turn->where = LATER;
    turn->at = admission->n_later;
    admission->later[admission->n_later++] = turn;
}

static void later_remove(struct admission *admission, const struct turn *turn)
{
    admission->later[turn->at] = admission->later[--admission->n_later];
    admission->later[turn->at]->at = turn->at;
}

/* Moves on those whose time has come; when the next one's does, 0: there is none. */
static int64_t wake_later(struct admission *admission, int64_t now_ms)
{
    int64_t next_ms = 0;

    for (size_t i = 0; i < admission->n_later;) {
        struct turn *turn = admission->later[i];

        if (turn->not_before_ms <= now_ms) {
            later_remove(admission, turn);
            enter_lane(admission, turn);
            continue;
        }
        if (!next_ms || turn->not_before_ms < next_ms)
            next_ms = turn->not_before_ms;
        i++;
    }
    return next_ms;
}

/* --- Moves -------------------------------------------------------------------------------- */

static void start_waiting(struct admission *admission, struct turn *turn, int64_t not_before_ms)
{
    turn->not_before_ms = not_before_ms;
    admission->n_by_priority[turn->priority]++;
    if (not_before_ms)
        later_add(admission, turn);
    else
        enter_lane(admission, turn);
}

static void stop_waiting(struct admission *admission, struct turn *turn)
{
    admission->n_by_priority[turn->priority]--;
    if (turn->where == LATER)
        later_remove(admission, turn);
    else
        leave_lane(admission, turn);
}

static struct turn *new_turn(struct admission *admission, const struct admission_run *run)
{
    struct turn *turn;

    if (turn_of(admission, run->id))
        return NULL;
    turn = xcalloc(1, sizeof(*turn));
    *turn = (struct turn){.id = run->id, .priority = run->priority, .route = run->route};
    if (turn->priority < RUN_PRIORITY_MIN)
        turn->priority = RUN_PRIORITY_MIN;
    if (turn->priority > RUN_PRIORITY_MAX)
        turn->priority = RUN_PRIORITY_MAX;
    turn->lane = lane_of(admission, run->repo, run->branch, run->route);
    turn->lane->n_turns++;
    add(&admission->turns, turn, turn_compare_ids);
    return turn;
}

void admission_wait(struct admission *admission, const struct admission_run *run)
{
    struct turn *turn;

    (void)pthread_mutex_lock(&admission->lock);
    turn = new_turn(admission, run);
    if (turn)
        start_waiting(admission, turn, 0);
    (void)pthread_mutex_unlock(&admission->lock);
}

void admission_fly(struct admission *admission, const struct admission_run *run)
{
    struct turn *turn;

    (void)pthread_mutex_lock(&admission->lock);
    turn = new_turn(admission, run);
    if (turn) {
        turn->where = FLYING;
        lane_count(turn->lane, 1);
    }
    (void)pthread_mutex_unlock(&admission->lock);
}

bool admission_take(struct admission *admission, struct id id)
{
    struct turn *turn;
    bool waiting;

    (void)pthread_mutex_lock(&admission->lock);
    turn = turn_of(admission, id);
    waiting = turn && turn->where == WAITING;
    if (waiting) {
        stop_waiting(admission, turn);
        turn->where = FLYING;
        lane_count(turn->lane, 1);
    }
    (void)pthread_mutex_unlock(&admission->lock);
    return waiting;
}

void admission_put_back(struct admission *admission, struct id id, int64_t not_before_ms)
{
    struct turn *turn;

    (void)pthread_mutex_lock(&admission->lock);
    turn = turn_of(admission, id);
    if (turn && turn->where == FLYING) {
        lane_count(turn->lane, -1);
        start_waiting(admission, turn, not_before_ms);
    }
    (void)pthread_mutex_unlock(&admission->lock);
}

void admission_reroute(struct admission *admission, struct id id, const char *repo,
                       struct backend_route route)
{
    struct turn *turn;

    (void)pthread_mutex_lock(&admission->lock);
    turn = turn_of(admission, id);
    if (turn && turn->where == FLYING) {
        struct lane *from = turn->lane;

        turn->route = route;
        if (!from->one_at_a_time) {
            turn->lane = lane_of(admission, repo, NULL, route);
            turn->lane->n_turns++;
            lane_count(turn->lane, 1);
            lane_count(from, -1);
            if (--from->n_turns == 0)
                drop_lane(admission, from);
        }
    }
    (void)pthread_mutex_unlock(&admission->lock);
}

void admission_leave(struct admission *admission, struct id id)
{
    struct turn *turn;

    (void)pthread_mutex_lock(&admission->lock);
    turn = turn_of(admission, id);
    if (turn) {
        if (turn->where == FLYING)
            lane_count(turn->lane, -1);
        else
            stop_waiting(admission, turn);
        (void)tdelete(turn, &admission->turns, turn_compare_ids);
        if (--turn->lane->n_turns == 0)
            drop_lane(admission, turn->lane);
        free(turn);
    }
    (void)pthread_mutex_unlock(&admission->lock);
}

/* --- Questions ---------------------------------------------------------------------------- */

bool admission_knows(struct admission *admission, struct id id)
{
    bool known;

    (void)pthread_mutex_lock(&admission->lock);
    known = turn_of(admission, id) != NULL;
    (void)pthread_mutex_unlock(&admission->lock);
    return known;
}

static bool may_go(const struct admission *admission, const struct lane *lane)
{
    return lane_is_free(lane)
           && (!admission->gate || admission->gate(admission->gate_ctx, lane->heap[0]->route));
}

bool admission_next(struct admission *admission, int64_t now_ms, struct admission_run *out,
                    int64_t *out_next_ms)
{
    const struct turn *first = NULL;

    (void)pthread_mutex_lock(&admission->lock);
    *out_next_ms = wake_later(admission, now_ms);
    for (size_t i = 0; i < admission->n_waiting; i++) {
        const struct lane *lane = admission->waiting[i];

        if ((!first || turn_goes_before(lane->heap[0], first)) && may_go(admission, lane))
            first = lane->heap[0];
    }
    if (first)
        *out = (struct admission_run){.id = first->id, .priority = first->priority};
    (void)pthread_mutex_unlock(&admission->lock);
    return first != NULL;
}

/* Called with the lock. */
static bool say_why(struct admission *admission, const char *repo, const char *branch,
                    char *out, size_t size)
{
    scoped_str name = lane_name(admission, repo, branch, (struct backend_route){0});
    scoped_str place_name = repo ? lower(repo) : xstrdup("");
    const struct lane *lane =
        look_up(&admission->lanes, &(struct lane){.name = name}, compare_names);
    const struct place *place =
        look_up(&admission->places, &(struct lane){.name = place_name}, compare_names);

    if (lane && lane->one_at_a_time && lane->in_flight) {
        (void)snprintf(out, size, "a run of this repository and branch is in flight");
        return true;
    }
    if (!place || !place_is_full(place))
        return false;
    (void)snprintf(out, size, "%d run%s of this repository %s in flight, which is its limit",
                   place->in_flight, place->in_flight == 1 ? "" : "s",
                   place->in_flight == 1 ? "is" : "are");
    return true;
}

bool admission_blocked(struct admission *admission, const char *repo, const char *branch,
                       char *out, size_t size)
{
    bool blocked;

    (void)pthread_mutex_lock(&admission->lock);
    blocked = say_why(admission, repo, branch, out, size);
    (void)pthread_mutex_unlock(&admission->lock);
    return blocked;
}

int64_t admission_ahead(struct admission *admission, int priority, int64_t *out_waiting)
{
    int64_t ahead = 0;

    *out_waiting = 0;
    (void)pthread_mutex_lock(&admission->lock);
    for (int i = RUN_PRIORITY_MIN; i <= RUN_PRIORITY_MAX; i++) {
        *out_waiting += admission->n_by_priority[i];
        if (i >= priority)
            ahead += admission->n_by_priority[i];
    }
    (void)pthread_mutex_unlock(&admission->lock);
    return ahead;
}
