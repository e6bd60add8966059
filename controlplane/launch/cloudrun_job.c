/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/cloudrun_job.h"

#include <string.h>

#include "base/alloc.h"
#include "launch/cloudrun_facts.h"

/* The paths that complaints name, as in the REST reference of the Job. */
#define TASK "template.template"
#define RUNNER_CONTAINER "runner"
#define SECRETMANAGER_URL "https://secretmanager.googleapis.com"
/* The rest of spec->timeout_s over the run's own. */
#define TIMEOUT_MARGIN_S 300

/* --- Settings ----------------------------------------------------------------------------- */

static int check_name(const char *name, const char *value, struct err *err)
{
    if (!value)
        return err_set_field(err, name, "it is required");
    if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.:-")] || strlen(value) > 63
        || *value < 'a' || *value > 'z')
        return err_set_field(
            err, name, "expected a lower-case name, up to 63 characters of a-z, 0-9 and -");
    return 0;
}

int cloudrun_settings_check(const struct config *config, struct err *err)
{
    const struct config_cloudrun *settings = &config->cloudrun;
    int64_t most_s = CLOUDRUN_TIMEOUT_MAX_S - config->claim_timeout_s - TIMEOUT_MARGIN_S;

    if (check_name("cloudrun.project", settings->project, err) < 0
        || check_name("cloudrun.region", settings->region, err) < 0
        || check_name("cloudrun.job", settings->job, err) < 0)
        return -1;
    if (config->run_timeout_s > most_s)
        return err_set_field(err, "run_timeout_s",
                             "Cloud Run ends a task after 7 days: expected %lld at most",
                             (long long)most_s);
    return 0;
}

/* --- The Job that is there ---------------------------------------------------------------- */

/* "600s", "1.5s" rounded down; -1: none. */
static int64_t duration_s(const char *text)
{
    char *end = NULL;
    double seconds = text ? strtod(text, &end) : 0;

    return end && strcmp(end, "s") == 0 && seconds >= 0 && seconds < 1e9 ? (int64_t)seconds
                                                                         : -1;
}

static const cJSON *task_of(const cJSON *job)
{
    return json_get(json_get(job, "template"), "template");
}

/* The container of that name, else the first. */
static const cJSON *runner_of(const cJSON *job)
{
    const cJSON *all = json_get(task_of(job), "containers");
    const cJSON *container;

    cJSON_ArrayForEach(container, all)
    {
        const char *name = json_get_str(container, "name");

        if (name && strcmp(name, RUNNER_CONTAINER) == 0)
            return container;
    }
    return cJSON_IsArray(all) ? cJSON_GetArrayItem(all, 0) : NULL;
}

static int expect_text(const cJSON *object, const char *key, const char *path,
                       const char *wanted, struct err *err)
{
    const char *found = json_get_str(object, key);

    if (!wanted || (found && strcmp(found, wanted) == 0))
        return 0;
    return err_set_field(err, path, "the Job has \"%.100s\", the settings say \"%.100s\"",
                         found ? found : "", wanted);
}

/* A Job that never said otherwise has 3; zeros may be left out of an answer. */
static int check_retries(const cJSON *task, struct err *err)
{
    int64_t retries = json_get_int(task, "maxRetries", 0);

    if (retries == 0)
        return 0;
    return err_set_field(err, TASK ".maxRetries",
                         "the Job has %lld: it would start a run's agent again; expected 0",
                         (long long)retries);
}

static int check_timeout(const cJSON *task, const struct config *config, struct err *err)
{
    const char *text = json_get_str(task, "timeout");
    int64_t timeout_s = duration_s(text);

    if (timeout_s >= config->run_timeout_s)
        return 0;
    return err_set_field(err, TASK ".timeout",
                         "the Job has \"%.30s\", a run may take %lld s (run_timeout_s)",
                         text ? text : "", (long long)config->run_timeout_s);
}

int cloudrun_job_check(const cJSON *job, const struct config *config, char **out_container,
                       struct err *err)
{
    const struct config_cloudrun *settings = &config->cloudrun;
    const cJSON *task = task_of(job);
    const cJSON *runner = runner_of(job);
    const char *name = json_get_str(runner, "name");

    if (!runner)
        return err_set_field(err, TASK ".containers", "the Job has none");
    if (check_retries(task, err) < 0
        || expect_text(runner, "image", TASK ".containers[].image", settings->image, err) < 0
        || expect_text(task, "serviceAccount", TASK ".serviceAccount",
                       settings->service_account, err)
               < 0
        || check_timeout(task, config, err) < 0)
        return -1;
    *out_container = xstrdup(name ? name : "");
    return 0;
}

/* --- The Job as it should be -------------------------------------------------------------- */

static void set(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value)
        (void)cJSON_AddItemToObject(object, key, value);
}

static cJSON *child_of(cJSON *object, const char *key)
{
    cJSON *child = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsObject(child)) {
        child = cJSON_CreateObject();
        set(object, key, child);
    }
    return child;
}

