/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_JOB_ENV_H
#define LAUNCH_JOB_ENV_H
#include "launch/launcher.h"

/*
 * The environment of a runner, built from nothing: what the runner protocol names, a home of
 * its own, the proxy settings and the model providers' keys of dispatchd's environment. The
 * task token is not in it, only the number of the descriptor that it is read from.
 */
struct job_env {
    char **values; /* "NAME=value", NULL at the end */
    size_t count;
};

#define scoped_job_env __attribute__((cleanup(job_env_done))) struct job_env

/* The names of what is handed on from dispatchd's environment wherever the runner runs: proxy
 * settings, model providers' keys and addresses. NULL at the end. */
const char *const *job_env_passed(void);

void job_env_make(struct job_env *out, const struct job_spec *spec, const char *job_dir,
                  const char *ca_file, int token_fd);
void job_env_done(struct job_env *env);
#endif
