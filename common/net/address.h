/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H
#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Which addresses are the Internet's, and which lead back to us: loopback, private networks,
 * link-local, multicast, reserved, a cloud's metadata service. What others have us call (tools,
 * webhooks) may only go to the former, and to ranges that the operator allows. Pure functions,
 * safe from any thread.
 *
 * A name is judged twice: by address_check_url when it is given to us, which knows literal
 * addresses and a few names only, and by address_allowed when a socket is about to connect to
 * what it resolved to. Only the latter is proof.
 */

/* A range of addresses: "10.1.0.0/16", "fd00::/8", or one address. */
struct address_range {
    int family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];
    int bits;
};

/*
 * A literal address in any notation that some resolver takes: "127.0.0.1", "127.1",
 * "0x7f.0.0.1", "017700000001", "2130706433", "127.0.0.1.", "::1", "[::1]", "fe80::1%eth0",
 * "::ffff:127.0.0.1". False when it is a name.
 */
bool address_parse(const char *text, struct sockaddr_storage *out);

/* False for everything but globally reachable unicast, and for other families than IP. An IPv6
 * address that carries an IPv4 one (mapped, NAT64, 6to4) is judged by that one. */
bool address_is_public(const struct sockaddr *address);

/* ERR_INVALID: no range, or one with bits beyond its length ("10.1.2.3/16"). */
int address_range_parse(const char *text, struct address_range *out, struct err *err) CHECKED;

/* Is it inside? An IPv4-mapped address counts as the IPv4 one. */
bool address_in_range(const struct sockaddr *address, const struct address_range *range);

/* Public, or in one of the ranges. */
bool address_allowed(const struct sockaddr *address, const struct address_range *ranges,
                     size_t n_ranges);

/* ERR_INVALID unless it is a URL of http or https without user or password, whose host isn't
 * an address, or a name for one, that address_allowed refuses. */
int address_check_url(const char *url, const struct address_range *ranges, size_t n_ranges,
                      struct err *err) CHECKED;
#endif
