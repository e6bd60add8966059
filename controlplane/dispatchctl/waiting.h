/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_WAITING_H
#define DISPATCHCTL_WAITING_H
#include "dispatchctl/client.h"

/*
 * Until a run has ended. Its events are listened to, with a new connection where one breaks;
 * where the server has no stream for us (an older one, or 10 are open) its status is asked for,
 * ever less often. A server that is away for longer than --patience is given up on.
 */
#define PATIENCE_USUAL_MS 60000

/* With `follow` what happens is printed meanwhile, to `to`. Prints how it ended, and complaints
 * to standard error; returns the exit code. */
int waiting_for_run(const struct invocation *call, struct client *client, const char *id,
                    FILE *follow_to);

/* After a run was queued: says so, or waits where --wait or --follow say so. `answer` is the
 * server's, with the run's id under `id_key`. Returns the exit code. */
int waiting_if_asked(const struct invocation *call, struct client *client, const cJSON *answer,
                     const char *id_key);
#endif
