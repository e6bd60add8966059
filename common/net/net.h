/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_NET_H
#define NET_NET_H
#include "base/buf.h"
#include "base/secret.h"
#include "json/json.h"

/*
 * Every outgoing HTTP call of both programs. One struct net is one libcurl multi handle on a
 * thread of its own: connections are reused and HTTP/2 is multiplexed across all callers.
 * net_call blocks its caller and may be used from any thread at once.
 *
 * HTTP and HTTPS only; redirects are never followed; certificates are always checked.
 */
struct net;

struct net_options {
    const char *user_agent;      /* "dispatchd/1.0"; borrowed for the call */
    const char *ca_file;         /* PEM to trust instead of the system's; NULL: the system's */
    const char *ca_pem;          /* the same as text; NULL: ca_file. Copied */
    const char *client_cert_pem; /* who we are, by certificate; NULL: nobody. Copied */
    const struct secret *client_key_pem; /* its key. Copied */
    const char *const *allowed_private;  /* for public_only: ranges ("10.1.0.0/16") that are
                                            allowed all the same; NULL at the end. Copied */
    const char *proxy;        /* NULL: none, whatever the environment says; "": from it */
    int connections_per_host; /* 0: 8 */
    /* Callers drive their calls themselves, over HTTP/1.1 and a connection each: for many short
     * calls to one host (direct.h). Streams stay the net's. */
    bool direct;
};

struct net *net_new(const struct net_options *options, struct err *err) CHECKED;
/* Calls running now and those still to come end with ERR_UNAVAILABLE. For an owner whose
 * callers must be gone before net_free. */
void net_stop(struct net *net);
/* Stops it and waits for the calls to end. */
void net_free(struct net *net);
DEFINE_SCOPED(net)

/*
 * When a failed try may be made again.
 *   NET_ONCE        never
 *   NET_UNSENT      only when the server can't have acted: no connection, 429 or 503 with
 *                   Retry-After
 *   NET_IDEMPOTENT  also after time-outs, broken connections and 500, 502, 503, 504
 * Waits double from 200 ms with full jitter, or are what Retry-After says (capped by the
 * time left: a call never takes longer than timeout_ms in all).
 */
enum net_retry { NET_ONCE, NET_UNSENT, NET_IDEMPOTENT };

struct net_request {
    const char *method; /* "GET", ... */
    const char *url;
    const char *const *headers;  /* "Name: value", NULL at the end; NULL for none */
    const struct secret *bearer; /* becomes Authorization: Bearer ...; NULL for none */
    const void *body;            /* NULL for none */
    size_t body_size;
    const char *content_type; /* of the body; NULL: application/json */
    const char *unix_socket;  /* path to connect to instead of the URL's host */
    int timeout_ms;           /* the whole call with its retries; 0: 30 000 */
    int connect_timeout_ms;   /* one connect; 0: 5 000 */
    size_t answer_max_bytes;  /* 0: 4 MiB; more is ERR_TOO_LARGE */
    enum net_retry retry;
    int tries_max; /* 0: 4 */

    /* Called on the net's thread with each piece of a 2xx body instead of collecting it; a
     * negative return ends the call with ERR_UNAVAILABLE. It must be quick, as every other call
     * waits meanwhile, and call nothing of this header. timeout_ms then bounds silence, not the
     * whole; answer_max_bytes 0 is no limit for the stream; nothing is tried again once a piece
     * was given. A stream of plain HTTP/1.1 holds one of connections_per_host. */
    int (*on_data)(void *ctx, const char *data, size_t size);
    void *ctx;
    const volatile bool *cancel; /* set to end the call early with ERR_UNAVAILABLE */

    /* Connect to public addresses only (address.h), whatever the name resolves to: the address
     * that is connected to is what is checked. ERR_DENIED. No proxy is used. */
    bool public_only;
};

struct net_answer {
    int status;
    struct buf body;
    struct buf headers; /* "name: value\n" each, names in lower case */
    int tries;
    bool unsent;    /* after -1: not a byte of the request went out in its last try, so that the
                       server can't have acted on it */
    int cut_status; /* after -1: of an answer whose body was too large, too slow or cut short;
                       0: there was none */
};

#define scoped_net_answer __attribute__((cleanup(net_answer_done))) struct net_answer

/*
 * 0 with whatever status the server gave; -1 when there was no answer: ERR_TIMEOUT,
 * ERR_UPSTREAM (refused, reset, TLS), ERR_TOO_LARGE, ERR_INVALID (a bad URL),
 * ERR_UNAVAILABLE (stopped). The error names method and URL without its query.
 * `out` is filled on success, and on failure only with `unsent` and `cut_status`;
 * net_answer_done releases it either way.
 */
int net_call(struct net *net, const struct net_request *request, struct net_answer *out,
             struct err *err) CHECKED;
void net_answer_done(struct net_answer *answer);

/* A copy of a header's value for the caller to free, or NULL. `name` in lower case. */
char *net_answer_header(const struct net_answer *answer, const char *name) CHECKED;
/* Seconds from Retry-After (a number or a date), 0 when there is none. */
int net_answer_retry_after_s(const struct net_answer *answer);
/* The body as JSON, for the caller. ERR_UPSTREAM when it isn't. */
cJSON *net_answer_json(const struct net_answer *answer, struct err *err) CHECKED;
/* The same without the members of these names: json_parse_without. */
cJSON *net_answer_json_without(const struct net_answer *answer, const char *const *left_out,
                               struct err *err) CHECKED;

/* One segment or query value, percent-encoded (RFC 3986); the caller frees it. */
char *net_escape(const char *text) CHECKED;
#endif
