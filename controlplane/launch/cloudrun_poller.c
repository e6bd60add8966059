/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/cloudrun_job.h"
#include "launch/job_ref.h"

/*
 * Cloud Run tells nobody of anything: one thread asks for all. A round lists the Job's
 * executions, newest first, and stops after the page that has shown the last one that we
 * believe to go on: a few calls, however many runs there are. Only what a whole list didn't
 * show, and a task that failed, is asked about by itself. Rounds come further apart while
 * nothing changes, and stop while nothing goes on.
 */
#define PAUSE_GROWTH_MAX 6 /* times poll_every_ms */
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 60000
#define IDLE_MS 60000
#define PAGES_MAX 1000

/* --- Executions --------------------------------------------------------------------------- */

/* How a failed one failed, unless that is known. A look at it that fails isn't repeated: there
 * is Cloud Run's sentence. */
static void ask_task(struct cloudrun *cloudrun, struct cloudrun_facts *facts)
{
    struct err err = {0};
    scoped_json task = NULL;

    if (!facts->ask_task || cloudrun_table_has_ended(cloudrun->table, facts->name))
        return;
    if (cloudrun_api_task(&cloudrun->api, facts->name, &task, &err) < 0)
        log_warn("reading a failed task failed, ignoring", KV("execution", (char *)facts->name),
                 KV("error", err.text));
    else if (task)
        cloudrun_facts_add_task(facts, task);
}

void cloudrun_put(struct cloudrun *cloudrun, const cJSON *execution)
{
    struct cloudrun_facts facts;

    if (!cloudrun_facts_read(execution, &facts))
        return;
    ask_task(cloudrun, &facts);
    cloudrun_table_put(cloudrun->table, &facts);
    if (facts.view.phase == JOB_ENDED)
        cloudrun_attempts_secret_done(cloudrun->attempts, facts.run, facts.attempt);
}

static void put_page(struct cloudrun *cloudrun, const cJSON *page)
{
    const cJSON *execution;

    cJSON_ArrayForEach(execution, json_get(page, "executions"))
    {
        cloudrun_put(cloudrun, execution);
    }
}

/* Until the last page or, with `enough`, until all that goes on was seen. */
static int list(struct cloudrun *cloudrun, uint64_t round, bool enough, bool *out_whole,
                struct err *err)
{
    scoped_str token = xstrdup("");

    for (int pages = 0; pages < PAGES_MAX; pages++) {
        scoped_json page = NULL;
        char *next = NULL;

        if (cloudrun_api_list_executions(&cloudrun->api, token, &page, &next, err) < 0)
            return -1;
        put_page(cloudrun, page);
        free(token);
        token = next;
        *out_whole = !*token;
        if (*out_whole || (enough && cloudrun_table_all_seen(cloudrun->table, round)))
            return 0;
    }
    return err_set(err, ERR_TOO_LARGE, "more than %d pages of executions", PAGES_MAX);
}

int cloudrun_list_all(struct cloudrun *cloudrun, struct err *err)
{
    bool whole;

    return list(cloudrun, cloudrun_table_round(cloudrun->table), false, &whole, err);
}

/* The whole list didn't show it: is it gone, or was the list late? */
static int look_for(struct cloudrun *cloudrun, const char *name, struct err *err)
{
    struct err failed = {0};
    scoped_json execution = NULL;

    if (cloudrun_api_get_execution(&cloudrun->api, name, &execution, &failed) == 0) {
        cloudrun_put(cloudrun, execution);
        return 0;
    }
    if (failed.kind == ERR_NOT_FOUND) {
        cloudrun_table_drop(cloudrun->table, name);
        return 0;
    }
    *err = failed;
    return -1;
}

