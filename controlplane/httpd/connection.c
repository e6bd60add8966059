/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/connection.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "httpd/answer.h"
#include "httpd/server.h"
#include "httpd/stream.h"
#include "httpd/uri.h"

/* --- The lists ---------------------------------------------------------------------------- */

static void leave(struct connection *c)
{
    struct connection_list *list = &c->request.httpd->lists[c->phase];

    *(c->previous ? &c->previous->next : &list->first) = c->next;
    *(c->next ? &c->next->previous : &list->last) = c->previous;
    c->previous = c->next = NULL;
}

static int time_for(const struct httpd_options *options, enum phase phase)
{
    switch (phase) {
    case PHASE_ARRIVING:
        return options->request_deadline_ms;
    case PHASE_SENDING:
        return options->stream_stall_ms;
    case PHASE_STREAMING:
        return options->stream_idle_ms;
    default:
        return options->answer_deadline_ms;
    }
}

static void append(struct connection *c, enum phase phase)
{
    struct httpd *httpd = c->request.httpd;
    struct connection_list *list = &httpd->lists[phase];

    c->phase = phase;
    c->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = c;
    list->last = c;
    c->due_ms = httpd->now_ms + time_for(&httpd->options, phase);
}

void connection_enter(struct connection *c, enum phase phase)
{
    leave(c);
    append(c, phase);
}

/* --- Coming and going --------------------------------------------------------------------- */

static void name_peer(struct connection *c, const struct sockaddr *from)
{
    const void *address = NULL;
    sa_family_t family = from ? from->sa_family : AF_UNIX;

    if (family == AF_INET)
        address = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
    if (family == AF_INET6) {
        const struct in6_addr *v6 =
            &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;

        address = v6;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            family = AF_INET;
            address = &v6->s6_addr[12];
        }
    }
    if (!address || !inet_ntop(family, address, c->peer, sizeof(c->peer)))
        (void)snprintf(c->peer, sizeof(c->peer), "unix");
}

static void open_connection(struct httpd *httpd, struct MHD_Connection *mhd, void **slot)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    name_peer(c, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    c->request.httpd = httpd;
    c->request.connection = c;
    c->request.mhd = mhd;
    append(c, PHASE_ARRIVING);
    counter_add(&httpd->counters.connections, 1);
    *slot = c;
}

static void close_connection(struct httpd *httpd, struct connection *c)
{
    int unread = 0;

    /* libmicrohttpd closes the socket after this call, with all that is unread in it. */
    if (c->phase != PHASE_CUT
        && (c->linger || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0)))
        linger_add(&httpd->linger, c->fd, httpd->now_ms);
    leave(c);
    request_done(&c->request);
    free(c);
    /* At its limit libmicrohttpd stops listening, and looks for room before a turn only. */
    httpd->turn_again = true;
    counter_add(&httpd->counters.connections, -1);
}

void connection_notify(void *cls, struct MHD_Connection *mhd, void **slot,
                       enum MHD_ConnectionNotificationCode what)
{
    struct httpd *httpd = cls;

    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        open_connection(httpd, mhd, slot);
    else if (*slot)
        close_connection(httpd, TAKE(*slot));
}

static void tell_about(const struct request *req, int status)
{
    char path[URI_SHOWN_SIZE];

    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    uri_show_path(req->path ? req->path : "", path);
    log_debug("request", KV("request", *req->id ? req->id : NULL),
              KV("peer", request_peer(req)), KV("method", req->method_name),
              KV("path", (const char *)path), KV("status", status),
              KV("took_ms", clock_monotonic_ms() - req->started_ms));
}

/* libmicrohttpd answers some malformed heads and chunks by itself; this is what we see. */
static bool was_refused_by_library(const struct request *req,
                                   enum MHD_RequestTerminationCode how)
{
    return how == MHD_REQUEST_TERMINATED_WITH_ERROR && req->connection->phase != PHASE_CUT
           && (req->stage == STAGE_LINE || req->stage == STAGE_BODY);
}

void connection_request_done(void *cls, struct MHD_Connection *mhd, void **slot,
                             enum MHD_RequestTerminationCode how)
{
    struct httpd *httpd = cls;
    struct request *req = *slot;
    int status = 0;

    (void)mhd;
    if (!req)
        return;
    *slot = NULL;
    if (req->raw_status) {
        status = req->raw_status;
    } else if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        status = req->status;
    } else if (was_refused_by_library(req, how)) {
        status = MHD_HTTP_BAD_REQUEST;
        counter_add(&httpd->counters.refused_malformed, 1);
    }
    tell_about(req, status);
    counter_add(&httpd->counters.by_status[status / 100], 1);
    req->connection->served = true;
    request_end(req);
    if (req->connection->phase != PHASE_CUT)
        connection_enter(req->connection, PHASE_ARRIVING);
}

void connection_cut(struct connection *c)
{
    (void)shutdown(c->fd, SHUT_RDWR);
    connection_enter(c, PHASE_CUT);
    stream_wake_cut(&c->request);
}

/* --- All of them -------------------------------------------------------------------------- */

static void cut_late(struct httpd *httpd, struct connection_list *list)
{
    while (list->first && list->first->due_ms <= httpd->now_ms) {
        struct connection *c = list->first;

        /* A kept connection on which nothing came is no offence. */
        if (c->request.stage != STAGE_NONE || !c->served)
            counter_add(&httpd->counters.cut_late, 1);
        connection_cut(c);
    }
}

void connections_cut_late(struct httpd *httpd)
{
    cut_late(httpd, &httpd->lists[PHASE_ARRIVING]);
    cut_late(httpd, &httpd->lists[PHASE_ANSWERING]);
    cut_late(httpd, &httpd->lists[PHASE_SENDING]);
}

int64_t connections_next_due_ms(const struct httpd *httpd)
{
    int64_t due_ms = -1;

    for (int phase = 0; phase < PHASE_CUT; phase++) {
        const struct connection *c = httpd->lists[phase].first;

        if (c && phase != PHASE_WORKING && (due_ms < 0 || c->due_ms < due_ms))
            due_ms = c->due_ms;
    }
    return due_ms;
}

void connections_cut_sending(struct httpd *httpd)
{
    struct connection *c;

    while ((c = httpd->lists[PHASE_SENDING].first)) {
        counter_add(&httpd->counters.cut_late, 1);
        connection_cut(c);
    }
}

void connections_cut_idle(struct httpd *httpd)
{
    struct connection *next;

    for (struct connection *c = httpd->lists[PHASE_ARRIVING].first; c; c = next) {
        next = c->next;
        if (c->request.stage == STAGE_NONE)
            connection_cut(c);
    }
}

int connections_cut_all(struct httpd *httpd)
{
    struct err err;
    struct connection *c;
    int n_cut = 0;

    (void)err_set_code(&err, ERR_UNAVAILABLE, "stopping", "the server is stopping");
    while ((c = httpd->lists[PHASE_WORKING].first)) {
        if (c->request.stage == STAGE_WORKING)
            answer_send_raw(&c->request, &err);
        connection_cut(c);
        n_cut++;
    }
    for (int phase = 0; phase < PHASE_CUT; phase++)
        while ((c = httpd->lists[phase].first)) {
            n_cut += c->request.stage != STAGE_NONE;
            connection_cut(c);
        }
    return n_cut;
}
