/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OIDC_ISSUER_H
#define OIDC_ISSUER_H
#include "crypto/jwt_token.h"
#include "net/net.h"

/*
 * One issuer and its keys: found by its discovery document (OpenID Connect Discovery 1.0,
 * section 4), fetched when they are first wanted and again when they are out of date, and then
 * kept for as long as the answer's max-age says, within bounds.
 *
 * A key that isn't known is looked for anew, at most once in ISSUER_LOOK_AGAIN_MS, since
 * anybody can make up names. When a fetch fails the old keys stay for ISSUER_STALE_MAX_MS, and
 * the next try waits as long. One thread fetches, some wait for it, more than that are put off:
 * a slow issuer doesn't take all of our threads. Calls are safe from any thread, and may wait.
 */
#define ISSUER_AGE_MIN_MS (5LL * 60 * 1000)
#define ISSUER_AGE_USUAL_MS (60LL * 60 * 1000) /* where the answer doesn't say */
#define ISSUER_AGE_MAX_MS (24LL * 3600 * 1000)
#define ISSUER_STALE_MAX_MS (24LL * 3600 * 1000)
#define ISSUER_LOOK_AGAIN_MS (60LL * 1000)
#define ISSUER_WAITERS_MAX 4

struct issuer;

/* `net` is borrowed. `name` as in `iss`. `now_ms` is clock_monotonic_ms, or a test's own. */
struct issuer *issuer_new(const char *name, struct net *net, int64_t (*now_ms)(void)) CHECKED;
void issuer_free(struct issuer *issuer);
DEFINE_SCOPED(issuer)

const char *issuer_name(const struct issuer *issuer);

/* Is the token signed by one of its keys? ERR_INVALID; ERR_UNAVAILABLE while the keys can't be
 * had. */
int issuer_verify(struct issuer *issuer, const struct jwt_token *token,
                  struct err *err) CHECKED;
#endif
