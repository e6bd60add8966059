/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOOGLEAPIS_RPC_STATUS_H
#define GOOGLEAPIS_RPC_STATUS_H
#include "net/net.h"
#include "json/json.h"

/*
 * What a failed call means, from the HTTP status and the google.rpc.Status that comes with it
 * as {"error": {"code", "status", "message", "details"}}. google_api.h has the table.
 *
 * https://cloud.google.com/apis/design/errors
 */

/* An answer that isn't 2xx as an error: "<what>: 403 PERMISSION_DENIED: <sentence>". Always -1.
 */
int rpc_status_from_answer(const struct net_answer *answer, const char *what, struct err *err);

/* The same for a google.rpc.Status of its own, as a long-running operation ends with: its
 * `code` is a number of google.rpc.Code. */
int rpc_status_from_error(const cJSON *status, const char *what, struct err *err);
#endif