static void cancel_surplus(struct cloudrun *cloudrun)
{
    char name[CLOUDRUN_NAME_SIZE];

    while (cloudrun_table_surplus(cloudrun->table, clock_steady_ms(), name)) {
        struct err err = {0};
        scoped_json execution = NULL;

        if (cloudrun_api_cancel(&cloudrun->api, name, &execution, &err) < 0)
            log_warn("cancelling a second execution of a run failed, will retry",
                     KV("execution", (char *)name), KV("error", err.text));
        else
            log_warn("cancelled a second execution of a run", KV("execution", (char *)name));
        if (execution)
            cloudrun_put(cloudrun, execution);
    }
}

static void delete_secrets(struct cloudrun *cloudrun)
{
    struct id run;
    int attempt;

    while (cloudrun_attempts_secret_due(cloudrun->attempts, &run, &attempt)) {
        struct job_ref ref = job_ref_make(run, attempt);
        struct err err = {0};

        if (cloudrun_api_delete_secret(&cloudrun->api, ref.text, &err) < 0)
            log_warn("deleting a task token's secret failed, it will expire",
                     KV("job", (char *)ref.text), KV("error", err.text));
    }
}

static int poll_once(struct cloudrun *cloudrun, struct err *err)
{
    uint64_t round = cloudrun_table_round(cloudrun->table);
    char name[CLOUDRUN_NAME_SIZE];
    bool whole = false;

    delete_secrets(cloudrun);
    if (cloudrun_table_active(cloudrun->table) == 0)
        return 0;
    if (list(cloudrun, round, true, &whole, err) < 0)
        return -1;
    while (whole && cloudrun_table_unseen(cloudrun->table, round, name))
        if (look_for(cloudrun, name, err) < 0)
            return -1;
    cancel_surplus(cloudrun);
    delete_secrets(cloudrun);
    return 0;
}

/* --- Getting ready ------------------------------------------------------------------------ */

static bool passes(const struct err *err)
{
    return err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
}

static int check_job(struct cloudrun *cloudrun, struct err *err)
{
    scoped_json job = NULL;
    char *container = NULL;

    if (cloudrun_api_get_job(&cloudrun->api, &job, err) < 0)
        return err->kind == ERR_NOT_FOUND
                   ? err_wrap(err, "there is no such Job (`dispatchd cloudrun apply` makes it)")
                   : -1;
    if (cloudrun_job_check(job, cloudrun->config, &container, err) < 0)
        return err_wrap(err, "the Job %s", cloudrun->api.job_id);
    free(cloudrun->container);
    cloudrun->container = container;
    return 0;
}

int cloudrun_get_ready(struct cloudrun *cloudrun, struct err *err)
{
    struct err failed = {0};

    if (check_job(cloudrun, &failed) == 0 && cloudrun_list_all(cloudrun, &failed) == 0) {
        atomic_store(&cloudrun->is_ready, true);
        return 0;
    }
    (void)pthread_mutex_lock(&cloudrun->lock);
    (void)snprintf(cloudrun->why, sizeof(cloudrun->why), "%s", failed.text);
    (void)pthread_mutex_unlock(&cloudrun->lock);
    *err = failed;
    return -1;
}

int cloudrun_check_ready(struct cloudrun *cloudrun, struct err *err)
{
    if (atomic_load(&cloudrun->is_ready))
        return 0;
    (void)pthread_mutex_lock(&cloudrun->lock);
    (void)err_set(err, ERR_UNAVAILABLE, "it isn't ready: %.400s", cloudrun->why);
    (void)pthread_mutex_unlock(&cloudrun->lock);
    return -1;
}

/* --- The thread --------------------------------------------------------------------------- */

struct pace {
    int64_t every_ms;
    int64_t pause_ms;
    uint64_t changes; /* of the table, when it was last looked at */
    bool failing;
};

static void go_faster(struct pace *pace)
{
    pace->pause_ms = pace->every_ms;
}

