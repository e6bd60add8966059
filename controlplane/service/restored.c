/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first start on a restored database (store/backup.h), which is older than the backends:
 * what waited when the backup was taken may have been launched since, and may even be over.
 * Nothing of that is ever launched again. So before anything is launched, every backend says
 * which jobs of ours it has, and each run of the backup that was pending or launching is held
 * against them, by its name:
 *
 *   a job at work or about to be   the run goes on where that job is, under its attempt and
 * with its token; its runner calls home as if nothing had been a job that has ended the run has
 * failed as lost: its report went to the database that was replaced none it wasn't launched,
 * and waits as before; unless the backup is so old that its job may have been cleaned up:
 * failed as lost
 *
 * Runs that were running are looked at as after any restart (look.c). Jobs of runs that the
 * backup doesn't have are strangers: reported and left alone (orphans.c).
 *
 * Until every backend has answered, nothing is launched, no deadline is kept and runners are
 * told to call again: what they say can't be judged.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "service/state.h"
#include "service/take.h"

#define PAGE_RUNS 256
#define OPEN_STATUSES (1U << RUN_PENDING | 1U << RUN_LAUNCHING)

struct job {
    struct id run;
    int attempt;
    struct backend *backend;
    char *ref;
};

struct jobs {
    struct job *all; /* by run and attempt, once sorted */
    size_t count;
    size_t room;
    struct backend *backend; /* whose list is being read */
    bool blind;              /* one backend keeps no list */
};

struct settling {
    struct service *service;
    struct jobs jobs;
    int64_t now_ms;
    size_t adopted;
    size_t failed;
};

/* --- What there is ------------------------------------------------------------------------ */

static void jobs_done(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++)
        free(jobs->all[i].ref);
    free(jobs->all);
}

static void add_job(void *ctx, struct id run, int attempt, const char *ref)
{
    struct jobs *jobs = ctx;

    if (jobs->count == jobs->room) {
        jobs->room = jobs->room ? jobs->room * 2 : 64;
        jobs->all = xrealloc(jobs->all, jobs->room * sizeof(*jobs->all));
    }
    jobs->all[jobs->count++] = (struct job){
        .run = run, .attempt = attempt, .backend = jobs->backend, .ref = xstrdup(ref)};
}

static int compare_ids(struct id a, struct id b)
{
    if (a.key != b.key)
        return a.key < b.key ? -1 : 1;
    return (a.tail > b.tail) - (a.tail < b.tail);
}

