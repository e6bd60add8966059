/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_IMAGE_H
#define LAUNCH_DOCKER_IMAGE_H
#include "config/config.h"
#include "launch/docker_api.h"

/*
 * The runner's image on the engine, pulled as the policy says:
 *
 *   always   before each start, unless it was pulled within DOCKER_IMAGE_FRESH_MS
 *   missing  when the engine doesn't have it
 *   never    not at all
 *
 * One pull at a time, on a thread of its own, for all who need it. Who asks waits for it for
 * DOCKER_IMAGE_WAIT_MS; a pull that takes longer is ERR_UNAVAILABLE for them, and they ask
 * again. Credentials are those that the file docker.auth_file has by then. One that failed is
 * ERR_UPSTREAM with code "image_pull", for whoever asks within DOCKER_IMAGE_FAILED_MS. Safe
 * from any thread.
 */
#define DOCKER_IMAGE_FRESH_MS 60000
#define DOCKER_IMAGE_WAIT_MS 3000
#define DOCKER_IMAGE_FAILED_MS 10000

struct docker_image;

/* `api` outlives it; the texts are copied. */
struct docker_image *docker_image_new(struct docker_api *api,
                                      const struct config_docker *settings) CHECKED;
/* Gives a pull up. */
void docker_image_free(struct docker_image *image);
DEFINE_SCOPED(docker_image)

/* Before a start. */
int docker_image_before(struct docker_image *image, struct err *err) CHECKED;
/* The engine says that it doesn't have it. */
int docker_image_missing(struct docker_image *image, struct err *err) CHECKED;

/* "registry:5000/a/b:1" -> "registry:5000/a/b" and "1"; without a tag it is "latest", and a
 * digest counts as one. The caller frees both. */
void docker_image_split(const char *name, char **out_repository, char **out_tag);
#endif
