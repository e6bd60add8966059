/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_ASSIGNMENT_H
#define RUNNER_ASSIGNMENT_H
#include "json/json.h"

/*
 * What home wants done: the answer to the claim, checked. Texts are borrowed from `document`,
 * which the struct owns; assignment_done releases it. Fields we don't know pass: home may be
 * newer than we are.
 */
struct assignment {
    cJSON *document;
    const char *run_id;
    int attempt;
    const char *repo; /* OWNER/NAME */
    const char *clone_url;
    const char *github_api_url;
    const char *base_branch; /* NULL: the remote's default */
    const char *prompt;
    const char *agent;
    const char *agent_command; /* NULL: the operator named none */
    const char *mode;          /* "execute" */
    const char *title;         /* these and those below may be NULL */
    const char *ticket_id;
    const char *ticket_summary;
    const char *test_command;
    bool auto_create_pr;
    bool blank_workspace;
    int timeout_s;
    int heartbeat_s;
    const char *bot_name;
    const char *bot_email;
};

#define scoped_assignment __attribute__((cleanup(assignment_done))) struct assignment

/* Takes `document`, on failure too. ERR_INVALID names the field. */
int assignment_read(struct assignment *out, cJSON *document, struct err *err) CHECKED;
void assignment_done(struct assignment *assignment);
#endif