/* NAME=SECRET or NAME=SECRET:VERSION, cut up in place. */
static cJSON *secret_variable(char *text, struct err *err)
{
    char *secret = strchr(text, '=');
    char *version;

    if (secret)
        *secret++ = '\0';
    if (!secret || !*secret || !*text) {
        (void)err_set_field(err, "cloudrun.env_secrets",
                            "expected NAME=SECRET or NAME=SECRET:VERSION, separated by commas");
        return NULL;
    }
    version = strchr(secret, ':');
    if (version)
        *version++ = '\0';
    return jobj({"name", jstr(text)},
                {"valueSource", jobj({"secretKeyRef",
                                      jobj({"secret", jstr(secret)},
                                           {"version", jstr(version ? version : "latest")})})});
}

/* The models' keys and their like. NULL settings leave alone what the Job has. */
static int set_environment(cJSON *runner, const char *env_secrets, struct err *err)
{
    scoped_str copy = xstrdup(env_secrets);
    char *rest = copy;
    scoped_json all = cJSON_CreateArray();

    if (!env_secrets)
        return 0;
    for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ",")) {
        cJSON *variable;

        one += strspn(one, " ");
        one[strcspn(one, " ")] = '\0';
        variable = secret_variable(one, err);
        if (!variable)
            return -1;
        (void)cJSON_AddItemToArray(all, variable);
    }
    set(runner, "env", TAKE(all));
    return 0;
}

static int set_runner(cJSON *task, const struct config_cloudrun *settings, struct err *err)
{
    cJSON *containers = cJSON_GetObjectItemCaseSensitive(task, "containers");
    cJSON *runner = NULL;
    cJSON *limits;

    if (!cJSON_IsArray(containers)) {
        containers = cJSON_CreateArray();
        set(task, "containers", containers);
    }
    cJSON_ArrayForEach(runner, containers)
    {
        const char *name = json_get_str(runner, "name");

        if (name && strcmp(name, RUNNER_CONTAINER) == 0)
            break;
    }
    if (!runner)
        runner = cJSON_GetArrayItem(containers, 0);
    if (!runner) {
        runner = cJSON_CreateObject();
        (void)cJSON_AddItemToArray(containers, runner);
    }
    set(runner, "image", jstr(settings->image));
    limits = child_of(child_of(runner, "resources"), "limits");
    set(limits, "cpu", jstr(settings->cpu));
    set(limits, "memory", jstr(settings->memory));
    return set_environment(runner, settings->env_secrets, err);
}

/* Of an existing one, only what a client may say: the rest is Cloud Run's own. */
static void drop_output(cJSON *job)
{
    static const char *const names[] = {"uid",
                                        "generation",
                                        "createTime",
                                        "updateTime",
                                        "deleteTime",
                                        "expireTime",
                                        "creator",
                                        "lastModifier",
                                        "conditions",
                                        "observedGeneration",
                                        "executionCount",
                                        "latestCreatedExecution",
                                        "satisfiesPzs",
                                        "terminalCondition",
                                        "reconciling",
                                        "startExecutionToken",
                                        "runExecutionToken"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(job, names[i]);
}

cJSON *cloudrun_job_make(const cJSON *existing, const struct config *config, struct err *err)
{
    const struct config_cloudrun *settings = &config->cloudrun;
    scoped_json job = existing ? cJSON_Duplicate(existing, true) : cJSON_CreateObject();
    int64_t timeout_s = config->claim_timeout_s + config->run_timeout_s + TIMEOUT_MARGIN_S;
    scoped_str timeout = xasprintf("%llds", (long long)timeout_s);
    cJSON *template;
    cJSON *task;

    if (!settings->image) {
        (void)err_set_field(err, "cloudrun.image", "it is required");
        return NULL;
    }
    drop_output(job);
    template = child_of(job, "template");
    set(template, "taskCount", jint(1));
    task = child_of(template, "template");
    set(task, "maxRetries", jint(0));
    set(task, "timeout", jstr(timeout));
    if (settings->service_account)
        set(task, "serviceAccount", jstr(settings->service_account));
    if (!existing)
        set(task, "executionEnvironment", jstr("EXECUTION_ENVIRONMENT_GEN2"));
    return set_runner(task, settings, err) < 0 ? NULL : TAKE(job);
}

/* --- One execution ------------------------------------------------------------------------ */

static cJSON *variable(const char *name, const char *value)
{
    return value ? jobj({"name", jstr(name)}, {"value", jstr(value)}) : NULL;
}

cJSON *cloudrun_job_overrides(const struct job_spec *spec, const struct config *config,
                              const char *container, const char *secret)
{
    const char *manager = config->cloudrun.secretmanager_url;
    scoped_str attempt = xasprintf("%d", spec->attempt);
    scoped_str timeout = xasprintf("%llds", (long long)spec->timeout_s);
    char run[ID_TEXT_SIZE];
    cJSON *env;

    id_text(spec->run, run);
    env = jarr(
        variable(CLOUDRUN_ENV_RUN, run), variable(CLOUDRUN_ENV_ATTEMPT, attempt),
        variable("DISPATCH_URL", spec->url), variable("DISPATCH_TASK_TOKEN_SECRET", secret),
        variable("DISPATCH_SECRETMANAGER_URL",
                 secret && strcmp(manager, SECRETMANAGER_URL) != 0 ? manager : NULL),
        variable("DISPATCH_TASK_TOKEN", secret ? NULL : secret_reveal(spec->task_token)));
    return jobj(
        {"overrides",
         jobj({"taskCount", jint(1)}, {"timeout", jstr(timeout)},
              {"containerOverrides",
               jarr(jobj({"name", *container ? jstr(container) : NULL}, {"env", env}))})});
}
