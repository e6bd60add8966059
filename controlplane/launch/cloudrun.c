/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/cloudrun_job.h"
#include "launch/cloudrun_private.h"
#include "launch/job_ref.h"

/*
 * The runner as an execution of one Job of Cloud Run. The Job holds what all runs share (image,
 * service account, memory); jobs.run adds a run's environment and time for one execution, which
 * shows that environment from then on: so whose it is can always be read from Cloud Run itself,
 * and a restart begins with a list.
 *
 *   start    jobs.run. It knows no idempotency key: one that goes unanswered is looked for in
 *            the list before it is asked again (cloudrun_start.c)
 *   poll     from the table, which one thread keeps (cloudrun_poller.c, cloudrun_table.h)
 *   stop     executions.cancel: TERM, and KILL ten seconds later. The execution and its log
 * stay forget   executions.delete
 *
 * Should an attempt have two executions after all, the runner's claim lets one of them work
 * (the attempt's fence); the other one ends by itself or is cancelled.
 *
 * The task token goes along in the override, where everybody sees it who may look at executions
 * or at the audit log of the project; or in a secret of its own, which the runner reads as its
 * service account, and which is deleted at the claim. In the second case that account has to be
 * able to read secrets, and an agent may reach its metadata server as well as the runner: see
 * manifests/config.example.yaml.
 */

static bool target_of(const char *name, struct cloudrun_target *out)
{
    return job_ref_parse(name, &out->run, &out->attempt);
}

static int refuse_ref(const char *name, struct err *err)
{
    return err_set(err, ERR_INVALID, "\"%.60s\" is not the name of a job", name);
}

/* --- Opening ------------------------------------------------------------------------------ */

static void cloudrun_close(void *self)
{
    struct cloudrun *cloudrun = self;

    cloudrun_poller_stop(cloudrun);
    cloudrun_api_done(&cloudrun->api);
    cloudrun_table_free(cloudrun->table);
    cloudrun_attempts_free(cloudrun->attempts);
    (void)pthread_cond_destroy(&cloudrun->wake);
    (void)pthread_mutex_destroy(&cloudrun->lock);
    free(cloudrun->container);
    free(cloudrun);
}

static void init(struct cloudrun *cloudrun, const struct config *config,
                 launcher_changed_fn changed, void *changed_ctx)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&cloudrun->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cloudrun->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    cloudrun->config = config;
    cloudrun->by_secret = strcmp(config->cloudrun.token_via, "secret_manager") == 0;
    cloudrun->table = cloudrun_table_new(changed, changed_ctx);
    cloudrun->attempts = cloudrun_attempts_new();
}

/* A Job that isn't as it should be is for people; Cloud Run being away passes. */
static int open_parts(struct cloudrun *cloudrun, const struct config *config, struct err *err)
{
    struct err failed = {0};

    if (cloudrun_settings_check(config, err) < 0
        || cloudrun_api_open(&cloudrun->api, config, err) < 0)
        return -1;
    if (!config->public_url)
        log_warn("public_url is not set: runners in Cloud Run call the listen address");
    if (cloudrun_get_ready(cloudrun, &failed) < 0) {
        if (failed.kind != ERR_UNAVAILABLE && failed.kind != ERR_TIMEOUT) {
            *err = failed;
            return -1;
        }
        log_warn("Cloud Run doesn't answer, will retry", KV("error", failed.text));
    }
    log_info("runs are executions of a Job of Cloud Run",
             KV("job", (const char *)cloudrun->api.job),
             KV("token_via", (const char *)config->cloudrun.token_via));
    return cloudrun_poller_start(cloudrun, err);
}

static int cloudrun_open(const struct config *config, launcher_changed_fn changed,
                         void *changed_ctx, void **out_self, struct err *err)
{
    struct cloudrun *cloudrun = xcalloc(1, sizeof(*cloudrun));

    init(cloudrun, config, changed, changed_ctx);
    if (open_parts(cloudrun, config, err) < 0) {
        cloudrun_close(cloudrun);
        return -1;
    }
    *out_self = cloudrun;
    return 0;
}

/* --- Questions ---------------------------------------------------------------------------- */

/* A start whose outcome nobody knows is looked for first. False: there is no execution. */
static int find(struct cloudrun *cloudrun, const struct cloudrun_target *target,
                struct cloudrun_facts *out, bool *out_found, struct err *err)
{
    if (cloudrun_check_ready(cloudrun, err) < 0)
        return -1;
    *out_found = cloudrun_table_get(cloudrun->table, target->run, target->attempt, out);
    if (*out_found
        || !cloudrun_attempts_is_open(cloudrun->attempts, target->run, target->attempt))
        return 0;
    if (cloudrun_list_all(cloudrun, err) < 0)
        return -1;
    *out_found = cloudrun_table_get(cloudrun->table, target->run, target->attempt, out);
    return 0;
}

static int cloudrun_poll(void *self, const char *name, struct job_view *out, struct err *err)
{
    struct cloudrun_target target;
    struct cloudrun_facts facts;
    bool found;

    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    if (!target_of(name, &target))
        return 0;
    if (find(self, &target, &facts, &found, err) < 0)
        return -1;
    if (found)
        *out = facts.view;
    return 0;
}

