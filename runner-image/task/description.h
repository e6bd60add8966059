/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_DESCRIPTION_H
#define TASK_DESCRIPTION_H
#include <stddef.h>

#include "base/buf.h"

/*
 * The pull request in the agent's own words, asked for in a second turn: the question, and how
 * the answer is taken. What the agent writes is anybody's text: it pings nobody and closes
 * nothing.
 */
#define DESCRIPTION_DIFF_MAX_BYTES 48000
#define DESCRIPTION_BODY_MAX_BYTES 16000
#define DESCRIPTION_TIMEOUT_S 120

struct description {
    char *title; /* one line; both owned; NULL: the answer was no description */
    char *body;
};

void description_done(struct description *description);

/* The question for the caller to free; the diff may be cut at its end. */
char *description_question(const char *prompt, const char *counts, const struct buf *diff,
                           size_t diff_size) CHECKED;

/* "TITLE: ..." and after it the text. False, with nothing in `out`, for anything else. */
bool description_read(const char *answer, struct description *out);

/* `text` so that Markdown of GitHub's makes no mention, no reference and closes no issue of it;
 * the caller frees it. */
char *description_defuse(const char *text) CHECKED;
#endif
