/* SPDX-License-Identifier: Apache-2.0 */
#include "service/launches.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "crypto/random.h"

void launches_init(struct launches *launches, const char *name)
{
    launches->name = name;
    (void)pthread_mutex_init(&launches->lock, NULL);
    launches->last = &launches->first;
}

static void launch_free(struct launch *launch)
{
    run_free(launch->run);
    secret_free(launch->task_token);
    free(launch);
}

void launches_done(struct launches *launches)
{
    while (launches->first) {
        struct launch *launch = launches->first;

        launches->first = launch->next;
        launch_free(launch);
    }
    (void)pthread_mutex_destroy(&launches->lock);
}

/* --- The pause
 * -------------------------------------------------------------------------------------- */

bool launches_may_ask(struct launches *launches, int64_t now_ms, int64_t *out_wait_ms)
{
    bool may = false;

    *out_wait_ms = -1;
    (void)pthread_mutex_lock(&launches->lock);
    if (!launches->misses) {
        may = true;
    } else if (now_ms < launches->closed_until_ms) {
        *out_wait_ms = launches->closed_until_ms - now_ms;
    } else if (!launches->asking) {
        launches->asking = true;
        may = true;
    }
    (void)pthread_mutex_unlock(&launches->lock);
    return may;
}

void launches_none(struct launches *launches)
{
    (void)pthread_mutex_lock(&launches->lock);
    launches->asking = false;
    (void)pthread_mutex_unlock(&launches->lock);
}

/* From half of it to all of it. */
static int64_t pause_ms(int misses)
{
    int64_t whole_ms = LAUNCH_PAUSE_FIRST_MS;

    for (int i = 1; i < misses && whole_ms < LAUNCH_PAUSE_MAX_MS; i++)
        whole_ms *= 2;
    if (whole_ms > LAUNCH_PAUSE_MAX_MS)
        whole_ms = LAUNCH_PAUSE_MAX_MS;
    return whole_ms / 2 + (int64_t)(random_u64() % (uint64_t)(whole_ms / 2 + 1));
}

static int64_t asked_for_ms(const struct err *err)
{
    int64_t retry_s = err->retry_after_s;

    if (retry_s > LAUNCH_RETRY_AFTER_MAX_S)
        retry_s = LAUNCH_RETRY_AFTER_MAX_S;
    return retry_s * 1000;
}

/* Called with the lock. */
static void close_for_a_while(struct launches *launches, const struct err *err, int64_t now_ms)
{
    int64_t wait_ms;

    if (!launches->misses)
        launches->away_since_ms = now_ms;
    launches->misses++;
    launches->round++;
    launches->asking = false;
    wait_ms = pause_ms(launches->misses);
    if (wait_ms < asked_for_ms(err))
        wait_ms = asked_for_ms(err);
    launches->closed_until_ms = now_ms + wait_ms;
    (void)snprintf(launches->why, sizeof(launches->why), "%s", err->text);
    if (launches->misses == 1)
        log_warn("the launcher's backend does not answer, launching pauses",
                 KV("launcher", launches->name), KV("error", err->text),
                 KV("pause_ms", wait_ms));
}

/* Called with the lock. */
static void open_again(struct launches *launches)
{
    if (launches->misses)
        log_info("the launcher's backend answers again", KV("launcher", launches->name),
                 KV("misses", launches->misses));
    launches->misses = 0;
    launches->asking = false;
}

bool launches_paused(struct launches *launches, char *out_why, size_t size)
{
    bool paused;

    (void)pthread_mutex_lock(&launches->lock);
    paused = launches->misses > 0;
    if (size)
        (void)snprintf(out_why, size, "%s", paused ? launches->why : "");
    (void)pthread_mutex_unlock(&launches->lock);
    return paused;
}

bool launches_gone(struct launches *launches, int64_t now_ms, int64_t after_ms,
                   int64_t *out_in_ms)
{
    int64_t in_ms = -1;
    bool gone = false;

    (void)pthread_mutex_lock(&launches->lock);
    if (launches->misses) {
        gone = now_ms - launches->away_since_ms >= after_ms;
        if (!gone)
            in_ms = launches->away_since_ms + after_ms - now_ms;
    }
    (void)pthread_mutex_unlock(&launches->lock);
    if (out_in_ms)
        *out_in_ms = in_ms;
    return gone;
}

/* --- The list
 * --------------------------------------------------------------------------------------- */

struct launch *launches_begin(struct launches *launches, struct run *run,
                              struct secret *task_token)
{
    struct launch *launch = xcalloc(1, sizeof(*launch));

    launch->run = run;
    launch->task_token = task_token;
    launch->in_hand = true;
    (void)pthread_mutex_lock(&launches->lock);
    launch->round = launches->round;
    launches->in_hand++;
    *launches->last = launch;
    launches->last = &launch->next;
    (void)pthread_mutex_unlock(&launches->lock);
    return launch;
}

