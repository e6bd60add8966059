/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_CLUSTER_WORLD_H
#define SUPPORT_CLUSTER_WORLD_H
#include "launcher_world.h"
#include "json/json.h"

/*
 * The backend `kubernetes`: over the stand-in, whose containers are processes here, or over the
 * real cluster behind it (kubernetes_standin.h). Pods of that one are a shell in the image that
 * TEST_CLUSTER_IMAGE names, and find what to do in their annotation of the run's repository:
 * our files are out of their reach.
 */

/* Before the launcher is opened, on a real cluster: more lines for the spec of its pods, which
 * follow those of its container. */
void cluster_world_pod(struct world *world, const char *lines);

/* Objects of one kind in the cluster, Secrets too: an array, for the caller to free. */
cJSON *cluster_objects(struct world *world, const char *kind);
int cluster_count(struct world *world, const char *kind);
/* How often anything of this kind was made, ever. */
int cluster_times_made(struct world *world, const char *kind);
#endif
