/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_FAKE_JOB_H
#define LAUNCH_FAKE_JOB_H
#include "launch/fake_home.h"
#include "launch/fake_script.h"
#include "launch/launcher.h"

/*
 * One fake job as a state machine without threads, clocks or sockets: its owner asks what is
 * due, makes the call that fake_job_step wants, and says how it went. Times are of one
 * monotonic clock, in milliseconds.
 */

/* Between TERM and KILL. */
#define FAKE_KILL_AFTER_MS 200

enum fake_state { FAKE_ASKED, FAKE_BEGUN, FAKE_CLAIMED, FAKE_ENDED, FAKE_LOST };

enum fake_call { FAKE_CALL_NONE, FAKE_CALL_CLAIM, FAKE_CALL_HEARTBEAT, FAKE_CALL_COMPLETE };

struct fake_job {
    struct id run;
    int attempt;
    struct fake_script script;
    struct secret *token;
    char *url; /* NULL: calls nobody */

    enum fake_state state;
    enum fake_end report; /* once `reporting` */
    bool reporting;       /* the end is decided and must get home */
    bool told_to_stop;
    int times_begun;
    int times_asked;
    int64_t begin_ms; /* until then it waits for others */
    struct buf notes;
    int heartbeat_s;
    int64_t act_ms; /* the claim, later the end */
    int64_t heartbeat_ms;
    int64_t not_before_ms; /* after a call that nobody answered */
    int64_t deadline_ms;   /* 0: none */
    int64_t kill_ms;       /* 0: not told to stop by the backend */

    int exit_code;
    enum failure_code reason;
    const char *detail; /* a literal, or NULL */

    /* The owner's: its place among the timers, among the calls, in the table. */
    int64_t due_ms;
    size_t timer_at; /* 0: has none */
    bool busy;       /* a thread makes its call */
    enum fake_call call;
    struct fake_job *next_call;
    struct fake_job *next_in_bucket;
};

struct fake_job *fake_job_new(const struct job_spec *spec) CHECKED;
void fake_job_free(struct fake_job *job);
DEFINE_SCOPED(fake_job)

bool fake_job_is_over(const struct fake_job *job);
bool fake_job_is_waiting(const struct fake_job *job, int64_t now_ms);

/* When fake_job_step has something to do; INT64_MAX: never. */
int64_t fake_job_due_ms(const struct fake_job *job);

void fake_job_begin(struct fake_job *job, int64_t timeout_s, int64_t now_ms);
void fake_job_stop(struct fake_job *job, int64_t now_ms);

/* Does what is due and returns the call to make. */
enum fake_call fake_job_step(struct fake_job *job, int64_t now_ms);
void fake_job_answered(struct fake_job *job, enum fake_call call, enum fake_answer answer,
                       int64_t now_ms);
#endif
