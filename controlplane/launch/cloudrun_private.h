/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_CLOUDRUN_PRIVATE_H
#define LAUNCH_CLOUDRUN_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "launch/cloudrun_api.h"
#include "launch/cloudrun_attempts.h"
#include "launch/cloudrun_table.h"

/* What the files of the backend share; nobody else includes it. cloudrun.c has the story. */
struct cloudrun {
    const struct config *config;
    struct cloudrun_api api;
    struct cloudrun_table *table;
    struct cloudrun_attempts *attempts;
    bool by_secret; /* the task token goes through Secret Manager */

    /* What the poller has found out. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t poller;
    bool has_poller;
    bool stopping;
    bool woken;
    atomic_bool is_ready;   /* the Job is as it should be, and everything was listed once */
    char *container;        /* set before is_ready */
    char why[ERR_TEXT_MAX]; /* while it isn't (under lock) */
};

/* Which job a caller means. */
struct cloudrun_target {
    struct id run;
    int attempt;
};

/* Attempts have one execution; more than so many nobody could have made. */
#define CLOUDRUN_GROUP_MAX 16

/* ERR_UNAVAILABLE with what is missing until is_ready. */
int cloudrun_check_ready(struct cloudrun *cloudrun, struct err *err) CHECKED;

/* --- cloudrun_poller.c --- */
/* ERR_INVALID and its like: for people; else the poller goes on trying. */
int cloudrun_get_ready(struct cloudrun *cloudrun, struct err *err) CHECKED;
int cloudrun_poller_start(struct cloudrun *cloudrun, struct err *err) CHECKED;
void cloudrun_poller_stop(struct cloudrun *cloudrun);
void cloudrun_poller_wake(struct cloudrun *cloudrun);
/* All executions, page by page, into the table. */
int cloudrun_list_all(struct cloudrun *cloudrun, struct err *err) CHECKED;
/* One that a call of ours was answered with. */
void cloudrun_put(struct cloudrun *cloudrun, const cJSON *execution);

/* --- The backend's calls (launcher.h) --- */
int cloudrun_start(void *self, const struct job_spec *spec, char **out_ref, struct err *err);
int cloudrun_explain(void *self, const struct job_spec *spec, cJSON **out, struct err *err);
#endif
