/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster_world.h"

#include "base/alloc.h"
#include "kubernetes_standin.h"

#define ANY_IMAGE "example.com/runner:1"

/* As dispatchd's own Job, but for what it runs. */
static const char job[] =
    "apiVersion: batch/v1\n"
    "kind: Job\n"
    "spec:\n"
    "  template:\n"
    "    spec:\n"
    "      enableServiceLinks: false\n"
    "      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532,\n"
    "                        seccompProfile: {type: RuntimeDefault}}\n"
    "      containers:\n"
    "      - name: runner\n"
    "        command: [/bin/sh, -c, 'echo started; eval \"$SCRIPT\"']\n"
    "        env:\n"
    "        - {name: DISPATCH_TERMINATION_LOG, value: /dev/termination-log}\n"
    "        - name: SCRIPT\n"
    "          valueFrom:\n"
    "            fieldRef: {fieldPath: \"metadata.annotations['dispatch.dev/repository']\"}\n"
    "        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,\n"
    "                          capabilities: {drop: [ALL]}}\n"
    "      %s\n";

void cluster_world_pod(struct world *world, const char *lines)
{
    scoped_str text = xasprintf(job, lines);

    test_file_write(world->dir, "pod.yaml", text);
}

/* --- What is in it ------------------------------------------------------------------------ */

cJSON *cluster_objects(struct world *world, const char *kind)
{
    scoped_str path = xasprintf("/standin/objects?kind=%s", kind);

    return kubernetes_standin_get(world->standin, path);
}

int cluster_count(struct world *world, const char *kind)
{
    scoped_json all = cluster_objects(world, kind);

    return cJSON_GetArraySize(all);
}

int cluster_times_made(struct world *world, const char *kind)
{
    scoped_str path = xasprintf("/standin/made?kind=%s", kind);
    scoped_json made = kubernetes_standin_get(world->standin, path);
    const cJSON *item;
    int times = 0;

    cJSON_ArrayForEach(item, made)
    {
        times += (int)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 2));
    }
    return times;
}

/* --- The backend -------------------------------------------------------------------------- */

static void prepare_real(struct world *world)
{
    struct config_kubernetes *settings = &world->config.kubernetes;
    const char *image = getenv("TEST_CLUSTER_IMAGE");

    settings->image = xstrdup(image && *image ? image : "localhost/dispatch-runner:0.1.0");
    settings->image_pull_policy = xstrdup("IfNotPresent");
    settings->memory_limit = xstrdup("64Mi");
    settings->job_template = xasprintf("%s/pod.yaml", world->dir);
    cluster_world_pod(world, "");
}

static void prepare_cluster(struct world *world)
{
    const char *const flags[] = {"--run-command", world->config.runner, NULL};
    struct config_kubernetes *settings = &world->config.kubernetes;

    world->standin = xcalloc(1, sizeof(*world->standin));
    kubernetes_standin_start(world->standin, world->dir, flags);
    *settings = (struct config_kubernetes){
        .kubeconfig = xstrdup(world->standin->kubeconfig),
        .qps = 10000,
        .burst = 10000,
        .connections = 16,
        .ttl_s = 3600,
        .stop_grace_s = 2,
        .schedule_timeout_s = 600,
        .start_timeout_s = 300,
    };
    if (kubernetes_standin_real())
        prepare_real(world);
    else
        settings->image = xstrdup(ANY_IMAGE);
    world->config.public_url = xstrdup(HOME_URL);
}

static void clean_cluster(struct world *world)
{
    struct config_kubernetes *settings = &world->config.kubernetes;

    kubernetes_standin_stop(world->standin);
    free(world->standin);
    free(settings->kubeconfig);
    free(settings->image);
    free(settings->image_pull_policy);
    free(settings->memory_limit);
    free(settings->job_template);
    free(settings->cpu_request);
    free(settings->env_secret);
    free(world->config.public_url);
}

const struct backend kubernetes = {
    .name = "kubernetes",
    SHELL_SCRIPTS,
    .prepare = prepare_cluster,
    .clean = clean_cluster,
};
