/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_PROGRESS_H
#define LAUNCH_DOCKER_PROGRESS_H
#include "base/err.h"

/* One line of what an engine says while it pulls an image. ERR_UPSTREAM, code "image_pull",
 * when it says that it couldn't; else *out is what to tell people, or empty. */
#define DOCKER_PROGRESS_SIZE 256
int docker_progress_read(const char *line, size_t size, char out[DOCKER_PROGRESS_SIZE],
                         struct err *err) CHECKED;
#endif
