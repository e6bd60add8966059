/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_CONTAINER_H
#define LAUNCH_DOCKER_CONTAINER_H
#include "launch/docker_facts.h"

/*
 * The container of a run, as the document that the engine gets to make it:
 *
 *   root         read-only; /work is a volume of its own (or a tmpfs), /tmp a tmpfs
 *   rights       no capabilities, no new privileges; memory without swap, CPUs, processes
 *   environment  what the runner protocol names, the models' keys, `env_file`
 *   /run/dispatch  a volume of its own. Before the start the engine puts the task token there
 *                (docker_container_files), so that it stands in no `docker inspect`; the runner
 *                takes it away when it has read it. At the end the runner's outcome lies there
 */
#define DOCKER_OWN_PARENT "/run/dispatch"
#define DOCKER_OWN_FOLDER "own"
#define DOCKER_TOKEN_FILE "task-token"
#define DOCKER_OUTCOME_PATH DOCKER_OWN_PARENT "/" DOCKER_OWN_FOLDER "/outcome.json"

struct docker_template;

/* Everything that doesn't depend on the run. ERR_INVALID about a setting; the error of a file.
 */
struct docker_template *docker_template_new(const struct config *config,
                                            struct err *err) CHECKED;
void docker_template_free(struct docker_template *template);
DEFINE_SCOPED(docker_template)

const char *docker_template_namespace(const struct docker_template *template);

/* The body of POST /containers/create. `is_podman`: it has names of its own for the host. */
cJSON *docker_container_make(const struct docker_template *template,
                             const struct job_spec *spec, bool is_podman) CHECKED;

/* The archive for DOCKER_OWN_PARENT, with the token: to be wiped. */
void docker_container_files(const struct job_spec *spec, const struct docker_facts *facts,
                            struct buf *out);
#endif
