/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OIDC_OIDC_H
#define OIDC_OIDC_H
#include "config/config.h"
#include "net/net.h"

/*
 * Callers that bring a token of an issuer we trust (OpenID Connect), as GitHub Actions gives
 * one to each workflow that asks: CI needs no secret of ours. The token's `repository` is the
 * one it may dispatch against. Safe from any thread; may wait for the issuer.
 */
struct oidc;

/* Who the token is for. */
struct oidc_identity {
    char *repository; /* OWNER/NAME */
    char *requester;  /* "NAME <EMAIL>" of the person who started it; NULL: not known */
};
#define scoped_oidc_identity __attribute__((cleanup(oidc_identity_done))) struct oidc_identity
void oidc_identity_done(struct oidc_identity *identity);

/* Both are borrowed. */
struct oidc *oidc_new(const struct config *config, struct net *net) CHECKED;
void oidc_free(struct oidc *oidc);
DEFINE_SCOPED(oidc)

/* Does it look like one, rather than like a key? */
bool oidc_is_token(const char *text);

/* ERR_UNAUTHENTICATED; ERR_DENIED for a repository that isn't among `oidc.repositories`;
 * ERR_UNAVAILABLE while the issuer's keys can't be had. */
int oidc_check(struct oidc *oidc, const char *text, struct oidc_identity *out,
               struct err *err) CHECKED;
#endif
