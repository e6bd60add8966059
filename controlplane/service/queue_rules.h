/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_QUEUE_RULES_H
#define SERVICE_QUEUE_RULES_H
#include "config/config.h"

/* What the configuration says of the queue: each repository's limit, priority and launcher.
 * Doesn't change while threads read it. */
struct queue_rules;

/* `config` is borrowed. */
struct queue_rules *queue_rules_new(const struct config *config) CHECKED;
void queue_rules_free(struct queue_rules *rules);

/* How many runs of it are in flight at most; 0: no limit. NULL: a blank workspace. */
int queue_rules_limit(const struct queue_rules *rules, const char *repo);
/* Is there a limit at all? */
bool queue_rules_have_limits(const struct queue_rules *rules);
/* Of its runs whose request doesn't say. */
int queue_rules_priority(const struct queue_rules *rules, const char *repo);
/* What its runs are launched by; NULL: not said. */
const char *queue_rules_launcher(const struct queue_rules *rules, const char *repo);
#endif
