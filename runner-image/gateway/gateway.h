/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_H
#define RUNNER_GATEWAY_H
#include "gateway/totals.h"
#include "home/events.h"
#include "home/model_keys.h"

/*
 * The model gateway: a reverse proxy on 127.0.0.1 between the agent and the model providers.
 * The agent holds a key that is good only here and only for this run; the provider's real key
 * stays in this process and goes to the provider's configured host only. What passes is counted
 * and priced, and once the run's budget is spent nothing passes any more.
 *
 * Only what an agent needs of a provider is served: its model calls and its list of models, not
 * its files, batches, keys or bills. Bytes of requests and answers pass as they are, answers as
 * they come; nothing is followed, tried again or decoded.
 *
 * Threads of its own serve the agent. All functions are safe from any thread.
 */
struct gateway;

struct gateway_options {
    const struct model_keys *keys; /* must outlive it */
    struct events *events;         /* gets `usage` and warnings; NULL: nobody */
    struct redaction *redaction;   /* learns every key there is; NULL: nobody */
    const char *ca_file;     /* PEM to trust instead of the system's; NULL: the system's */
    const char *prices_file; /* YAML over the prices built in; NULL: none */
    const char *proxy;       /* as in net.h: NULL none, "" from the environment */
    int64_t max_tokens;      /* of all kinds, of the whole run; 0: no limit */
    double max_cost_usd;     /* 0: no limit */
    int silence_ms;          /* how long a provider may say nothing; 0: 10 minutes */
    size_t body_max_bytes;   /* of one request; 0: 64 MiB */

    /* Once, when the first request is refused because the budget is spent; from a thread of the
     * gateway, which waits for it: it must be quick and not call gateway_stop or gateway_free.
     */
    void (*on_budget)(void *ctx);
    void *ctx;
};

/* Listens from now on. ERR_INVALID: the prices file, a provider's base URL. */
struct gateway *gateway_start(const struct gateway_options *options, struct err *err) CHECKED;
/* Ends what is still open; the totals are final afterwards. Again does nothing. */
void gateway_stop(struct gateway *gateway);
/* Stops first. */
void gateway_free(struct gateway *gateway);
DEFINE_SCOPED(gateway)

/*
 * What the agent is told. Each URL stands where the agent would have the provider's own base
 * URL: anthropic_url for ANTHROPIC_BASE_URL (the agent appends /v1/messages), openai_url for
 * OPENAI_BASE_URL (it appends /chat/completions or /responses), gemini_url for
 * GOOGLE_GEMINI_BASE_URL (it appends /v1beta/models/...). NULL: this run has neither a key nor
 * a base URL for that provider. The key goes where the agent would have the provider's key.
 */
struct model_access {
    const char *key; /* borrowed from the gateway, as all of these */
    const char *anthropic_url;
    const char *openai_url;
    const char *gemini_url;
};

struct model_access gateway_access(const struct gateway *gateway);

/* The same for any provider by name ("openrouter", "groq", "mistral", "deepseek", "xai", and
 * the three above), for agents that take an OpenAI-compatible base URL. NULL: not here. */
const char *gateway_url(const struct gateway *gateway, const char *provider);

/* What passed so far. */
struct model_totals gateway_usage(struct gateway *gateway);
/* Was a request refused because the budget is spent? */
bool gateway_budget_exceeded(struct gateway *gateway);
#endif