static void note_round(struct cloudrun *cloudrun, struct pace *pace)
{
    uint64_t changes = cloudrun_table_changes(cloudrun->table);

    if (pace->failing)
        log_info("Cloud Run answers again");
    if (changes != pace->changes || pace->failing)
        go_faster(pace);
    else if (pace->pause_ms < pace->every_ms * PAUSE_GROWTH_MAX)
        pace->pause_ms += pace->every_ms;
    pace->changes = changes;
    pace->failing = false;
}

static void note_failure(struct pace *pace, const struct err *err)
{
    int64_t asked_ms = (int64_t)err->retry_after_s * 1000;

    if (!pace->failing) {
        log_warn("looking at Cloud Run failed, will retry", KV("error", err->text));
        pace->pause_ms = RETRY_FIRST_MS;
    } else {
        pace->pause_ms *= 2;
    }
    if (pace->pause_ms < asked_ms)
        pace->pause_ms = asked_ms;
    if (pace->pause_ms > RETRY_MAX_MS)
        pace->pause_ms = RETRY_MAX_MS;
    pace->failing = true;
}

/* False: it is to stop. A wake-up ends a long pause, but never a failure's. */
static bool wait_for_round(struct cloudrun *cloudrun, struct pace *pace)
{
    int64_t from_ms = clock_monotonic_ms();
    bool idle = !pace->failing && cloudrun_table_active(cloudrun->table) == 0;
    bool going;

    (void)pthread_mutex_lock(&cloudrun->lock);
    for (;;) {
        int64_t until_ms = from_ms + (idle ? IDLE_MS : pace->pause_ms);
        struct timespec until;

        if (cloudrun->woken && !pace->failing) {
            cloudrun->woken = false;
            idle = false;
            go_faster(pace);
            continue;
        }
        if (cloudrun->stopping || clock_monotonic_ms() >= until_ms)
            break;
        until =
            (struct timespec){.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        (void)pthread_cond_timedwait(&cloudrun->wake, &cloudrun->lock, &until);
    }
    going = !cloudrun->stopping;
    (void)pthread_mutex_unlock(&cloudrun->lock);
    return going;
}

static void *poller_thread(void *arg)
{
    struct cloudrun *cloudrun = arg;
    struct pace pace = {.every_ms = cloudrun->config->cloudrun.poll_every_ms};

    pace.failing = !atomic_load(&cloudrun->is_ready);
    pace.pause_ms = pace.failing ? RETRY_FIRST_MS : pace.every_ms;
    while (wait_for_round(cloudrun, &pace)) {
        struct err err = {0};
        bool ready = atomic_load(&cloudrun->is_ready);

        if ((ready ? poll_once(cloudrun, &err) : cloudrun_get_ready(cloudrun, &err)) == 0)
            note_round(cloudrun, &pace);
        else if (passes(&err) || !pace.failing)
            note_failure(&pace, &err);
        else
            pace.pause_ms = RETRY_MAX_MS; /* for people; they may be at it */
    }
    return NULL;
}

int cloudrun_poller_start(struct cloudrun *cloudrun, struct err *err)
{
    int error = pthread_create(&cloudrun->poller, NULL, poller_thread, cloudrun);

    if (error)
        return err_set_errno(err, error, "starting a thread");
    cloudrun->has_poller = true;
    return 0;
}

void cloudrun_poller_stop(struct cloudrun *cloudrun)
{
    (void)pthread_mutex_lock(&cloudrun->lock);
    cloudrun->stopping = true;
    (void)pthread_cond_broadcast(&cloudrun->wake);
    (void)pthread_mutex_unlock(&cloudrun->lock);
    cloudrun_api_stop(&cloudrun->api);
    if (cloudrun->has_poller)
        (void)pthread_join(cloudrun->poller, NULL);
}

void cloudrun_poller_wake(struct cloudrun *cloudrun)
{
    (void)pthread_mutex_lock(&cloudrun->lock);
    cloudrun->woken = true;
    (void)pthread_cond_broadcast(&cloudrun->wake);
    (void)pthread_mutex_unlock(&cloudrun->lock);
}
