/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GIT_H
#define RUNNER_GIT_H
#include <stdbool.h>

#include "base/buf.h"
#include "base/secret.h"
#include "text/redaction.h"

/*
 * Running git so that nothing decides what it does but our arguments: no system or user
 * configuration, no hooks, helpers, monitors or prompts, no transport but the clone URL's, an
 * environment built from nothing. The repository's own configuration is still read: calls
 * after the agent ran name a git directory that the agent never could write (workspace.h).
 *
 * Only calls marked `remote` can get at the token (credential.h). git is looked up where no
 * agent could put another one (trusted_path.h). One thread.
 */
struct git;

struct git_options {
    const char *self;      /* this program, for the credential helper; opened at once */
    const char *clone_url; /* http or https, without credentials in it */
    const char *ca_file;   /* NULL: the system's */
    const char *user_name; /* author and committer */
    const char *user_email;
    struct redaction *redaction;
    const volatile bool *stop;
};

/* Everything is copied but the redaction and the flag. ERR_INVALID: a URL we won't use. */
struct git *git_new(const struct git_options *options, struct err *err) CHECKED;
void git_free(struct git *git);
DEFINE_SCOPED(git)

/* The token for remote calls from now on. */
int git_set_token(struct git *git, const struct secret *token, struct err *err) CHECKED;

/* As given to git_new; the remote of clone and push. */
const char *git_url(const struct git *git);

/* More output than this, and records longer than that, are cut. */
#define GIT_OUTPUT_MAX_BYTES (64 * 1024)
#define GIT_RECORD_MAX_BYTES 8192

/* How often a remote call that ends in ERR_UPSTREAM is made, and the first wait between. */
#define GIT_REMOTE_TRIES 3
#define GIT_REMOTE_WAIT_MS 1500

struct git_call {
    const char *const *args; /* from the subcommand on, NULL at the end */
    const char *home;        /* an empty directory of ours: there is no ~/.netrc in it */
    const char *cwd;
    const char *git_dir;   /* NULL: none yet */
    const char *work_tree; /* NULL: none */
    bool remote;           /* may speak to the clone URL's host, with the token */
    const void *input;
    size_t input_size;
    int wall_clock_ms; /* 0: two minutes */

    struct buf *out; /* gets the output without its last line break; or */
    void (*on_record)(void *ctx, const char *record); /* each NUL-terminated record of it; or */
    void (*on_data)(void *ctx, const char *data, size_t size); /* all of it, as it comes */
    void *ctx;
};

/*
 * 0 when git exited with 0. The error holds git's own complaint, redacted; its kind says what
 * to think of it: ERR_UNAUTHENTICATED (the token was refused), ERR_CONFLICT (a branch is there
 * with something else on it), ERR_DENIED (a rule of the remote's), ERR_NOT_FOUND, ERR_UPSTREAM
 * (the network or the other side: may work later), ERR_UNAVAILABLE (disk full, or stopped),
 * ERR_TIMEOUT, ERR_INTERNAL.
 */
int git_run(struct git *git, const struct git_call *call, struct err *err) CHECKED;
#endif
