/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_WORKSPACE_PRIVATE_H
#define RUNNER_WORKSPACE_PRIVATE_H
#include "git/workspace.h"

/* Shared by the two files of the workspace: workspace.c makes and clones it, change.c takes
 * home what the agent did in it. Nobody else includes this. */
struct saved_base;

struct workspace {
    char *root;
    int root_fd;
    char *checkout;
    int checkout_fd; /* the directory we made, whatever is at its path later */
    char *agent_home;
    char *agent_tmp;
    char *private_dir; /* NULL while there is none */
    char *git_dir;     /* below it */
    char *git_home;
    char *base_branch;
    char *base_commit;
    struct saved_base *saved;
    char *cache_folder; /* NULL: none */
    bool from_cache;
};

int workspace_make_private(struct workspace *ws, struct err *err) CHECKED;
int workspace_drop_private(struct workspace *ws, struct err *err) CHECKED;

/* Are root and checkout still the directories that we made? */
int workspace_check_unmoved(const struct workspace *ws, struct err *err) CHECKED;
#endif
