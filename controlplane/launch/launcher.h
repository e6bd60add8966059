/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_LAUNCHER_H
#define LAUNCH_LAUNCHER_H
#include "base/buf.h"
#include "base/secret.h"
#include "config/config.h"
#include "model/run.h"
#include "json/json.h"

/*
 * Where jobs run. A backend is a const struct of functions plus its own state (launcher_ops);
 * callers use the launcher_... functions, which add the backend's name to errors and logs.
 * All calls are safe from any thread.
 *
 * A job is named "run-<id>-<attempt>" in every backend. Its life: start, then some polls, then
 * forget. A job that ends by itself stays known until it is forgotten.
 */
struct job_spec {
    struct id run;
    int attempt;
    const char *url; /* where the runner calls home: DISPATCH_URL */
    const struct secret *task_token;
    const char *repo; /* OWNER/NAME, for labels */
    const char *agent;
    int64_t timeout_s;  /* the backend ends the job at the latest after this */
    const char *script; /* fake only: how it shall behave (its file says); NULL */
};

enum job_phase {
    JOB_STARTING, /* accepted, not yet executing */
    JOB_RUNNING,
    JOB_ENDED, /* exit_code and reason say how */
    JOB_LOST,  /* the backend doesn't know such a job (any more) */
};

struct job_view {
    enum job_phase phase;
    int exit_code;            /* JOB_ENDED: -1 when not known */
    enum failure_code reason; /* JOB_ENDED: what the backend says of it; FAILURE_NONE */
    char detail[256];         /* a sentence for people; or empty */
    bool waiting;             /* JOB_STARTING: it waits for others (admission, a node, an
                                 image); the time to claim doesn't run. `detail` says for whom */
};

/* Told (from any thread, without locks held) that a job may have changed: poll it. */
typedef void (*launcher_changed_fn)(void *ctx, struct id run, int attempt);

typedef void (*launcher_job_fn)(void *ctx, struct id run, int attempt, const char *ref);

struct launcher_ops {
    const char *name; /* as written in the configuration */

    /* `changed` may be NULL. A backend that can't hear of changes never calls it. */
    int (*open)(const struct config *config, launcher_changed_fn changed, void *changed_ctx,
                void **out_self, struct err *err);
    void (*close)(void *self); /* jobs go on */

    /* Starts one job per (run, attempt), even when asked twice, even when the first caller
     * died half-way: the second start adopts it. ERR_TIMEOUT: it may or may not have started,
     * ask again. ERR_UNAVAILABLE: the backend is away or busy and has started nothing; ask
     * later (retry_after_s), it is no failure of this run. Any other error: it has not and will
     * not; its code may be a failure code ("image_pull"). *out_ref is the caller's. */
    int (*start)(void *self, const struct job_spec *spec, char **out_ref, struct err *err);

    /* A job the backend has forgotten is JOB_LOST, which is an answer, not an error. */
    int (*poll)(void *self, const char *ref, struct job_view *out, struct err *err);

    /* Asks it to end (TERM, later KILL) and returns. Stopping an ended job succeeds. */
    int (*stop)(void *self, const char *ref, struct err *err);

    /* The run is over and pruned: what is left of the job may go. Forgetting twice succeeds. */
    int (*forget)(void *self, const char *ref, struct err *err);

    /* What the job wrote, at most limit_bytes from its end. Optional: NULL. */
    int (*logs)(void *self, const char *ref, size_t limit_bytes, struct buf *out,
                struct err *err);

    /* Tells people who look at the job in the backend what became of its run: "Claimed",
     * "PullRequestOpened", "Completed", "Failed", "Stopped", with a sentence. Never waits; may
     * be lost. Optional: NULL. */
    void (*note)(void *self, const char *ref, const char *reason, const char *sentence);

    /* What `start` would make of this spec, as a document for people: every secret's value is
     * EXPLAIN_SECRET (spec->task_token is NULL), and the attempt is 1. Makes nothing, asks
     * nobody, never waits. Optional: NULL. */
    int (*explain)(void *self, const struct job_spec *spec, cJSON **out, struct err *err);

    /* Every job of ours that the backend has, ended ones as well, so that those of no run can
     * be found. Optional: NULL. */
    int (*list)(void *self, launcher_job_fn each, void *ctx, struct err *err);
};

struct launcher;

bool launcher_known(const char *name);

struct launcher *launcher_open(const char *name, const struct config *config,
                               launcher_changed_fn changed, void *changed_ctx,
                               struct err *err) CHECKED; /* ERR_INVALID: no such backend */
void launcher_free(struct launcher *launcher);
DEFINE_SCOPED(launcher)

const char *launcher_name(const struct launcher *launcher);
int launcher_start(struct launcher *launcher, const struct job_spec *spec, char **out_ref,
                   struct err *err) CHECKED;
int launcher_poll(struct launcher *launcher, const char *ref, struct job_view *out,
                  struct err *err) CHECKED;
int launcher_stop(struct launcher *launcher, const char *ref, struct err *err) CHECKED;
int launcher_forget(struct launcher *launcher, const char *ref, struct err *err) CHECKED;
int launcher_logs(struct launcher *launcher, const char *ref, size_t limit_bytes,
                  struct buf *out,
                  struct err *err) CHECKED; /* ERR_UNSUPPORTED when it has none */

void launcher_note(struct launcher *launcher, const char *ref, const char *reason,
                   const char *sentence);
#define EXPLAIN_SECRET "<secret>"
int launcher_explain(struct launcher *launcher, const struct job_spec *spec, cJSON **out,
                     struct err *err) CHECKED; /* ERR_UNSUPPORTED when it can't */
int launcher_list(struct launcher *launcher, launcher_job_fn each, void *ctx,
                  struct err *err) CHECKED; /* ERR_UNSUPPORTED when it can't */

extern const struct launcher_ops kubernetes_launcher;
extern const struct launcher_ops docker_launcher;
extern const struct launcher_ops cloudrun_launcher;
extern const struct launcher_ops process_launcher;
extern const struct launcher_ops fake_launcher;
extern const struct launcher_ops fake_second_launcher;
#endif
