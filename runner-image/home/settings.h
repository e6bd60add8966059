/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SETTINGS_H
#define RUNNER_SETTINGS_H
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"
#include "home/model_keys.h"

/*
 * What the runner's environment says. Loading takes the task token and the keys of model
 * providers out of the environment: the variables are gone afterwards and the bytes that
 * /proc/<pid>/environ would show are wiped. Texts are owned by the struct; settings_done
 * releases them.
 *
 *   DISPATCH_URL               where home is, http:// or https://
 *   DISPATCH_RUN_ID            the run to claim
 *   DISPATCH_ATTEMPT           which attempt of it this is, from 1
 *   DISPATCH_TASK_TOKEN        the token for home, or
 *   DISPATCH_TASK_TOKEN_FILE   where to read it; /proc/self/fd/N is read to its end and closed
 *   DISPATCH_TASK_TOKEN_SECRET or the version of a secret in Google's Secret Manager that has
 *                              it; at DISPATCH_SECRETMANAGER_URL where that is set
 *   DISPATCH_TASK_TOKEN_ONCE   1: that file is taken away once it is read
 *   DISPATCH_WORK_DIR          where the workspace is made; $TMPDIR, /tmp
 *   DISPATCH_TERMINATION_LOG   gets a copy of the outcome; /dev/termination-log if it is there
 *   DISPATCH_CA_FILE           PEM to trust instead of the system's, for home, GitHub, git
 *                              and model providers
 *   DISPATCH_GIT_CACHE         a folder where clones are kept for later runs (git/cache.h),
 *                              out of the agents' sight: not below /tmp, /usr, /etc, ...
 *   DISPATCH_MODEL_PRICES      a YAML file over the prices of models that are built in
 *   DISPATCH_AGENT_UID         the user to run the agent as, where we may change users; "same":
 *                              ours; without it a number that nobody else has
 *   DISPATCH_SANDBOX_READABLE  more that the agent may read, as in PATH
 *   ANTHROPIC_API_KEY, ...     keys and base URLs of model providers: model_keys.h
 */
struct settings {
    char *home_url; /* without a slash at the end */
    char *run_id;
    int attempt;
    struct secret *task_token;
    char *work_dir;
    char *termination_log;  /* NULL: none */
    char *ca_file;          /* NULL: the system's */
    char *git_cache;        /* NULL: none */
    uid_t agent_uid;        /* 0: one of its own; (uid_t)-1: ours */
    char *sandbox_readable; /* NULL: nothing more */
    char *model_prices;     /* NULL: those built in */
    struct model_keys model_keys;
};

#define scoped_settings __attribute__((cleanup(settings_done))) struct settings

int settings_load(struct settings *out, struct err *err) CHECKED;
void settings_done(struct settings *settings);
#endif
