/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_PULL_REQUEST_TEXT_H
#define RUNNER_PULL_REQUEST_TEXT_H
#include "git/workspace.h"
#include "home/assignment.h"

/*
 * The words a run leaves for people: title, branch, commit message, description. Prompts,
 * reasons and file names are anybody's text, so in the description each stands in a fenced
 * block: there they ping nobody, close nothing and render as what they are. Each result is
 * for the caller to free.
 */
#define TITLE_MAX_CHARACTERS 72
#define SLUG_MAX_BYTES 40
#define DESCRIPTION_MAX_BYTES 60000

/* From the ticket, the title, or the first line of the prompt, whichever is there first. */
char *pull_request_title(const struct assignment *assignment) CHECKED;

/* u/dispatch/<last 7 of the run's id>/<slug of `title`> */
char *pull_request_branch(const char *run_id, const char *title) CHECKED;

/* [a-z0-9-] only, "change" when nothing is left. */
char *pull_request_slug(const char *title) CHECKED;

char *pull_request_commit_message(const struct assignment *assignment,
                                  const char *title) CHECKED;

/* One line of anybody's text as a title. */
char *pull_request_one_line(const char *text) CHECKED;

/* What isn't whole: the description opens with it, and the pull request is a draft. All may be
 * NULL. */
struct pull_request_warning {
    const char *partial_reason; /* the agent said that it isn't done; "" without saying why */
    const char *sentence;       /* why the run has failed although there is a change */
    const char *quote;          /* below it */
    const char *findings; /* lines: what the change carries that somebody should look at */
};

bool pull_request_warns(const struct pull_request_warning *warning);

/* `own`: the agent's words, safe to be shown as Markdown; NULL: none. */
char *pull_request_description(const struct assignment *assignment, const struct change *change,
                               const char *own,
                               const struct pull_request_warning *warning) CHECKED;

/* "3 files changed, 10 lines added, 2 removed" */
char *pull_request_counts(const struct change *change) CHECKED;
#endif
