/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_URL_H
#define NET_URL_H
#include "base/err.h"

#include <stdbool.h>

/* What may go into a request line, and what a URL looks like to people. */

/* ERR_INVALID unless it is http:// or https:// with a host, in visible ASCII. On success
 * *out_shown is the URL without user, query and fragment, for errors; the caller frees it. */
int url_check(const char *url, char **out_shown, struct err *err) CHECKED;

/* "GET": capital letters, not too many. */
bool method_valid(const char *method);
#endif
