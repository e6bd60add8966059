/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_PRIVATE_H
#define LAUNCH_DOCKER_PRIVATE_H
#include <pthread.h>

#include "launch/docker_calls.h"
#include "launch/docker_container.h"
#include "launch/docker_image.h"
#include "launch/docker_watch.h"

/* What the files of the backend share; nobody else includes it. docker.c has the story. */
#define DOCKER_START_LOCKS 32

struct docker {
    struct docker_api *api;
    struct docker_template *template;
    struct docker_image *image;
    struct docker_watch *watch;
    pthread_mutex_t starting[DOCKER_START_LOCKS]; /* by job: one start of it at a time */
};

/* Which job a caller means. */
struct docker_target {
    struct job_ref ref;
    struct id run;
    int attempt;
};

/* False when it isn't the name of a job. */
bool docker_target_of(const char *name, struct docker_target *out);
int docker_refuse_ref(const char *ref, struct err *err);

/* The engine is asked; a container that there isn't, or that isn't ours, is an answer. */
int docker_look_up(const struct docker *docker, const char *name, bool patient,
                   struct docker_facts *out, struct err *err) CHECKED;

/* The backend's calls (launcher.h). */
int docker_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err);
int docker_poll(void *self, const char *name, struct job_view *out, struct err *err);
int docker_logs(void *self, const char *name, size_t limit_bytes, struct buf *out,
                struct err *err);
int docker_list(void *self, launcher_job_fn each, void *ctx, struct err *err);
int docker_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err);
int docker_stop(void *self, const char *name, struct err *err);
int docker_forget(void *self, const char *name, struct err *err);
#endif
