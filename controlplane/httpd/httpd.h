/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Incoming HTTP/1.1. The whole API is a table of routes; a handler returns the status it
 * achieved with a document, or -1 with an error, and knows nothing about sockets.
 *
 * One event loop thread (libmicrohttpd, epoll) reads requests and writes answers; handlers
 * run on a small pool of threads and may block, except those marked ROUTE_INLINE, which run
 * on the event loop itself, must not block, and may answer later (request_finish).
 *
 * Before any handler: a doubled or conflicting Content-Length, Transfer-Encoding beside
 * Content-Length, a doubled Host or Authorization, a NUL in a header: 400 and the connection
 * is closed. A request that hasn't arrived whole within request_deadline_ms of the connect or
 * of the last answer is cut. A body over body_max_bytes is a 413.
 */
struct app; /* the program's own; handlers get it back */
struct httpd;
struct request; /* one request, valid until it is answered */

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

enum route_flags {
    ROUTE_INLINE = 1,    /* runs on the event loop */
    ROUTE_NO_BODY = 2,   /* a body is read and ignored, not parsed */
    ROUTE_V1_ERRORS = 4, /* errors as {"error": type, "message": sentence, "code"} */
};

/* What an inline handler returns when request_finish will be called. */
#define REPLY_LATER 0

typedef int (*route_handler)(struct app *app, struct request *req, cJSON **out,
                             struct err *err);

struct route {
    enum http_method method;
    const char *path; /* "/api/tasks/{task_id}/status" */
    int scope;        /* the app's own meaning, given to its authorize */
    unsigned flags;
    route_handler handler;
    const char *summary;
};

struct httpd_options {
    const char *address;     /* "127.0.0.1", "::", ...; NULL with unix_socket */
    int port;                /* 0: any free one */
    const char *unix_socket; /* path, made 0600, replacing a dead one */
    int connections_max;
    int connections_per_address_max;
    int request_deadline_ms; /* 0: 10 000 */
    int answer_deadline_ms;  /* 0: 60 000: a client that doesn't read is cut */
    int stream_idle_ms;      /* 0: 15 000: between two calls of httpd_stream_ops.idle */
    int stream_stall_ms;     /* 0: 10 000: a client that takes nothing of a stream is cut */
    size_t body_max_bytes;   /* 0: 1 MiB */
    int workers;             /* 0: 16 */
    struct app *app;
    const struct route *routes;
    size_t n_routes;

    /*
     * Who asks, and may they? Called before the handler (on the loop for inline routes, on a
     * worker else) with the route's scope. 0, or -1 with ERR_UNAUTHENTICATED or ERR_DENIED.
     * It may leave what it found with request_set_principal.
     */
    int (*authorize)(struct app *app, struct request *req, int scope, struct err *err);
    void (*principal_free)(void *principal);
};

/* Listening when it returns. ERR_CONFLICT when the port is in use, ERR_DENIED, ERR_INVALID. */
struct httpd *httpd_start(const struct httpd_options *options, struct err *err) CHECKED;
int httpd_port(const struct httpd *httpd);
/*
 * No new connections or requests from now on; those under way get up to `grace_ms`, after
 * which their clients are told 503. Returns how many were cut off. A handler that still works
 * keeps its request until it returns or calls request_finish, which stays allowed.
 */
int httpd_stop(struct httpd *httpd, int grace_ms);
/*
 * Stops at once if it still runs, and waits for handlers that hold a request: call it when
 * whoever calls request_finish has done so for all. A handler that doesn't come back within
 * 5 s is logged, and the server left in memory for it.
 */
void httpd_free(struct httpd *httpd);
DEFINE_SCOPED(httpd)

struct httpd_stats {
    int64_t requests;
    int64_t connections;       /* open now */
    int64_t streams;           /* of these, with a stream on them */
    int64_t by_status[6];      /* 0: cut without an answer; 1xx .. 5xx */
    int64_t refused_malformed; /* header strictness */
    int64_t cut_late;          /* deadlines */
};
void httpd_stats(const struct httpd *httpd, struct httpd_stats *out);

/* --- The request ------------------------------------------------------------------------ */

const char *request_id(const struct request *req);   /* X-Request-Id of the answer */
const char *request_peer(const struct request *req); /* "127.0.0.1" or "::1"; "unix" */
enum http_method request_method(const struct request *req);
const char *request_path(const struct request *req);
const char *request_param(const struct request *req,
                          const char *name); /* from {name}; never NULL */
const char *request_query(const struct request *req, const char *name); /* NULL: absent */
/* ERR_INVALID (err->field) when the query has a name that isn't in `known` (NULL-ended) or
 * one twice. */
int request_query_only(const struct request *req, const char *const *known,
                       struct err *err) CHECKED;
const char *request_header(const struct request *req, const char *name); /* NULL: absent */
/* The values of all headers of this name, "a, b", for the caller to free. NULL: absent. */
char *request_header_all(const struct request *req, const char *name) CHECKED;
/* The token of "Authorization: Bearer <token>"; NULL when there is none. */
const char *request_bearer(const struct request *req);
const cJSON *request_body(const struct request *req); /* parsed by json_parse; NULL: none */
const char *request_body_text(const struct request *req, size_t *out_size); /* raw bytes */

void request_set_principal(struct request *req, void *principal); /* takes */
void *request_principal(const struct request *req);

/* A body that isn't JSON: the handler then returns the status and leaves *out alone. Takes
 * `text`. content_type is a literal. */
void request_set_text(struct request *req, const char *content_type, char *text, size_t size);
/* An extra header of the answer. Both are copied. */
void request_set_header(struct request *req, const char *name, const char *value);

/*
 * Answers a request whose inline handler returned REPLY_LATER: `status` with `out` (taken;
 * may be NULL), or -1 with the error. From any thread, once; req is gone afterwards.
 */
void request_finish(struct request *req, int status, cJSON *out, const struct err *err);

/* --- Streams ------------------------------------------------------------------------------
 *
 * An answer that goes on. Its handler hands over a source and returns the status; the loop
 * asks the source for more whenever the client has taken what there was. A stream costs no
 * thread and no buffer beside the connection's own.
 *
 * It ends when the source says so, when the client goes (which is noticed at once) or stalls,
 * and when the server stops: then what the source still has at hand is sent first.
 */
struct httpd_stream; /* lives until close */

#define HTTPD_STREAM_END (-1)

/* Called on the loop: they must not block. */
struct httpd_stream_ops {
    /* Copies at most `room` bytes: how many; 0: nothing now, ask me when I wake you;
     * HTTPD_STREAM_END: there is nothing more to come. */
    ssize_t (*read)(void *ctx, char *out, size_t room);
    /* The same when nothing was sent for stream_idle_ms, so that whoever stands between sees
     * some life. NULL: nothing to say. */
    ssize_t (*idle)(void *ctx, char *out, size_t room);
    /* The end, once, whatever became of it. Nobody wakes the stream afterwards. */
    void (*close)(void *ctx);
};

/* Makes the answer a stream; the handler then leaves *out alone. ctx belongs to the stream from
 * here on. Once; content_type is a literal. */
struct httpd_stream *request_set_stream(struct request *req, const char *content_type,
                                        const struct httpd_stream_ops *ops, void *ctx);

/* There is something to read. From any thread; the caller sees to it that it isn't called
 * after close, which may wait for a lock that this is called under. */
void httpd_stream_wake(struct httpd_stream *stream);

/* The HTTP status of an error kind: the one place that knows. */
int http_status_of(enum err_kind kind);
#endif
