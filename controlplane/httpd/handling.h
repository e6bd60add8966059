/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_HANDLING_H
#define HTTPD_HANDLING_H
#include "httpd/request.h"

/*
 * Runs a whole request: who asks, is the body what the route takes, the handler, the answer.
 * False when the handler chose to answer later (inline routes only); req may then be
 * answered by another thread already.
 */
bool handling_run(struct request *req);
#endif
