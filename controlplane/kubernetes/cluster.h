/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_CLUSTER_H
#define KUBERNETES_CLUSTER_H
#include "base/secret.h"
#include "net/net.h"
#include "json/json.h"

/*
 * One Kubernetes API server: where it is, who we are there, and calls to it. Knows nothing of
 * runs or Jobs. Safe from any thread; all calls share one pool of connections and one budget
 * of calls per second.
 *
 * Credentials, in this order: the kubeconfig named in the options; the service account of the
 * pod we run in (its projected token is read again as it rotates); $KUBECONFIG;
 * ~/.kube/config. A kubeconfig may give a token, a token file, a client certificate or an exec
 * plugin (client.authentication.k8s.io/v1, v1beta1).
 */
struct cluster;

struct cluster_options {
    const char *kubeconfig;      /* path; NULL: see above */
    const char *context;         /* of the kubeconfig; NULL: its current one */
    double qps;                  /* calls a second, on average; 0: 50 */
    int burst;                   /* at once after a pause; 0: 100 */
    int connections;             /* 0: 8 */
    const char *service_account; /* the folder with a pod's token, ca.crt and namespace; NULL:
                                    where Kubernetes puts it */
};

/* ERR_INVALID names the file and what is wrong in it; ERR_NOT_FOUND: no credentials at all. */
struct cluster *cluster_open(const struct cluster_options *options, struct err *err) CHECKED;
void cluster_free(struct cluster *cluster); /* calls under way end with ERR_UNAVAILABLE */
DEFINE_SCOPED(cluster)

/* "https://10.96.0.1:443", for logs. */
const char *cluster_server(const struct cluster *cluster);
/* The namespace of the context or the service account; "default". */
const char *cluster_namespace(const struct cluster *cluster);

/*
 * Errors of every call, by what a caller can do about it:
 *   ERR_UNAVAILABLE   the server did nothing: no connection, 429 (retry_after_s is set), 503
 *                     before anything was done; or we are closing. Ask again later
 *   ERR_TIMEOUT       it may or may not have done it: no answer, a broken answer, any 5xx.
 *                     Look before asking again
 *   ERR_NOT_FOUND 404, ERR_CONFLICT 409, ERR_DENIED 403, ERR_UNAUTHENTICATED 401,
 *   ERR_INVALID 400 and 422 (the sentence is the server's), ERR_TOO_LARGE; 410 is ERR_CONFLICT
 *                     with code "Expired"
 * GET is tried again by itself within the time; everything else only where the server did
 * nothing. `code` of the error is the Status' reason ("AlreadyExists") where there is one.
 */
struct cluster_request {
    const char *method;
    const char *path;            /* "/apis/batch/v1/namespaces/x/jobs", already escaped */
    const char *query;           /* "fieldManager=dispatchd", already escaped; NULL */
    const cJSON *body;           /* NULL; borrowed */
    const char *content_type;    /* NULL: application/json */
    const char *accept;          /* what is wanted of the answer; NULL: application/json */
    const char *const *left_out; /* members of the answer's that aren't wanted
                                    (json_parse_without); NULL: none */
    int timeout_ms;              /* 0: 15 000 */
    size_t answer_max_bytes;     /* 0: 32 MiB */
    const volatile bool *cancel; /* set to end the call early with ERR_UNAVAILABLE; NULL */
};

/* *out: the answer's JSON, the caller's; `out` may be NULL. */
int cluster_call(struct cluster *cluster, const struct cluster_request *request, cJSON **out,
                 struct err *err) CHECKED;

/*
 * A GET whose body is not JSON (a pod's log), or that goes on (a watch): each piece of a 2xx
 * body is given to on_data on the net's thread (net.h has its rules). Returns when it ends.
 * silence_ms bounds the pause between two pieces, 0: 300 000. `cancel` may be NULL.
 */
int cluster_stream(struct cluster *cluster, const char *path, const char *query, int silence_ms,
                   int (*on_data)(void *ctx, const char *data, size_t size), void *ctx,
                   const volatile bool *cancel, struct err *err) CHECKED;

/* For metrics and tests. */
struct cluster_counts {
    int64_t calls;
    int64_t failures;  /* ended with an error of ours or a 5xx */
    int64_t throttled; /* waited for the budget, or were told to by 429 */
};
void cluster_counts(struct cluster *cluster, struct cluster_counts *out);
#endif
