/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OIDC_CLAIMS_H
#define OIDC_CLAIMS_H
#include "json/json.h"

/*
 * What an ID token says of itself, and whether that is enough. Plain values, no I/O. As GitHub
 * Actions fills them:
 * https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect
 */
#define CLAIMS_LEEWAY_S 60 /* for clocks that differ */
#define CLAIMS_AUDIENCES_MAX 32

struct claims_rule {
    const char *issuer;
    const char *audience;
    int64_t now_s;
};

/* Its iss and aud are these, it has an end that hasn't come, it isn't from the future. Numbers
 * may have a fraction. ERR_INVALID. */
int claims_check(const cJSON *claims, const struct claims_rule *rule, struct err *err) CHECKED;

/* The `repository` OWNER/NAME, borrowed. NULL with ERR_INVALID. */
const char *claims_repository(const cJSON *claims, struct err *err) CHECKED;

/* "ACTOR <ACTOR@users.noreply.github.com>" for commits, the caller's; NULL where `actor` isn't
 * there, or no name that GitHub gives. */
char *claims_requester(const cJSON *claims) CHECKED;
#endif
