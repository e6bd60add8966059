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
 * Deletes what git could only stumble over in a checkout. Whatever is called .git, in any mix
 * of cases: a repository in a repository would be staged as a link that leads nowhere. And
 * pipes, sockets and devices: git skips them, but for one called .gitignore or .gitattributes
 * it would wait for ever. The checkout's own .git stays. ERR_INVALID when it is nested deeper
 * than TREE_DEPTH_MAX.
 */
int tree_remove_uncommittable(int checkout_fd, struct nested_git *out, struct err *err) CHECKED;
#endif
