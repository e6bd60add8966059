/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_ROUTER_H
#define HTTPD_ROUTER_H
#include "httpd/request.h"

/*
 * Which route a request is for. Paths are compared as they were sent: an escaped letter
 * matches no literal segment. A literal path goes before one with parameters. Read-only
 * once made, so any thread may ask.
 */
struct router;

/* ERR_INVALID for a table that can't be served; `routes` are borrowed. */
struct router *router_new(const struct route *routes, size_t n_routes, struct err *err) CHECKED;
void router_free(struct router *router);
DEFINE_SCOPED(router)

/* Room for the Allow header: all methods. */
#define ROUTER_ALLOW_SIZE 40

/*
 * Sets req->route and req->params (still escaped: uri_decode_params comes next). Otherwise
 * ERR_NOT_FOUND, or ERR_UNSUPPORTED with `allow` filled when the path serves other methods;
 * req->route is then one of these.
 */
int router_match(const struct router *router, struct request *req, const char *method,
                 char allow[ROUTER_ALLOW_SIZE], struct err *err) CHECKED;

/* Is this path under the one that all ROUTE_V1_ERRORS routes share? */
bool router_speaks_v1(const struct router *router, const char *path);
#endif
