/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_WORKSPACE_H
#define RUNNER_WORKSPACE_H
#include "git/git.h"
#include "git/tree.h"

/*
 * The directories of one run, below a fresh one that only we may enter:
 *
 *     checkout/   the clone, for the agent, with an ordinary .git
 *     home/ tmp/  the agent's HOME and TMPDIR
 *     private/    ours, and never there while the agent runs
 *
 * The agent may do to checkout/.git what it likes: set insteadOf, filters, hooks, a proxy.
 * So the commit is made from a git directory that it never could write. Right after cloning,
 * what that takes is copied into nameless files (saved_base.h); after the agent and every
 * descendant have ended, private/ is made anew, filled from them, and works on the agent's
 * tree with nothing of the agent's configuration. That holds when both are the same user or
 * root, since there is no path to protect: while the agent lives the files have no name, and
 * when they have one again the agent is gone. What it rests on: the caller has ended every
 * descendant first, and git itself (/usr/bin) isn't the agent's to write.
 *
 * One thread.
 */
struct workspace;

struct workspace *workspace_new(const char *work_dir, const char *run_id,
                                struct err *err) CHECKED;
/* Removes all of it. */
void workspace_free(struct workspace *workspace);
DEFINE_SCOPED(workspace)

/* Lets other users search its root: its three directories can then be given to one. What is
 * ours in it stays closed to them. */
void workspace_open_to_others(const struct workspace *workspace);

const char *workspace_checkout(const struct workspace *workspace);
const char *workspace_agent_home(const struct workspace *workspace);
const char *workspace_agent_tmp(const struct workspace *workspace);
/* After workspace_clone: */
const char *workspace_base_branch(const struct workspace *workspace);
const char *workspace_base_commit(const struct workspace *workspace);

/* Before cloning: what runs fetch is kept in this folder for later ones (cache.h). NULL: none.
 */
void workspace_use_cache(struct workspace *workspace, const char *folder);
/* Whether what an earlier run had fetched served the clone. */
bool workspace_from_cache(const struct workspace *workspace);

/*
 * Clones one commit of `branch` (NULL: the remote's default) and saves what committing takes.
 * Errors are git_run's; ERR_NOT_FOUND also when there is no such branch or no commit at all.
 */
int workspace_clone(struct workspace *workspace, struct git *git, const char *branch,
                    struct err *err) CHECKED;

/* One file that differs from the base. */
struct changed_file {
    char *path;
    int64_t added; /* lines; -1: binary */
    int64_t removed;
};

/* How many are kept with their names; all are counted. */
#define CHANGED_FILES_KEPT 50

struct change {
    struct changed_file files[CHANGED_FILES_KEPT];
    size_t n_files; /* all that changed */
    int64_t added;
    int64_t removed;
    struct nested_git nested_git;
    int new_links; /* submodule links that the base doesn't have: refused */
    char *tree;
};

#define scoped_change __attribute__((cleanup(change_done))) struct change
void change_done(struct change *change);

/*
 * Takes the agent's tree as it lies there. Ignored files stay out unless they are tracked;
 * submodules of the base stay as they are. ERR_INVALID: a tree that can't be committed.
 */
int workspace_stage(struct workspace *workspace, struct git *git, struct change *out,
                    struct err *err) CHECKED;

/*
 * What a staged change adds, as `git diff` without context has it, however large: "+++ b/path"
 * before the lines of a file, each behind a "+", binary files too.
 */
int workspace_diff(struct workspace *workspace, struct git *git, const struct change *change,
                   void (*on_data)(void *ctx, const char *data, size_t size), void *ctx,
                   struct err *err) CHECKED;

/* Commits a staged change on the base; *out_commit is the caller's. */
int workspace_commit(struct workspace *workspace, struct git *git, const struct change *change,
                     const char *message, char **out_commit, struct err *err) CHECKED;

/* Creates `branch` on the remote. Repeating it is harmless. */
int workspace_push(struct workspace *workspace, struct git *git, const char *commit,
                   const char *branch, struct err *err) CHECKED;

/* Nothing more will be committed or pushed: removes what is ours, so that programs that aren't
 * trusted may run again. */
int workspace_close(struct workspace *workspace, struct err *err) CHECKED;
#endif
