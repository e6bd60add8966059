/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_RETRY_H
#define NET_RETRY_H
#include "net/net.h"

/* The rule of net_retry as two questions, apart from any socket. */

/* What came of one try. */
struct net_try {
    int status;        /* of the answer; 0: there was none */
    int retry_after_s; /* of the answer; 0: it didn't say */
    bool broken;       /* no answer: the connection failed, broke or timed out */
    bool unsent;       /* no answer, and not a byte of the request went out */
    bool delivered;    /* on_data has had some of it: going back would repeat that */
};

bool retry_allowed(enum net_retry rule, const struct net_try *tried);

/* How long to wait before try number `next` (2 is the first that is a repeat). */
int64_t retry_wait_ms(const struct net_try *tried, int next, uint64_t random);
#endif
