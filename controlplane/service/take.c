/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which run is launched next, and how it is taken: of those whose turn admission.h decides and
 * those that only wait for a worker, the one of the higher priority, or the older one.
 */
#include "service/take.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "service/state.h"
#include "store/run_queue.h"

#define STORE_RETRY_MS 1000
#define AGAIN_NOW 0
/* As many more are taken with one as there are threads to launch them. */
#define TAKE_AHEAD (LAUNCH_THREADS - 1)

struct admission_run take_place_of(struct service *service, const struct run *run)
{
    return (struct admission_run){.id = run->id,
                                  .priority = run->priority,
                                  .repo = run->repo,
                                  .branch = run->base_branch,
                                  .route = backends_route_of(&service->backends, run)};
}

/* --- Choosing ----------------------------------------------------------------------------- */

/* INT64_MAX where there is no limit. */
static int64_t workers_left(struct service *service)
{
    int64_t limit = service->config->max_workers;
    int64_t parked = 0;

    for (size_t i = 0; limit && i < service->backends.count; i++)
        parked += (int64_t)launches_parked(&service->backends.all[i].launches);
    return limit ? limit - (atomic_load(&service->active) - parked) : INT64_MAX;
}

bool take_has_worker(struct service *service)
{
    return workers_left(service) > 0;
}

static struct run *store_failed(const struct err *err, int64_t *out_wait_ms)
{
    log_error("reading the queue failed, will retry", KV("error", err->text));
    *out_wait_ms = STORE_RETRY_MS;
    return NULL;
}

/* One whose turn it is, as the store has it: by now it may be stopped. */
static struct run *load_chosen(struct service *service, struct id id, int64_t *out_wait_ms)
{
    struct err err = {0};
    scoped(run) run = run_store_load(service->db, id, &err);

    if (!run && err.kind != ERR_NOT_FOUND)
        return store_failed(&err, out_wait_ms);
    if (run && run->status == RUN_PENDING)
        return TAKE(run);
    admission_leave(service->admission, id);
    *out_wait_ms = AGAIN_NOW;
    return NULL;
}

/* It was queued before its repository had a limit. */
static struct run *set_aside(struct service *service, const struct run *run,
                             int64_t *out_wait_ms)
{
    struct admission_run waiting = take_place_of(service, run);
    struct err err = {0};

    if (run_queue_set_aside(service->db, &run->id, 1, service->config->queue_timeout_s, &err)
        < 0)
        return store_failed(&err, out_wait_ms);
    admission_wait(service->admission, &waiting);
    *out_wait_ms = AGAIN_NOW;
    return NULL;
}

static bool goes_before(const struct admission_run *chosen, const struct run *usual)
{
    return chosen->priority > usual->priority
           || (chosen->priority == usual->priority && chosen->id.key < usual->id.key);
}

/* NULL: *out_wait_ms says when to look again (-1: when woken). */
static struct run *choose(struct service *service, int64_t now_ms, int64_t *out_wait_ms)
{
    struct err err = {0};
    struct admission_run chosen;
    int64_t turn_ms = 0;
    int64_t usual_ms = 0;
    bool is_turn = admission_next(service->admission, now_ms, &chosen, &turn_ms);
    scoped(run) run = NULL;

    if (is_turn && chosen.priority > RUN_PRIORITY_USUAL)
        return load_chosen(service, chosen.id, out_wait_ms);
    run = run_store_next_pending(service->db, now_ms, &usual_ms, &err);
    if (!run && err.kind != ERR_NOT_FOUND)
        return store_failed(&err, out_wait_ms);
    if (is_turn && (!run || goes_before(&chosen, run)))
        return load_chosen(service, chosen.id, out_wait_ms);
    if (run) {
        struct admission_run waiting = take_place_of(service, run);

        return admission_concerns(service->admission, &waiting)
                   ? set_aside(service, run, out_wait_ms)
                   : TAKE(run);
    }
    if (turn_ms && (!usual_ms || turn_ms < usual_ms))
        usual_ms = turn_ms;
    *out_wait_ms = usual_ms ? usual_ms - now_ms + 1 : -1;
    return NULL;
}

/* --- Taking ------------------------------------------------------------------------------- */

