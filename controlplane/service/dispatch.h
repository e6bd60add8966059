/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_DISPATCH_H
#define SERVICE_DISPATCH_H
#include "service/service.h"
#include "store/run_store.h"
#include "store/vault.h"

/*
 * The intake: what a client asked for becomes a pending run with its task token, durable
 * before anybody is told. It is the hot path: nothing here waits.
 */
#define PROMPT_MAX_BYTES 65536
#define MODEL_MAX_CHARS 128

struct dispatch_request {
    const char *prompt;
    const char *model;    /* NULL: the agent's default */
    const char *agent;    /* NULL: the configured default */
    const char *repo;     /* NULL: a blank workspace */
    const char *provider; /* NULL, as all texts below: not said */
    const char *mode;
    const char *base_branch;
    const char *title;
    const char *ticket_id;
    const char *ticket_summary;
    const char *test_command;
    const char *retry_of;              /* a run's id */
    const char *requester;             /* "NAME <EMAIL>" */
    const char *webhook_url;           /* is told of the end */
    int64_t owner;                     /* 0: an integration token's */
    int priority;                      /* model/run.h; or RUN_PRIORITY_UNSAID */
    const char *launcher;              /* as configured, where not said */
    const char *options;               /* run_options.h */
    const struct secret *tool_headers; /* the same; sealed in `vault` until the run's end */
    const struct vault *vault;
    int64_t token_id;
    int64_t installation_id;
    const struct idempotency *idempotency; /* NULL: none */
    const struct audit_source *source;     /* NULL: dispatchd itself */
};

/* Checks the fields a client gave: ERR_INVALID about "prompt", "model" or "codingAgent". */
int dispatch_check(const struct config *config, const struct dispatch_request *request,
                   struct err *err) CHECKED;

/* One of them, named as its surface names it. NULL passes for a name (of a model or provider).
 */
int dispatch_check_prompt(const char *field, const char *prompt, struct err *err) CHECKED;
int dispatch_check_name(const char *field, const char *name, struct err *err) CHECKED;

/* Called once, on the writer's thread, when the run is durable (or with why it isn't). With a
 * repeated idempotency key `run` is the run that the first one made. */
typedef void (*dispatch_done_fn)(void *ctx, struct id run, const struct err *err);

/* Copies what it needs of `request`. On -1 `done` is not called. */
int dispatch_submit(struct service *service, const struct dispatch_request *request,
                    dispatch_done_fn done, void *ctx, struct err *err) CHECKED;

/* The same for callers that may wait. `request->idempotency` is NULL. */
int dispatch_submit_wait(struct service *service, const struct dispatch_request *request,
                         struct id *out, struct err *err) CHECKED;

/* The run that the request would make, with nothing stored and no id; its attempt is 1. */
struct run *dispatch_preview(struct service *service,
                             const struct dispatch_request *request) CHECKED;

/* What the tool headers of a run are sealed for; the caller frees it. */
char *dispatch_headers_context(struct id run) CHECKED;
#endif
