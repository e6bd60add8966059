/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_API_H
#define LAUNCH_DOCKER_API_H
#include "launch/docker_host.h"
#include "net/stream.h"

/*
 * Calls of the Docker Engine API, 1.41 or what the engine takes at least:
 * https://docs.docker.com/reference/api/engine/. Safe from any thread. An error is
 *
 *   ERR_UNAVAILABLE  nobody is there, or it says to come later; it has done nothing
 *   ERR_TIMEOUT      there was no answer: it may or may not have done it
 *   ERR_UPSTREAM     the engine failed at it, with its words
 *   others           what 400, 401, 403, 404, 409 stand for, with its words
 *
 * After a call that got no answer the others are refused for DOCKER_API_PAUSE_MS, except those
 * that are `patient`: whoever looks at jobs does so one after the other.
 */
#define DOCKER_API_PAUSE_MS 3000

struct docker_api;

struct docker_request {
    const char *method;
    const char *path; /* after the version: "/containers/..." */
    const cJSON *body;
    const void *bytes; /* instead of `body` */
    size_t n_bytes;
    const struct secret *registry_auth; /* X-Registry-Auth; NULL: none */
    int timeout_ms;                     /* 0: DOCKER_API_TIMEOUT_MS */
    bool patient;
    size_t answer_max_bytes; /* 0: 4 MiB */
    int (*on_data)(void *ctx, const char *data, size_t size);
    void *ctx;
    const volatile bool *cancel;
};
#define DOCKER_API_TIMEOUT_MS 15000

struct docker_api *docker_api_open(const struct docker_host *host, struct err *err) CHECKED;
/* Calls that are under way end, and others don't begin. */
void docker_api_stop(struct docker_api *api);
void docker_api_free(struct docker_api *api);
DEFINE_SCOPED(docker_api)

/* Asks the engine what it is: 0 when it is one that we can use. The other calls do it where it
 * is not known. */
int docker_api_greet(struct docker_api *api, struct err *err) CHECKED;
/* Podman behind Docker's API; once greeted. */
bool docker_api_is_podman(struct docker_api *api);

/* 0 with a 2xx or a 304. `out` may be NULL; net_answer_done releases it either way. */
int docker_api_call(struct docker_api *api, const struct docker_request *request,
                    struct net_answer *out, struct err *err) CHECKED;
/* The same for an answer that is JSON; `out` may be NULL. */
int docker_api_json(struct docker_api *api, const struct docker_request *request, cJSON **out,
                    struct err *err) CHECKED;

/* GET as a stream (net/stream.h). */
struct net_stream *docker_api_stream(struct docker_api *api, const char *path,
                                     struct err *err) CHECKED;
#endif
