/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/intake.h"

#include <string.h>

#include "httpd/answer.h"
#include "httpd/handling.h"
#include "httpd/router.h"
#include "httpd/server.h"
#include "httpd/strict.h"
#include "httpd/uri.h"
#include "httpd/workers.h"

/* --- The request's name ------------------------------------------------------------------- */

static bool is_good_id(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strspn(text, allowed);

    return length > 0 && length <= REQUEST_ID_MAX && !text[length];
}

/* A mixed counter from a random start (splitmix64): no two alike, without asking the system
 * for randomness each time. Ids are for finding log lines, they are no secret. */
static uint64_t next_id(struct httpd *httpd)
{
    uint64_t z = httpd->id_seed + ++httpd->id_count * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void name_request(struct request *req)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t id;

    if (req->head.request_id && is_good_id(req->head.request_id)) {
        (void)snprintf(req->id, sizeof(req->id), "%s", req->head.request_id);
        return;
    }
    id = next_id(req->httpd);
    for (int i = 0; i < 16; i++)
        req->id[i] = hex[id >> (60 - 4 * i) & 0xf];
    req->id[16] = '\0';
}

/* --- Refusing ----------------------------------------------------------------------------- */

static bool has_body(const struct request *req)
{
    return req->head.transfer_encoding || req->head.body_bytes > 0;
}

/* Sends what was built, and closes: whatever comes after is not looked at. */
static enum MHD_Result refuse_and_close(struct request *req)
{
    req->close = true;
    req->connection->linger = true;
    return answer_send(req);
}

static enum MHD_Result refuse(struct request *req, const struct err *err)
{
    answer_build(req, -1, NULL, err);
    if (has_body(req))
        return refuse_and_close(req);
    /* libmicrohttpd would take an answer now, but keeps the connection in step only when
     * it is given at the request's end. */
    req->stage = STAGE_REFUSED;
    return MHD_YES;
}

static enum MHD_Result refuse_malformed(struct request *req, const struct err *err)
{
    counter_add(&req->httpd->counters.refused_malformed, 1);
    answer_build(req, -1, NULL, err);
    return refuse_and_close(req);
}

static enum MHD_Result refuse_method(struct request *req, const char *allow,
                                     const struct err *err)
{
    request_set_header(req, MHD_HTTP_HEADER_ALLOW, allow);
    answer_build_status(req, MHD_HTTP_METHOD_NOT_ALLOWED, err);
    if (has_body(req))
        return refuse_and_close(req);
    req->stage = STAGE_REFUSED;
    return MHD_YES;
}

/* --- The head ----------------------------------------------------------------------------- */

void *intake_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info->socket_context;

    (void)cls;
    request_begin(&connection->request, uri);
    return &connection->request;
}

/* libmicrohttpd takes a lone LF for the end of a chunk's line, where other programs read on.
 * So that nobody can hide a request behind that, a chunked one is the connection's last. */
static void distrust_what_follows(struct request *req)
{
    req->close = true;
    req->connection->linger = true;
}

static enum MHD_Result begin(struct request *req, const char *url, const char *method,
                             const char *version)
{
    struct httpd *httpd = req->httpd;
    size_t body_max = httpd->options.body_max_bytes;
    char allow[ROUTER_ALLOW_SIZE] = "";
    struct err err = {0};
    int strict;

    req->method_name = method;
    req->path = url;
    counter_add(&httpd->counters.requests, 1);
    strict = strict_check(req, version, &err);
    name_request(req);
    if (strict < 0 || uri_check_path(url, &err) < 0)
        return refuse_malformed(req, &err);
    if (router_match(httpd->router, req, method, allow, &err) < 0)
        return *allow ? refuse_method(req, allow, &err) : refuse(req, &err);
    if (req->head.body_bytes > body_max) {
        (void)err_set(&err, ERR_TOO_LARGE, "the body is larger than %zu bytes", body_max);
        return refuse(req, &err);
    }
    if (uri_read_query(req, &err) < 0)
        return refuse(req, &err);
    if (req->head.transfer_encoding)
        distrust_what_follows(req);
    req->stage = STAGE_BODY;
    return MHD_YES;
}

/* --- The body and the end ----------------------------------------------------------------- */

static enum MHD_Result collect(struct request *req, const char *bytes, size_t *count)
{
    size_t body_max = req->httpd->options.body_max_bytes;
    struct err err;

    if (buf_append_within(&req->body, bytes, *count, body_max)) {
        *count = 0;
        return MHD_YES;
    }
    /* libmicrohttpd takes no answer in the middle of a body. */
    (void)err_set(&err, ERR_TOO_LARGE, "the body is larger than %zu bytes", body_max);
    answer_send_raw(req, &err);
    req->connection->linger = true;
    return MHD_NO;
}

static enum MHD_Result wait_for_handler(struct request *req)
{
    req->httpd->n_working++;
    MHD_suspend_connection(req->mhd);
    return MHD_YES;
}

static enum MHD_Result handle(struct request *req)
{
    struct err err;

    req->stage = STAGE_WORKING;
    connection_enter(req->connection, PHASE_WORKING);
    if (req->route->flags & ROUTE_INLINE)
        return handling_run(req) ? answer_send(req) : wait_for_handler(req);
    /* It may be done before it is suspended: the loop, this thread, resumes it later. */
    if (workers_push(req->httpd->workers, req))
        return wait_for_handler(req);
    (void)err_set_code(&err, ERR_UNAVAILABLE, "overloaded", "too many requests are waiting");
    answer_build(req, -1, NULL, &err);
    return answer_send(req);
}

enum MHD_Result intake_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **slot)
{
    struct request *req = *slot;

    (void)cls;
    (void)mhd;
    switch (req->stage) {
    case STAGE_LINE:
        return begin(req, url, method, version);
    case STAGE_BODY:
        return *upload_size ? collect(req, upload, upload_size) : handle(req);
    case STAGE_REFUSED:
        *upload_size = 0;
        return answer_send(req);
    case STAGE_READY:
        return answer_send(req);
    case STAGE_NONE:
    case STAGE_WORKING:
    case STAGE_ANSWERING:
        break;
    }
    return MHD_NO;
}
