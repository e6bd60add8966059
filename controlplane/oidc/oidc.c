/* SPDX-License-Identifier: Apache-2.0 */
#include "oidc/oidc.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "oidc/claims.h"
#include "oidc/issuer.h"

struct oidc {
    const struct config *config;
    struct issuer **issuers;
    size_t n_issuers;
};

void oidc_identity_done(struct oidc_identity *identity)
{
    free(identity->repository);
    free(identity->requester);
    *identity = (struct oidc_identity){0};
}

struct oidc *oidc_new(const struct config *config, struct net *net)
{
    struct oidc *oidc = xcalloc(1, sizeof(*oidc));

    oidc->config = config;
    oidc->n_issuers = config->oidc_issuers.count;
    oidc->issuers = xcalloc(oidc->n_issuers, sizeof(struct issuer *));
    for (size_t i = 0; i < oidc->n_issuers; i++)
        oidc->issuers[i] = issuer_new(config->oidc_issuers.texts[i], net, clock_monotonic_ms);
    return oidc;
}

void oidc_free(struct oidc *oidc)
{
    if (!oidc)
        return;
    for (size_t i = 0; i < oidc->n_issuers; i++)
        issuer_free(oidc->issuers[i]);
    free(oidc->issuers);
    free(oidc);
}

bool oidc_is_token(const char *text)
{
    return strncmp(text, "eyJ", 3) == 0 && strchr(text, '.'); /* {" in base64 */
}

/* The issuer that it says it is of, if we trust that one. */
static struct issuer *issuer_of(const struct oidc *oidc, const struct jwt_token *token,
                                struct err *err)
{
    const char *name = json_get_str(token->claims, "iss");

    for (size_t i = 0; name && i < oidc->n_issuers; i++)
        if (strcmp(issuer_name(oidc->issuers[i]), name) == 0)
            return oidc->issuers[i];
    err_set(err, ERR_INVALID, "the token's issuer isn't among oidc.issuers");
    return NULL;
}

/* "octo/hello", or "octo/" with a star for all of one owner's. */
static bool matches(const char *pattern, const char *repository)
{
    size_t length = strlen(pattern);

    if (pattern[length - 1] == '*')
        return strncasecmp(pattern, repository, length - 1) == 0;
    return strcasecmp(pattern, repository) == 0;
}

static int check_repository(const struct config *config, const char *repository,
                            struct err *err)
{
    const struct config_list *allowed = &config->oidc_repositories;

    for (size_t i = 0; i < allowed->count; i++)
        if (matches(allowed->texts[i], repository))
            return 0;
    if (!allowed->count)
        return 0;
    return err_set_code(err, ERR_DENIED, "repository_not_allowed",
                        "workflows of %s aren't let in: oidc.repositories", repository);
}

/* What costs least first; nothing counts before the signature, and that is the last. */
static int verify(struct oidc *oidc, const char *text, struct oidc_identity *out,
                  struct err *err)
{
    scoped_jwt_token token = {0};
    struct claims_rule rule = {.audience = oidc->config->oidc_audience,
                               .now_s = clock_latest_ms() / 1000};
    struct issuer *issuer;
    const char *repository;

    if (jwt_token_parse(text, &token, err) < 0)
        return -1;
    issuer = issuer_of(oidc, &token, err);
    if (!issuer)
        return -1;
    rule.issuer = issuer_name(issuer);
    if (claims_check(token.claims, &rule, err) < 0)
        return -1;
    repository = claims_repository(token.claims, err);
    if (!repository || issuer_verify(issuer, &token, err) < 0)
        return -1;
    out->repository = xstrdup(repository);
    out->requester = claims_requester(token.claims);
    return 0;
}

int oidc_check(struct oidc *oidc, const char *text, struct oidc_identity *out, struct err *err)
{
    if (verify(oidc, text, out, err) < 0) {
        if (err->kind == ERR_INVALID) {
            err->kind = ERR_UNAUTHENTICATED;
            err->field[0] = '\0';
        }
        return -1;
    }
    return check_repository(oidc->config, out->repository, err);
}
