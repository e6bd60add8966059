/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_CALLS_H
#define LAUNCH_DOCKER_CALLS_H
#include "launch/docker_api.h"

/* Sends a container's first process "SIGTERM" or "SIGKILL". One that has ended, or is gone, is
 * no error: engines say that in several ways, so it is looked at. */
int docker_calls_signal(struct docker_api *api, const char *id, const char *signal,
                        struct err *err) CHECKED;

/* One that is paused goes on, as no signal reaches it otherwise. Others just do. */
int docker_calls_resume(struct docker_api *api, const char *id, struct err *err) CHECKED;

/* GET /containers/WHICH/json, by name or id. */
int docker_calls_inspect(struct docker_api *api, const char *which, bool patient, cJSON **out,
                         struct err *err) CHECKED;
/* Takes away one that isn't running, with its volumes. One that is gone is no error;
 * ERR_CONFLICT: it runs. */
int docker_calls_remove(struct docker_api *api, const char *id, struct err *err) CHECKED;
#endif
