/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_FACTS_H
#define LAUNCH_DOCKER_FACTS_H
#include "launch/job_ref.h"
#include "launch/launcher.h"
#include "json/json.h"

/*
 * What matters of a container, taken from what an engine says of it (all of which is a
 * stranger's word), and what a launcher says of such a container. Plain values, no calls, no
 * clock.
 */
#define LABEL_NAMESPACE "dispatch.dev/namespace"
#define LABEL_TIMEOUT "dispatch.dev/timeout-s"
#define DOCKER_ID_SIZE 65
#define DOCKER_NAMESPACE_SIZE 64

enum docker_state {
    DOCKER_NONE,    /* there is no such container, or it isn't ours */
    DOCKER_CREATED, /* never started */
    DOCKER_RUNNING,
    DOCKER_PAUSED, /* by somebody, who may let it go on */
    DOCKER_ENDED,
    DOCKER_DEAD, /* the engine failed to take it away */
};

struct docker_facts {
    enum docker_state state;
    bool foreign; /* NONE: there is one, of somebody else */
    struct id run;
    int attempt;
    char id[DOCKER_ID_SIZE];
    int64_t created_ms; /* 0: not known, as below */
    int64_t finished_ms;
    int64_t timeout_s;
    int exit_code; /* as the engine says it: 137 for a KILL */
    bool out_of_memory;
    bool user_known;
    uid_t user;       /* that its processes begin as */
    char detail[256]; /* of the engine, for people; or empty */
};

/* From GET /containers/NAME/json. Ours is what has our labels, this namespace among them, and
 * the name that goes with them. */
void docker_facts_of_container(const cJSON *container, const char *namespace,
                               struct docker_facts *out);
/* From a member of GET /containers/json: state, created_ms, timeout_s and who it is. */
void docker_facts_of_listed(const cJSON *listed, const char *namespace,
                            struct docker_facts *out);

/* Which job an event is about; false for those that change nothing of a job. */
bool docker_facts_of_event(const cJSON *event, struct id *out_run, int *out_attempt);

/* Past its time, by the engine's own clock or, where it still runs, by ours. */
bool docker_facts_late(const struct docker_facts *facts, int64_t now_ms);

/* Was it killed, and doesn't the engine say why? */
bool docker_facts_killed(const struct docker_facts *facts);

/* What is to be said of it; `outcome` (NULL: none) is the runner's own word at its end. */
void docker_facts_view(const struct docker_facts *facts, const char *outcome,
                       size_t outcome_size, struct job_view *out);

/* "65532", "65532:65532", "root", "": whose number is known. */
bool docker_facts_user(const char *user, uid_t *out);
#endif