static int cloudrun_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                         struct err *err)
{
    const struct cloudrun *cloudrun = self;
    struct cloudrun_target target;
    struct cloudrun_facts facts;
    bool found;

    if (!target_of(name, &target))
        return refuse_ref(name, err);
    if (find(self, &target, &facts, &found, err) < 0)
        return -1;
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "there is no such execution");
    return cloudrun_api_logs(&cloudrun->api, facts.name, limit_bytes, out, err);
}

static int cloudrun_list(void *self, launcher_job_fn each, void *ctx, struct err *err)
{
    struct cloudrun *cloudrun = self;

    if (cloudrun_check_ready(cloudrun, err) < 0 || cloudrun_list_all(cloudrun, err) < 0)
        return -1;
    cloudrun_table_each(cloudrun->table, each, ctx);
    return 0;
}

/* --- Ends --------------------------------------------------------------------------------- */

/* It may have ended by itself just before. */
static int is_over(struct cloudrun *cloudrun, const char *name, const struct err *refused,
                   struct err *err)
{
    struct err failed = {0};
    scoped_json execution = NULL;

    if (refused->kind == ERR_NOT_FOUND) {
        cloudrun_table_drop(cloudrun->table, name);
        return 0;
    }
    if (refused->kind == ERR_CONFLICT || refused->kind == ERR_INVALID) {
        if (cloudrun_api_get_execution(&cloudrun->api, name, &execution, &failed) == 0)
            cloudrun_put(cloudrun, execution);
        if (cloudrun_table_has_ended(cloudrun->table, name))
            return 0;
    }
    *err = *refused;
    return -1;
}

static int cancel(struct cloudrun *cloudrun, const char *name, struct err *err)
{
    struct err refused = {0};
    scoped_json execution = NULL;

    if (cloudrun_api_cancel(&cloudrun->api, name, &execution, &refused) < 0)
        return is_over(cloudrun, name, &refused, err);
    if (execution)
        cloudrun_put(cloudrun, execution);
    return 0;
}

static int cloudrun_stop(void *self, const char *name, struct err *err)
{
    struct cloudrun *cloudrun = self;
    struct cloudrun_facts group[CLOUDRUN_GROUP_MAX];
    struct cloudrun_target target;
    struct cloudrun_facts facts;
    size_t count;
    bool found;

    if (!target_of(name, &target))
        return refuse_ref(name, err);
    if (find(cloudrun, &target, &facts, &found, err) < 0)
        return -1;
    /* What comes up later is found by the sweep for jobs that no run needs. */
    cloudrun_attempts_close(cloudrun->attempts, target.run, target.attempt);
    if (cloudrun->by_secret)
        cloudrun_attempts_secret_over(cloudrun->attempts, target.run, target.attempt);
    count = cloudrun_table_group(cloudrun->table, target.run, target.attempt, group,
                                 CLOUDRUN_GROUP_MAX);
    for (size_t i = 0; i < count; i++)
        if (group[i].view.phase != JOB_ENDED && cancel(cloudrun, group[i].name, err) < 0)
            return -1;
    cloudrun_poller_wake(cloudrun);
    return 0;
}

static int delete_one(struct cloudrun *cloudrun, const char *name, struct err *err)
{
    struct err failed = {0};

    if (cloudrun_api_delete_execution(&cloudrun->api, name, &failed) < 0
        && failed.kind != ERR_NOT_FOUND) {
        *err = failed;
        return -1;
    }
    cloudrun_table_drop(cloudrun->table, name);
    return 0;
}

static int cloudrun_forget(void *self, const char *name, struct err *err)
{
    struct cloudrun *cloudrun = self;
    struct cloudrun_facts group[CLOUDRUN_GROUP_MAX];
    struct cloudrun_target target;
    size_t count;

    if (!target_of(name, &target))
        return refuse_ref(name, err);
    if (cloudrun_check_ready(cloudrun, err) < 0)
        return -1;
    count = cloudrun_table_group(cloudrun->table, target.run, target.attempt, group,
                                 CLOUDRUN_GROUP_MAX);
    for (size_t i = 0; i < count; i++)
        if (group[i].view.phase != JOB_ENDED)
            return err_set(err, ERR_CONFLICT, "it is still running");
    for (size_t i = 0; i < count; i++)
        if (delete_one(cloudrun, group[i].name, err) < 0)
            return -1;
    cloudrun_attempts_close(cloudrun->attempts, target.run, target.attempt);
    cloudrun_attempts_secret_done(cloudrun->attempts, target.run, target.attempt);
    return 0;
}

/* Who has claimed the run has read its token. */
static void cloudrun_note(void *self, const char *name, const char *reason,
                          const char *sentence)
{
    struct cloudrun *cloudrun = self;
    struct cloudrun_target target;

    (void)sentence;
    if (!cloudrun->by_secret || strcmp(reason, "Claimed") != 0 || !target_of(name, &target))
        return;
    cloudrun_attempts_secret_over(cloudrun->attempts, target.run, target.attempt);
    cloudrun_poller_wake(cloudrun);
}

const struct launcher_ops cloudrun_launcher = {
    .name = "cloudrun",
    .open = cloudrun_open,
    .close = cloudrun_close,
    .start = cloudrun_start,
    .poll = cloudrun_poll,
    .stop = cloudrun_stop,
    .forget = cloudrun_forget,
    .logs = cloudrun_logs,
    .note = cloudrun_note,
    .explain = cloudrun_explain,
    .list = cloudrun_list,
};
