/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_OIDC_ISSUER_H
#define SUPPORT_OIDC_ISSUER_H
#include <openssl/evp.h>
#include <stdbool.h>

#include "base/scoped.h"

/*
 * An issuer of OpenID Connect on a port of 127.0.0.1, with one RSA key at a time, which can be
 * changed; counted, slow and faulty as a test wants it.
 */
struct oidc_issuer;

struct oidc_issuer *oidc_issuer_new(void) CHECKED;
void oidc_issuer_free(struct oidc_issuer *issuer);
DEFINE_SCOPED(oidc_issuer)

const char *oidc_issuer_url(const struct oidc_issuer *issuer);

/* A new key under this name; the old one is gone. */
void oidc_issuer_rotate(struct oidc_issuer *issuer, const char *kid);
/* What it says of itself and where its keys are, in place of the truth; NULL: the truth. */
void oidc_issuer_say(struct oidc_issuer *issuer, const char *name, const char *jwks_uri);
/* Of its keys: their status (200: as it should be) and Cache-Control (NULL: none). */
void oidc_issuer_answer(struct oidc_issuer *issuer, int status, const char *cache_control);
/* From now on its keys come when it is let go. */
void oidc_issuer_hold(struct oidc_issuer *issuer, bool hold);
/* How often its keys were asked for. */
int oidc_issuer_fetches(struct oidc_issuer *issuer);

/* A token of it with these claims behind iss, signed by the key it has: ",\"aud\":\"x\"". The
 * caller frees it. */
char *oidc_issuer_token(struct oidc_issuer *issuer, const char *more_claims) CHECKED;
#endif
