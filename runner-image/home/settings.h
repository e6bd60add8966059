/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SETTINGS_H
#define RUNNER_SETTINGS_H
#include "base/err.h"
#include "base/secret.h"

/*
 * What the runner's environment says. Loading takes the task token out of the environment:
 * the variable is gone afterwards and the bytes that /proc/<pid>/environ would show are
 * wiped. Texts are owned by the struct; settings_done releases them.
 *
 *   DISPATCH_URL               where home is, http:// or https://
 *   DISPATCH_RUN_ID            the run to claim
 *   DISPATCH_ATTEMPT           which attempt of it this is, from 1
 *   DISPATCH_TASK_TOKEN        the token for home, or
 *   DISPATCH_TASK_TOKEN_FILE   where to read it; /proc/self/fd/N is read to its end and closed
 *   DISPATCH_WORK_DIR          where the workspace is made; $TMPDIR, /tmp
 *   DISPATCH_TERMINATION_LOG   gets a copy of the outcome; /dev/termination-log if it is there
 *   DISPATCH_CA_FILE           PEM to trust instead of the system's, for home, GitHub and git
 */
struct settings {
    char *home_url; /* without a slash at the end */
    char *run_id;
    int attempt;
    struct secret *task_token;
    char *work_dir;
    char *termination_log; /* NULL: none */
    char *ca_file;         /* NULL: the system's */
};

#define scoped_settings __attribute__((cleanup(settings_done))) struct settings

int settings_load(struct settings *out, struct err *err) CHECKED;
void settings_done(struct settings *settings);
#endif
