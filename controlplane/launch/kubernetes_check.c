/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/kubernetes_check.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/kubernetes_quantity.h"

#define RUNNER_CONTAINER "runner"
#define NAME_MAX_LENGTH 253

/* --- Complaints ----------------------------------------------------------------------- */

struct document {
    const struct yaml *yaml;
    struct err *err;
};

/* About a value or, where it is missing, about what it is missing from. */
static int complain(const struct document *in, const cJSON *at, const char *path,
                    const char *sentence)
{
    int line = at ? yaml_line(in->yaml, at) : 0;

    return err_set(in->err, ERR_INVALID, "%s:%d: %.160s%s%s", yaml_name(in->yaml),
                   line ? line : 1, path, *path ? ": " : "", sentence);
}

/* The object at `path`.key; NULL with a complaint. */
static const cJSON *need_object(const struct document *in, const cJSON *object,
                                const char *path)
{
    const char *key = strrchr(path, '.') ? strrchr(path, '.') + 1 : path;
    const cJSON *member = json_get(object, key);

    if (!member)
        (void)complain(in, object, path, "required");
    else if (!cJSON_IsObject(member))
        (void)complain(in, member, path, "expected an object");
    else
        return member;
    return NULL;
}

static int check_text(const struct document *in, const cJSON *object, const char *key,
                      const char *wanted)
{
    const cJSON *value = json_get(object, key);
    char sentence[64];

    (void)snprintf(sentence, sizeof(sentence), "must be %s", wanted);
    if (!value)
        return complain(in, object, key, "required");
    if (!cJSON_IsString(value) || strcmp(value->valuestring, wanted) != 0)
        return complain(in, value, key, sentence);
    return 0;
}

static bool is_texts(const cJSON *object)
{
    const cJSON *value;

    cJSON_ArrayForEach(value, object)
    {
        if (!cJSON_IsString(value))
            return false;
    }
    return cJSON_IsObject(object);
}

/* --- Metadata ------------------------------------------------------------------------- */

/* Labels and annotations that ours are added to. */
static int check_metadata(const struct document *in, const cJSON *object, const char *path)
{
    static const char *const maps[] = {"labels", "annotations"};
    const cJSON *metadata = json_get(object, "metadata");

    if (metadata && !cJSON_IsObject(metadata))
        return complain(in, metadata, path, "expected an object");
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
        const cJSON *map = json_get(metadata, maps[i]);
        scoped_str whole = xasprintf("%s.%s", path, maps[i]);

        if (map && !is_texts(map))
            return complain(in, map, whole, "expected texts by name");
    }
    return 0;
}

static int check_namespace(const struct document *in, const cJSON *root, const char *namespace)
{
    const cJSON *value = json_get(json_get(root, "metadata"), "namespace");
    scoped_str sentence = xasprintf("must be %.80s, or left out", namespace);

    if (value && (!cJSON_IsString(value) || strcmp(value->valuestring, namespace) != 0))
        return complain(in, value, "metadata.namespace", sentence);
    return 0;
}

/* --- The Job's own members ------------------------------------------------------------ */

/* Where it is there, it is this number. */
static int check_number(const struct document *in, const cJSON *spec, const char *key,
                        int64_t wanted, const char *why)
{
    const cJSON *value = json_get(spec, key);
    scoped_str path = xasprintf("spec.%s", key);
    int64_t number;

    if (value && (!json_whole(value, &number) || number != wanted))
        return complain(in, value, path, why);
    return 0;
}

static int check_seconds(const struct document *in, const cJSON *object, const char *path)
{
    const cJSON *value = json_get(object, strrchr(path, '.') + 1);
    int64_t number;

    if (value && (!json_whole(value, &number) || number < 1))
        return complain(in, value, path, "expected a number of seconds from 1");
    return 0;
}

static int check_job(const struct document *in, const cJSON *spec)
{
    static const char *const ours[] = {"selector", "manualSelector", "suspend", "managedBy"};

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        const cJSON *value = json_get(spec, ours[i]);
        scoped_str path = xasprintf("spec.%s", ours[i]);

        if (value && !cJSON_IsFalse(value))
            return complain(in, value, path,
                            "must be left out: it is for dispatchd and the cluster to say");
    }
    if (check_number(in, spec, "backoffLimit", 0,
                     "must be 0, or left out: a run is tried again by dispatchd only")
            < 0
        || check_number(in, spec, "parallelism", 1, "must be 1, or left out: a run has one pod")
               < 0
        || check_number(in, spec, "completions", 1, "must be 1, or left out: a run has one pod")
               < 0)
        return -1;
    return check_seconds(in, spec, "spec.activeDeadlineSeconds");
}

