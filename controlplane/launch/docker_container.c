/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_container.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "launch/docker_amount.h"
#include "launch/docker_env.h"
#include "launch/docker_tar.h"
#include "launch/kubernetes_facts.h"
#include "launch/kubernetes_job.h"

#define WORK_DIR "/work"
#define TMP_DIR "/tmp"
#define OWN_DIR DOCKER_OWN_PARENT "/" DOCKER_OWN_FOLDER
#define CPU INT64_C(1000000000)
/* Each of two files: what a runner writes there is events and some words. */
#define LOG_SIZE "16m"
#define LOG_FILES "2"
#define NAMESPACE_BYTES 6
#define MEMORY_MIN (INT64_C(6) * 1024 * 1024) /* the engine's own */

struct docker_template {
    char *namespace;
    char *image;
    char *network;
    char *user;
    char *runtime;
    cJSON *ulimits;
    int64_t memory;
    int64_t tmp_size;
    int64_t work_size; /* 0: a volume */
    int64_t nano_cpus;
    int pids;
    bool init;
    struct docker_env env;
};

/* --- The template
 * -----------------------------------------------------------------------------
 */

/* A dispatchd is its database: two that share an engine keep apart by that. */
static char *default_namespace(const struct config *config)
{
    uint8_t hash[SHA256_SIZE];
    char text[2 * NAMESPACE_BYTES + 1];

    sha256(config->database ? config->database : "",
           config->database ? strlen(config->database) : 0, hash);
    hex_encode(hash, NAMESPACE_BYTES, text);
    return xstrdup(text);
}

