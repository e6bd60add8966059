/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_template.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/kubernetes_check.h"
#include "launch/kubernetes_facts.h"
#include "launch/kubernetes_quantity.h"
#include "yaml/yaml.h"

/* Who the runner is in its image (Dockerfile.runner). */
#define RUNNER_USER 65532
#define WORK_DIR "/work"
#define TMP_DIR "/tmp"

struct kubernetes_template {
    cJSON *job;
    char *container;
    char *namespace;
    int runner; /* its place among the containers */
};

/* --- The built-in one: Pod Security "restricted" ------------------------------------------
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */

static cJSON *pod_security(void)
{
    return jobj({"runAsNonRoot", jbool(true)}, {"runAsUser", jint(RUNNER_USER)},
                {"runAsGroup", jint(RUNNER_USER)}, {"fsGroup", jint(RUNNER_USER)},
                {"seccompProfile", jobj({"type", jstr("RuntimeDefault")})});
}

static cJSON *container_security(void)
{
    return jobj({"allowPrivilegeEscalation", jbool(false)},
                {"readOnlyRootFilesystem", jbool(true)},
                {"capabilities", jobj({"drop", jarr(jstr("ALL"))})});
}

static cJSON *variable(const char *name, const char *value)
{
    return jobj({"name", jstr(name)}, {"value", jstr(value)});
}

static cJSON *mount(const char *name, const char *path)
{
    return jobj({"name", jstr(name)}, {"mountPath", jstr(path)});
}

static cJSON *container(void)
{
    return jobj({"name", jstr("runner")},
                {"env", jarr(variable("DISPATCH_WORK_DIR", WORK_DIR),
                             variable("HOME", WORK_DIR), variable("TMPDIR", TMP_DIR))},
                {"volumeMounts", jarr(mount("work", WORK_DIR), mount("tmp", TMP_DIR))},
                {"securityContext", container_security()},
                {"terminationMessagePath", jstr("/dev/termination-log")},
                {"terminationMessagePolicy", jstr("File")});
}

static bool is_amount(const char *text)
{
    double amount = 0;

    return text && kubernetes_quantity_parse(text, &amount) && amount > 0;
}

/* What is written there counts against the container's ephemeral-storage limit, too; the size
 * makes the kubelet say which of the two it was. */
static cJSON *empty_dir(const char *name, const char *size)
{
    return jobj({"name", jstr(name)},
                {"emptyDir", jobj({"sizeLimit", jstr(is_amount(size) ? size : NULL)})});
}

static cJSON *pod_spec(const struct config_kubernetes *settings)
{
    const char *size = settings->ephemeral_storage_limit;

    return jobj({"enableServiceLinks", jbool(false)}, {"securityContext", pod_security()},
                {"containers", jarr(container())},
                {"volumes", jarr(empty_dir("work", size), empty_dir("tmp", size))});
}

static cJSON *built_in_job(const struct config_kubernetes *settings)
{
    return jobj({"apiVersion", jstr("batch/v1")}, {"kind", jstr("Job")},
                {"spec", jobj({"template", jobj({"spec", pod_spec(settings)})})});
}

/* --- Filling in ------------------------------------------------------------------------- */

cJSON *kubernetes_template_member(cJSON *object, const char *key)
{
    cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

    if (member && !cJSON_IsNull(member))
        return member;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddObjectToObject(object, key);
}

/* Takes the value; NULL fills nothing. */
static void fill(cJSON *object, const char *key, cJSON *value)
{
    const cJSON *there = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!value || (there && !cJSON_IsNull(there))) {
        cJSON_Delete(value);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    (void)cJSON_AddItemToObject(object, key, value);
}

/* Both or neither: our limit needn't fit the operator's request. */
static void fill_resource(cJSON *container_object, const char *name, const char *request,
                          const char *limit)
{
    cJSON *resources = kubernetes_template_member(container_object, "resources");
    cJSON *requests = kubernetes_template_member(resources, "requests");
    cJSON *limits = kubernetes_template_member(resources, "limits");

    if (json_get(requests, name) || json_get(limits, name))
        return;
    fill(requests, name, jstr(is_amount(request) ? request : NULL));
    fill(limits, name, jstr(is_amount(limit) ? limit : NULL));
}

