/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_DELIVERY_CALL_H
#define SERVICE_DELIVERY_CALL_H
#include "config/config.h"
#include "net/net.h"
#include "store/delivery_store.h"

/* One signed call to a receiver, and what came of it; service/deliveries.h has the rules. */
struct delivery_caller {
    const struct config *config;
    struct net *net;
    struct secret *secret; /* for receivers without one of their own */
    const volatile bool *stopping;
};

/* Opens its own connections; the secret and `stopping` are set by the caller before. */
int delivery_caller_open(struct delivery_caller *caller, const struct config *config,
                         struct err *err) CHECKED;
void delivery_caller_close(struct delivery_caller *caller);

struct delivery_result {
    struct delivery_attempt attempt; /* pending: it may be tried again */
    int retry_after_s;               /* as the receiver wishes; 0: it doesn't say */
    const char *why;                 /* for the log; a literal, NULL: it worked */
    char *error;                     /* the attempt's */
};

/* False when it was cut off by a stop: nothing is known then. */
bool delivery_call(const struct delivery_caller *caller, const struct delivery *delivery,
                   struct delivery_result *out);
void delivery_result_done(struct delivery_result *result);
#endif