static void not_taken(struct service *service, struct id id, const struct err *err,
                      int64_t *out_wait_ms)
{
    if (err->kind == ERR_CONFLICT) {
        admission_leave(service->admission, id);
        *out_wait_ms = AGAIN_NOW;
        return;
    }
    log_error("taking a run failed, will retry", KV("error", err->text));
    admission_put_back(service->admission, id, clock_steady_ms() + STORE_RETRY_MS);
    *out_wait_ms = STORE_RETRY_MS;
}

/* Its launcher was named when it was queued. */
static void fail_homeless(struct service *service, const struct run *run, int64_t *out_wait_ms)
{
    const char *name = run->wanted_launcher ? run->wanted_launcher : run->launcher;
    scoped_str why = xasprintf("the launcher %s that it is for is not configured any more",
                               name ? name : "");
    struct run_end end = {
        .status = RUN_FAILED, .error_code = FAILURE_LAUNCH_FAILED, .error = why};

    *out_wait_ms = service_end_run(service, run, &end) ? AGAIN_NOW : STORE_RETRY_MS;
}

/* NULL: it doesn't go now. */
static struct backend *backend_for(struct service *service, const struct run *run,
                                   int64_t *out_wait_ms)
{
    struct backend_route route = backends_route_of(&service->backends, run);
    struct backend *backend = backends_ready(&service->backends, route);

    if (route.at == BACKEND_NONE)
        fail_homeless(service, run, out_wait_ms);
    return backend;
}

/* As it will be once the store has it. */
static struct launch *begin(struct service *service, struct backend *backend, struct run *taken)
{
    scoped(run) run = taken;
    struct secret *token;

    run->status = RUN_LAUNCHING;
    run->attempt++;
    free(run->launcher);
    run->launcher = xstrdup(backend->name);
    token = task_token_derive(run->id, run->attempt, service->token_key);
    return launches_begin(&backend->launches, TAKE(run), token);
}

/* Those that go in one commit: the first is whose turn it is. */
struct taking {
    struct launch *launches[1 + TAKE_AHEAD];
    struct backend *backends[1 + TAKE_AHEAD];
    size_t count;
};

static void add(struct service *service, struct taking *taking, struct backend *backend,
                struct run *run)
{
    taking->backends[taking->count] = backend;
    taking->launches[taking->count++] = begin(service, backend, run);
}

/* How many there are workers for beside the one whose turn it is. */
static int64_t workers_ahead(struct service *service)
{
    int64_t left = workers_left(service) - 1;

    return left < TAKE_AHEAD ? left : TAKE_AHEAD;
}

/* Behind a run that nothing but a worker was wanted for mostly stand others like it: a commit
 * for each would cost more than its start. Up to the first that is otherwise. */
static void add_following(struct service *service, struct taking *taking, struct id after)
{
    int64_t limit = workers_ahead(service);
    struct err ignored = {0};
    struct run_page page = {0};
    bool go_on = true;

    if (limit < 1 || atomic_load(&service->pending) < 2
        || run_store_pending_after(service->db, after, (int)limit, &page, &ignored) < 0)
        return;
    for (size_t i = 0; i < page.n_runs && go_on; i++) {
        struct admission_run waiting = take_place_of(service, page.runs[i]);
        struct backend *backend = waiting.route.at == BACKEND_NONE
                                      ? NULL
                                      : backends_ready(&service->backends, waiting.route);

        go_on = backend && !admission_concerns(service->admission, &waiting);
        if (go_on)
            add(service, taking, backend, TAKE(page.runs[i]));
    }
    run_page_done(&page);
}

/* The store's part: on -1 nothing was taken. */
static int write_taking(struct service *service, const struct taking *taking, int64_t now_ms,
                        struct run_take *takes, struct err *err)
{
    uint8_t hashes[ARRAY_SIZE(taking->launches)][SHA256_SIZE];

    for (size_t i = 0; i < taking->count; i++) {
        const struct launch *launch = taking->launches[i];

        token_hash(secret_reveal(launch->task_token), hashes[i]);
        takes[i] = (struct run_take){
            .id = launch->run->id,
            .launcher = launch->run->launcher,
            .token_hash = hashes[i],
            .deadline_ms = now_ms + service->config->claim_timeout_s * 1000,
        };
    }
    return run_store_launch_all(service->db, takes, taking->count, err);
}

static bool is_taken(struct service *service, const struct launch *launch,
                     const struct run_take *take)
{
    if (!take->out_attempt)
        return false;
    if (take->out_attempt
        != launch->run->attempt) /* only takes count attempts, one at a time */
        log_error("a run's attempt is not the one expected", KV("attempt", take->out_attempt));
    atomic_fetch_sub(&service->pending, 1);
    atomic_fetch_add(&service->active, 1);
    return true;
}

