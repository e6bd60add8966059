/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GIT_CACHED_CLONE_H
#define GIT_CACHED_CLONE_H
#include "git/workspace_private.h"

/*
 * A clone that fetches only what an earlier run of the same repository didn't (cache.h). It
 * ends as the plain one does: one commit, one pack, an ordinary .git.
 *
 * What is kept may be wrong, and may once have belonged to another: a name can be given up and
 * taken by somebody else. So nothing of it is trusted, and nothing of it is shown that the
 * remote doesn't have now: git counts its objects anew, the commit is the one that the remote
 * names when it is asked with this run's token, and whatever that commit doesn't consist of is
 * thrown away before there is a checkout.
 */

/* Into ws->checkout, from ws->cache_folder. -1: there is nothing to go by (ERR_NOT_FOUND), or
 * it went wrong; then the checkout holds the rests. */
int cached_clone(struct workspace *ws, struct git *git, const char *branch,
                 struct err *err) CHECKED;

/* Keeps a finished clone for later runs; failing to is no failure. */
void cached_clone_keep(const struct workspace *ws, const struct git *git);
#endif
