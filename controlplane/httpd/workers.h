/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_WORKERS_H
#define HTTPD_WORKERS_H
#include "httpd/request.h"

/*
 * The threads on which handlers may block, fed by one bounded queue. A worker runs a request
 * and gives it back to the loop.
 */
struct workers;

/* Requests that wait for a worker at most; beyond it the answer is 503. */
#define WORKERS_QUEUE_MAX 4096

struct workers *workers_new(int count, struct err *err) CHECKED;

/* False when the queue is full. */
bool workers_push(struct workers *workers, struct request *req);

/* Ends the threads: queued requests are still run. Only when no request is under way. */
void workers_free(struct workers *workers);
#endif
