/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_TREE_H
#define RUNNER_TREE_H
#include "base/err.h"

/*
 * Walking trees that hostile hands built: every step goes from an open directory to a name in
 * it and follows no symbolic link; depth, names and permissions don't matter. Nothing may be
 * changing the tree meanwhile.
 */

/* Deletes everything in the directory, not the directory itself. Tries all of it before it
 * reports the first failure. */
int tree_remove_contents(int dir_fd, struct err *err) CHECKED;

/* How deep a checkout may be nested; git's own limit is the 4,096 bytes of a path. */
#define TREE_DEPTH_MAX 200

struct nested_git {
    int removed;
    char first[256]; /* path of the first one, cut to fit */
};

/*
 * Deletes whatever is called .git, in any mix of cases, below a checkout: a repository in a
 * repository would be staged as a link that leads nowhere. The checkout's own .git stays.
 * ERR_INVALID when it is nested deeper than TREE_DEPTH_MAX.
 */
int tree_remove_nested_git(int checkout_fd, struct nested_git *out, struct err *err) CHECKED;
#endif
