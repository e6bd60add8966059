/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SAVED_BASE_H
#define RUNNER_SAVED_BASE_H
#include "base/err.h"

/*
 * What a fresh clone's git directory consists of, kept where no agent can reach it: the pack
 * and its index, the list of shallow commits and the index of the checkout, copied into files
 * that have no name and are open in this process alone. The runner isn't dumpable, so not
 * even the same user gets at its descriptors. One thread.
 */
struct saved_base;

/* Copies from `git_dir`; the nameless files are made on the filesystem of `beside`. */
struct saved_base *saved_base_take(const char *git_dir, const char *beside,
                                   struct err *err) CHECKED;
void saved_base_free(struct saved_base *saved);
DEFINE_SCOPED(saved_base)

/* Puts them into an initialised git directory. Once only: the files may go there by name. */
int saved_base_restore(struct saved_base *saved, const char *git_dir, struct err *err) CHECKED;
#endif
