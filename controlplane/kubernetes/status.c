/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/status.h"

#include <string.h>

/* Proxies answer with whole pages: this much of a body that isn't a Status is shown. */
#define SHOWN_BODY_MAX 120

/* metav1.StatusReason */
static const char *const reasons[] = {
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServerTimeout",
    "ServiceUnavailable",
    "StorageReadError",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
};

const char *status_reason_literal(const char *reason)
{
    for (size_t i = 0; reason && i < ARRAY_SIZE(reasons); i++)
        if (strcmp(reasons[i], reason) == 0)
            return reasons[i];
    return NULL;
}

/* 503 is "before anything was done" only where the server says when to come back: that is how
 * the API server turns requests away. A proxy's plain 503 may stand for a broken connection. */
static enum err_kind kind_of(int status, int retry_after_s)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 408:
        return ERR_TIMEOUT;
    case 409:
    case 410:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 406:
    case 415:
        return ERR_UNSUPPORTED;
    case 429:
        return ERR_UNAVAILABLE;
    case 503:
        return retry_after_s > 0 ? ERR_UNAVAILABLE : ERR_TIMEOUT;
    default:
        return status >= 400 && status < 500 ? ERR_INVALID : ERR_TIMEOUT;
    }
}

static int set(struct err *err, int http_status, int retry_after_s, const cJSON *status,
               const char *what, const char *body)
{
    const char *reason = json_get_str(status, "reason");
    const char *message = json_get_str(status, "message");
    const char *said = message ? message : body;

    (void)err_set_code(err, kind_of(http_status, retry_after_s),
                       http_status == 410 ? "Expired" : status_reason_literal(reason),
                       "%s: %d%s%.40s%s%.*s", what, http_status, reason ? " " : "",
                       reason ? reason : "", said && *said ? ": " : "",
                       message ? ERR_TEXT_MAX : SHOWN_BODY_MAX, said ? said : "");
    err->retry_after_s = retry_after_s;
    return -1;
}

static bool is_status(const cJSON *object)
{
    const char *kind = json_get_str(object, "kind");

    return kind && strcmp(kind, "Status") == 0;
}

static int retry_after_s(const cJSON *status)
{
    int64_t seconds = json_get_int(json_get(status, "details"), "retryAfterSeconds", 0);

    return seconds > 0 && seconds <= 86400 ? (int)seconds : 0;
}

int status_from_answer(const struct net_answer *answer, const char *what, struct err *err)
{
    struct err ignored = {0};
    scoped_json status =
        answer->body.size ? json_parse(answer->body.data, answer->body.size, &ignored) : NULL;
    int wait_s = net_answer_retry_after_s(answer);

    if (!is_status(status))
        return set(err, answer->status, wait_s, NULL, what, answer->body.data);
    return set(err, answer->status, wait_s ? wait_s : retry_after_s(status), status, what,
               NULL);
}

int status_from_object(const cJSON *status, const char *what, struct err *err)
{
    int64_t code = json_get_int(status, "code", 500);

    return set(err, code >= 300 && code < 600 ? (int)code : 500, retry_after_s(status), status,
               what, NULL);
}
