/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_EXPLAIN_H
#define API_EXPLAIN_H
#include "api/app.h"
#include "service/dispatch.h"

/*
 * `?dryRun=All` on what queues a run: everything is checked as for the real thing, then the
 * answer is a 200 with what would be started, where and with which bounds, and how long the
 * queue is; nothing is stored or launched, and no secret is in it.
 */

/* ERR_INVALID for another value, and for any other parameter. */
int explain_asked(const struct request *req, bool *out, struct err *err) CHECKED;

/* The status of the answer, or -1. Never waits. */
int explain_run(struct app *app, const struct dispatch_request *wanted, cJSON **out,
                struct err *err) CHECKED;
#endif
