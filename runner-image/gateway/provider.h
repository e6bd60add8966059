/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_PROVIDER_H
#define RUNNER_GATEWAY_PROVIDER_H
#include "gateway/usage_reader.h"
#include "home/model_keys.h"

/*
 * The model providers, a row of a table each, and what the gateway serves of them: the calls
 * of a model and the list of models. The rest of their APIs (files, batches, stored answers,
 * accounts) would be open to the agent with the operator's key, and isn't served.
 */
enum key_style {
    KEY_NONE, /* a server of one's own that wants none */
    KEY_X_API_KEY,
    KEY_BEARER,
    KEY_OAUTH, /* a bearer that Anthropic takes with a beta header only */
    KEY_GOOGLE,
};

struct provider {
    const char *name;
    const char *prefix; /* of the gateway's paths */
    enum model_protocol protocol;
    const char *url_variable;
    const char *default_url;
    struct key_source {
        const char *variable; /* NULL: no more */
        enum key_style style;
    } keys[3]; /* the first that is set counts */
};

#define PROVIDERS_MAX 16
extern const struct provider providers[];
extern const size_t n_providers;

/* A provider as this run has it. */
struct configured_provider {
    const struct provider *provider;
    char *base_url; /* without a slash at the end; NULL: this run doesn't have it */
    const struct secret *key;
    enum key_style style;
};

/* ERR_INVALID names the variable. */
int provider_configure(struct configured_provider *out, const struct provider *provider,
                       const struct model_keys *keys, struct err *err) CHECKED;
void provider_done(struct configured_provider *configured);

/* The row whose prefix the path has, and what follows it; NULL when there is none. */
const struct provider *provider_of_path(const char *path, const char **out_rest);

enum call_kind {
    CALL_NOT_SERVED,
    CALL_FREE,    /* lists, counting of tokens */
    CALL_METERED, /* a model is asked */
};

/* `path` is what follows the prefix, without the query. */
enum call_kind provider_call_kind(const struct provider *provider, const char *method,
                                  const char *path);

/* Where it goes: base URL, path, and of the query what a provider may see. `query` is NULL or
 * what follows the question mark. The caller frees it. */
char *provider_url(const struct configured_provider *configured, const char *path,
                   const char *query) CHECKED;
#endif
