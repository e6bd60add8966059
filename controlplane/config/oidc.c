/* SPDX-License-Identifier: Apache-2.0 */
#include "config/oidc.h"

#include <string.h>

#include "base/alloc.h"
#include "model/token.h"

/* Every public repository's workflows can have its tokens. */
#define PUBLIC_GITHUB "https://token.actions.githubusercontent.com"

static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* http://127.0.0.1:8080 and the like: nobody else is on that wire. */
static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]", "localhost"};
    const char *host = after(url, "http://");

    for (size_t i = 0; host && i < ARRAY_SIZE(hosts); i++) {
        const char *rest = after(host, hosts[i]);

        if (rest && (!*rest || *rest == '/' || *rest == ':'))
            return true;
    }
    return false;
}

static int check_issuer(const char *issuer, struct err *err)
{
    const char *host = after(issuer, "https://");

    if ((!host || !*host || *host == '/') && !is_loopback(issuer))
        return err_set(err, ERR_INVALID,
                       "oidc.issuers (DISPATCH_OIDC_ISSUERS): expected URLs of https");
    if (strpbrk(issuer, " \"<>\\^`{|}#?@"))
        return err_set(
            err, ERR_INVALID,
            "oidc.issuers (DISPATCH_OIDC_ISSUERS): no query, fragment, user name or blanks");
    return 0;
}

/* OWNER/NAME, or OWNER and a star. */
static int check_repository(const char *pattern, struct err *err)
{
    size_t length = strlen(pattern);
    scoped_str sample = xstrdup(pattern);

    if (length > 2 && strcmp(pattern + length - 2, "/*") == 0)
        sample[length - 1] = 'x';
    if (!repo_name_valid(sample))
        return err_set(err, ERR_INVALID,
                       "oidc.repositories (DISPATCH_OIDC_REPOSITORIES): expected OWNER/NAME "
                       "or OWNER/*");
    return 0;
}

/* What a runner calls us by is what a workflow does. */
static int settle_audience(struct config *config, struct err *err)
{
    if (config->oidc_audience)
        return 0;
    if (config->public_url)
        config->oidc_audience = xstrdup(config->public_url);
    else if (config->listen_port)
        config->oidc_audience =
            xasprintf(strchr(config->listen_address, ':') ? "http://[%s]:%d" : "http://%s:%d",
                      config->listen_address, config->listen_port);
    else
        return err_set(err, ERR_INVALID,
                       "oidc.audience (DISPATCH_OIDC_AUDIENCE): required without a public URL "
                       "and with any port");
    return 0;
}

int config_settle_oidc(struct config *config, struct err *err)
{
    bool named = config->oidc_repositories.count > 0;

    for (size_t i = 0; i < config->oidc_repositories.count; i++)
        if (check_repository(config->oidc_repositories.texts[i], err) < 0)
            return -1;
    for (size_t i = 0; i < config->oidc_issuers.count; i++) {
        const char *issuer = config->oidc_issuers.texts[i];

        if (check_issuer(issuer, err) < 0)
            return -1;
        if (strcmp(issuer, PUBLIC_GITHUB) == 0 && !named)
            return err_set(err, ERR_INVALID,
                           "oidc.repositories (DISPATCH_OIDC_REPOSITORIES): required, as every "
                           "repository on GitHub gets tokens of %s",
                           issuer);
    }
    return config->oidc_issuers.count ? settle_audience(config, err) : 0;
}
