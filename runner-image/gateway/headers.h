/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_HEADERS_H
#define RUNNER_GATEWAY_HEADERS_H
#include "gateway/provider.h"
#include "text/text_list.h"

/*
 * Which headers pass. Towards the provider only those that a model call has a use for: the
 * agent's are unknown text, and among the rest are some that name another account to bill,
 * another method or another host. Towards the agent all but those that speak of the connection,
 * of another place to go, or of cookies.
 */

/* "Name: value" to send on, or not. */
bool header_goes_out(const char *name);
bool header_comes_back(const char *name);

/* What goes out beside: the provider's key, and that the answer isn't to be compressed. `beta`
 * is what the agent said in anthropic-beta, or NULL. headers_wipe afterwards. */
void headers_add_own(struct text_list *headers, const struct configured_provider *configured,
                     const char *beta);

/* Overwrites and empties. */
void headers_wipe(struct text_list *headers);
#endif
