/* SPDX-License-Identifier: Apache-2.0 */
#include "googleapis/rpc_status.h"

#include <string.h>

/* Proxies answer with whole pages: this much of a body that isn't a Status is shown. */
#define SHOWN_BODY_MAX 120
#define SHOWN_MESSAGE_MAX 300
#define RETRY_MAX_S 3600

/* google.rpc.Code, by its numbers, and what it means here. INTERNAL, UNKNOWN and their like may
 * come after the work was done. */
static const struct {
    const char *name;
    enum err_kind kind;
} codes[] = {
    [0] = {"OK", ERR_TIMEOUT},
    [1] = {"CANCELLED", ERR_TIMEOUT},
    [2] = {"UNKNOWN", ERR_TIMEOUT},
    [3] = {"INVALID_ARGUMENT", ERR_INVALID},
    [4] = {"DEADLINE_EXCEEDED", ERR_TIMEOUT},
    [5] = {"NOT_FOUND", ERR_NOT_FOUND},
    [6] = {"ALREADY_EXISTS", ERR_CONFLICT},
    [7] = {"PERMISSION_DENIED", ERR_DENIED},
    [8] = {"RESOURCE_EXHAUSTED", ERR_UNAVAILABLE},
    [9] = {"FAILED_PRECONDITION", ERR_CONFLICT},
    [10] = {"ABORTED", ERR_CONFLICT},
    [11] = {"OUT_OF_RANGE", ERR_INVALID},
    [12] = {"UNIMPLEMENTED", ERR_UNSUPPORTED},
    [13] = {"INTERNAL", ERR_TIMEOUT},
    [14] = {"UNAVAILABLE", ERR_TIMEOUT},
    [15] = {"DATA_LOSS", ERR_TIMEOUT},
    [16] = {"UNAUTHENTICATED", ERR_UNAUTHENTICATED},
};

/* -1: none of google.rpc.Code. */
static int code_named(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(codes); i++)
        if (strcmp(codes[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Where there is no Status, or one that doesn't say. */
static int code_of_http(int status)
{
    switch (status) {
    case 401:
        return 16;
    case 403:
        return 7;
    case 404:
        return 5;
    case 408:
    case 504:
        return 4;
    case 409:
        return 10;
    case 412:
        return 9;
    case 429:
        return 8;
    case 501:
        return 12;
    default:
        return status >= 400 && status < 500 ? 3 : 13;
    }
}

/* "3.5s", as a google.protobuf.Duration is written; rounded up. */
static int duration_s(const char *text)
{
    char *end = NULL;
    double seconds = text ? strtod(text, &end) : 0;

    if (!end || strcmp(end, "s") != 0 || !(seconds > 0) || seconds > RETRY_MAX_S)
        return 0;
    return (int)(seconds + 0.999);
}

/* Of the google.rpc.RetryInfo among the details. */
static int retry_info_s(const cJSON *details)
{
    const cJSON *detail;

    cJSON_ArrayForEach(detail, details)
    {
        const char *type = json_get_str(detail, "@type");

        if (type && strstr(type, "google.rpc.RetryInfo"))
            return duration_s(json_get_str(detail, "retryDelay"));
    }
    return 0;
}

/* A quota may also be refused as 403, with the reason among the details. */
static bool is_quota(const cJSON *status)
{
    const cJSON *detail;

    cJSON_ArrayForEach(detail, json_get(status, "details"))
    {
        const char *reason = json_get_str(detail, "reason");

        if (reason
            && (strcmp(reason, "RATE_LIMIT_EXCEEDED") == 0
                || strcmp(reason, "RESOURCE_QUOTA_EXCEEDED") == 0))
            return true;
    }
    return false;
}

static int set(struct err *err, int http_status, int code, int retry_s, const cJSON *status,
               const char *what, const char *body)
{
    const char *message = json_get_str(status, "message");
    const char *said = message ? message : body;
    enum err_kind kind = codes[code].kind;
    char number[16] = "";

    if (is_quota(status))
        kind = ERR_UNAVAILABLE;
    /* 503 is "before anything was done" only where the server says when to come back. */
    if (code == 14 && retry_s > 0)
        kind = ERR_UNAVAILABLE;
    if (http_status)
        (void)snprintf(number, sizeof(number), "%d ", http_status);
    (void)err_set_code(err, kind, codes[code].name, "%s: %s%s%s%.*s", what, number,
                       codes[code].name, said && *said ? ": " : "",
                       message ? SHOWN_MESSAGE_MAX : SHOWN_BODY_MAX, said ? said : "");
    err->retry_after_s = retry_s;
    return -1;
}

int rpc_status_from_answer(const struct net_answer *answer, const char *what, struct err *err)
{
    struct err ignored = {0};
    scoped_json document =
        answer->body.size ? json_parse(answer->body.data, answer->body.size, &ignored) : NULL;
    const cJSON *status = json_get(document, "error");
    int retry_s = net_answer_retry_after_s(answer);
    int code = code_named(json_get_str(status, "status"));

    /* A 5xx that calls itself refused may come from a proxy after the work was done. */
    if (code < 0 || answer->status >= 500)
        code = answer->status == 503 ? 14 : code_of_http(answer->status);
    if (!cJSON_IsObject(status))
        return set(err, answer->status, code, retry_s, NULL, what, answer->body.data);
    return set(err, answer->status, code,
               retry_s ? retry_s : retry_info_s(json_get(status, "details")), status, what,
               NULL);
}

int rpc_status_from_error(const cJSON *status, const char *what, struct err *err)
{
    int64_t code = json_get_int(status, "code", 2);

    if (code < 1 || code >= (int64_t)ARRAY_SIZE(codes))
        code = 2;
    return set(err, 0, (int)code, retry_info_s(json_get(status, "details")), status, what,
               NULL);
}
