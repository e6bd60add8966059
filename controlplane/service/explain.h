/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_EXPLAIN_H
#define SERVICE_EXPLAIN_H
#include "service/service.h"

/*
 * What would become of a run that isn't queued: where it would stand, and the job that would be
 * started for it. Nothing is made or kept, and nobody is asked who isn't here, so the event
 * loop may call these.
 */
struct service_place {
    int64_t position; /* 1: it would be the next one to be launched that isn't blocked */
    int64_t pending;
    int64_t active;
    char blocked_by[PENDING_REASON_MAX]; /* what it would wait for; empty: nothing */
};

/* `run` is as dispatch_preview makes it. */
void service_place_of(struct service *service, const struct run *run,
                      struct service_place *out);

/* The launcher that would get it (said in any case; as long as the run), and its document:
 * launcher_explain. */
int service_explain(struct service *service, const struct run *run, const char **out_launcher,
                    cJSON **out, struct err *err) CHECKED;
#endif
