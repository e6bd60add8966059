/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

static int inspect(const struct docker *docker, const struct docker_target *target,
                   struct docker_facts *out, struct err *err)
{
    if (docker_look_up(docker, target->ref.text, true, out, err) < 0)
        return -1;
    if (out->foreign)
        return err_set(err, ERR_CONFLICT, "there is a container %s that is not ours",
                       target->ref.text);
    return 0;
}

/* --- Making it
 * -------------------------------------------------------------------------------- */

static int create(const struct docker *docker, const struct job_spec *spec,
                  const struct docker_target *target, struct err *err)
{
    scoped_json container =
        docker_container_make(docker->template, spec, docker_api_is_podman(docker->api));
    scoped_str path = xasprintf("/containers/create?name=%s", target->ref.text);

    return docker_api_call(
        docker->api,
        &(struct docker_request){
            .method = "POST", .path = path, .body = container, .patient = true},
        NULL, err);
}

/* Of a network that isn't there they say 404 as well. */
static bool lacks_image(const struct err *err)
{
    return err->kind == ERR_NOT_FOUND && strcasestr(err->text, "no such image");
}

static int create_with_image(const struct docker *docker, const struct job_spec *spec,
                             const struct docker_target *target, struct err *err)
{
    struct err failure = {0};

    if (create(docker, spec, target, &failure) == 0)
        return 0;
    if (!lacks_image(&failure)) {
        *err = failure;
        return -1;
    }
    if (docker_image_missing(docker->image, err) < 0)
        return -1;
    return create(docker, spec, target, err);
}

/* May there be a container of that name for all that? Podman says 500 of a name that is taken.
 */
static bool may_be_there(const struct err *err)
{
    return !err->code
           && (err->kind == ERR_CONFLICT || err->kind == ERR_TIMEOUT
               || err->kind == ERR_UPSTREAM);
}

/* By a start before this one, or by this one whose answer was lost. */
static int find(const struct docker *docker, const struct docker_target *target,
                const struct err *refusal, struct docker_facts *out, struct err *err)
{
    struct err failure = {0};

    if (inspect(docker, target, out, &failure) < 0) {
        *err = failure;
        if (failure.kind != ERR_CONFLICT)
            err->kind = ERR_TIMEOUT;
        return -1;
    }
    if (out->state != DOCKER_NONE)
        return 0;
    *err = *refusal;
    if (err->kind == ERR_CONFLICT) /* it was there, and isn't any more */
        err->kind = ERR_TIMEOUT;
    return -1;
}

static int make(const struct docker *docker, const struct job_spec *spec,
                const struct docker_target *target, struct docker_facts *out, struct err *err)
{
    struct err refusal = {0};

    if (create_with_image(docker, spec, target, &refusal) < 0 && !may_be_there(&refusal)) {
        *err = refusal;
        return -1;
    }
    if (refusal.kind == ERR_NONE)
        (void)err_set(&refusal, ERR_TIMEOUT, "it was made, and is gone");
    return find(docker, target, &refusal, out, err);
}

/* --- Starting it
 * ------------------------------------------------------------------------------ */

static int put_token(const struct docker *docker, const struct job_spec *spec,
                     const struct docker_facts *facts, struct err *err)
{
    scoped_str path = xasprintf("/containers/%s/archive?path=" DOCKER_OWN_PARENT, facts->id);
    scoped_buf archive = {0};
    int result;

    docker_container_files(spec, facts, &archive);
    result = docker_api_call(docker->api,
                             &(struct docker_request){.method = "PUT",
                                                      .path = path,
                                                      .bytes = archive.data,
                                                      .n_bytes = archive.size,
                                                      .patient = true},
                             NULL, err);
    secret_wipe(archive.data, archive.size);
    return result < 0 ? err_wrap(err, "its task token") : 0;
}

static int post_start(const struct docker *docker, const struct docker_facts *facts,
                      struct err *err)
{
    scoped_str path = xasprintf("/containers/%s/start", facts->id);

    return docker_api_call(
        docker->api, &(struct docker_request){.method = "POST", .path = path, .patient = true},
        NULL, err);
}

/* It didn't start, or nobody knows. 0: it did. What never ran is taken away, unless the next
 * start is to find it. */
static int settle(const struct docker *docker, const struct docker_target *target,
                  const struct docker_facts *made, struct err *err)
{
    struct docker_facts now;
    struct err failure = {0};

    if (err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT) {
        err->kind = ERR_TIMEOUT; /* there is a container */
        return -1;
    }
    if (inspect(docker, target, &now, &failure) == 0 && now.state != DOCKER_NONE
        && now.state != DOCKER_CREATED)
        return 0;
    if (docker_calls_remove(docker->api, made->id, &failure) < 0)
        log_warn("a container that didn't start stays, ignoring",
                 KV("container", (const char *)target->ref.text), KV("error", failure.text));
    return -1;
}

static int start_one(const struct docker *docker, const struct job_spec *spec,
                     const struct docker_target *target, struct err *err)
{
    struct docker_facts facts;
    struct err failure = {0};

    if (make(docker, spec, target, &facts, err) < 0)
        return -1;
    if (facts.state != DOCKER_CREATED)
        return 0;
    if (put_token(docker, spec, &facts, &failure) == 0
        && post_start(docker, &facts, &failure) == 0)
        return 0;
    if (settle(docker, target, &facts, &failure) == 0)
        return 0;
    *err = failure;
    return -1;
}

int docker_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err)
{
    struct docker *docker = self;
    const struct docker_target target = {.ref = job_ref_make(spec->run, spec->attempt),
                                         .run = spec->run,
                                         .attempt = spec->attempt};
    pthread_mutex_t *starting = &docker->starting[spec->run.tail % DOCKER_START_LOCKS];
    int result;

    if (!spec->url || !spec->task_token || spec->attempt > JOB_ATTEMPT_MAX)
        return err_set(err, ERR_INVALID, "a job needs a URL, a task token and an attempt");
    if (docker_image_before(docker->image, err) < 0)
        return -1;
    (void)pthread_mutex_lock(starting);
    result = start_one(docker, spec, &target, err);
    (void)pthread_mutex_unlock(starting);
    if (result == 0)
        *out_ref = xstrdup(target.ref.text);
    return result;
}