static int check_namespace(const char *namespace, struct err *err)
{
    size_t length = strspn(namespace, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_.");

    if (!length || namespace[length] || length >= DOCKER_NAMESPACE_SIZE)
        return err_set(err, ERR_INVALID,
                       "docker.namespace: expected at most %d letters, digits, '-', '_', '.'",
                       DOCKER_NAMESPACE_SIZE - 1);
    return 0;
}

static int read_amounts(struct docker_template *template, const struct config_docker *settings,
                        struct err *err)
{
    if (docker_amount_bytes("memory", settings->memory, &template->memory, err) < 0
        || docker_amount_bytes("tmp_size", settings->tmp_size, &template->tmp_size, err) < 0
        || docker_amount_bytes("work_size", settings->work_size, &template->work_size, err) < 0
        || docker_amount_ulimits("ulimits", settings->ulimits, &template->ulimits, err) < 0)
        return -1;
    if (template->memory && template->memory < MEMORY_MIN)
        return err_set(err, ERR_INVALID, "docker.memory: an engine wants 6m at least");
    return 0;
}

struct docker_template *docker_template_new(const struct config *config, struct err *err)
{
    const struct config_docker *settings = &config->docker;
    scoped(docker_template) template = xcalloc(1, sizeof(*template));

    if (!settings->image || !*settings->image) {
        (void)err_set(err, ERR_INVALID, "docker.image (DISPATCH_DOCKER_IMAGE) is not set");
        return NULL;
    }
    *template = (struct docker_template){
        .namespace =
            settings->namespace ? xstrdup(settings->namespace) : default_namespace(config),
        .image = xstrdup(settings->image),
        .network = xstrdup(settings->network),
        .user = xstrdup(settings->user),
        .runtime = xstrdup(settings->runtime),
        .nano_cpus = (int64_t)(settings->cpus * (double)CPU),
        .pids = settings->pids,
        .init = settings->init,
    };
    if (check_namespace(template->namespace, err) < 0
        || read_amounts(template, settings, err) < 0
        || docker_env_load(&template->env, settings->env_file, err) < 0)
        return NULL;
    return TAKE(template);
}

void docker_template_free(struct docker_template *template)
{
    if (!template)
        return;
    free(template->namespace);
    free(template->image);
    free(template->network);
    free(template->user);
    free(template->runtime);
    cJSON_Delete(template->ulimits);
    docker_env_done(&template->env);
    free(template);
}

const char *docker_template_namespace(const struct docker_template *template)
{
    return template->namespace;
}

/* --- Labels and environment
 * -------------------------------------------------------------------
 */

static cJSON *slug(const char *text)
{
    char label[KUBERNETES_LABEL_SIZE] = "";

    if (text)
        kubernetes_job_label(text, label);
    return jstr(label[0] ? label : NULL);
}

static cJSON *number(int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    return jstr(text);
}

/* The contract's, as on Kubernetes. */
static cJSON *labels(const struct docker_template *template, const struct job_spec *spec)
{
    char run[ID_TEXT_SIZE];

    id_text(spec->run, run);
    return jobj({LABEL_NAME, jstr(OUR_NAME)}, {LABEL_MANAGED_BY, jstr(OUR_MANAGER)},
                {LABEL_NAMESPACE, jstr(template->namespace)}, {LABEL_RUN_ID, jstr(run)},
                {LABEL_ATTEMPT, number(spec->attempt)}, {LABEL_REPO, slug(spec->repo)},
                {LABEL_AGENT, slug(spec->agent)},
                {LABEL_TIMEOUT, spec->timeout_s > 0 ? number(spec->timeout_s) : NULL},
                {ANNOTATION_REPOSITORY, jstr(spec->repo && *spec->repo ? spec->repo : NULL)});
}

static void put(struct docker_env *env, const char *name, const char *value)
{
    scoped_str pair = xasprintf("%s=%s", name, value);

    docker_env_add(env, pair);
}

/* Ours first: of two of one name the first counts. */
static cJSON *environment(const struct docker_template *template, const struct job_spec *spec)
{
    scoped_docker_env env = {0};
    char run[ID_TEXT_SIZE];
    char attempt[16];

    id_text(spec->run, run);
    (void)snprintf(attempt, sizeof(attempt), "%d", spec->attempt);
    put(&env, "DISPATCH_URL", spec->url);
    put(&env, "DISPATCH_RUN_ID", run);
    put(&env, "DISPATCH_ATTEMPT", attempt);
    put(&env, "DISPATCH_TASK_TOKEN_FILE", OWN_DIR "/" DOCKER_TOKEN_FILE);
    put(&env, "DISPATCH_TASK_TOKEN_ONCE", "1");
    put(&env, "DISPATCH_TERMINATION_LOG", DOCKER_OUTCOME_PATH);
    put(&env, "DISPATCH_WORK_DIR", WORK_DIR);
    put(&env, "HOME", WORK_DIR);
    put(&env, "TMPDIR", TMP_DIR);
    for (size_t i = 0; i < template->env.count; i++)
        docker_env_add(&env, template->env.values[i]);
    docker_env_add_passed(&env);
    return docker_env_json(&env);
}

/* --- The rest
 * ----------------------------------------------------------------------------------
 */

static cJSON *volume(const char *target)
{
    return jobj({"Type", jstr("volume")}, {"Target", jstr(target)});
}

/* Builds run what they have put there. */
static cJSON *tmpfs(int64_t size)
{
    scoped_str sized = size ? xasprintf(",size=%lld", (long long)size) : xstrdup("");
    scoped_str options = xasprintf("rw,nosuid,nodev,exec,mode=1777%s", sized);

    return jstr(options);
}

static cJSON *log_options(void)
{
    return jobj({"Type", jstr("json-file")},
                {"Config", jobj({"max-size", jstr(LOG_SIZE)}, {"max-file", jstr(LOG_FILES)})});
}

/* Podman knows host.containers.internal by itself, and takes "host-gateway" for a host. */
static cJSON *extra_hosts(const struct docker_template *template, bool is_podman)
{
    const char *network = template->network;
    bool shared = network
                  && (strcmp(network, "host") == 0 || strcmp(network, "none") == 0
                      || strncmp(network, "container:", 10) == 0);

    return is_podman || shared ? NULL : jarr(jstr("host.docker.internal:host-gateway"));
}

static cJSON *host_config(const struct docker_template *template, bool is_podman)
{
    int64_t memory = template->memory;
    bool on_disk = !template->work_size;

    return jobj(
        {"Memory", memory ? jint(memory) : NULL},
        {"MemorySwap", memory ? jint(memory) : NULL}, /* both together: no swap */
        {"NanoCpus", jint(template->nano_cpus)}, {"PidsLimit", jint(template->pids)},
        {"Ulimits", cJSON_Duplicate(template->ulimits, true)}, {"CapDrop", jarr(jstr("ALL"))},
        {"SecurityOpt", jarr(jstr("no-new-privileges"))}, {"ReadonlyRootfs", jbool(true)},
        {"Mounts", jarr(on_disk ? volume(WORK_DIR) : NULL, volume(DOCKER_OWN_PARENT))},
        {"Tmpfs", jobj({TMP_DIR, tmpfs(template->tmp_size)},
                       {WORK_DIR, on_disk ? NULL : tmpfs(template->work_size)})},
        {"NetworkMode", jstr(template->network)},
        {"ExtraHosts", extra_hosts(template, is_podman)}, {"Runtime", jstr(template->runtime)},
        {"Init", template->init ? jbool(true) : NULL}, {"AutoRemove", jbool(false)},
        {"RestartPolicy", jobj({"Name", jstr("no")})}, {"LogConfig", log_options()});
}

cJSON *docker_container_make(const struct docker_template *template,
                             const struct job_spec *spec, bool is_podman)
{
    return jobj({"Image", jstr(template->image)}, {"User", jstr(template->user)},
                {"WorkingDir", jstr(WORK_DIR)}, {"Env", environment(template, spec)},
                {"Labels", labels(template, spec)}, {"StopSignal", jstr("SIGTERM")},
                {"HostConfig", host_config(template, is_podman)});
}

/* Of the container's own user, who is to take it away; whose number we don't know, everybody's.
 * Nobody else is in there. */
void docker_container_files(const struct job_spec *spec, const struct docker_facts *facts,
                            struct buf *out)
{
    const char *token = secret_reveal(spec->task_token);
    const struct docker_tar_entry folder = {
        .path = DOCKER_OWN_FOLDER "/",
        .is_folder = true,
        .mode = facts->user_known ? 0700 : 0777,
        .owner = facts->user,
    };
    const struct docker_tar_entry file = {
        .path = DOCKER_OWN_FOLDER "/" DOCKER_TOKEN_FILE,
        .mode = facts->user_known ? 0400 : 0444,
        .owner = facts->user,
        .data = token,
        .size = strlen(token),
    };

    docker_tar_add(out, &folder);
    docker_tar_add(out, &file);
    docker_tar_end(out);
}
