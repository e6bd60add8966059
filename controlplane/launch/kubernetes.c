/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "launch/kubernetes_private.h"

/*
 * The runner as a Job of Kubernetes. Whatever there is to know about a job is in the cluster:
 *
 *     Job      run-<id>-<attempt>: made first. Whoever makes it has started the run's attempt,
 *              everybody else finds it there and adopts it, by its labels
 *     Secret   of the same name: made next, with the task token; owned by the Job. Until it is
 *              there the kubelet holds the container back; if it never comes (we died just
 *              then) the job has failed to launch, and the attempt after it has its own
 *     Pod      made by the Job controller, one at most, run at most once
 *
 * Two watches tell of Jobs and Pods (kubernetes_cache.h); kubernetes_view.h makes a verdict of
 * what they tell. Before a job is called lost, or given up on, the API server is asked itself.
 *
 * A job is stopped through its pod's own activeDeadlineSeconds: the kubelet sends TERM, later
 * KILL, and keeps the pod with its log and its last words; deleting the pod, suspending the Job
 * or the Job's deadline would all take the log away. Before the container runs there is nothing
 * to keep, and the Job's deadline ends it. A suspended Job has no clock, and is deleted.
 */
#define LIST_WAIT_MS 10000
#define LIST_LOOK_EVERY_MS 20
#define LEAVE_MARGIN_MS 30000

bool kubernetes_target_of(const char *name, struct kubernetes_target *out)
{
    if (!job_ref_parse(name, &out->run, &out->attempt))
        return false;
    out->ref = job_ref_make(out->run, out->attempt);
    return true;
}

int kubernetes_refuse_ref(const char *ref, struct err *err)
{
    return err_set(err, ERR_INVALID, "\"%.60s\" is not the name of a job", ref);
}

/* --- Opening -------------------------------------------------------------------------- */

static void kubernetes_close(void *self)
{
    struct kubernetes *kubernetes = self;

    watch_free(kubernetes->pods);
    watch_free(kubernetes->jobs);
    kubernetes_events_free(kubernetes->events);
    kubernetes_cache_free(kubernetes->cache);
    kubernetes_api_done(&kubernetes->api);
    kubernetes_template_free(kubernetes->template);
    cluster_free(kubernetes->cluster);
    free(kubernetes);
}

static int open_cluster(struct kubernetes *kubernetes, const struct config_kubernetes *settings,
                        struct err *err)
{
    const struct cluster_options options = {
        .kubeconfig = settings->kubeconfig,
        .context = settings->context,
        .qps = settings->qps,
        .burst = settings->burst,
        .connections = settings->connections,
    };
    const char *namespace;

    kubernetes->cluster = cluster_open(&options, err);
    if (!kubernetes->cluster)
        return -1;
    namespace =
        settings->namespace ? settings->namespace : cluster_namespace(kubernetes->cluster);
    kubernetes->template = kubernetes_template_load(settings, namespace, err);
    if (!kubernetes->template)
        return -1;
    kubernetes_api_init(&kubernetes->api, kubernetes->cluster, namespace);
    log_info("runs are Jobs of Kubernetes", KV("server", cluster_server(kubernetes->cluster)),
             KV("namespace", namespace));
    return 0;
}

/* A server that is away for now comes back; one that doesn't let us in is for people. */
static int probe(const struct kubernetes *kubernetes, bool *out_answers, struct err *err)
{
    struct err failure = {0};

    *out_answers = kubernetes_api_probe(&kubernetes->api, &failure) == 0;
    if (*out_answers)
        return 0;
    if (failure.kind != ERR_UNAVAILABLE && failure.kind != ERR_TIMEOUT) {
        *err = failure;
        return -1;
    }
    log_warn("the API server doesn't answer, will retry", KV("error", failure.text));
    return 0;
}

static struct watch *open_watch(struct kubernetes *kubernetes, const char *path,
                                void (*hear)(struct kubernetes_cache *, struct watch_options *),
                                struct err *err)
{
    struct watch_options options = {
        .cluster = kubernetes->cluster,
        .path = path,
        .label_selector = LABEL_MANAGED_BY "=" OUR_MANAGER "," LABEL_NAME "=" OUR_NAME,
    };

