/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_LAUNCHER_WORLD_H
#define SUPPORT_LAUNCHER_WORLD_H
#include <stdatomic.h>

#include "test.h"

#include "launch/launcher.h"

/*
 * One launcher in a directory of its own, over whichever backend, with jobs that do what a case
 * asks. A backend joins the contract's cases with one struct backend: how a job of each kind is
 * made there. Functions that say nothing else fail the test when something goes wrong.
 */
#define SOON_MS 60000 /* a busy machine under a sanitizer is slow */
#define TOKEN "vgvtask_this-is-the-token"
#define HOME_URL "http://127.0.0.1:9"

enum kind { QUICK, FAILING, LONG, STUBBORN };

struct world;
struct kubernetes_standin;
struct standin;
struct engine_standin;

struct backend {
    const char *name;
    const char *scripts[STUBBORN + 1]; /* of the fake, or of the stand-in for the runner */
    int failing_exit_code;
    bool survives_reopening;
    bool says_ready; /* LONG and STUBBORN do, once TERM is seen to */
    /* What it needs before it is opened, and what becomes of that; or NULL. */
    void (*prepare)(struct world *world);
    void (*clean)(struct world *world);
    /* Before its launcher is closed for good; or NULL. */
    void (*empty)(struct world *world);
};

/* Where a job is a shell that reads what to do. */
#define SHELL_SCRIPTS                                                                          \
    .scripts = {[QUICK] = "exit 0",                                                            \
                [FAILING] = "exit 3",                                                          \
                [LONG] = "sleep 1000 & trap 'exit 4' TERM; echo ready; wait",                  \
                [STUBBORN] = "trap '' TERM; echo ready; while :; do sleep 0.1; done"},         \
    .failing_exit_code = 3, .survives_reopening = true, .says_ready = true

extern const struct backend process;
extern const struct backend fake;
extern const struct backend kubernetes;
extern const struct backend cloudrun;
extern const struct backend docker;

struct world {
    const struct backend *backend;
    char *dir;
    struct config config;
    struct secret *token;
    struct launcher *launcher;
    atomic_int changes;
    struct kubernetes_standin *standin; /* of `kubernetes` */
    struct standin *cloud;              /* of `cloudrun` */
    struct engine_standin *engine;      /* of `docker` */
};

/* With the config's directory and runner in place, but no launcher yet. */
struct world *world_prepare(const struct backend *backend);
struct world *world_new(const struct backend *backend);
void world_free(struct world *world);
DEFINE_SCOPED(world)
/* How many jobs at once are many there: 100; 20 for a real engine or cluster on a machine that
 * builds, too. */
int world_crowd(const struct world *world);
/* cmocka carries the backend to the case. */
struct world *world_of(void **state);

void open_launcher(struct world *world);
void reopen(struct world *world);

struct id new_run(void);
/* A run whose job does what this script says. */
struct id run_doing(struct world *world, const char *script);
int try_start(struct world *world, struct id run, const char *script, char **out_ref,
              struct err *err);
/* Each of these returns a job's name, for the caller to free. */
char *start_with_deadline(struct world *world, struct id run, int64_t timeout_s);
char *start_again(struct world *world, struct id run, const char *script);
char *start_script(struct world *world, const char *script);
char *start(struct world *world, enum kind kind);
void stop(struct world *world, const char *ref);

struct job_view view_of(struct world *world, const char *ref);
enum job_phase phase_of(struct world *world, const char *ref);
struct job_view await_end(struct world *world, const char *ref);
/* Until it runs, and has said so. */
void await_started(struct world *world, const char *ref);

char *logs_of(struct world *world, const char *ref, size_t limit);
bool has_logged(struct world *world, const char *ref, const char *word);
int times_in(const char *text, const char *word);
/* Every execution writes one line. */
int executions(struct world *world, const char *ref);

/* One case over one backend, for a cmocka table. */
#define OVER(backend, test)                                                                    \
    {                                                                                          \
#test " (" #backend ")", test, NULL, NULL, (void *)(uintptr_t) & (backend)             \
    }
#endif
