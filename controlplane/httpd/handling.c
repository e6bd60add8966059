/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/handling.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "httpd/answer.h"
#include "httpd/loop.h"
#include "httpd/server.h"

/* Of a document that is asked with: the largest ones are 256 events with what they say. */
#define BODY_VALUES_MAX 10000

static bool takes_document(const struct route *route)
{
    return !(route->flags & ROUTE_NO_BODY)
           && (route->method == HTTP_POST || route->method == HTTP_PUT
               || route->method == HTTP_PATCH);
}

static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";
    size_t length = sizeof(json) - 1;

    return strncasecmp(type, json, length) == 0 && strchr("; \t", type[length]);
}

static int read_document(struct request *req, struct err *err)
{
    if (!req->body.size || !takes_document(req->route))
        return 0;
    if (req->head.content_type && !is_json_type(req->head.content_type))
        return err_set(err, ERR_UNSUPPORTED, "the body must be application/json");
    req->body_json = json_parse_within(req->body.data, req->body.size, BODY_VALUES_MAX, err);
    if (req->body_json)
        return 0;
    if (!err->code)
        err->code = "invalid_json";
    return -1;
}

/* The credential goes first: to one without it, nothing is said about the rest. */
static int check_and_handle(struct request *req, cJSON **out, struct err *err)
{
    struct app *app = req->httpd->options.app;
    int (*authorize)(struct app *, struct request *, int, struct err *) =
        req->httpd->options.authorize;

    if (authorize && authorize(app, req, req->route->scope, err) < 0)
        return -1;
    if (read_document(req, err) < 0)
        return -1;
    return req->route->handler(app, req, out, err);
}

bool handling_run(struct request *req)
{
    bool may_defer = req->route->flags & ROUTE_INLINE;
    scoped_json out = NULL;
    struct err err = {0};
    int status;

    log_set_request(req->id);
    status = check_and_handle(req, &out, &err);
    log_set_request(NULL);
    if (status == REPLY_LATER && may_defer)
        return false;
    answer_build(req, status, out, &err);
    return true;
}

void request_finish(struct request *req, int status, cJSON *out, const struct err *err)
{
    scoped_json taken = out;

    answer_build(req, status, taken, err);
    loop_finished(req);
}
