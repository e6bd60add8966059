/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* What we were written for; and no version before it has what we need. */
#define VERSION_MINOR 41
#define CONNECTIONS 32
#define TRIES_MAX 2
#define GREET_MAX_BYTES 65536
#define REFUSAL_MAX 300 /* of the engine's words */
#define BUSY_RETRY_S 5

struct docker_api {
    struct net *net;
    char *url;
    char *unix_socket;
    char *shown;
    _Atomic int64_t away_until_ms;
    atomic_int minor; /* of the version in use; 0: the engine wasn't asked yet */
    atomic_bool is_podman;
};

struct docker_api *docker_api_open(const struct docker_host *host, struct err *err)
{
    const struct net_options options = {
        .user_agent = "dispatchd/" DISPATCH_VERSION,
        .ca_file = host->ca_file,
        .client_cert_pem = host->cert_pem,
        .client_key_pem = host->key_pem,
        .connections_per_host = CONNECTIONS,
    };
    scoped(docker_api) api = xcalloc(1, sizeof(*api));

    api->url = xstrdup(host->url);
    api->unix_socket = xstrdup(host->unix_socket);
    api->shown = xstrdup(host->shown);
    api->net = net_new(&options, err);
    return api->net ? TAKE(api) : NULL;
}

void docker_api_stop(struct docker_api *api)
{
    net_stop(api->net);
}

void docker_api_free(struct docker_api *api)
{
    if (!api)
        return;
    net_free(api->net);
    free(api->url);
    free(api->unix_socket);
    free(api->shown);
    free(api);
}

/* --- One call ---------------------------------------------------------------------------- */

/* The words of net_call for what a caller of ours can do about it. */
static int translate(struct docker_api *api, const struct net_answer *answer, struct err *err)
{
    switch (err->kind) {
    case ERR_INVALID:
    case ERR_INTERNAL:
    case ERR_TOO_LARGE:
    case ERR_UNAVAILABLE:
        break;
    default:
        err->kind = answer->unsent ? ERR_UNAVAILABLE : ERR_TIMEOUT;
        atomic_store(&api->away_until_ms, clock_monotonic_ms() + DOCKER_API_PAUSE_MS);
        atomic_store(&api->minor, 0); /* another one may come back */
    }
    return err_wrap(err, "the engine at %s", api->shown);
}

static enum err_kind kind_of(int status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 429:
    case 503:
        return ERR_UNAVAILABLE;
    default:
        return ERR_UPSTREAM;
    }
}

static int refused(const struct docker_request *request, const struct net_answer *answer,
                   struct err *err)
{
    struct err ignored = {0};
    scoped_json body = net_answer_json(answer, &ignored);
    const char *words = json_get_str(body, "message");
    char text[REFUSAL_MAX] = "";

    if (words)
        (void)snprintf(text, sizeof(text), ": %s", words);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    (void)err_set(err, kind_of(answer->status), "%s %.*s: %d%s", request->method,
                  (int)strcspn(request->path, "?"), request->path, answer->status, text);
    if (err->kind == ERR_UNAVAILABLE)
        err->retry_after_s = net_answer_retry_after_s(answer) > 0
                                 ? net_answer_retry_after_s(answer)
                                 : BUSY_RETRY_S;
    return -1;
}

static bool is_success(int status)
{
    return status / 100 == 2 || status == 304;
}

/* What PUT puts there is the same the second time. */
static enum net_retry rule_of(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "PUT") == 0 ? NET_IDEMPOTENT
                                                                    : NET_UNSENT;
}

/* `prefix`: "" or "/v1.41". */
static int send_it(struct docker_api *api, const struct docker_request *request,
                   const char *prefix, struct net_answer *answer, struct err *err)
{
    scoped_str url = xasprintf("%s%s%s", api->url, prefix, request->path);
    scoped_str json = request->body ? json_text(request->body) : NULL;
    scoped_str auth = request->registry_auth ? xasprintf("X-Registry-Auth: %s",
                                                         secret_reveal(request->registry_auth))
                                             : NULL;
    const char *const headers[] = {auth, NULL};
    const struct net_request sent = {
        .method = request->method,
        .url = url,
        .headers = headers,
        .body = json ? json : request->bytes,
        .body_size = json ? strlen(json) : request->n_bytes,
        .content_type = json ? NULL : "application/x-tar",
        .unix_socket = api->unix_socket,
        .timeout_ms = request->timeout_ms ? request->timeout_ms : DOCKER_API_TIMEOUT_MS,
        .answer_max_bytes = request->answer_max_bytes,
        .retry = rule_of(request->method),
        .tries_max = TRIES_MAX,
        .on_data = request->on_data,
        .ctx = request->ctx,
        .cancel = request->cancel,
    };
    int result = net_call(api->net, &sent, answer, err);

    /* The environment has the models' keys in it. */
    if (json)
        secret_wipe(json, strlen(json));
    if (auth)
        secret_wipe(auth, strlen(auth));
    if (result < 0)
        return translate(api, answer, err);
    atomic_store(&api->away_until_ms, 0);
    return is_success(answer->status) ? 0 : refused(request, answer, err);
}

