/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_LOOP_H
#define HTTPD_LOOP_H
#include "httpd/server.h"

/*
 * The event loop: the one thread that runs libmicrohttpd (in its external epoll mode),
 * resumes requests that were finished elsewhere, and watches deadlines. Having the turn of
 * the loop in our hands makes a batch of finished requests cost one wake-up.
 */
int loop_start(struct httpd *httpd, struct err *err) CHECKED;

/* Gives an answered request back to the loop; from any thread. */
void loop_finished(struct request *req);

/* Makes it take a turn; from any thread. */
void loop_wake(struct httpd *httpd);

/* Serving ends: see httpd_stop. */
int loop_stop(struct httpd *httpd, int grace_ms);

/* Ends the thread once no handler holds a request any more. False: one still does after
 * LOOP_QUIT_MS, and nothing of the httpd may be released. */
#define LOOP_QUIT_MS 5000
bool loop_quit(struct httpd *httpd) CHECKED;
#endif
