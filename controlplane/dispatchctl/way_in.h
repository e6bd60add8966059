/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_WAY_IN_H
#define DISPATCHCTL_WAY_IN_H
#include "dispatchctl/flags.h"
#include "json/json.h"

/*
 * Which of the server's three ways in a submit takes, and what it says there.
 *   dispatch   an integration token: it names the repository
 *   agent      something is asked for that only agent runs have, or no repository is named
 *   task       everything else
 * A flag that the way in doesn't have is ERR_INVALID, so that it isn't dropped in silence.
 */
enum way_in { WAY_DISPATCH, WAY_TASK, WAY_AGENT };

int way_in_choose(const struct options *options, bool dispatches_only, enum way_in *out,
                  struct err *err) CHECKED;
const char *way_in_path(enum way_in way);
/* Under which the answer has the run's id. */
const char *way_in_id_key(enum way_in way);

/* `github_url` is what OWNER/NAME is relative to. The caller's; NULL with ERR_INVALID. */
cJSON *way_in_body(const struct options *options, enum way_in way, const char *prompt,
                   const char *github_url, struct err *err) CHECKED;
#endif
