/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rate.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "httpd/rate_table.h"

#define IPV6_NET_BYTES 8 /* whoever has one address of a /64 has all of them */

struct rate {
    struct rate_limit credential;
    struct rate_limit address;
    struct rate_limit failure;
    struct rate_table *credentials;
    struct rate_table *addresses;
    struct rate_table *failures;
};

struct rate *rate_new(const struct config *config)
{
    const struct config_rate_limit *limits = &config->rate_limit;
    struct rate *rate = xcalloc(1, sizeof(*rate));

    *rate = (struct rate){
        .credential = {limits->per_credential_per_minute, limits->per_credential_burst},
        .address = {limits->per_address_per_minute, limits->per_address_burst},
        .failure = {limits->failures_per_minute, 0},
        .credentials = rate_table_new(RATE_NAMES),
        .addresses = rate_table_new(RATE_NAMES),
        .failures = rate_table_new(RATE_NAMES),
    };
    return rate;
}

void rate_free(struct rate *rate)
{
    if (!rate)
        return;
    rate_table_free(rate->credentials);
    rate_table_free(rate->addresses);
    rate_table_free(rate->failures);
    free(rate);
}

/* --- Addresses ---------------------------------------------------------------------------- */

struct address {
    uint8_t bytes[16];
    size_t size;
};

static bool is_exempt(const struct config_ranges *exempt, const struct sockaddr *who)
{
    for (size_t i = 0; i < exempt->count; i++)
        if (address_in_range(who, &exempt->all[i]))
            return true;
    return false;
}

/* False when it isn't counted: one that is exempt, or the control socket's. */
static bool address_of(const struct config *config, const struct request *req,
                       struct address *out)
{
    const struct config_ranges *exempt = &config->rate_limit.exempt;
    char text[CLIENT_ADDRESS_SIZE];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    *out = (struct address){0};
    client_address(config, req, text);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        out->size = sizeof(v4.sin_addr);
        memcpy(out->bytes, &v4.sin_addr, out->size);
        return !is_exempt(exempt, (const struct sockaddr *)&v4);
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        return false;
    out->size = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? sizeof(v6.sin6_addr) : IPV6_NET_BYTES;
    memcpy(out->bytes, &v6.sin6_addr, out->size);
    return !is_exempt(exempt, (const struct sockaddr *)&v6);
}

/* --- Refusals ----------------------------------------------------------------------------- */

static int refuse(const struct rate_state *state, const char *what, struct err *err)
{
    (void)err_set_code(err, ERR_LIMITED, "rate_limited", "too many %s: again in %d s", what,
                       state->retry_after_s);
    err->retry_after_s = state->retry_after_s;
    return -1;
}

/* A run's runner may be one of thousands behind an address, and the 401 is what ends it. */
static bool is_runners(const struct request *req, int scope)
{
    const char *bearer = request_bearer(req);
    struct id run;

    return scope == SCOPE_RUNNER && bearer && task_token_parse(bearer, &run);
}

static bool is_counted(const struct rate *rate, const struct request *req, int scope)
{
    return rate && rate->failure.per_minute && scope != ANYONE && scope != SCOPE_ADMIN
           && !is_runners(req, scope);
}

/* 256 random bits, known by their form. */
static bool is_ours(const char *bearer)
{
    return integration_token_well_formed(bearer) || personal_token_well_formed(bearer);
}

int rate_before(struct app *app, const struct request *req, int scope, struct err *err)
{
    struct rate *rate = app->rate;
    const char *bearer = request_bearer(req);
    struct rate_state state;
    struct address from;

    if (!is_counted(rate, req, scope) || (bearer && is_ours(bearer))
        || !address_of(app->config, req, &from))
        return 0;
    rate_table_look(rate->failures, from.bytes, from.size, &rate->failure, clock_monotonic_ms(),
                    &state);
    return state.allowed ? 0 : refuse(&state, "bad credentials from this address", err);
}

int rate_refused(struct app *app, const struct request *req, int scope, struct err *err)
{
    struct rate *rate = app->rate;
    struct rate_state state;
    struct address from;

    if (err->kind != ERR_UNAUTHENTICATED || !is_counted(rate, req, scope)
        || !address_of(app->config, req, &from))
        return -1;
    rate_table_take(rate->failures, from.bytes, from.size, &rate->failure, clock_monotonic_ms(),
                    &state);
    return state.allowed ? -1 : refuse(&state, "bad credentials from this address", err);
}

/* --- Those who may ------------------------------------------------------------------------ */

static void set_number(struct request *req, const char *name, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    request_set_header(req, name, text);
}

static void show(struct request *req, const struct rate_state *state)
{
    set_number(req, "RateLimit-Limit", state->limit);
    set_number(req, "RateLimit-Remaining", state->remaining);
    set_number(req, "RateLimit-Reset", state->reset_s);
}

static bool is_control(const struct request *req)
{
    return strcmp(request_peer(req), "unix") == 0;
}

static bool is_narrower(const struct rate_state *one, const struct rate_state *other)
{
    if (!one->allowed || !other->allowed)
        return !one->allowed;
    return one->remaining < other->remaining;
}

/* Its own limit, which a token may have, or everybody's. */
static struct rate_limit limit_of(const struct rate *rate, const struct principal *principal)
{
    if (principal->grant.id && principal->grant.rate_per_minute)
        return (struct rate_limit){.per_minute = principal->grant.rate_per_minute};
    return rate->credential;
}

int rate_check(struct app *app, struct request *req, struct err *err)
{
    struct rate *rate = app->rate;
    const struct principal *principal = principal_of(req);
    struct rate_state by_credential = {.allowed = true, .remaining = INT64_MAX};
    struct rate_state by_address = by_credential;
    struct rate_limit limit;
    struct address from;

    if (!rate || !principal || principal->run || is_control(req))
        return 0;
    limit = limit_of(rate, principal);
    if (limit.per_minute)
        rate_table_take(rate->credentials, principal->actor, strlen(principal->actor), &limit,
                        clock_monotonic_ms(), &by_credential);
    if (by_credential.allowed && rate->address.per_minute
        && address_of(app->config, req, &from))
        rate_table_take(rate->addresses, from.bytes, from.size, &rate->address,
                        clock_monotonic_ms(), &by_address);
    if (by_credential.remaining == INT64_MAX && by_address.remaining == INT64_MAX)
        return 0;
    if (is_narrower(&by_address, &by_credential)) {
        show(req, &by_address);
        return by_address.allowed ? 0 : refuse(&by_address, "requests from this address", err);
    }
    show(req, &by_credential);
    return by_credential.allowed ? 0 : refuse(&by_credential, "requests", err);
}
