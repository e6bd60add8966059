/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_BACKENDS_H
#define SERVICE_BACKENDS_H
#include "launch/launcher.h"
#include "service/launches.h"
#include "store/token_store.h"

/*
 * The launchers that are open, and which of them a run goes to: the one that its token names,
 * else its repository's, else the usual one. When that refuses before the run was claimed (it
 * has been away for launcher_fallback_after_s, or starting the job fails for good), those of
 * launcher_fallback are next, in their order; a run doesn't come back to one that it has left.
 *
 * A run's job is where run->launcher says: whoever polls or stops it asks backends_find.
 *
 * What is open doesn't change between backends_open and backends_done: safe from any thread,
 * but for what is said to be one thread's.
 */
#define BACKENDS_MAX 8
#define BACKEND_NONE (-1)

struct backend {
    struct launcher *launcher;
    const char *name;
    struct launches launches;
    bool silent; /* of the reconciler: in this round of looks a call went unanswered */
    /* Of whoever holds the service's take_lock. */
    bool has_turn; /* it may be asked for something, which launches_none gives back */
    bool ready;    /* for a new run */
    bool gone;     /* away for so long that its runs go elsewhere */
};

/* Both count from 0 in backends->all; BACKEND_NONE: it isn't open. */
struct backend_route {
    int chosen;
    int at; /* the one to be asked: the chosen one, or one that the run has moved on to */
};

struct queue_rules;

struct backends {
    struct backend all[BACKENDS_MAX]; /* the usual one first */
    size_t count;
    int fallback[BACKENDS_MAX];
    size_t n_fallback;
    int64_t fallback_after_ms;
    struct queue_rules *rules;
};

/* Opens every one that the configuration or a good token names. ERR_INVALID says where a name
 * stood that isn't known. `config` is borrowed; `tokens` may be NULL. On -1 backends_done is
 * still due. */
int backends_open(struct backends *backends, const struct config *config,
                  struct token_store *tokens, launcher_changed_fn changed, void *changed_ctx,
                  struct err *err) CHECKED;
void backends_done(struct backends *backends);

/* NULL when it isn't open, or name is NULL. */
struct backend *backends_find(struct backends *backends, const char *name);

/* `wanted`: by the token; `moved_to`: where a pending run is to go by now. Each may be NULL. */
struct backend_route backends_route(struct backends *backends, const char *wanted,
                                    const char *repo, const char *moved_to);
/* The same of a run. One that is active is at its own. */
struct backend_route backends_route_of(struct backends *backends, const struct run *run);

/* The one after route.at; BACKEND_NONE. */
int backends_next(const struct backends *backends, struct backend_route route);
/* The first after route.at that hasn't been away for too long; BACKEND_NONE. */
int backends_refuge(struct backends *backends, struct backend_route route, int64_t now_ms);

/* Which one takes a run of this route now; NULL: it has to wait. Under take_lock. */
struct backend *backends_ready(struct backends *backends, struct backend_route route);
/* Which one would, as far as can be told; NULL: the chosen one isn't open. */
struct backend *backends_likely(struct backends *backends, struct backend_route route);

/* Of the reconciler. */
void backends_listen(struct backends *backends); /* a new round: none is silent */
bool backends_any_silent(const struct backends *backends);
#endif