/* --- Who is there ------------------------------------------------------------------------ */

/* "1.41" -> 41; -1 for what isn't version 1. */
static int minor_of(const char *version)
{
    char *end;
    long minor;

    if (!version || strncmp(version, "1.", 2) != 0 || version[2] < '0' || version[2] > '9')
        return -1;
    minor = strtol(version + 2, &end, 10);
    return *end || minor > 10000 ? -1 : (int)minor;
}

static bool says_podman(const cJSON *version)
{
    const cJSON *part;

    cJSON_ArrayForEach(part, json_get(version, "Components"))
    {
        const char *name = json_get_str(part, "Name");

        if (name && strstr(name, "Podman"))
            return true;
    }
    return false;
}

static int choose_version(struct docker_api *api, const cJSON *version, struct err *err)
{
    int newest = minor_of(json_get_str(version, "ApiVersion"));
    int oldest = minor_of(json_get_str(version, "MinAPIVersion"));

    if (newest < 0)
        return err_set(err, ERR_UPSTREAM, "what answers at %s is no Docker Engine", api->shown);
    if (newest < VERSION_MINOR)
        return err_set(err, ERR_UNSUPPORTED,
                       "the engine at %s speaks version 1.%d of its API; 1.%d is needed",
                       api->shown, newest, VERSION_MINOR);
    atomic_store(&api->is_podman, says_podman(version));
    atomic_store(&api->minor, oldest > VERSION_MINOR ? oldest : VERSION_MINOR);
    log_debug("an engine answers", KV("at", api->shown), KV("minor", newest),
              KV("podman", (bool)atomic_load(&api->is_podman)));
    return 0;
}

int docker_api_greet(struct docker_api *api, struct err *err)
{
    const struct docker_request request = {
        .method = "GET", .path = "/version", .answer_max_bytes = GREET_MAX_BYTES};
    scoped_net_answer answer = {0};
    scoped_json version = NULL;

    if (send_it(api, &request, "", &answer, err) < 0)
        return -1;
    version = net_answer_json(&answer, err);
    return version ? choose_version(api, version, err) : -1;
}

bool docker_api_is_podman(struct docker_api *api)
{
    return atomic_load(&api->is_podman);
}

/* --- Calls
 * -------------------------------------------------------------------------------------
 */

static int ready(struct docker_api *api, bool patient, char prefix[16], struct err *err)
{
    if (!patient && clock_monotonic_ms() < atomic_load(&api->away_until_ms)) {
        (void)err_set(err, ERR_UNAVAILABLE, "the engine at %s didn't answer a moment ago",
                      api->shown);
        err->retry_after_s = DOCKER_API_PAUSE_MS / 1000;
        return -1;
    }
    if (!atomic_load(&api->minor) && docker_api_greet(api, err) < 0) {
        /* Whatever was to be done hasn't been. */
        if (err->kind == ERR_TIMEOUT || err->kind == ERR_UPSTREAM)
            err->kind = ERR_UNAVAILABLE;
        return -1;
    }
    (void)snprintf(prefix, 16, "/v1.%d", atomic_load(&api->minor));
    return 0;
}

int docker_api_call(struct docker_api *api, const struct docker_request *request,
                    struct net_answer *out, struct err *err)
{
    scoped_net_answer ignored = {0};
    char prefix[16];

    if (ready(api, request->patient, prefix, err) < 0)
        return -1;
    return send_it(api, request, prefix, out ? out : &ignored, err);
}

int docker_api_json(struct docker_api *api, const struct docker_request *request, cJSON **out,
                    struct err *err)
{
    scoped_net_answer answer = {0};

    if (docker_api_call(api, request, &answer, err) < 0)
        return -1;
    if (!out)
        return 0;
    *out = net_answer_json(&answer, err);
    if (*out)
        return 0;
    err->kind = ERR_TIMEOUT; /* it did something, and what it did isn't known */
    return err_wrap(err, "%s %.*s", request->method, (int)strcspn(request->path, "?"),
                    request->path);
}

struct net_stream *docker_api_stream(struct docker_api *api, const char *path, struct err *err)
{
    struct net_request request = {.method = "GET", .unix_socket = api->unix_socket};
    scoped_str url = NULL;
    char prefix[16];

    if (ready(api, true, prefix, err) < 0)
        return NULL;
    url = xasprintf("%s%s%s", api->url, prefix, path);
    request.url = url;
    return net_stream_open(api->net, &request, err);
}
