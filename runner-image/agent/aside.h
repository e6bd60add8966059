/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_ASIDE_H
#define RUNNER_ASIDE_H
#include "git/workspace.h"

/*
 * Files of the checkout that an agent would obey and can't be told not to: they lie beside the
 * checkout while it runs, and go back before anything looks at the tree, so that the commit
 * never knows. What the agent itself made in their place stays, and the rest is put around it.
 * Only while no agent runs.
 */

/* Each of `names`, entries of the checkout itself, that is there; NULL at the end. How many
 * were is in *out_moved. */
int aside_put(const struct workspace *workspace, const char *const *names, int *out_moved,
              struct err *err) CHECKED;

/* All of them back again. Nothing aside is fine. */
int aside_put_back(const struct workspace *workspace, struct err *err) CHECKED;
#endif
