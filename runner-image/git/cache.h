/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GIT_CACHE_H
#define GIT_CACHE_H
#include "base/err.h"

/*
 * What runs fetched, kept in a folder for later ones (DISPATCH_GIT_CACHE): for each clone URL
 * and branch one file, the id of a commit in a line and behind it git's pack of what it
 * consists of. There is no repository in it, hence no configuration and no hook that could
 * count.
 *
 * An entry is written beside and renamed, so whoever reads has a whole one and nobody waits.
 * Only files that nobody but us may write are read; what is in them is taken for nothing more
 * than bytes (cached_clone.h). No token is ever in one. Entries that are of no use any more are
 * the operator's to remove, by their time: it is that of their last use. Safe from any thread,
 * and with many runners on one folder.
 */
#define CACHE_COMMIT_SIZE 65 /* an id of SHA-256, as text */

/* Larger ones aren't kept. */
#define CACHE_PACK_MAX_BYTES ((int64_t)4 << 30)

/* The pack's descriptor, at its beginning, for the caller to close, and its commit in `out`;
 * -1. ERR_NOT_FOUND: there is none; any other: what is there isn't to be used. */
int cache_open(const char *folder, const char *url, const char *branch,
               char out[CACHE_COMMIT_SIZE], struct err *err) CHECKED;

/* Puts the pack at `path` there; whatever was there goes. */
int cache_keep(const char *folder, const char *url, const char *branch, const char *commit,
               const char *path, struct err *err) CHECKED;
#endif
