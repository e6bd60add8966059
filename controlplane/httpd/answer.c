/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/answer.h"

#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "httpd/server.h"
#include "httpd/status.h"
#include "httpd/stream.h"
#include "httpd/uri.h"

#define JSON_TYPE "application/json"
#define INTERNAL_SENTENCE "something went wrong on our side"
#define UNAVAILABLE_SENTENCE "this can't be done right now, please try again"
#define RETRY_AFTER_S 1 /* where an error doesn't know better */

/* --- Errors as documents ------------------------------------------------------------------ */

static bool may_retry(int status)
{
    return status == 429 || status == 503;
}

static int retry_after_s(const struct err *err)
{
    return err->retry_after_s > 0 ? err->retry_after_s : RETRY_AFTER_S;
}

static bool speaks_v1(const struct request *req)
{
    if (req->route)
        return req->route->flags & ROUTE_V1_ERRORS;
    return req->path && router_speaks_v1(req->httpd->router, req->path);
}

static cJSON *error_document(const struct request *req, int status, const struct err *err)
{
    /* What went wrong inside is for the log, not for the client; a 503 may tell only what was
     * written for it, and that has a code of its own. */
    bool internal = status == 500;
    bool untold = status == 503 && !err->code;
    const char *text = untold                      ? UNAVAILABLE_SENTENCE
                       : internal || !err->text[0] ? INTERNAL_SENTENCE
                                                   : err->text;
    const char *code = internal    ? err_kind_name(ERR_INTERNAL)
                       : err->code ? err->code
                                   : err_kind_name(err->kind);
    cJSON *retry = may_retry(status) ? jint(retry_after_s(err)) : NULL;

    if (speaks_v1(req))
        return jobj({"error", jstr(status_v1_type(status))}, {"message", jstr(text)},
                    {"code", jstr(code)}, {"retryAfter", retry});
    return jobj({"error", jstr(text)}, {"code", jstr(code)},
                {"details", err->field[0] ? jobj({"field", jstr(err->field)}) : NULL},
                {"retryAfter", retry});
}

/* --- Responses ---------------------------------------------------------------------------- */

static void add_header(struct request *req, const char *name, const char *value)
{
    if (MHD_add_response_header(req->response, name, value) != MHD_YES)
        log_warn("a header of the answer can't be sent, ignoring it", KV("request", req->id),
                 KV("header", name));
}

static void add_usual_headers(struct request *req)
{
    add_header(req, "X-Request-Id", req->id);
    add_header(req, "X-Content-Type-Options", "nosniff");
    if (!req->extra || !request_extra_header(req, MHD_HTTP_HEADER_CACHE_CONTROL))
        add_header(req, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    for (const struct extra_header *extra = req->extra; extra; extra = extra->next)
        add_header(req, extra->name, extra->value);
}

/* Proxies are asked to pass each piece on. */
static void make_stream_response(struct request *req, int status)
{
    req->status = status;
    req->streams = true;
    req->response = stream_response(req);
    add_header(req, "X-Accel-Buffering", "no");
    add_usual_headers(req);
}

/* Takes `text`, which malloc made. */
static void make_response(struct request *req, int status, const char *type, char *text,
                          size_t size)
{
    req->status = status;
    req->response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (!req->response)
        out_of_memory();
    if (type)
        add_header(req, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    add_usual_headers(req);
}

static void make_document(struct request *req, int status, const cJSON *out)
{
    char *text = out ? json_text(out) : NULL;

    make_response(req, status, text ? JSON_TYPE : NULL, text, text ? strlen(text) : 0);
}

void answer_build_status(struct request *req, int status, const struct err *err)
{
    scoped_json document = error_document(req, status, err);
    char path[URI_SHOWN_SIZE];
    char seconds[16];

    uri_show_path(req->path ? req->path : "", path);
    if (status == 500)
        log_error("request failed", KV("request", req->id), KV("path", (const char *)path),
                  KV("error", err->text));
    else if (status == 503 && !err->code)
        log_warn("request put off", KV("request", req->id), KV("path", (const char *)path),
                 KV("error", err->text));
    make_document(req, status, document);
    if (status == 401)
        add_header(req, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (may_retry(status)) {
        (void)snprintf(seconds, sizeof(seconds), "%d", retry_after_s(err));
        add_header(req, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
}

void answer_build(struct request *req, int status, const cJSON *out, const struct err *err)
{
    struct err bug;

    if (status < 0) {
        answer_build_status(req, http_status_of(err->kind), err);
    } else if (status < 200 || status > 599) {
        (void)err_set(&bug, ERR_INTERNAL, "the handler returned status %d", status);
        answer_build_status(req, 500, &bug);
    } else if (req->stream) {
        make_stream_response(req, status);
    } else if (req->text) {
        make_response(req, status, req->text_type, req->text, req->text_size);
        req->text = NULL;
    } else {
        make_document(req, status, out);
    }
}

enum MHD_Result answer_send(struct request *req)
{
    enum MHD_Result queued;

    if (req->connection->phase == PHASE_CUT)
        return MHD_NO;
    if (req->close || atomic_load_explicit(&req->httpd->stopping, memory_order_relaxed)) {
        req->close = true;
        add_header(req, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    queued = MHD_queue_response(req->mhd, (unsigned)req->status, req->response);
    MHD_destroy_response(TAKE(req->response));
    req->stage = STAGE_ANSWERING;
    connection_enter(req->connection, PHASE_ANSWERING);
    if (req->streams)
        stream_begin(req);
    return queued;
}

/* --- Past libmicrohttpd ------------------------------------------------------------------- */

void answer_send_raw(struct request *req, const struct err *err)
{
    int status = http_status_of(err->kind);
    scoped_json document = error_document(req, status, err);
    scoped_str body = json_text(document);
    scoped_buf text = {0};

    buf_printf(&text,
               "HTTP/1.1 %d %s\r\nContent-Type: " JSON_TYPE "\r\nContent-Length: %zu\r\n"
               "X-Request-Id: %s\r\nX-Content-Type-Options: nosniff\r\n"
               "Cache-Control: no-store\r\nConnection: close\r\n",
               status, status_reason(status), strlen(body), req->id);
    if (may_retry(status))
        buf_printf(&text, "Retry-After: %d\r\n", retry_after_s(err));
    buf_printf(&text, "\r\n%s", body);
    /* Nothing else is on its way to this client, so that the little there is fits. */
    (void)send(req->connection->fd, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    req->raw_status = status;
}
