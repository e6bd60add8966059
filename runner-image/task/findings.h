/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TASK_FINDINGS_H
#define TASK_FINDINGS_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "text/redaction.h"

/*
 * What a change shouldn't carry unseen: edits of the workflows that run with the repository's
 * secrets, and things that look like credentials. Fed with a diff (workspace_diff) as it comes;
 * memory stays the same whatever comes. It finds forms, not meanings: a key that was cut up or
 * encoded passes.
 */
#define FINDING_PATH_MAX 200
#define FINDINGS_WINDOW_BYTES 512 /* longer credentials are found by their beginning */

struct findings {
    struct redaction *redaction; /* knows the run's own secrets */
    struct buf line;             /* the end of what was fed */
    char path[FINDING_PATH_MAX + 1];
    bool at_line_start;
    bool in_added;
    bool in_header; /* of a file, up to its first @@ */

    /* The first of each kind; "" for none. */
    char workflow[FINDING_PATH_MAX + 1];   /* the file */
    char credential[FINDING_PATH_MAX + 1]; /* the file */
    const char *credential_kind;           /* "a GitHub token" */
    char own_secret[FINDING_PATH_MAX + 1]; /* the file */
};

void findings_init(struct findings *findings, struct redaction *redaction);
void findings_done(struct findings *findings);

/* In pieces cut anywhere. `findings` is a struct findings. */
void findings_feed(void *findings, const char *data, size_t size);
void findings_end(struct findings *findings);

/* What a text looks like, as "an AWS access key"; NULL: nothing we know. */
const char *credential_kind(const char *text, size_t size);
#endif
