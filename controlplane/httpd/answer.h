/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H
#include "httpd/request.h"

/*
 * Answers: documents, texts and errors, with the headers that all of them carry. Building
 * may happen on any thread; sending is the loop's.
 */

/* Builds req->response from what a handler returned; `out` stays the caller's. */
void answer_build(struct request *req, int status, const cJSON *out, const struct err *err);

/* Builds an error with a status that no error kind has (405). */
void answer_build_status(struct request *req, int status, const struct err *err);

/* Hands the response that was built to libmicrohttpd, once. */
enum MHD_Result answer_send(struct request *req);

/* Writes an error straight to the socket, where libmicrohttpd has no place for one: in the
 * middle of a body, or while a handler holds the request. The connection must end then. */
void answer_send_raw(struct request *req, const struct err *err);
#endif