static int compare_jobs(const void *left, const void *right)
{
    const struct job *a = left;
    const struct job *b = right;
    int runs = compare_ids(a->run, b->run);

    return runs ? runs : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

static int list_jobs(struct service *service, struct jobs *jobs, struct err *err)
{
    for (size_t i = 0; i < service->backends.count; i++) {
        struct err failure = {0};

        jobs->backend = &service->backends.all[i];
        if (launcher_list(jobs->backend->launcher, add_job, jobs, &failure) == 0)
            continue;
        if (failure.kind != ERR_UNSUPPORTED) {
            *err = failure;
            return -1;
        }
        jobs->blind = true;
    }
    if (jobs->count)
        qsort(jobs->all, jobs->count, sizeof(*jobs->all), compare_jobs);
    return 0;
}

/* That of the latest attempt; NULL. */
static const struct job *last_job_of(const struct jobs *jobs, struct id run)
{
    size_t low = 0;
    size_t high = jobs->count;

    /* The first one beyond the run's. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_ids(jobs->all[middle].run, run) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low && id_equal(jobs->all[low - 1].run, run) ? &jobs->all[low - 1] : NULL;
}

/* --- One run ------------------------------------------------------------------------------ */

static int fail(struct settling *settling, const struct run *run, const char *why)
{
    struct run_end end = {.status = RUN_FAILED, .error_code = FAILURE_LOST, .error = why};

    settling->failed += service_end_run(settling->service, run, &end);
    return 0;
}

/* The attempt that the backup has may have had another key; of a later one only ours can be
 * tried. */
static void hash_of(const struct service *service, const struct run *run, int attempt,
                    uint8_t out[SHA256_SIZE])
{
    scoped(secret) token = NULL;

    if (run->status == RUN_LAUNCHING && run->attempt == attempt) {
        memcpy(out, run->task_token_hash, SHA256_SIZE);
        return;
    }
    token = task_token_derive(run->id, attempt, service->token_key);
    token_hash(secret_reveal(token), out);
}

static int64_t deadline_of(const struct service *service, const struct run *run,
                           enum run_status to, int64_t now_ms)
{
    const struct config *config = service->config;

    if (run->stop_requested)
        return now_ms;
    return now_ms
           + (to == RUN_RUNNING ? config->run_timeout_s + RUN_GRACE_S : config->claim_timeout_s)
                 * 1000;
}

static void count_adopted(struct service *service, const struct run *run)
{
    struct admission_run place = take_place_of(service, run);

    if (run->status != RUN_PENDING)
        return;
    atomic_fetch_sub(&service->pending, 1);
    atomic_fetch_add(&service->active, 1);
    admission_leave(service->admission, run->id);
    if (admission_concerns(service->admission, &place))
        admission_fly(service->admission, &place);
}

static int adopt(struct settling *settling, const struct run *run, const struct job *job,
                 enum run_status to, struct err *err)
{
    uint8_t hash[SHA256_SIZE];
    struct run_adoption adoption = {
        .seen = run,
        .to = to,
        .attempt = job->attempt,
        .launcher = job->backend->name,
        .job_ref = job->ref,
        .token_hash = hash,
        .now_ms = settling->now_ms,
        .deadline_ms = deadline_of(settling->service, run, to, settling->now_ms),
    };

    hash_of(settling->service, run, job->attempt, hash);
    if (run_store_adopt(settling->service->db, &adoption, err) < 0)
        return err->kind == ERR_CONFLICT ? 0 : -1; /* stopped meanwhile */
    count_adopted(settling->service, run);
    return 0;
}

static int go_on(struct settling *settling, const struct run *run, const struct job *job,
                 enum run_status to, struct err *err)
{
    if (adopt(settling, run, job, to, err) < 0)
        return -1;
    settling->adopted++;
    log_info("a run of the backup goes on: it was launched since", KV("job", job->ref));
    return 0;
}

/* Under the attempt of the job, so that this is known as its own, and goes when it does. */
static int end_run(struct settling *settling, const struct run *run, const struct job *job,
                   struct err *err)
{
    scoped(run) now = NULL;

    if (adopt(settling, run, job, RUN_LAUNCHING, err) < 0)
        return -1;
    now = run_store_load(settling->service->db, run->id, err);
    if (!now)
        return -1;
    return fail(settling, now,
                "it was launched after the backup that the database was restored from, and has "
                "ended since; its report is not here");
}

/* A job is kept for as long as its run is. */
static bool may_be_cleaned_up(const struct settling *settling)
{
    const struct service *service = settling->service;
    int64_t age_ms = settling->now_ms - service->restored.taken_ms;

    return settling->jobs.blind || age_ms > service->config->task_retention_s * 1000;
}

static int without_job(struct settling *settling, const struct run *run)
{
    if (may_be_cleaned_up(settling))
        return fail(settling, run,
                    "it may have been launched since the backup that the database was restored "
                    "from, which nobody can tell any more");
    if (run->status == RUN_LAUNCHING)
        (void)queue_launch_failed(
            settling->service, run, FAILURE_LAUNCH_FAILED,
            "the database was restored from a backup, and there is no job", false);
    return 0;
}

static int settle_run(struct settling *settling, const struct run *run, struct err *err)
{
    int first = run->status == RUN_PENDING ? run->attempt + 1 : run->attempt;
    const struct job *job = last_job_of(&settling->jobs, run->id);
    struct job_view view = {0};

    if (!job || job->attempt < first)
        return without_job(settling, run);
    if (launcher_poll(job->backend->launcher, job->ref, &view, err) < 0)
        return -1;
    switch (view.phase) {
    case JOB_STARTING:
        return go_on(settling, run, job, RUN_LAUNCHING, err);
    case JOB_RUNNING:
        return go_on(settling, run, job, RUN_RUNNING, err);
    case JOB_ENDED:
        return end_run(settling, run, job, err);
    case JOB_LOST:
        break;
    }
    return without_job(settling, run);
}

/* --- All of them -------------------------------------------------------------------------- */

/* Those settled leave these statuses, or are behind the cursor. */
static int settle_runs(struct settling *settling, struct err *err)
{
    struct run_filter filter = {.statuses = OPEN_STATUSES, .limit = PAGE_RUNS, .all = true};
    int64_t newest_key = settling->service->restored.newest_key;
    int result = 0;

    do {
        struct run_page page = {0};

        if (run_store_page(settling->service->db, &filter, &page, err) < 0)
            return -1;
        for (size_t i = 0; result == 0 && i < page.n_runs; i++)
            if (page.runs[i]->id.key <= newest_key)
                result = settle_run(settling, page.runs[i], err);
        filter.before = page.next;
        run_page_done(&page);
    } while (result == 0 && filter.before.key);
    return result;
}

static int settle(struct settling *settling, struct err *err)
{
    struct service *service = settling->service;

    if (list_jobs(service, &settling->jobs, err) < 0 || settle_runs(settling, err) < 0)
        return -1;
    return backup_settle(service->db, err);
}

int restored_read(struct service *service, struct err *err)
{
    if (backup_unsettled(service->db, &service->restored, err) < 0)
        return -1;
    atomic_store(&service->restoring, service->restored.newest_key != 0);
    return 0;
}

bool restored_settle(struct service *service)
{
    struct settling settling = {.service = service, .now_ms = clock_steady_ms()};
    struct err err = {0};
    bool settled;

    if (!atomic_load(&service->restoring))
        return true;
    settled = settle(&settling, &err) == 0;
    if (settled) {
        log_warn("the database was restored from a backup: its runs are settled",
                 KV("go_on", settling.adopted), KV("lost", settling.failed));
        atomic_store(&service->restoring, false);
        (void)orphans_sweep(service);
        queue_wake(service);
    } else {
        log_warn("the database was restored from a backup, and nothing is launched until every "
                 "launcher says what it has; will retry",
                 KV("error", err.text));
    }
    jobs_done(&settling.jobs);
    return settled;
}

bool service_is_restoring(const struct service *service)
{
    return atomic_load(&service->restoring);
}
