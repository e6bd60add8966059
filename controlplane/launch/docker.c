/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/launcher.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "launch/docker_auth.h"
#include "launch/docker_private.h"

/*
 * The runner as a container of a Docker Engine, or of Podman behind the same API. Whatever
 * there is to know about a job is in the engine, under the name run-<id>-<attempt> and our
 * labels:
 *
 *     made      by whoever asks first; a name is given once, so everybody else finds it there
 *               and adopts it if the labels are ours. A container of others is left alone
 *     given     its task token, as a file in a volume of its own (docker_container.h)
 *     started   once: an engine would start one that has ended again, so only one that never
 *               was is started, and of this process one thread at a time. A second start after
 *               all (of an engine that was told twice) finds the token gone, and ends
 *     ended     by itself, or by TERM and, after the grace, KILL (docker_watch.h). It stays,
 *               with its log, until it is forgotten
 *
 * An engine has no deadline for a container: docker_watch.h ends those that are past theirs,
 * while dispatchd runs. When dispatchd is away, what is past its time ends when it is back.
 *
 * Nothing is kept here: poll asks the engine. Its socket makes whoever may open it root on its
 * machine, so it stays with dispatchd; the container gets neither the socket nor a device.
 */

bool docker_target_of(const char *name, struct docker_target *out)
{
    if (!job_ref_parse(name, &out->run, &out->attempt))
        return false;
    out->ref = job_ref_make(out->run, out->attempt);
    return true;
}

int docker_refuse_ref(const char *ref, struct err *err)
{
    return err_set(err, ERR_INVALID, "\"%.60s\" is not the name of a job", ref);
}

/* --- Opening
 * ---------------------------------------------------------------------------------- */

static void docker_close(void *self)
{
    struct docker *docker = self;

    docker_watch_free(docker->watch);
    docker_image_free(docker->image);
    docker_api_free(docker->api);
    docker_template_free(docker->template);
    for (size_t i = 0; i < DOCKER_START_LOCKS; i++)
        (void)pthread_mutex_destroy(&docker->starting[i]);
    free(docker);
}

/* What libcurl says of it is that it couldn't connect. */
static int check_socket(const struct docker_host *host, struct err *err)
{
    if (host->unix_socket && access(host->unix_socket, R_OK | W_OK) < 0 && errno == EACCES)
        return err_set(err, ERR_DENIED,
                       "%s: this user may not open it (see \"On Docker or Podman\" in the "
                       "README)",
                       host->unix_socket);
    return 0;
}

/* An engine that is away for now comes back; one that we can't speak with is for people. */
static int greet(struct docker *docker, struct err *err)
{
    struct err failure = {0};

    if (docker_api_greet(docker->api, &failure) == 0)
        return 0;
    if (failure.kind != ERR_UNAVAILABLE && failure.kind != ERR_TIMEOUT) {
        *err = failure;
        return -1;
    }
    log_warn("the engine doesn't answer, will retry", KV("error", failure.text));
    return 0;
}

static bool is_loopback(const char *url)
{
    static const char *const loopbacks[] = {"://127.", "://localhost", "://[::1]"};

    for (size_t i = 0; url && i < ARRAY_SIZE(loopbacks); i++)
        if (strstr(url, loopbacks[i]))
            return true;
    return false;
}

static void warn_of_traps(const struct config *config, const struct docker_host *host)
{
    const char *network = config->docker.network;
    bool loopback = config->public_url ? is_loopback(config->public_url)
                                       : strncmp(config->listen_address, "127.", 4) == 0
                                             || strcmp(config->listen_address, "::1") == 0;

    if (loopback && (!network || strcmp(network, "host") != 0))
        log_warn("runners in containers don't reach a loopback address: set public_url, or "
                 "docker.network to host");
    if (docker_host_is_exposed(host))
        log_warn("the engine is reached without TLS: whoever is on the way is root there",
                 KV("host", host->shown));
}

static int open_engine(struct docker *docker, const struct config *config, struct err *err)
{
    scoped_docker_host host = {0};

    if (docker_host_of(&config->docker, &host, err) < 0 || check_socket(&host, err) < 0)
        return -1;
    docker->api = docker_api_open(&host, err);
    if (!docker->api || greet(docker, err) < 0)
        return -1;
    if (config->listen_address)
        warn_of_traps(config, &host);
    log_info("runs are containers of an engine", KV("host", host.shown),
             KV("namespace", docker_template_namespace(docker->template)));
    return 0;
}

/* A file that can't be read is found out now, not at the first pull. */
static int check_auth(const struct config_docker *settings, struct err *err)
{
    scoped_str repository = NULL;
    scoped_str tag = NULL;
    scoped(secret) auth = NULL;

    docker_image_split(settings->image, &repository, &tag);
    return docker_auth_find(settings->auth_file, repository, &auth, err);
}

static int open_parts(struct docker *docker, const struct config *config,
                      launcher_changed_fn changed, void *changed_ctx, struct err *err)
{
    docker->template = docker_template_new(config, err);
    if (!docker->template || check_auth(&config->docker, err) < 0
        || open_engine(docker, config, err) < 0)
        return -1;
    docker->image = docker_image_new(docker->api, &config->docker);
    docker->watch = docker_watch_start(
        &(struct docker_watch_options){
            .api = docker->api,
            .namespace = docker_template_namespace(docker->template),
            .grace_ms = config->docker.stop_grace_s * 1000,
            .changed = changed,
            .changed_ctx = changed_ctx,
        },
        err);
    return docker->watch ? 0 : -1;
}

static int docker_open(const struct config *config, launcher_changed_fn changed,
                       void *changed_ctx, void **out_self, struct err *err)
{
    struct docker *docker = xcalloc(1, sizeof(*docker));

    for (size_t i = 0; i < DOCKER_START_LOCKS; i++)
        (void)pthread_mutex_init(&docker->starting[i], NULL);
    if (open_parts(docker, config, changed, changed_ctx, err) < 0) {
        docker_close(docker);
        return -1;
    }
    *out_self = docker;
    return 0;
}

const struct launcher_ops docker_launcher = {
    .name = "docker",
    .open = docker_open,
    .close = docker_close,
    .start = docker_start,
    .poll = docker_poll,
    .stop = docker_stop,
    .forget = docker_forget,
    .logs = docker_logs,
    .explain = docker_explain,
    .list = docker_list,
};
