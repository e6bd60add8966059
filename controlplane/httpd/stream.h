/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_STREAM_H
#define HTTPD_STREAM_H
#include "httpd/request.h"

#include <sys/epoll.h>

/*
 * Answers that go on. libmicrohttpd asks for the next piece when the one before has gone into
 * the socket; a stream that has none suspends its connection, so that it is neither polled nor
 * asked, and waits on the list of PHASE_STREAMING. It is resumed when somebody wakes it, when
 * the list says that it was idle for long enough, and when it has to end.
 *
 * libmicrohttpd doesn't look at a suspended connection's socket: whether the client has hung
 * up is watched in an epoll set of our own.
 *
 * A stream belongs to its request; all of this but httpd_stream_wake runs on the loop.
 */

/* The response of a request that has a stream, without headers. */
struct MHD_Response *stream_response(struct request *req) CHECKED;

/* Its head is on the way. */
void stream_begin(struct request *req);

/* The request is over: lets go of the source. Nothing where there is no stream. */
void stream_end(struct request *req);

/* --- For the loop --------------------------------------------------------------------------
 */

/* Resumes those that were woken. */
void streams_resume_woken(struct httpd *httpd);
/* Resumes those that were idle for long enough. */
void streams_resume_idle(struct httpd *httpd);
/* Cuts those whose clients have hung up. */
void streams_cut_gone(struct httpd *httpd);
/* All are to send what they have and end. */
void streams_finish(struct httpd *httpd);

/* Makes libmicrohttpd see that the connection was cut, if a suspended stream is on it. */
void stream_wake_cut(struct request *req);
#endif
