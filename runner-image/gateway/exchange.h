/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_EXCHANGE_H
#define RUNNER_GATEWAY_EXCHANGE_H
#include "gateway/gateway_private.h"

/*
 * One request of the agent and its answer, on the thread of its connection: taken in whole,
 * held against key, path, limits and budget, sent to the provider, and the answer handed back
 * piece by piece. What is refused is read to its end first, so that the answer arrives.
 */
struct exchange;

/* For the request line `uri`, as it came. */
struct exchange *exchange_new(struct gateway *gateway, const char *uri) CHECKED;
/* Ends what is still open of it. */
void exchange_free(struct exchange *exchange);

/* The three ways libmicrohttpd hands a request over: its head, then pieces of its body, then
 * its end, which is when it is answered. MHD_NO closes the connection. */
enum MHD_Result exchange_begin(struct exchange *exchange, struct MHD_Connection *connection,
                               const char *method);
enum MHD_Result exchange_take(struct exchange *exchange, const char *data, size_t size);
enum MHD_Result exchange_answer(struct exchange *exchange);

bool exchange_has_begun(const struct exchange *exchange);
#endif
