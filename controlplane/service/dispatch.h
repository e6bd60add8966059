/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_DISPATCH_H
#define SERVICE_DISPATCH_H
#include "service/service.h"
#include "store/run_store.h"

/*
 * The intake: what a client asked for becomes a pending run with its task token, durable
 * before anybody is told. It is the hot path: nothing here waits.
 */
#define PROMPT_MAX_BYTES 65536
#define MODEL_MAX_CHARS 128

struct dispatch_request {
    const char *prompt;
    const char *model; /* NULL: the agent's default */
    const char *agent; /* NULL: the configured default */
    const char *repo;  /* from the credential */
    int64_t token_id;
    int64_t installation_id;
    const struct idempotency *idempotency; /* NULL: none */
};

/* Checks the fields a client gave: ERR_INVALID about "prompt", "model" or "codingAgent". */
int dispatch_check(const struct config *config, const struct dispatch_request *request,
                   struct err *err) CHECKED;

/* Called once, on the writer's thread, when the run is durable (or with why it isn't). With a
 * repeated idempotency key `run` is the run that the first one made. */
typedef void (*dispatch_done_fn)(void *ctx, struct id run, const struct err *err);

/* Copies what it needs of `request`. On -1 `done` is not called. */
int dispatch_submit(struct service *service, const struct dispatch_request *request,
                    dispatch_done_fn done, void *ctx, struct err *err) CHECKED;
#endif
