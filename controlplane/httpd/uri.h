/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_URI_H
#define HTTPD_URI_H
#include "httpd/request.h"

/*
 * Escapes in the path and the query. libmicrohttpd is told to leave both alone, because its
 * own decoding passes bad escapes and ends a string at %00.
 */

/* For MHD_OPTION_UNESCAPE_CALLBACK: leaves the text as it is. */
size_t uri_keep_escapes(void *cls, struct MHD_Connection *mhd, char *text);

/* ERR_INVALID for a bad escape or %00 anywhere in the path. */
int uri_check_path(const char *path, struct err *err) CHECKED;

/* The path for a log: whatever is longer than an id of ours, or has other characters, may be a
 * secret in the wrong place and is a "*". */
#define URI_SHOWN_SIZE 256
void uri_show_path(const char *path, char out[URI_SHOWN_SIZE]);

/* Fills req->query, decoded. ERR_INVALID as above, or for too many parameters. */
int uri_read_query(struct request *req, struct err *err) CHECKED;

/* Decodes the parameters the router found, `sizes` bytes each, in place of the raw ones.
 * ERR_NOT_FOUND when one is empty. */
int uri_decode_params(struct request *req, const size_t *sizes, struct err *err) CHECKED;
#endif
