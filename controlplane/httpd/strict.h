/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_STRICT_H
#define HTTPD_STRICT_H
#include "httpd/request.h"

/*
 * What libmicrohttpd lets through and we don't: requests that two HTTP programs in a row
 * could read in two ways. Fills req->head on the way. ERR_INVALID: answer 400, close.
 *
 * What libmicrohttpd refuses by itself (a request line or header it can't parse, a
 * Content-Length that isn't a number, broken chunks, a head over the connection's memory)
 * never comes here: its answer is closed too, but is HTML and has no X-Request-Id.
 */
int strict_check(struct request *req, const char *version, struct err *err) CHECKED;

/* No blanks and no control characters; asked before libmicrohttpd cuts the target up. */
bool strict_target_is_clean(const char *uri);
#endif