/* The first of them, in the caller's hand; the others wait for a thread. */
static struct launch *finish(struct service *service, const struct taking *taking,
                             int64_t now_ms, int64_t *out_wait_ms)
{
    struct run_take takes[ARRAY_SIZE(taking->launches)];
    struct launch *first = NULL;
    struct err err = {0};
    int result = write_taking(service, taking, now_ms, takes, &err);

    for (size_t i = taking->count; i-- > 0;) {
        struct launches *launches = &taking->backends[i]->launches;
        struct launch *launch = taking->launches[i];
        struct id id = launch->run->id;

        if (result == 0 && is_taken(service, launch, &takes[i])) {
            if (i == 0)
                first = launch;
            else
                launches_park(launches, launch, clock_monotonic_ms());
            continue;
        }
        launches_settled(launches, launch, false);
        if (i == 0)
            not_taken(service, id, result < 0 ? &err : &takes[i].out_why, out_wait_ms);
    }
    return first;
}

struct launch *take_next(struct service *service, int64_t *out_wait_ms)
{
    int64_t now_ms = clock_steady_ms();
    struct taking taking = {0};
    struct backend *backend;
    scoped(run) run = NULL;
    bool alone;
    struct id id;

    *out_wait_ms = -1;
    if (!take_has_worker(service))
        return NULL;
    run = choose(service, now_ms, out_wait_ms);
    if (!run)
        return NULL;
    id = run->id;
    backend = backend_for(service, run, out_wait_ms);
    if (!backend)
        return NULL;
    if (run->not_before_ms == RUN_WAITS_ITS_TURN && !admission_take(service->admission, id)) {
        *out_wait_ms = AGAIN_NOW;
        return NULL;
    }
    alone = run->not_before_ms != 0;
    add(service, &taking, backend, TAKE(run));
    if (!alone)
        add_following(service, &taking, id);
    return finish(service, &taking, now_ms, out_wait_ms);
}

/* --- At the start ------------------------------------------------------------------------- */

struct page {
    struct service *service;
    struct id aside[RUN_QUEUE_PAGE];
    size_t n_aside;
};

static struct admission_run as_placed(struct service *service, const struct run_place *place)
{
    return (struct admission_run){.id = place->id,
                                  .priority = place->priority,
                                  .repo = place->repo,
                                  .branch = place->branch,
                                  .route =
                                      backends_route(&service->backends, place->wanted_launcher,
                                                     place->repo, place->launcher)};
}

static void note_waiting(void *ctx, const struct run_place *place)
{
    const struct page *page = ctx;
    struct admission_run run = as_placed(page->service, place);

    admission_wait(page->service->admission, &run);
}

static void note_flying(void *ctx, const struct run_place *place)
{
    const struct page *page = ctx;
    struct admission_run run = as_placed(page->service, place);

    if (admission_concerns(page->service->admission, &run))
        admission_fly(page->service->admission, &run);
}

/* Of a repository that has a limit by now. */
static void note_usual(void *ctx, const struct run_place *place)
{
    struct page *page = ctx;
    struct admission_run run = as_placed(page->service, place);

    if (!admission_concerns(page->service->admission, &run))
        return;
    admission_wait(page->service->admission, &run);
    page->aside[page->n_aside++] = place->id;
}

static int read_all(struct page *page, enum run_status status, int64_t not_before_ms,
                    run_place_fn each, struct err *err)
{
    struct service *service = page->service;
    int64_t after = 0;

    do {
        page->n_aside = 0;
        if (run_queue_page(service->db, status, not_before_ms, &after, each, page, err) < 0
            || run_queue_set_aside(service->db, page->aside, page->n_aside,
                                   service->config->queue_timeout_s, err)
                   < 0)
            return -1;
    } while (after);
    return 0;
}

int take_restore(struct service *service, struct err *err)
{
    struct page page = {.service = service};

    if (read_all(&page, RUN_PENDING, RUN_WAITS_ITS_TURN, note_waiting, err) < 0
        || read_all(&page, RUN_LAUNCHING, 0, note_flying, err) < 0
        || read_all(&page, RUN_RUNNING, 0, note_flying, err) < 0)
        return -1;
    return admission_has_limits(service->admission)
               ? read_all(&page, RUN_PENDING, 0, note_usual, err)
               : 0;
}
