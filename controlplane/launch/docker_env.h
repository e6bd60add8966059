/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_ENV_H
#define LAUNCH_DOCKER_ENV_H
#include "json/json.h"

/*
 * Environment variables for a container: those of a file, those that dispatchd hands on
 * (job_env.h). The models' keys are among them, and everybody who may ask the engine may read
 * them there; the memory that they had here is wiped.
 */
struct docker_env {
    char **values; /* "NAME=value" */
    size_t count;
};

#define scoped_docker_env __attribute__((cleanup(docker_env_done))) struct docker_env

#define DOCKER_ENV_FILE_MAX 65536

/* A file as `docker run --env-file` takes it: NAME=value, NAME alone for what dispatchd has
 * under that name, lines that begin with '#'. NULL: none. ERR_INVALID: "FILE:LINE: why", which
 * never quotes a value. */
int docker_env_load(struct docker_env *out, const char *path, struct err *err) CHECKED;
void docker_env_done(struct docker_env *env);

/* Unless there is one of that name. */
void docker_env_add(struct docker_env *env, const char *pair);
void docker_env_add_passed(struct docker_env *env);

cJSON *docker_env_json(const struct docker_env *env) CHECKED;
#endif
