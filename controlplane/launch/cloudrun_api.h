/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_API_H
#define LAUNCH_CLOUDRUN_API_H
#include "googleapis/google_api.h"
#include "launch/cloudrun_facts.h"

/*
 * The calls that the launcher makes: to the Cloud Run Admin API v2, Cloud Logging v2 and Secret
 * Manager v1, as their protos' HTTP annotations have them. Errors are google_api.h's. Safe from
 * any thread.
 *
 * Each API has a budget of its own: Cloud Logging lets a project read once a second, and being
 * told so mustn't hold up anything else.
 */
struct cloudrun_api {
    struct net *net;
    struct keyring *keyring;
    struct google_api *run;
    struct google_api *logging;
    struct google_api *secrets;
    char *project; /* "projects/p" */
    char *job;     /* "projects/p/locations/r/jobs/j" */
    char *job_id;
    char *region;
};

/* ERR_INVALID, ERR_NOT_FOUND, ERR_DENIED: credentials that can't be used. cloudrun_api_done in
 * any case. */
int cloudrun_api_open(struct cloudrun_api *api, const struct config *config,
                      struct err *err) CHECKED;
void cloudrun_api_stop(struct cloudrun_api *api);
void cloudrun_api_done(struct cloudrun_api *api);

/* --- The Job --- */
int cloudrun_api_get_job(const struct cloudrun_api *api, cJSON **out, struct err *err) CHECKED;
/* Makes it, or puts it in the place of the one there is, and waits until that is done. */
int cloudrun_api_create_job(const struct cloudrun_api *api, const cJSON *job,
                            struct err *err) CHECKED;
int cloudrun_api_update_job(const struct cloudrun_api *api, const cJSON *job,
                            struct err *err) CHECKED;

/* --- Executions --- */
/* Starts one; returns once the operation names it. ERR_TIMEOUT: it may or may not have. */
int cloudrun_api_run(const struct cloudrun_api *api, const cJSON *body, cJSON **out_execution,
                     struct err *err) CHECKED;
int cloudrun_api_get_execution(const struct cloudrun_api *api, const char *name,
                               cJSON **out_execution, struct err *err) CHECKED;
/* One page; `token` is "" for the first, and *out_token the next one's, "" when it was the
 * last. Both are the caller's. */
int cloudrun_api_list_executions(const struct cloudrun_api *api, const char *token,
                                 cJSON **out_page, char **out_token, struct err *err) CHECKED;
/* *out_execution may stay NULL. */
int cloudrun_api_cancel(const struct cloudrun_api *api, const char *name, cJSON **out_execution,
                        struct err *err) CHECKED;
int cloudrun_api_delete_execution(const struct cloudrun_api *api, const char *name,
                                  struct err *err) CHECKED;
/* Its only task; *out stays NULL when it has none. */
int cloudrun_api_task(const struct cloudrun_api *api, const char *name, cJSON **out,
                      struct err *err) CHECKED;

/* --- Logs --- */
/* The end of what it wrote, at most limit_bytes. */
int cloudrun_api_logs(const struct cloudrun_api *api, const char *name, size_t limit_bytes,
                      struct buf *out, struct err *err) CHECKED;

/* --- Secrets --- */
/* "projects/p/secrets/dispatch-run-...", the caller's. */
char *cloudrun_api_secret_name(const struct cloudrun_api *api, const char *ref) CHECKED;
/* Makes it, unless it is there, and gives it this value; it goes by itself after ttl_s. Done
 * twice, it does no harm. */
int cloudrun_api_put_secret(const struct cloudrun_api *api, const char *ref,
                            const struct secret *value, int64_t ttl_s, struct err *err) CHECKED;
/* One that isn't there is deleted. */
int cloudrun_api_delete_secret(const struct cloudrun_api *api, const char *ref,
                               struct err *err) CHECKED;
#endif
