/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CALL_H
#define NET_CALL_H
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/net.h"
#include "net/public_only.h"
#include "net/retry.h"

/*
 * One call as libcurl sees it: the easy handle with its options and callbacks, and what came
 * of the last try. It lives on the stack of net_call. The caller's thread prepares and
 * judges it; in between, from CALL_NEW to CALL_ENDED, it is the net thread's.
 */
enum call_state {
    CALL_IDLE,
    CALL_NEW,     /* handed over, not begun */
    CALL_RUNNING, /* in the multi handle */
    CALL_ENDED,
};

/* Why we ended a try, rather than libcurl. */
enum call_cut {
    CUT_NONE,
    CUT_TIMED_OUT,
    CUT_CANCELLED, /* *cancel, or net_free */
    CUT_TOO_LARGE, /* body or headers */
    CUT_BY_READER, /* on_data didn't want more */
};

struct call;

/* Who takes a stream's answer (stream.h), on the net's thread. */
struct call_reader {
    void (*take_head)(struct call *call);
    /* `size`, or CURL_WRITEFUNC_PAUSE: it is given again once the call is resumed. */
    size_t (*take_piece)(struct call *call, const char *data, size_t size);
};

struct call_settings {
    char *user_agent;
    char *ca_file; /* NULL: the system's */
    char *ca_pem;  /* instead of ca_file; NULL: that */
    char *client_cert_pem;
    struct secret *client_key_pem;
    char *proxy;                   /* NULL: from the environment; "": none */
    bool http1;                    /* over TLS too: nothing is multiplexed */
    struct address_range *allowed; /* for public_only */
    size_t n_allowed;
};

struct call {
    const struct net_request *request;
    struct net_answer *answer;
    const struct call_reader *reader; /* NULL: net_call */
    struct public_only rule;
    CURL *easy;
    struct curl_slist *headers; /* call_wipe before freeing */
    char *shown;                /* the URL for errors */
    char said[CURL_ERROR_SIZE];
    size_t body_sent;
    size_t headers_total;
    uint64_t streamed;
    CURLcode code;
    enum call_cut cut;
    bool header_whole; /* its empty line has come */
    bool delivered;
    bool head_taken;          /* by the reader: the answer is its own from here on */
    bool untouched;           /* the last try sent not a byte of the request */
    _Atomic int64_t heard_ms; /* when the server last said anything */

    /* Under the net's lock. */
    enum call_state state;
    enum call_cut unwanted; /* the caller wants it ended, and why */
    bool resume;            /* the reader wants the piece it wasn't ready for */
    pthread_cond_t ended;
    struct call *next;
    struct call *previous;
};

/* ERR_INVALID when the request can't be sent as it is. call_done either way. */
int call_prepare(struct call *call, const struct call_settings *settings,
                 const struct net_request *request, struct net_answer *answer,
                 struct err *err) CHECKED;
void call_done(struct call *call);

/* Overwrites the headers, of which one may be the bearer. call_done does it too. */
void call_wipe(struct call *call);

/* Before each try. */
void call_rewind(struct call *call);

/* After a try: 0 when there is an answer, else -1 and the error. */
int call_judge(struct call *call, struct net_try *out, struct err *err) CHECKED;
#endif
