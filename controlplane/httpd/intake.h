/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_INTAKE_H
#define HTTPD_INTAKE_H
#include "httpd/request.h"

/*
 * How a request comes in: its line, its head (checked, routed, or refused on the spot), its
 * body up to the limit, and then its handler, here or on a worker. Runs on the loop.
 */

/* For MHD_OPTION_URI_LOG_CALLBACK: the first thing known of a request. */
void *intake_line(void *cls, const char *uri, struct MHD_Connection *mhd);

/* For MHD_start_daemon. */
enum MHD_Result intake_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **slot);
#endif
