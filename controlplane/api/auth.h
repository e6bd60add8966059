/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_AUTH_H
#define API_AUTH_H
#include "api/app.h"

/* The parts of authorize (app.h), one for each kind of caller. Each leaves a principal with the
 * request, or says why not. */

/* Those of SCOPE_READ, SCOPE_TASKS and SCOPE_OPERATOR: API keys, personal tokens, OIDC tokens.
 * ERR_UNAUTHENTICATED; ERR_DENIED for a known one that this isn't for. May wait for the network
 * (an issuer's keys) and for the disk. */
int authorize_tasks(struct app *app, struct request *req, enum scope scope, struct err *err);

/* A run's runner. ERR_UNAUTHENTICATED; ERR_CONFLICT for an attempt of the past. */
int authorize_runner(struct app *app, struct request *req, struct err *err);

/* The principal of this request, for the caller to fill in. */
struct principal *auth_let_in(struct request *req, const char *actor_fmt, ...)
    PRINTF_LIKE(2, 3);

/* ERR_UNAUTHENTICATED with this sentence. Always -1. */
int auth_refuse(struct err *err, const char *why);
#endif
