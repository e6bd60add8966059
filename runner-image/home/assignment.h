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
    const char *repo;      /* OWNER/NAME; NULL in a blank workspace */
    const char *clone_url; /* the same */
    const char *github_api_url;
    const char *base_branch; /* NULL: the remote's default */
    const char *prompt;
    const char *agent;
    const char *agent_command; /* NULL: the operator named none */
    const char *mode;          /* "execute" or "plan" */
    const char *model;         /* NULL: the agent's own default; and so the provider */
    const char *provider;
    const char *title; /* these and those below may be NULL */
    const char *ticket_id;
    const char *ticket_summary;
    const char *test_command;
    bool auto_create_pr;
    bool blank_workspace;
    int timeout_s;
    int heartbeat_s;
    const char *bot_name;
    const char *bot_email;
    const char *requester_name; /* both or neither */
    const char *requester_email;

    const cJSON *tools;  /* [{name, description, parameters, endpoint}]; or NULL */
    const cJSON *agents; /* [{name, description, mode, prompt, tools, max_turns?}]; or NULL */

    /* Budgets; 0: none. */
    int64_t max_tokens;
    double max_cost_usd;
    int max_turns;

    /* The operator's policy. */
    const char *sandbox; /* "strict", "auto", "off" */
    bool honour_repository_agent_config;
    const char *workflow_changes; /* "refuse" or "draft"; and so */
    const char *credentials_in_diff;
    const cJSON *allow_private_urls; /* ["10.1.0.0/16"]; or NULL */
};

#define scoped_assignment __attribute__((cleanup(assignment_done))) struct assignment

/* Takes `document`, on failure too. ERR_INVALID names the field. */
int assignment_read(struct assignment *out, cJSON *document, struct err *err) CHECKED;
void assignment_done(struct assignment *assignment);
#endif
