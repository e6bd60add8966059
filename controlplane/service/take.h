/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_TAKE_H
#define SERVICE_TAKE_H
#include "service/admission.h"
#include "service/launches.h"
#include "service/service.h"

/* Taking the next run out of the queue: see take.c. One thread at a time (take_lock). */

bool take_has_worker(struct service *service);

/* The next run as launching, durably; or NULL: then *out_wait_ms says when to look again (-1:
 * when woken). */
struct launch *take_next(struct service *service, int64_t *out_wait_ms);

/* A run as service->admission knows it. */
struct admission_run take_place_of(struct service *service, const struct run *run);

/* Fills service->admission from the store, before anything is taken in or taken. */
int take_restore(struct service *service, struct err *err) CHECKED;
#endif
