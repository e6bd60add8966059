/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_DOCKER_WATCH_H
#define LAUNCH_DOCKER_WATCH_H
#include "launch/docker_api.h"
#include "launch/docker_facts.h"

/*
 * One thread that keeps an eye on our containers: it hears the engine's events, and lists the
 * containers every DOCKER_WATCH_LIST_MS and whenever events may have been missed. What changed
 * is told. It also ends what is to be ended: a container past its time (TERM, and KILL after
 * the grace), one that was told to go and has not. After a restart it finds the former in its
 * first list; the latter is told again by whoever wants it gone.
 */
#define DOCKER_WATCH_LIST_MS 30000

struct docker_watch;

struct docker_watch_options {
    struct docker_api *api; /* outlives it */
    const char *namespace;  /* copied */
    int64_t grace_ms;
    launcher_changed_fn changed; /* may be NULL */
    void *changed_ctx;
};

struct docker_watch *docker_watch_start(const struct docker_watch_options *options,
                                        struct err *err) CHECKED;
/* Stops the calls of its `api`, too. */
void docker_watch_free(struct docker_watch *watch);
DEFINE_SCOPED(docker_watch)

/* It got its TERM: KILL comes after the grace, counted from the first time this is said. */
void docker_watch_told(struct docker_watch *watch, const char *id);
#endif
