/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_RATE_H
#define API_RATE_H
#include "api/app.h"

/*
 * How often somebody may ask, by credential and by address (`rate_limit` of the configuration).
 * Refused is ERR_LIMITED, code "rate_limited", with retry_after_s. Where a limit applies the
 * answer says how it stands: RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset
 * (draft-ietf-httpapi-ratelimit-headers), of the narrower one.
 *
 * Runners and whoever needs no credential aren't limited: the ones are as many as the runs, the
 * others are probes. Never waits.
 */
struct rate;

#define RATE_NAMES 65536 /* of credentials, and of addresses, that are kept apart at a time */

/* `config` is borrowed. */
struct rate *rate_new(const struct config *config) CHECKED;
void rate_free(struct rate *rate);
DEFINE_SCOPED(rate)

/* Before a credential is looked at. From an address with too many bad ones, those that could be
 * guessed, or cost much to check, aren't. What we made ourselves is: nobody guesses 256 bits,
 * and one bad client shouldn't lock out the others behind its address. */
int rate_before(struct app *app, const struct request *req, int scope, struct err *err) CHECKED;

/* After one was found bad, `err` says why; when there were too many, it is ERR_LIMITED. Always
 * -1. */
int rate_refused(struct app *app, const struct request *req, int scope, struct err *err);

/* After one was found good. */
int rate_check(struct app *app, struct request *req, struct err *err) CHECKED;

/* Who asks, as text: the peer, or behind `trusted_proxies` whom the nearest of them names. */
#define CLIENT_ADDRESS_SIZE 46
void client_address(const struct config *config, const struct request *req,
                    char out[CLIENT_ADDRESS_SIZE]);
#endif
