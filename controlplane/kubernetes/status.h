/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBERNETES_STATUS_H
#define KUBERNETES_STATUS_H
#include "net/net.h"
#include "json/json.h"

/*
 * What a failed call means, from the HTTP status and the meta/v1 Status that the API server
 * sends with it. cluster.h has the table.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

/* An answer that isn't 2xx as an error: "<what>: 409 AlreadyExists: <sentence>". Always -1. */
int status_from_answer(const struct net_answer *answer, const char *what, struct err *err);

/* The same for a Status that came as an object (an ERROR event of a watch); its own `code`
 * stands for the HTTP status. */
int status_from_object(const cJSON *status, const char *what, struct err *err);

/* The reasons we know as literals; NULL for another one. */
const char *status_reason_literal(const char *reason);
#endif
