/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/cloudrun_job.h"
#include "launch/job_ref.h"

/* So long after an unanswered jobs.run its execution may still be missing from the list. */
#define SETTLE_MS 5000
#define BUSY_RETRY_S 10
#define SECRET_TTL_MARGIN_S 600

/* Refused for reasons that are nobody's run's fault: a role that is missing, a Job that was
 * deleted, one that is being changed. */
static int refused(struct err *err)
{
    switch (err->kind) {
    case ERR_DENIED:
    case ERR_UNAUTHENTICATED:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
        err->kind = ERR_UNAVAILABLE;
        break;
    default:
        break;
    }
    if (err->kind == ERR_UNAVAILABLE && !err->retry_after_s)
        err->retry_after_s = BUSY_RETRY_S;
    return -1;
}

static bool is_there(const struct cloudrun *cloudrun, const struct job_spec *spec)
{
    struct cloudrun_facts facts;

    return cloudrun_table_get(cloudrun->table, spec->run, spec->attempt, &facts);
}

static int say_open(struct err *err)
{
    return err_set(err, ERR_TIMEOUT, "jobs.run wasn't answered: it may have started one");
}

/* jobs.run knows no idempotency key: after a call that went unanswered only the list of
 * executions tells whether there is one. 1: there is; 0: there is none, and none will come. */
static int settle(struct cloudrun *cloudrun, const struct job_spec *spec, int64_t asked_ms,
                  struct err *err)
{
    struct err failed = {0};

    if (cloudrun_list_all(cloudrun, &failed) < 0) {
        log_debug("listing executions failed, will retry", KV("error", failed.text));
        return say_open(err);
    }
    if (is_there(cloudrun, spec))
        return 1;
    return clock_monotonic_ms() - asked_ms < SETTLE_MS ? say_open(err) : 0;
}

/* It says that nothing was started. Whoever asks again looks first all the same: a 429 may come
 * from a proxy after the work was done. */
static bool is_quota(const struct err *err)
{
    return err->kind == ERR_UNAVAILABLE && err->code
           && strcmp(err->code, "RESOURCE_EXHAUSTED") == 0;
}

/* Nothing has been started when this fails. */
static int put_secret(struct cloudrun *cloudrun, const struct job_spec *spec, const char *ref,
                      struct err *err)
{
    if (cloudrun_api_put_secret(&cloudrun->api, ref, spec->task_token,
                                spec->timeout_s + SECRET_TTL_MARGIN_S, err)
        < 0) {
        (void)err_wrap(err, "its task token");
        if (err->kind == ERR_TIMEOUT)
            err->kind = ERR_UNAVAILABLE;
        return refused(err);
    }
    cloudrun_attempts_secret_made(cloudrun->attempts, spec->run, spec->attempt);
    return 0;
}

/* The token that went along is in there. */
static void wipe_overrides(cJSON *value)
{
    cJSON *item;

    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item))
            secret_wipe(item->valuestring, strlen(item->valuestring));
        else
            wipe_overrides(item);
    }
}

static int run_job(struct cloudrun *cloudrun, const struct job_spec *spec, const char *ref,
                   struct err *err)
{
    scoped_str secret =
        cloudrun->by_secret ? cloudrun_api_secret_name(&cloudrun->api, ref) : NULL;
    scoped_str version = secret ? xasprintf("%s/versions/latest", secret) : NULL;
    cJSON *body = cloudrun_job_overrides(spec, cloudrun->config, cloudrun->container, version);
    scoped_json execution = NULL;
    struct cloudrun_facts facts;
    int result = cloudrun_api_run(&cloudrun->api, body, &execution, err);

    wipe_overrides(body);
    cJSON_Delete(body);
    if (result < 0)
        return -1;
    if (!cloudrun_facts_read_ours(execution, spec->run, spec->attempt, &facts))
        return err_set(err, ERR_TIMEOUT, "the answer to jobs.run names no execution");
    cloudrun_table_put(cloudrun->table, &facts);
    return 0;
}

/* *asked_ms: when jobs.run went unanswered; kept while that isn't settled. */
static int start_once(struct cloudrun *cloudrun, const struct job_spec *spec, const char *ref,
                      int64_t *asked_ms, struct err *err)
{
    int settled = is_there(cloudrun, spec);

    if (!settled && *asked_ms)
        settled = settle(cloudrun, spec, *asked_ms, err);
    if (settled)
        return settled < 0 ? -1 : 0;
    *asked_ms = 0;
    if (cloudrun->by_secret && put_secret(cloudrun, spec, ref, err) < 0)
        return -1;
    if (run_job(cloudrun, spec, ref, err) == 0)
        return 0;
    if (err->kind == ERR_TIMEOUT || is_quota(err))
        *asked_ms = clock_monotonic_ms();
    if (err->kind != ERR_TIMEOUT)
        return refused(err);
    log_warn("jobs.run wasn't answered, looking for its execution", KV("job", ref),
             KV("error", err->text));
    return settle(cloudrun, spec, *asked_ms, err) == 1 ? 0 : -1;
}

int cloudrun_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err)
{
    struct cloudrun *cloudrun = self;
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    int64_t asked_ms;
    int result;

    if (!spec->url || !spec->task_token || spec->attempt > JOB_ATTEMPT_MAX)
        return err_set(err, ERR_INVALID, "a job needs a URL, a task token and an attempt");
    if (cloudrun_check_ready(cloudrun, err) < 0)
        return -1;
    asked_ms = cloudrun_attempts_enter(cloudrun->attempts, spec->run, spec->attempt);
    result = start_once(cloudrun, spec, ref.text, &asked_ms, err);
    cloudrun_attempts_leave(cloudrun->attempts, spec->run, spec->attempt,
                            result < 0 ? asked_ms : 0);
    if (result < 0) {
        if (err->kind != ERR_UNAVAILABLE && err->kind != ERR_TIMEOUT)
            cloudrun_attempts_secret_done(cloudrun->attempts, spec->run, spec->attempt);
        return -1;
    }
    cloudrun_poller_wake(cloudrun);
    *out_ref = xstrdup(ref.text);
    return 0;
}

int cloudrun_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err)
{
    const struct cloudrun *cloudrun = self;
    struct job_ref ref = job_ref_make(spec->run, spec->attempt);
    scoped(secret) placeholder = secret_new(EXPLAIN_SECRET);
    scoped_str secret =
        cloudrun->by_secret ? cloudrun_api_secret_name(&cloudrun->api, ref.text) : NULL;
    scoped_str version = secret ? xasprintf("%s/versions/latest", secret) : NULL;
    scoped_str path = xasprintf("/v2/%s:run", cloudrun->api.job);
    struct job_spec shown = *spec;

    (void)err;
    shown.task_token = placeholder;
    *out = jobj(
        {"method", jstr("POST")}, {"path", jstr(path)},
        {"body", cloudrun_job_overrides(
                     &shown, cloudrun->config,
                     atomic_load(&cloudrun->is_ready) ? cloudrun->container : "", version)});
    return 0;
}
