/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/docker_private.h"

int docker_stop(void *self, const char *name, struct err *err)
{
    struct docker *docker = self;
    struct docker_target target;
    struct docker_facts facts;

    if (!docker_target_of(name, &target))
        return docker_refuse_ref(name, err);
    if (docker_look_up(docker, target.ref.text, false, &facts, err) < 0)
        return -1;
    switch (facts.state) {
    case DOCKER_CREATED: /* there is nothing to keep of it, and nothing to end */
        return docker_calls_remove(docker->api, facts.id, err);
    case DOCKER_PAUSED:
        if (docker_calls_resume(docker->api, facts.id, err) < 0)
            return -1;
        break;
    case DOCKER_RUNNING:
        break;
    case DOCKER_NONE:
    case DOCKER_ENDED:
    case DOCKER_DEAD:
    default:
        return 0;
    }
    if (docker_calls_signal(docker->api, facts.id, "SIGTERM", err) < 0)
        return -1;
    docker_watch_told(docker->watch, facts.id);
    return 0;
}

int docker_forget(void *self, const char *name, struct err *err)
{
    struct docker *docker = self;
    struct docker_target target;
    struct docker_facts facts;

    if (!docker_target_of(name, &target))
        return docker_refuse_ref(name, err);
    if (docker_look_up(docker, target.ref.text, false, &facts, err) < 0)
        return -1;
    if (facts.state == DOCKER_NONE)
        return 0;
    if (facts.state != DOCKER_ENDED && facts.state != DOCKER_DEAD)
        return err_set(err, ERR_CONFLICT, "it is still running");
    return docker_calls_remove(docker->api, facts.id, err);
}
