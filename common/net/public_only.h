/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_PUBLIC_ONLY_H
#define NET_PUBLIC_ONLY_H
#include <curl/curl.h>

#include "net/address.h"

/*
 * The rule of net_request.public_only for one call. It is asked twice, on the net's thread:
 * before a socket connects, so that a forbidden address hears nothing of us, and before the
 * request is sent, where the address is that of the connection in use: it may be one that
 * another call made, which had no such rule.
 */
struct public_only {
    const struct address_range *allowed; /* although they aren't public; borrowed */
    size_t n_allowed;
    bool refused; /* an address that isn't allowed was offered */
    bool tried;   /* and one that is */
};

/* CURLcodes in one: 0 when all were taken. The rule must last as long as the handle. */
int public_only_set(CURL *easy, struct public_only *rule) CHECKED;

/* Before each try. */
void public_only_rewind(struct public_only *rule);

/* Was it this that ended a try with `code`? */
bool public_only_ended(const struct public_only *rule, CURLcode code);
#endif
