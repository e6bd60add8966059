/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H
#include "base/buf.h"
#include "httpd/httpd.h"

#include <microhttpd.h>

/*
 * The inside of a request. While a handler works on it (WORKING) the handler's thread owns
 * everything but `stage` and `raw_status`; otherwise the loop does.
 */
struct connection;

#define REQUEST_ID_MAX 64
#define REQUEST_PARAMS_MAX 4
#define REQUEST_QUERY_MAX 32

enum stage {
    STAGE_NONE,      /* between two requests */
    STAGE_LINE,      /* the request line is here, the headers aren't */
    STAGE_BODY,      /* the head was accepted */
    STAGE_REFUSED,   /* the head wasn't: answered when the request's end is here */
    STAGE_WORKING,   /* a handler has it; the connection is suspended */
    STAGE_READY,     /* the answer is built, the connection resumed */
    STAGE_ANSWERING, /* handed to libmicrohttpd */
};

struct pair {
    const char *name;
    const char *value;
};

/* What one walk over the headers finds; borrowed from libmicrohttpd. */
struct head {
    const char *host;
    const char *authorization;
    const char *content_length;
    const char *content_type;
    const char *transfer_encoding;
    const char *request_id;
    uint64_t body_bytes; /* what Content-Length says */
};

struct extra_header {
    struct extra_header *next;
    char *name;
    char *value;
};

struct request {
    struct httpd *httpd;
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct request *next_finished;
    enum stage stage;
    int64_t started_ms;

    const struct route *route;
    const char *uri; /* its place and length as sent; libmicrohttpd cuts it up later */
    size_t uri_length;
    bool uri_is_clean; /* no blanks or control characters in it */
    const char *method_name;
    const char *path;
    struct head head;
    struct pair params[REQUEST_PARAMS_MAX];
    size_t n_params;
    struct pair query[REQUEST_QUERY_MAX];
    size_t n_query;
    char *decoded; /* the bytes of params and query */
    size_t decoded_size;
    size_t decoded_room;
    char id[REQUEST_ID_MAX + 1];

    struct buf body;
    cJSON *body_json;
    void *principal;

    /* The answer, from what the handler sets to what libmicrohttpd sends. */
    const char *text_type;
    char *text;
    size_t text_size;
    struct extra_header *extra;
    struct httpd_stream *stream;
    struct MHD_Response *response;
    int status;
    bool streams;   /* the response goes on: it is `stream` */
    bool close;     /* the connection ends with this answer */
    int raw_status; /* of an answer that went past libmicrohttpd; the loop's; 0: none */
};

/* Ready for the next request of the connection. */
void request_begin(struct request *req, const char *uri);
/* Releases what it holds; memory that is worth keeping stays for the next one. */
void request_end(struct request *req);
/* The same for good. */
void request_done(struct request *req);

/* A header of the answer as set by the handler; NULL: it didn't. */
const char *request_extra_header(const struct request *req, const char *name);
#endif
