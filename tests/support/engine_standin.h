/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_ENGINE_STANDIN_H
#define SUPPORT_ENGINE_STANDIN_H
#include <sys/types.h>

#include "json/json.h"

/*
 * The stand-in for a Docker Engine (engine-standin/README.md) as a child of a test program: a
 * small engine, or a layer of faults in front of the real one whose socket TEST_ENGINE names.
 * Functions fail the test when something goes wrong.
 */
struct engine_standin {
    pid_t pid;
    struct net *net;
    char *socket; /* a path */
    char *host;   /* the same for docker.host */
};

/* The socket of a real engine, or NULL. */
const char *engine_standin_real(void);

/* In a directory that exists. `flags` end with NULL; without a real engine they count. */
void engine_standin_start(struct engine_standin *out, const char *dir,
                          const char *const *flags);
void engine_standin_stop(struct engine_standin *standin);

/* Any call, of the engine's API or of the stand-in's own entrance; the answer is the caller's.
 */
cJSON *engine_standin_call(struct engine_standin *standin, const char *method, const char *path,
                           const char *json);
void engine_standin_fault(struct engine_standin *standin, const char *json);
void engine_standin_clear(struct engine_standin *standin);
/* How many calls had this in their path. */
int engine_standin_asked(struct engine_standin *standin, const char *part);
#endif
