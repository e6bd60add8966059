/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_CONNECTION_H
#define HTTPD_CONNECTION_H
#include "httpd/request.h"

#include <netinet/in.h>

/*
 * One open connection and the request on it. Requests of a connection come one after the
 * other, so the struct request is embedded and used again; it lives until libmicrohttpd
 * lets go of the connection, which it does only after a suspended one was resumed.
 *
 * Each connection is on one list, by what we wait for. A list that has a deadline gives all
 * its members the same time, so appending keeps it sorted and only its head is looked at.
 */
enum phase {
    PHASE_ARRIVING,  /* a request, or the rest of it: request_deadline_ms */
    PHASE_WORKING,   /* a handler: no deadline */
    PHASE_ANSWERING, /* the client to read: answer_deadline_ms */
    PHASE_SENDING,   /* the client to read a piece of a stream: stream_stall_ms */
    PHASE_STREAMING, /* a stream's source to have something; after stream_idle_ms it is asked */
    PHASE_CUT,       /* libmicrohttpd to notice that we shut the socket down */
    N_PHASES
};

struct connection {
    struct connection *previous;
    struct connection *next;
    enum phase phase;
    int64_t due_ms;
    int fd;
    bool linger; /* input is left unread: read it away after the answer */
    bool served; /* at least one answer was sent */
    char peer[INET6_ADDRSTRLEN];
    struct request request;
};

struct connection_list {
    struct connection *first;
    struct connection *last;
};

/* For MHD_OPTION_NOTIFY_CONNECTION and MHD_OPTION_NOTIFY_COMPLETED; cls is the httpd. */
void connection_notify(void *cls, struct MHD_Connection *mhd, void **slot,
                       enum MHD_ConnectionNotificationCode what);
void connection_request_done(void *cls, struct MHD_Connection *mhd, void **slot,
                             enum MHD_RequestTerminationCode how);

/* Onto the end of the phase's list, with its deadline from now on. */
void connection_enter(struct connection *connection, enum phase phase);

/* Ends it without another byte; libmicrohttpd notices at its next turn. */
void connection_cut(struct connection *connection);

/* --- All connections: for the loop ------------------------------------------------------ */

void connections_cut_late(struct httpd *httpd);
/* When connections_cut_late has something to do next; -1: nothing to wait for. */
int64_t connections_next_due_ms(const struct httpd *httpd);
/* Streams whose clients have yet to take what was sent. */
void connections_cut_sending(struct httpd *httpd);
/* Those without a request on them. */
void connections_cut_idle(struct httpd *httpd);
/* All; those with a request under way are told 503 and counted in the return. */
int connections_cut_all(struct httpd *httpd);
#endif