/* --- Its pod ---------------------------------------------------------------------------- */

#define CONTAINERS "spec.template.spec.containers"

int kubernetes_check_runner(const cJSON *containers)
{
    const cJSON *container;
    int at = 0;

    cJSON_ArrayForEach(container, containers)
    {
        const char *name = json_get_str(container, "name");

        if (name && strcmp(name, RUNNER_CONTAINER) == 0)
            return at;
        at++;
    }
    return at == 1 ? 0 : -1;
}

static int check_named(const struct document *in, const cJSON *list, const char *path)
{
    const cJSON *item;
    int at = 0;

    cJSON_ArrayForEach(item, list)
    {
        const cJSON *name = json_get(item, "name");
        scoped_str whole = xasprintf("%s[%d].name", path, at);
        scoped_str itself = xasprintf("%s[%d]", path, at);

        if (!cJSON_IsObject(item))
            return complain(in, item, itself, "expected an object");
        if (!name)
            return complain(in, item, whole, "required");
        if (!cJSON_IsString(name) || !*name->valuestring)
            return complain(in, name, whole, "expected text");
        at++;
    }
    return 0;
}

static int check_list(const struct document *in, const cJSON *object, const char *path)
{
    const cJSON *list = json_get(object, strrchr(path, '.') + 1);

    if (list && !cJSON_IsArray(list))
        return complain(in, list, path, "expected a list");
    return 0;
}

static int check_resources(const struct document *in, const cJSON *container, const char *path)
{
    static const char *const kinds[] = {"requests", "limits"};
    const cJSON *resources = json_get(container, "resources");
    scoped_str whole = xasprintf("%s.resources", path);

    if (resources && !cJSON_IsObject(resources))
        return complain(in, resources, whole, "expected an object");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const cJSON *kind = json_get(resources, kinds[i]);
        scoped_str deeper = xasprintf("%s.%s", whole, kinds[i]);

        if (kind && !cJSON_IsObject(kind))
            return complain(in, kind, deeper, "expected an object");
    }
    return 0;
}

static int check_image(const struct document *in, const cJSON *container, const char *path,
                       const struct config_kubernetes *settings)
{
    const cJSON *image = json_get(container, "image");
    scoped_str whole = xasprintf("%s.image", path);

    if (!image && !settings->image)
        return complain(in, container, whole, "required");
    if (image && (!cJSON_IsString(image) || !*image->valuestring))
        return complain(in, image, whole, "expected text");
    return 0;
}

static int check_runner(const struct document *in, const cJSON *containers,
                        const struct config_kubernetes *settings)
{
    int at = kubernetes_check_runner(containers);
    const cJSON *container = cJSON_GetArrayItem(containers, at < 0 ? 0 : at);
    scoped_str path = xasprintf(CONTAINERS "[%d]", at);
    scoped_str env = xasprintf("%s.env", path);
    scoped_str env_from = xasprintf("%s.envFrom", path);

    if (at < 0)
        return complain(in, containers, CONTAINERS,
                        "one of several containers must be named \"" RUNNER_CONTAINER "\"");
    if (check_image(in, container, path, settings) < 0
        || check_resources(in, container, path) < 0 || check_list(in, container, env) < 0
        || check_named(in, json_get(container, "env"), env) < 0
        || check_list(in, container, env_from) < 0)
        return -1;
    return 0;
}

static int check_pod(const struct document *in, const cJSON *pod,
                     const struct config_kubernetes *settings)
{
    const cJSON *containers = json_get(pod, "containers");
    const cJSON *restart = json_get(pod, "restartPolicy");

    if (!containers)
        return complain(in, pod, CONTAINERS, "required");
    if (!cJSON_IsArray(containers) || !cJSON_GetArraySize(containers))
        return complain(in, containers, CONTAINERS, "expected a list of containers");
    if (restart && (!cJSON_IsString(restart) || strcmp(restart->valuestring, "Never") != 0))
        return complain(in, restart, "spec.template.spec.restartPolicy",
                        "must be Never, or left out: a run is tried again by dispatchd only");
    if (check_seconds(in, pod, "spec.template.spec.terminationGracePeriodSeconds") < 0
        || check_named(in, containers, CONTAINERS) < 0)
        return -1;
    return check_runner(in, containers, settings);
}

