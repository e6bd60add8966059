/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#define BUSY_RETRY_S 10
#define SECRET_TRIES_MAX 2

/* Refused for reasons that pass, or that are nobody's run's fault: a full quota; an API server
 * that is only just up and knows no roles yet, or an operator who took ours away. */
int kubernetes_refused(struct err *err)
{
    bool passes = err->kind == ERR_UNAUTHENTICATED
                  || (err->kind == ERR_DENIED
                      && (strstr(err->text, "exceeded quota")
                          || strstr(err->text, "cannot create resource")));

    if (passes) {
        err->kind = ERR_UNAVAILABLE;
        if (!err->retry_after_s)
            err->retry_after_s = BUSY_RETRY_S;
    }
    return -1;
}

/* There is such a Job, or there may be: by a start before this one, or by this one whose answer
 * was lost. Ours by its labels, or somebody else's. */
static int adopt(const struct kubernetes *kubernetes, const struct kubernetes_target *target,
                 cJSON **out, struct err *err)
{
    struct err failure = {0};
    scoped_json found = NULL;
    struct id run;
    int attempt;

    if (kubernetes_api_get_job(&kubernetes->api, target->ref.text, &found, &failure) < 0) {
        err->kind = ERR_TIMEOUT;
        return err_wrap(err, "it may have been made");
    }
    if (!kubernetes_facts_ours(found, &run, &attempt) || !id_equal(run, target->run)
        || attempt != target->attempt)
        return err_set(err, ERR_CONFLICT, "there is a Job %s that is not ours",
                       target->ref.text);
    *out = TAKE(found);
    return 0;
}

static int make_job(const struct kubernetes *kubernetes, const struct job_spec *spec,
                    const struct kubernetes_target *target, cJSON **out, struct err *err)
{
    scoped_json job = kubernetes_job_make(kubernetes->template, spec);

    if (kubernetes_api_create_job(&kubernetes->api, job, out, err) == 0)
        return 0;
    if (err->kind == ERR_TIMEOUT
        || (err->kind == ERR_CONFLICT && err->code && strcmp(err->code, "AlreadyExists") == 0))
        return adopt(kubernetes, target, out, err);
    return kubernetes_refused(err);
}

static int put_secret(const struct kubernetes *kubernetes, const struct job_spec *spec,
                      const char *uid, struct err *err)
{
    cJSON *secret = kubernetes_job_secret(kubernetes->template, spec, uid);
    struct err failure = {0};

    for (int tries = 0; tries < SECRET_TRIES_MAX; tries++) {
        failure = (struct err){0};
        /* One that is there is this attempt's, by its name. */
        if (kubernetes_api_create_secret(&kubernetes->api, secret, &failure) == 0
            || failure.kind == ERR_CONFLICT) {
            failure.kind = ERR_NONE;
            break;
        }
        if (failure.kind != ERR_TIMEOUT)
            break;
    }
    kubernetes_job_secret_free(secret);
    if (failure.kind == ERR_NONE)
        return 0;
    *err = failure;
    return err_wrap(err, "its task token");
}

/* A Job without its Secret waits: either the next start makes it, or the Job goes. */
static int secret_failed(const struct kubernetes *kubernetes,
                         const struct kubernetes_target *target, const char *uid,
                         struct err *err)
{
    struct err failure = {0};

    (void)kubernetes_refused(err);
    if (err->kind == ERR_UNAVAILABLE)
        err->kind = ERR_TIMEOUT;
    if (err->kind == ERR_TIMEOUT)
        return -1;
    if (kubernetes_api_delete_job(&kubernetes->api, target->ref.text, uid, &failure) < 0)
        log_warn("a Job without its Secret stays, ignoring", KV("error", failure.text));
    else
        kubernetes_cache_drop_job(kubernetes->cache, target->run, target->attempt, uid);
    return -1;
}

int kubernetes_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err)
{
    const struct kubernetes *kubernetes = self;
    const struct kubernetes_target target = {.ref = job_ref_make(spec->run, spec->attempt),
                                             .run = spec->run,
                                             .attempt = spec->attempt};
    struct kubernetes_job_facts facts;
    scoped_json job = NULL;

    if (!spec->url || !spec->task_token || spec->attempt > JOB_ATTEMPT_MAX)
        return err_set(err, ERR_INVALID, "a job needs a URL, a task token and an attempt");
    if (make_job(kubernetes, spec, &target, &job, err) < 0)
        return -1;
    kubernetes_facts_of_job(job, &facts);
    if (facts.state == KUBERNETES_JOB_OPEN && put_secret(kubernetes, spec, facts.uid, err) < 0)
        return secret_failed(kubernetes, &target, facts.uid, err);
    kubernetes_cache_put_job(kubernetes->cache, job);
    *out_ref = xstrdup(target.ref.text);
    return 0;
}
