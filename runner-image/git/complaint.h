/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GIT_COMPLAINT_H
#define GIT_COMPLAINT_H
#include "base/err.h"

/*
 * What git said on its standard error when it failed: which of it says most, and what to think
 * of it. Lines that begin with "remote: " are the other side's own words: they are told where
 * it refused a push, and otherwise decide nothing.
 */

/* One sentence for the caller to free, without controls and of bounded length. */
char *complaint_sentence(const char *said) CHECKED;

/* The kinds of git_run (git.h). */
enum err_kind complaint_kind(const char *said);
#endif
