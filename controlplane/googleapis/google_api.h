/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOOGLEAPIS_GOOGLE_API_H
#define GOOGLEAPIS_GOOGLE_API_H
#include "googleapis/keyring.h"
#include "net/net.h"

/*
 * One of Google's APIs over REST: calls with a fresh access token, so many a second, tried
 * again where that does no harm. Knows nothing of runs. Safe from any thread.
 *
 * Errors, by what a caller can do about it:
 *   ERR_UNAVAILABLE   nothing was done: no connection, no access token, 429 and used-up quotas
 *                     (retry_after_s), 503 that says when to come back; or we are closing
 *   ERR_TIMEOUT       it may or may not have been done: no answer, a broken one, any other 5xx
 *   ERR_NOT_FOUND, ERR_DENIED, ERR_UNAUTHENTICATED, ERR_INVALID, ERR_TOO_LARGE, ERR_UNSUPPORTED
 *   ERR_CONFLICT      ALREADY_EXISTS, ABORTED, FAILED_PRECONDITION
 * `code` of the error is the name of the google.rpc.Code. A GET is tried again by itself within
 * its time, everything else only where nothing was done. A 401 is tried once more with a new
 * access token.
 */
struct google_api;

struct google_api_options {
    const char *name;        /* "Cloud Run", for errors */
    const char *url;         /* without a slash at its end */
    struct keyring *keyring; /* borrowed: outlives it */
    struct net *net;         /* the same */
    double qps;
    int burst;
};

struct google_api *google_api_new(const struct google_api_options *options) CHECKED;
void google_api_stop(struct google_api *api); /* calls under way end with ERR_UNAVAILABLE */
void google_api_free(struct google_api *api); /* no call is under way any more */
DEFINE_SCOPED(google_api)

struct google_request {
    const char *method;
    const char *path;        /* "/v2/projects/...", already escaped */
    const char *query;       /* "pageSize=100", already escaped; NULL */
    const cJSON *body;       /* NULL; borrowed */
    bool repeatable;         /* a POST that changes nothing is tried again as a GET is */
    bool once;               /* one that is never sent again, whatever was answered */
    int timeout_ms;          /* 0: 15 000 */
    size_t answer_max_bytes; /* 0: 16 MiB */
};

/* *out: the answer's JSON, the caller's; `out` may be NULL. */
int google_api_call(struct google_api *api, const struct google_request *request, cJSON **out,
                    struct err *err) CHECKED;
#endif
