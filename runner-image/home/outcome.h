/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_OUTCOME_H
#define RUNNER_OUTCOME_H
#include <stdbool.h>

#include "base/err.h"
#include "text/redaction.h"
#include "json/json.h"

/*
 * How the run ended: what is reported home, printed as one line, and left in the termination
 * log. Failure codes are a closed list that home knows; a failed run has one, and a sentence.
 */
enum outcome_status { OUTCOME_COMPLETED, OUTCOME_FAILED, OUTCOME_STOPPED };

/* clang-format off */
#define CODE_CLONE_FAILED  "clone_failed"
#define CODE_AUTH_EXPIRED  "auth_expired"
#define CODE_AGENT_FAILED  "agent_failed"
#define CODE_AGENT_TIMEOUT "agent_timeout"
#define CODE_OUT_OF_MEMORY "out_of_memory"
#define CODE_EVICTED       "evicted"
#define CODE_TESTS_FAILED  "tests_failed"
#define CODE_BUDGET_EXCEEDED "budget_exceeded"
#define CODE_PUSH_REJECTED "push_rejected"
#define CODE_PR_FAILED     "pr_failed"
#define CODE_INTERNAL      "internal"
/* clang-format on */

/* The list has no code for a full disk: task.c says which stand for it. */

struct outcome {
    enum outcome_status status;
    char *pr_url; /* NULL: none, as those below */
    char *branch;
    char *summary;
    char *result; /* a plan, or the answer of a run without a repository */
    cJSON *usage; /* of the models */
    bool draft;
    bool partial;
    const char *error_code; /* a literal */
    char error[ERR_TEXT_MAX];
};

#define scoped_outcome __attribute__((cleanup(outcome_done))) struct outcome
void outcome_done(struct outcome *outcome);

/* Marks it failed, with the sentence of `err`. Always -1: one line records and leaves. */
int outcome_fail(struct outcome *outcome, const char *code, const struct err *err);

/* The body for home, and the line for people; each for the caller to free. */
char *outcome_report(const struct outcome *outcome, const char *run_id,
                     struct redaction *redaction) CHECKED;
char *outcome_line(const struct outcome *outcome, const char *run_id,
                   struct redaction *redaction) CHECKED;

/* The line on stdout and in the termination log (NULL: none). */
void outcome_write(const char *line, const char *termination_log);

const char *outcome_status_name(enum outcome_status status);
#endif