int kubernetes_check_template(const struct yaml *yaml, const struct config_kubernetes *settings,
                              const char *namespace, struct err *err)
{
    const struct document in = {.yaml = yaml, .err = err};
    const cJSON *root = yaml_root(yaml);
    const cJSON *spec;
    const cJSON *template;
    const cJSON *pod;

    if (!cJSON_IsObject(root))
        return complain(&in, root, "", "expected a Job");
    if (check_text(&in, root, "apiVersion", "batch/v1") < 0
        || check_text(&in, root, "kind", "Job") < 0 || check_metadata(&in, root, "metadata") < 0
        || check_namespace(&in, root, namespace) < 0)
        return -1;
    spec = need_object(&in, root, "spec");
    template = spec ? need_object(&in, spec, "spec.template") : NULL;
    pod = template ? need_object(&in, template, "spec.template.spec") : NULL;
    if (!pod || check_job(&in, spec) < 0
        || check_metadata(&in, template, "spec.template.metadata") < 0)
        return -1;
    return check_pod(&in, pod, settings);
}

/* --- Settings --------------------------------------------------------------------------- */

static int check_amounts(const char *request, const char *limit, const char *what,
                         struct err *err)
{
    double least = 0;
    double most = 0;
    char field[64];

    (void)snprintf(field, sizeof(field), "kubernetes.%s_request", what);
    if (request && !kubernetes_quantity_parse(request, &least))
        return err_set_field(err, field, "expected a quantity, as in 500m or 2Gi");
    (void)snprintf(field, sizeof(field), "kubernetes.%s_limit", what);
    if (limit && !kubernetes_quantity_parse(limit, &most))
        return err_set_field(err, field, "expected a quantity, as in 500m or 2Gi");
    if (most > 0 && least > most)
        return err_set_field(err, field, "less than the request");
    return 0;
}

/* Of an object in the API: a DNS subdomain. */
static int check_name(const char *name, const char *field, struct err *err)
{
    size_t length = name ? strlen(name) : 0;

    if (!name)
        return 0;
    if (length == 0 || length > NAME_MAX_LENGTH
        || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != length
        || strchr("-.", name[0]) || strchr("-.", name[length - 1]))
        return err_set_field(err, field,
                             "expected a name of lower-case letters, digits and dashes");
    return 0;
}

static int check_pull_policy(const char *policy, struct err *err)
{
    if (!policy || strcmp(policy, "Always") == 0 || strcmp(policy, "IfNotPresent") == 0
        || strcmp(policy, "Never") == 0)
        return 0;
    return err_set_field(err, "kubernetes.image_pull_policy",
                         "expected Always, IfNotPresent or Never");
}

int kubernetes_check_settings(const struct config_kubernetes *settings, struct err *err)
{
    if (check_name(settings->namespace, "kubernetes.namespace", err) < 0
        || check_name(settings->service_account, "kubernetes.service_account", err) < 0
        || check_name(settings->env_secret, "kubernetes.env_secret", err) < 0
        || check_name(settings->queue_name, "kubernetes.queue_name", err) < 0
        || check_name(settings->runtime_class, "kubernetes.runtime_class", err) < 0
        || check_name(settings->priority_class, "kubernetes.priority_class", err) < 0
        || check_pull_policy(settings->image_pull_policy, err) < 0
        || check_amounts(settings->cpu_request, settings->cpu_limit, "cpu", err) < 0
        || check_amounts(settings->memory_request, settings->memory_limit, "memory", err) < 0
        || check_amounts(settings->ephemeral_storage_request, settings->ephemeral_storage_limit,
                         "ephemeral_storage", err)
               < 0)
        return -1;
    if (!settings->image && !settings->job_template)
        return err_set_field(err, "kubernetes.image",
                             "required, unless kubernetes.job_template names one");
    return 0;
}