    hear(kubernetes->cache, &options);
    return watch_start(&options, err);
}

bool kubernetes_has_listed(const struct kubernetes *kubernetes)
{
    return watch_has_listed(kubernetes->jobs) && watch_has_listed(kubernetes->pods);
}

/* So that what runs from before is known by the time it is asked about. */
static void await_lists(const struct kubernetes *kubernetes)
{
    int64_t until_ms = clock_monotonic_ms() + LIST_WAIT_MS;

    while (!kubernetes_has_listed(kubernetes) && clock_monotonic_ms() < until_ms)
        (void)usleep(LIST_LOOK_EVERY_MS * 1000);
}

static int open_parts(struct kubernetes *kubernetes, const struct config *config,
                      launcher_changed_fn changed, void *changed_ctx, struct err *err)
{
    const struct config_kubernetes *settings = &config->kubernetes;
    bool answers;

    if (open_cluster(kubernetes, settings, err) < 0 || probe(kubernetes, &answers, err) < 0)
        return -1;
    if (!config->public_url)
        log_warn("public_url is not set: runners in the cluster call the listen address");
    kubernetes->patience = (struct kubernetes_patience){
        .schedule_ms = settings->schedule_timeout_s * 1000,
        .start_ms = settings->start_timeout_s * 1000,
        .leave_ms = settings->stop_grace_s * 1000 + LEAVE_MARGIN_MS,
    };
    kubernetes->cache = kubernetes_cache_new(
        kubernetes_template_container(kubernetes->template), changed, changed_ctx);
    kubernetes->events = kubernetes_events_new(
        kubernetes->cluster, kubernetes_template_namespace(kubernetes->template), err);
    if (!kubernetes->events)
        return -1;
    kubernetes->jobs =
        open_watch(kubernetes, kubernetes->api.jobs, kubernetes_cache_hear_jobs, err);
    if (!kubernetes->jobs)
        return -1;
    kubernetes->pods =
        open_watch(kubernetes, kubernetes->api.pods, kubernetes_cache_hear_pods, err);
    if (!kubernetes->pods)
        return -1;
    if (answers)
        await_lists(kubernetes);
    return 0;
}

static int kubernetes_open(const struct config *config, launcher_changed_fn changed,
                           void *changed_ctx, void **out_self, struct err *err)
{
    struct kubernetes *kubernetes = xcalloc(1, sizeof(*kubernetes));

    if (open_parts(kubernetes, config, changed, changed_ctx, err) < 0) {
        kubernetes_close(kubernetes);
        return -1;
    }
    *out_self = kubernetes;
    return 0;
}

/* --- Questions and notes ------------------------------------------------------------------ */

static int kubernetes_list(void *self, launcher_job_fn each, void *ctx, struct err *err)
{
    const struct kubernetes *kubernetes = self;

    if (!kubernetes_has_listed(kubernetes))
        return err_set(err, ERR_UNAVAILABLE, "the API server hasn't answered yet");
    kubernetes_cache_each(kubernetes->cache, each, ctx);
    return 0;
}

static void kubernetes_note(void *self, const char *name, const char *reason,
                            const char *sentence)
{
    const struct kubernetes *kubernetes = self;
    struct kubernetes_state state;
    struct kubernetes_target target;

    if (kubernetes_target_of(name, &target)
        && kubernetes_cache_get(kubernetes->cache, target.run, target.attempt, &state))
        kubernetes_events_add(kubernetes->events, target.ref.text, state.job.uid, reason,
                              sentence);
}

const struct launcher_ops kubernetes_launcher = {
    .name = "kubernetes",
    .open = kubernetes_open,
    .close = kubernetes_close,
    .start = kubernetes_start,
    .poll = kubernetes_poll,
    .stop = kubernetes_stop,
    .forget = kubernetes_forget,
    .logs = kubernetes_logs,
    .note = kubernetes_note,
    .list = kubernetes_list,
    .explain = kubernetes_explain,
};
