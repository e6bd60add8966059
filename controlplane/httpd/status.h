/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_STATUS_H
#define HTTPD_STATUS_H

/* HTTP statuses as words. http_status_of, in httpd.h, is defined beside these. */

/* "Not Found": for a status line and as the "error" of the v1 face. */
const char *status_reason(int status);
/* The same, save that the v1 face calls 400 a "Validation Error". */
const char *status_v1_type(int status);
#endif
