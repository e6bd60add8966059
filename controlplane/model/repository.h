/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_REPOSITORY_H
#define MODEL_REPOSITORY_H
#include "base/err.h"

#include <stdbool.h>

/* What clients call repositories and branches. Pure functions. */

/*
 * OWNER/NAME, for the caller to free, from what `git clone` takes for a repository of the
 * server at `server_url`: https://HOST/o/r, with .git or without, git@HOST:o/r.git,
 * ssh://git@HOST/o/r. ERR_INVALID about `field` for another host, a user or password in an
 * https URL, or what isn't such a URL.
 */
char *repository_from_url(const char *server_url, const char *url, const char *field,
                          struct err *err) CHECKED;

/* A name that `git check-ref-format --branch` takes, of at most BRANCH_MAX_BYTES, and that no
 * command line could take for an option or an older revision (HEAD, @{-1}). */
#define BRANCH_MAX_BYTES 244
bool branch_name_valid(const char *name);
#endif
