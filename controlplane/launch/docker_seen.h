/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_SEEN_H
#define LAUNCH_DOCKER_SEEN_H
#include "launch/docker_facts.h"

/* Our containers as one list of the engine's had them, by run and attempt. */
struct docker_seen {
    struct docker_facts facts;
    bool told; /* to go, as it was late */
};

struct docker_seen_list {
    struct docker_seen *all;
    size_t count;
};

/* From the answer to GET /containers/json. */
void docker_seen_read(const cJSON *answer, const char *namespace, struct docker_seen_list *out);
void docker_seen_done(struct docker_seen_list *list);

/* Tells of what came, went or changed its state between the two (`changed` may be NULL), and
 * hands on to `now` what was told. */
void docker_seen_compare(const struct docker_seen_list *before, struct docker_seen_list *now,
                         launcher_changed_fn changed, void *ctx);

/* GET /containers/json for what is ours, and GET /events: their paths, for the caller to free.
 */
char *docker_seen_list_path(const char *namespace) CHECKED;
char *docker_seen_events_path(const char *namespace) CHECKED;
#endif
