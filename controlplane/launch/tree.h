/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAUNCH_TREE_H
#define LAUNCH_TREE_H
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Removing what a run left behind. Such a tree is hostile: symbolic links that point out of
 * it, directories without permissions, a hundred thousand levels. Nothing outside is ever
 * touched, and the descriptors and memory used don't depend on the tree.
 *
 * Removes `name` in the directory `dir_fd`, whatever it is; that there is none is success.
 * ERR_UNAVAILABLE when *give_up (may be NULL) became true, ERR_TIMEOUT after a minute: what
 * is left can be removed by another call.
 */
int tree_remove(int dir_fd, const char *name, const atomic_bool *give_up,
                struct err *err) CHECKED;
#endif