void launches_resume(struct launches *launches, struct run *run, struct secret *task_token)
{
    struct launch *launch = xcalloc(1, sizeof(*launch));

    *launch =
        (struct launch){.run = run, .task_token = task_token, .asked = 1, .may_exist = true};
    (void)pthread_mutex_lock(&launches->lock);
    *launches->last = launch;
    launches->last = &launch->next;
    launches->waiting++;
    (void)pthread_mutex_unlock(&launches->lock);
}

/* The backend is known to have nothing of it. */
static bool is_parked(const struct launch *launch)
{
    return !launch->in_hand && !launch->may_exist;
}

/* Called with the lock. */
static void take_in_hand(struct launches *launches, struct launch *launch)
{
    launches->parked -= is_parked(launch);
    launches->waiting--;
    launches->in_hand++;
    launch->in_hand = true;
    launch->round = launches->round;
}

struct launch *launches_again(struct launches *launches, int64_t now_ms, bool unpark,
                              int64_t *out_wait_ms, bool *out_full)
{
    struct launch *found = NULL;
    int64_t first_ms = INT64_MAX;

    (void)pthread_mutex_lock(&launches->lock);
    for (struct launch *launch = launches->first; launch && !found; launch = launch->next) {
        if (launch->in_hand || (!unpark && is_parked(launch)))
            continue;
        if (launch->next_ms <= now_ms)
            found = launch;
        else if (launch->next_ms < first_ms)
            first_ms = launch->next_ms;
    }
    if (found)
        take_in_hand(launches, found);
    *out_wait_ms = first_ms == INT64_MAX ? -1 : first_ms - now_ms;
    *out_full = launches->waiting >= LAUNCHES_WAITING_MAX;
    (void)pthread_mutex_unlock(&launches->lock);
    return found;
}

/* Called with the lock. */
static void let_wait(struct launches *launches, struct launch *launch)
{
    launch->in_hand = false;
    launches->in_hand--;
    launches->waiting++;
    launches->parked += is_parked(launch);
}

void launches_park(struct launches *launches, struct launch *launch, int64_t now_ms)
{
    (void)pthread_mutex_lock(&launches->lock);
    launch->next_ms = now_ms;
    let_wait(launches, launch);
    (void)pthread_mutex_unlock(&launches->lock);
}

void launches_missed(struct launches *launches, struct launch *launch, const struct err *err,
                     int64_t now_ms)
{
    (void)pthread_mutex_lock(&launches->lock);
    if (launch->round == launches->round)
        close_for_a_while(launches, err, now_ms);
    /* One that is never answered shouldn't hold up the others for ever. */
    launch->next_ms = err->kind == ERR_TIMEOUT ? now_ms + pause_ms(launch->asked) : now_ms;
    let_wait(launches, launch);
    (void)pthread_mutex_unlock(&launches->lock);
}

struct launch *launches_part(struct launches *launches,
                             bool (*may)(const void *ctx, const struct run *run),
                             const void *ctx)
{
    struct launch *found = NULL;

    (void)pthread_mutex_lock(&launches->lock);
    for (struct launch *launch = launches->first; launch && !found; launch = launch->next)
        if (is_parked(launch) && may(ctx, launch->run))
            found = launch;
    if (found)
        take_in_hand(launches, found);
    (void)pthread_mutex_unlock(&launches->lock);
    return found;
}

/* Called with the lock. */
static void take_out(struct launches *launches, const struct launch *launch)
{
    for (struct launch **at = &launches->first; *at; at = &(*at)->next) {
        if (*at != launch)
            continue;
        *at = launch->next;
        if (!*at)
            launches->last = at;
        break;
    }
    launches->in_hand--;
}

void launches_parted(struct launches *launches, struct launch *launch)
{
    (void)pthread_mutex_lock(&launches->lock);
    take_out(launches, launch);
    (void)pthread_mutex_unlock(&launches->lock);
    launch_free(launch);
}

static size_t read_size(struct launches *launches, const size_t *size)
{
    size_t value;

    (void)pthread_mutex_lock(&launches->lock);
    value = *size;
    (void)pthread_mutex_unlock(&launches->lock);
    return value;
}

size_t launches_parked(struct launches *launches)
{
    return read_size(launches, &launches->parked);
}

size_t launches_in_hand(struct launches *launches)
{
    return read_size(launches, &launches->in_hand);
}

void launches_settled(struct launches *launches, struct launch *launch, bool answered)
{
    (void)pthread_mutex_lock(&launches->lock);
    take_out(launches, launch);
    if (answered)
        open_again(launches);
    else
        launches->asking = false;
    (void)pthread_mutex_unlock(&launches->lock);
    launch_free(launch);
}

bool launches_has(struct launches *launches, struct id run, int attempt)
{
    bool found = false;

    (void)pthread_mutex_lock(&launches->lock);
    for (const struct launch *launch = launches->first; launch && !found; launch = launch->next)
        found = id_equal(launch->run->id, run) && launch->run->attempt == attempt;
    (void)pthread_mutex_unlock(&launches->lock);
    return found;
}
