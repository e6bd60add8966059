/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H
#include "base/id.h"
#include "base/scoped.h"

/*
 * A run: one execution of one coding task. The surfaces call it a dispatch, a task or an
 * agent run. This header has its states, the moves between them, and why a run fails; plain
 * values, no I/O.
 *
 *     pending -> launching -> running -> completed | failed | stopped
 *        ^___________|   (a launch that may be retried: a new attempt)
 *
 * dispatchd moves pending -> launching -> pending; the runner's claim moves launching ->
 * running; the first report of an end, or a deadline, moves to a terminal state. Nothing
 * leaves a terminal state.
 */
enum run_status {
    RUN_PENDING,
    RUN_LAUNCHING,
    RUN_RUNNING,
    RUN_COMPLETED,
    RUN_FAILED,
    RUN_STOPPED,
    RUN_STATUS_COUNT,
};

const char *run_status_name(enum run_status status);           /* as stored */
const char *run_status_public_name(enum run_status status);    /* launching is "pending" */
bool run_status_parse(const char *name, enum run_status *out); /* stored names */
bool run_status_is_terminal(enum run_status status);

/* The table of allowed moves. */
bool run_may_move(enum run_status from, enum run_status to);

enum failure_code {
    FAILURE_NONE,
    FAILURE_LAUNCH_FAILED,
    FAILURE_IMAGE_PULL,
    FAILURE_CLONE_FAILED,
    FAILURE_AUTH_EXPIRED,
    FAILURE_AGENT_FAILED,
    FAILURE_AGENT_TIMEOUT,
    FAILURE_OUT_OF_MEMORY,
    FAILURE_EVICTED,
    FAILURE_DEADLINE,
    FAILURE_PUSH_REJECTED,
    FAILURE_PR_FAILED,
    FAILURE_TESTS_FAILED,
    FAILURE_BUDGET_EXCEEDED,
    FAILURE_LOST,
    FAILURE_INTERNAL,
};

const char *failure_code_name(enum failure_code code); /* NULL for FAILURE_NONE */
bool failure_code_parse(const char *name, enum failure_code *out);

#define RUN_PRIORITY_MIN 0
#define RUN_PRIORITY_USUAL 500
#define RUN_PRIORITY_MAX 1000
#define RUN_PRIORITY_UNSAID (-1) /* of a request: the repository's, or the usual */

/* As a pending run's not_before_ms: its time never comes by itself, as its place in the queue
 * is decided by more than its age (service/admission.h). */
#define RUN_WAITS_ITS_TURN INT64_MAX

/* A run as the database has it. Strings are owned; NULL where nothing is known. */
struct run {
    struct id id;
    enum run_status status;
    int attempt;             /* 0 until the first launch */
    int launch_failures;     /* attempts whose launch failed */
    int64_t token_id;        /* the integration token that dispatched it; 0: another surface */
    int64_t owner;           /* the credential that may see it; 0: an integration token's */
    int priority;            /* RUN_PRIORITY_MIN to _MAX: higher goes first */
    int64_t installation_id; /* of the GitHub App; 0: find it */
    char *repo;              /* OWNER/NAME; NULL: a blank workspace */
    char *agent;
    char *model;
    char *provider;
    char *mode;        /* "execute" or "plan" */
    char *base_branch; /* NULL: the repository's default */
    char *title;
    char *prompt;
    char *ticket_id;
    char *ticket_summary;
    char *test_command;
    char *requester;   /* "NAME <EMAIL>" of the person who asked; NULL: not known */
    char *webhook_url; /* is told of the end; NULL: nobody */
    char *retry_of;    /* the run that this one tries again; NULL: none */
    char *options; /* JSON object of the rest that was asked; NULL: none. On its way into the
                      store only: store/run_details.h has it afterwards */
    char *wanted_launcher; /* the one that its token names; NULL: as configured */
    char *launcher;  /* the backend that has the job; pending: that is asked next, or NULL */
    char *job_ref;   /* its name there */
    char *runner_id; /* who claimed it */
    char *pr_url;
    char *branch_name;
    char *summary;
    char *error; /* a sentence for people */
    char *usage; /* JSON, as reported */
    enum failure_code error_code;
    bool draft;
    bool partial;
    bool stop_requested;
    int64_t not_before_ms; /* pending: when the next attempt may start */
    int64_t started_ms;    /* claimed */
    int64_t ended_ms;
    int64_t heartbeat_ms;
    int64_t deadline_ms; /* of the current state */
    uint8_t task_token_hash[32];
    uint8_t report_hash[32]; /* of the report that ended it; zeroes: ended by us */
};

void run_free(struct run *run);
DEFINE_SCOPED(run)
#endif
