/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HEADER_H
#define NET_HEADER_H
#include <stdbool.h>

/* HTTP headers that somebody else wrote: what of them may go into a request of ours. */

/* "Name: value" that can't become two headers. */
bool header_valid(const char *header);

/* A token of RFC 9110, of any length. */
bool header_name_valid(const char *name);

/* Says how a request is sent, and to whom ("Host", "Content-Length", ...): who sends it decides
 * that, and nobody else. In any mix of cases. */
bool header_is_the_senders(const char *name);
#endif
