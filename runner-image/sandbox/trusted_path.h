/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_TRUSTED_PATH_H
#define RUNNER_TRUSTED_PATH_H

/*
 * The folders of a PATH that an agent, running as our user, can't put a program into: git is
 * looked up there, and gets our token. Folders whose owner we are, that we may write, or that
 * anybody may write are left out, also when that is so for a folder above. For root, who may
 * write everywhere, root's own folders are the ones left.
 *
 * Each is resolved, so that a link can't lead elsewhere later. When nothing is left it is the
 * system's usual folders. The caller frees it.
 */
char *trusted_path(const char *path);
#endif
