/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OIDC_KEY_SOURCE_H
#define OIDC_KEY_SOURCE_H
#include "crypto/jwk.h"
#include "net/net.h"

/* Where an issuer's keys come from: two calls, each with limits, of answers that aren't trusted
 * any further than that they come from there. */
/* Of each: a server that stops waits no longer than that for a handler. */
#define KEY_SOURCE_TIMEOUT_MS 4000
#define KEY_SOURCE_DISCOVERY_MAX_BYTES (64 * 1024)
#define KEY_SOURCE_KEYS_MAX_BYTES (256 * 1024)

/* The keys as they are now, the caller's; *out_max_age_s is -1 where the answer doesn't say how
 * long they are good. ERR_UPSTREAM and the other kinds of net_call. */
struct jwk_set *key_source_fetch(struct net *net, const char *issuer, int64_t *out_max_age_s,
                                 struct err *err) CHECKED;

/* Is it https, or of the issuer's own scheme, host and port? */
bool key_source_allowed(const char *issuer, const char *jwks_uri);
/* max-age of a Cache-Control; 0 where it says no-store or no-cache, -1 where it says neither.
 */
int64_t key_source_max_age_s(const char *cache_control);
#endif
