/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISPATCHCTL_CLEAN_H
#define DISPATCHCTL_CLEAN_H
#include "base/scoped.h"

/*
 * Text that others wrote, made fit for a terminal: an agent's message must not move the cursor,
 * set the title or turn the direction of what stands beside it. Each control character, C0, C1
 * and the bidirectional ones, becomes U+FFFD, and so does what isn't UTF-8. The results are the
 * caller's. Pure functions.
 */

/* Line breaks and tabs stay. */
char *clean_text(const char *text, size_t size) CHECKED;

/* One line: runs of line breaks and blanks become one blank, none at either end.
 * clean_line(NULL) is "". */
char *clean_line(const char *text) CHECKED;

/* A JSON text that has DEL and C1 characters as escapes; it stands for the same document. */
char *clean_json(const char *text) CHECKED;
#endif
