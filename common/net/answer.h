/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_ANSWER_H
#define NET_ANSWER_H
#include "net/net.h"

/* How an answer's header grows, line by line as they come in. */
#define ANSWER_HEADERS_MAX_BYTES 65536

/* One line, with its line break. A status line starts anew: what came before belonged to a
 * 1xx answer. False when the lines together pass the limit; *total counts them all. */
bool answer_add_header(struct net_answer *answer, const char *line, size_t size,
                       size_t *total) CHECKED;

/* Overwrites what was sent to a server that says it back in an error: its words get into
 * errors, and those into logs. NULL: nothing to hide. */
void answer_hide(struct net_answer *answer, const struct secret *sent);
#endif
