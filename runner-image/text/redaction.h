/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_REDACTION_H
#define RUNNER_REDACTION_H
#include <stdbool.h>

#include "base/secret.h"

/*
 * The run's own secrets, and their removal from every text that leaves the runner: events,
 * error sentences, the pull request. Secrets are added as they arrive and stay until the
 * end, so that an expired token isn't shown either. Safe from any thread.
 */
struct redaction;

struct redaction *redaction_new(void) CHECKED;
void redaction_free(struct redaction *redaction);
DEFINE_SCOPED(redaction)

/* Copies. Secrets shorter than 8 bytes are not looked for: they would blank common words. */
void redaction_add(struct redaction *redaction, const struct secret *secret);

/* Overwrites each occurrence with "***" in place; the text never grows. */
void redaction_apply(struct redaction *redaction, char *text);

/* Is one of the secrets in there? */
bool redaction_finds(struct redaction *redaction, const char *data, size_t size);
#endif
