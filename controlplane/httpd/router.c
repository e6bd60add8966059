/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/router.h"

#include <string.h>

#include "base/alloc.h"
#include "httpd/uri.h"

#define NAME_MAX_BYTES 32

struct compiled {
    const struct route *route;
    size_t length;   /* of the path */
    size_t n_params; /* 0: a literal */
    char names[REQUEST_PARAMS_MAX][NAME_MAX_BYTES];
};

struct router {
    size_t n_routes;
    char *v1_prefix; /* NULL: no route has ROUTE_V1_ERRORS */
    struct compiled routes[];
};

static const char *const method_names[] = {
    [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

/* --- Making ------------------------------------------------------------------------------- */

static int compile(struct compiled *to, const struct route *route, struct err *err)
{
    to->route = route;
    to->length = strlen(route->path);
    if (route->path[0] != '/')
        return err_set(err, ERR_INVALID, "route %s doesn't start with a slash", route->path);
    for (const char *at = route->path; (at = strchr(at, '{')); at++) {
        size_t size = strcspn(at + 1, "}");

        if (at[-1] != '/' || at[1 + size] != '}' || (at[2 + size] && at[2 + size] != '/')
            || !size || size >= NAME_MAX_BYTES || to->n_params == REQUEST_PARAMS_MAX)
            return err_set(err, ERR_INVALID, "route %s has a bad parameter", route->path);
        memcpy(to->names[to->n_params++], at + 1, size);
    }
    return 0;
}

/* What two paths have in common, up to and with a slash. */
static size_t shared_length(const char *a, const char *b)
{
    size_t shared = 0;

    for (size_t i = 0; a[i] && a[i] == b[i] && a[i] != '{'; i++)
        if (a[i] == '/')
            shared = i + 1;
    return shared;
}

static void narrow_v1_prefix(struct router *router, const struct route *route)
{
    if (!(route->flags & ROUTE_V1_ERRORS))
        return;
    if (!router->v1_prefix)
        router->v1_prefix = xstrdup(route->path);
    router->v1_prefix[shared_length(router->v1_prefix, route->path)] = '\0';
}

struct router *router_new(const struct route *routes, size_t n_routes, struct err *err)
{
    scoped(router) router = xcalloc(1, sizeof(*router) + n_routes * sizeof(router->routes[0]));

    router->n_routes = n_routes;
    for (size_t i = 0; i < n_routes; i++) {
        if (compile(&router->routes[i], &routes[i], err) < 0)
            return NULL;
        narrow_v1_prefix(router, &routes[i]);
    }
    return TAKE(router);
}

void router_free(struct router *router)
{
    if (!router)
        return;
    free(router->v1_prefix);
    free(router);
}

/* --- Asking ------------------------------------------------------------------------------- */

bool router_speaks_v1(const struct router *router, const char *path)
{
    /* A lone "/" says nothing about a face. */
    return router->v1_prefix && router->v1_prefix[0] && router->v1_prefix[1]
           && strncmp(path, router->v1_prefix, strlen(router->v1_prefix)) == 0;
}

static bool match_literal(const struct compiled *route, const char *path, size_t length)
{
    return !route->n_params && route->length == length
           && memcmp(route->route->path, path, length) == 0;
}

/* Segment by segment; a parameter takes a whole one. */
static bool match_params(const struct compiled *route, const char *path, const char **values,
                         size_t *sizes)
{
    const char *want = route->route->path;
    size_t n = 0;

    while (*want && *path) {
        if (*want == '{') {
            values[n] = path;
            sizes[n] = strcspn(path, "/");
            path += sizes[n++];
            want = strchr(want, '}') + 1;
        } else if (*want++ != *path++) {
            return false;
        }
    }
    return !*want && !*path && n == route->n_params;
}

static bool method_is(const struct compiled *route, const char *method)
{
    const char *served = method_names[route->route->method];

    /* RFC 9110 section 9.3.2: what serves GET serves HEAD; the library leaves the body out. */
    return strcmp(served, method) == 0
           || (route->route->method == HTTP_GET && strcmp(method, "HEAD") == 0);
}

/* Looks among the literal routes or among those with parameters. Returns the match, else
 * NULL; *out_other is then a route of the same path for another method, if any. */
static const struct compiled *find(const struct router *router, bool literal, const char *path,
                                   const char *method, const char **values, size_t *sizes,
                                   const struct compiled **out_other, char *allow)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < router->n_routes; i++) {
        const struct compiled *route = &router->routes[i];

        if (literal ? !match_literal(route, path, length)
                    : !route->n_params || !match_params(route, path, values, sizes))
            continue;
        if (method_is(route, method))
            return route;
        *out_other = route;
        if (!strstr(allow, method_names[route->route->method]))
            (void)snprintf(allow + strlen(allow), ROUTER_ALLOW_SIZE - strlen(allow), "%s%s",
                           *allow ? ", " : "", method_names[route->route->method]);
    }
    return NULL;
}

int router_match(const struct router *router, struct request *req, const char *method,
                 char allow[ROUTER_ALLOW_SIZE], struct err *err)
{
    const char *values[REQUEST_PARAMS_MAX];
    size_t sizes[REQUEST_PARAMS_MAX];
    const struct compiled *other = NULL;
    const struct compiled *route =
        find(router, true, req->path, method, values, sizes, &other, allow);

    if (!route && !other)
        route = find(router, false, req->path, method, values, sizes, &other, allow);
    if (!route && !other)
        return err_set(err, ERR_NOT_FOUND, "there is nothing at this path");
    req->route = route ? route->route : other->route;
    if (!route)
        return err_set_code(err, ERR_UNSUPPORTED, "method_not_allowed",
                            "this path doesn't serve that method");
    req->n_params = route->n_params;
    for (size_t i = 0; i < route->n_params; i++)
        req->params[i] = (struct pair){.name = route->names[i], .value = values[i]};
    return uri_decode_params(req, sizes, err);
}