static void fill_container(cJSON *runner, const struct config_kubernetes *settings)
{
    fill(runner, "image", jstr(settings->image));
    fill(runner, "imagePullPolicy", jstr(settings->image_pull_policy));
    fill_resource(runner, "cpu", settings->cpu_request, settings->cpu_limit);
    fill_resource(runner, "memory", settings->memory_request, settings->memory_limit);
    fill_resource(runner, "ephemeral-storage", settings->ephemeral_storage_request,
                  settings->ephemeral_storage_limit);
    if (settings->env_secret) {
        fill(runner, "envFrom", cJSON_CreateArray());
        (void)cJSON_AddItemToArray(
            cJSON_GetObjectItemCaseSensitive(runner, "envFrom"),
            jobj({"secretRef", jobj({"name", jstr(settings->env_secret)})}));
    }
}

static void fill_pod(cJSON *pod, const struct config_kubernetes *settings)
{
    fill(pod, "restartPolicy", jstr("Never"));
    fill(pod, "automountServiceAccountToken", jbool(false));
    fill(pod, "terminationGracePeriodSeconds", jint(settings->stop_grace_s));
    fill(pod, "serviceAccountName", jstr(settings->service_account));
    fill(pod, "runtimeClassName", jstr(settings->runtime_class));
    fill(pod, "priorityClassName", jstr(settings->priority_class));
}

static void fill_job(cJSON *job, const struct config_kubernetes *settings,
                     const char *namespace)
{
    cJSON *metadata = kubernetes_template_member(job, "metadata");
    cJSON *spec = kubernetes_template_member(job, "spec");

    cJSON_DeleteItemFromObjectCaseSensitive(job, "status");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "generateName");
    fill(metadata, "namespace", jstr(namespace));
    fill(spec, "backoffLimit", jint(0));
    fill(spec, "ttlSecondsAfterFinished", jint(settings->ttl_s));
    fill(spec, "podReplacementPolicy", jstr("Failed"));
    if (settings->queue_name) {
        fill(kubernetes_template_member(metadata, "labels"), LABEL_QUEUE,
             jstr(settings->queue_name));
        cJSON_DeleteItemFromObjectCaseSensitive(spec, "suspend");
        fill(spec, "suspend", jbool(true));
    }
}

/* --- Loading -------------------------------------------------------------------------- */

static cJSON *pod_in(cJSON *job)
{
    return kubernetes_template_member(
        kubernetes_template_member(kubernetes_template_member(job, "spec"), "template"),
        "spec");
}

static cJSON *load_job(const struct config_kubernetes *settings, const char *namespace,
                       struct err *err)
{
    scoped(yaml) yaml = NULL;

    if (!settings->job_template)
        return built_in_job(settings);
    yaml = yaml_parse_file(settings->job_template, err);
    if (!yaml || kubernetes_check_template(yaml, settings, namespace, err) < 0)
        return NULL;
    return cJSON_Duplicate(yaml_root(yaml), true);
}

struct kubernetes_template *kubernetes_template_load(const struct config_kubernetes *settings,
                                                     const char *namespace, struct err *err)
{
    struct kubernetes_template *template;
    cJSON *job;
    const cJSON *containers;

    if (kubernetes_check_settings(settings, err) < 0)
        return NULL;
    job = load_job(settings, namespace, err);
    if (!job)
        return NULL;
    containers = json_get(pod_in(job), "containers");
    template = xcalloc(1, sizeof(*template));
    template->job = job;
    template->namespace = xstrdup(namespace);
    template->runner = kubernetes_check_runner(containers);
    template->container =
        xstrdup(json_get_str(cJSON_GetArrayItem(containers, template->runner), "name"));
    fill_job(job, settings, namespace);
    fill_pod(pod_in(job), settings);
    fill_container(kubernetes_template_runner_in(template, job), settings);
    return template;
}

void kubernetes_template_free(struct kubernetes_template *template)
{
    if (!template)
        return;
    cJSON_Delete(template->job);
    free(template->container);
    free(template->namespace);
    free(template);
}

const cJSON *kubernetes_template_job(const struct kubernetes_template *template)
{
    return template->job;
}

const char *kubernetes_template_container(const struct kubernetes_template *template)
{
    return template->container;
}

const char *kubernetes_template_namespace(const struct kubernetes_template *template)
{
    return template->namespace;
}

cJSON *kubernetes_template_runner_in(const struct kubernetes_template *template, cJSON *job)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(pod_in(job), "containers"),
                              template->runner);
}
