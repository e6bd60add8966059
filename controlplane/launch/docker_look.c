/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_private.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "launch/docker_frames.h"
#include "launch/docker_seen.h"
#include "launch/docker_tar.h"
#include "launch/outcome.h"

#define OUTCOME_ARCHIVE_MAX (OUTCOME_MAX_BYTES + 16384)
#define LIST_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define EVENTS_MAX_BYTES ((size_t)1024 * 1024)
/* Of short lines this many come for each byte asked for, and some for tiny limits. */
#define LOG_BYTES_A_LINE 16
#define LOG_LINES_MIN 64
#define LOG_SILENCE_MS 15000

int docker_look_up(const struct docker *docker, const char *name, bool patient,
                   struct docker_facts *out, struct err *err)
{
    scoped_json container = NULL;
    struct err failure = {0};

    *out = (struct docker_facts){0};
    if (docker_calls_inspect(docker->api, name, patient, &container, &failure) < 0) {
        if (failure.kind == ERR_NOT_FOUND)
            return 0;
        *err = failure;
        return -1;
    }
    docker_facts_of_container(container, docker_template_namespace(docker->template), out);
    return 0;
}

/* --- The end of one
 * --------------------------------------------------------------------------- */

/* What the runner left, for the caller to release; without it there is less to say. */
static void fetch_outcome(const struct docker *docker, const struct docker_facts *facts,
                          struct net_answer *answer, const char **out, size_t *out_size)
{
    scoped_str path = xasprintf("/containers/%s/archive?path=" DOCKER_OUTCOME_PATH, facts->id);
    struct err ignored = {0};

    if (docker_api_call(docker->api,
                        &(struct docker_request){.method = "GET",
                                                 .path = path,
                                                 .answer_max_bytes = OUTCOME_ARCHIVE_MAX},
                        answer, &ignored)
            < 0
        || !answer->body.data
        || !docker_tar_first_file(answer->body.data, answer->body.size, out, out_size))
        *out = NULL;
}

/* Was it told to end, by whomever, as the engine remembers? Also where nobody knows. */
static bool was_told(const struct docker *docker, const struct docker_facts *facts)
{
    scoped_json filters = jobj({"container", jarr(jstr(facts->id))});
    scoped_str text = json_text(filters);
    scoped_str escaped = net_escape(text);
    scoped_str path = xasprintf("/events?since=%lld&until=%lld&filters=%s",
                                (long long)(facts->created_ms / 1000 - 1),
                                (long long)(facts->finished_ms / 1000 + 1), escaped);
    scoped_net_answer answer = {0};
    struct err ignored = {0};

    if (!facts->created_ms || !facts->finished_ms
        || docker_api_call(docker->api,
                           &(struct docker_request){.method = "GET",
                                                    .path = path,
                                                    .answer_max_bytes = EVENTS_MAX_BYTES},
                           &answer, &ignored)
               < 0
        || !answer.body.data)
        return true;
    return strstr(answer.body.data, "\"kill\"") || strstr(answer.body.data, "\"stop\"")
           || !strstr(answer.body.data, "\"start\"");
}

/*
 * Podman's OOMKilled can't be relied on: conmon leaves its note in a directory where Podman
 * doesn't look for it. A runner that was killed while nobody asked the engine to do that was
 * killed by the kernel, and what the kernel kills for is memory.
 */
static void be_sure_of_memory(const struct docker *docker, struct docker_facts *facts)
{
    if (docker_facts_killed(facts) && docker_api_is_podman(docker->api)
        && !docker_facts_late(facts, 0) && !was_told(docker, facts))
        facts->out_of_memory = true;
}

int docker_poll(void *self, const char *name, struct job_view *out, struct err *err)
{
    const struct docker *docker = self;
    scoped_net_answer answer = {0};
    const char *outcome = NULL;
    struct docker_target target;
    struct docker_facts facts;
    size_t size = 0;

    *out = (struct job_view){.phase = JOB_LOST, .exit_code = -1};
    if (!docker_target_of(name, &target))
        return 0;
    if (docker_look_up(docker, target.ref.text, false, &facts, err) < 0)
        return -1;
    if (facts.state == DOCKER_ENDED) {
        fetch_outcome(docker, &facts, &answer, &outcome, &size);
        be_sure_of_memory(docker, &facts);
    }
    docker_facts_view(&facts, outcome, size, out);
    return 0;
}

/* --- Logs
 * ------------------------------------------------------------------------------------- */

struct reading {
    struct docker_frames frames;
    struct err failure;
};

static int take_frames(void *ctx, const char *data, size_t size)
{
    struct reading *reading = ctx;

    return docker_frames_add(&reading->frames, data, size, &reading->failure);
}

int docker_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                struct err *err)
{
    const struct docker *docker = self;
    scoped_buf text = {0};
    struct reading reading = {.frames = {.limit_bytes = limit_bytes, .out = &text}};
    struct docker_target target;
    struct docker_facts facts;
    scoped_str path = NULL;

    if (!docker_target_of(name, &target))
        return docker_refuse_ref(name, err);
    if (docker_look_up(docker, target.ref.text, false, &facts, err) < 0)
        return -1;
    if (facts.state == DOCKER_NONE)
        return err_set(err, ERR_NOT_FOUND, "there is no such container");
    if (facts.state == DOCKER_CREATED)
        return 0;
    path = xasprintf("/containers/%s/logs?stdout=1&stderr=1&tail=%zu", facts.id,
                     limit_bytes / LOG_BYTES_A_LINE + LOG_LINES_MIN);
    if (docker_api_call(docker->api,
                        &(struct docker_request){.method = "GET",
                                                 .path = path,
                                                 .timeout_ms = LOG_SILENCE_MS,
                                                 .on_data = take_frames,
                                                 .ctx = &reading},
                        NULL, err)
        < 0) {
        if (reading.failure.kind != ERR_NONE)
            *err = reading.failure;
        return -1;
    }
    docker_frames_end(&reading.frames);
    if (text.size)
        buf_append(out, text.data, text.size);
    return 0;
}

/* --- All of them
 * ------------------------------------------------------------------------------- */

int docker_list(void *self, launcher_job_fn each, void *ctx, struct err *err)
{
    const struct docker *docker = self;
    const char *namespace = docker_template_namespace(docker->template);
    scoped_str path = docker_seen_list_path(namespace);
    scoped_json list = NULL;
    const cJSON *item;

    if (docker_api_json(docker->api,
                        &(struct docker_request){
                            .method = "GET", .path = path, .answer_max_bytes = LIST_MAX_BYTES},
                        &list, err)
        < 0)
        return -1;
    cJSON_ArrayForEach(item, list)
    {
        struct docker_facts facts;
        struct job_ref ref;

        docker_facts_of_listed(item, namespace, &facts);
        if (facts.state == DOCKER_NONE)
            continue;
        ref = job_ref_make(facts.run, facts.attempt);
        each(ctx, facts.run, facts.attempt, ref.text);
    }
    return 0;
}
