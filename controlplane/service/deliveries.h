/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_DELIVERIES_H
#define SERVICE_DELIVERIES_H
#include "config/config.h"
#include "store/db.h"
#include "store/vault.h"

/*
 * Makes the calls of store/delivery_store.h: tells receivers that a run has ended. A call that
 * isn't answered with a 2xx within DELIVERY_TIMEOUT_MS is made again after 5 s, 10 s, and so on
 * up to an hour, or when Retry-After says, for 24 hours; a 410 gives up at once. A redirect is
 * not followed: it is no 2xx. What was sent and not noted before a crash is sent again, under
 * the same id: at least once.
 *
 * DELIVERY_THREADS threads make calls, one at a time to each receiver. Deliveries that failed
 * before get half of them at most, so that dead receivers leave room for the others.
 *
 *     X-Dispatch-Signature     hex HMAC-SHA256 of the body under the receiver's secret
 *     X-Dispatch-Signature-V2  the same of "<timestamp>.<body>"
 *     X-Dispatch-Timestamp     Unix milliseconds of this call
 *     X-Dispatch-Event         run.completed, run.failed, run.stopped
 *     X-Dispatch-Delivery      the delivery's id
 *
 * A run's own receiver must be at a public address, or one of allow_private_urls, when the
 * socket connects; those of the configuration may be anywhere. Safe from any thread.
 */
#define DELIVERY_THREADS 8
#define DELIVERY_TIMEOUT_MS 10000
#define DELIVERY_RETRY_FIRST_MS 5000
#define DELIVERY_RETRY_MAX_MS (3600LL * 1000)
#define DELIVERY_ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define DELIVERY_ERROR_MAX_BYTES 500 /* of an answer, kept to be shown */

struct deliveries;

struct deliveries_options {
    const struct config *config;
    struct db *db;
    const struct vault *vault;
};

/* From now on runs that end have deliveries for the receivers of the configuration. */
struct deliveries *deliveries_new(const struct deliveries_options *options,
                                  struct err *err) CHECKED;
int deliveries_start(struct deliveries *deliveries, struct err *err) CHECKED;
/* Ends the threads; calls under way are cut off, and made again after the next start. */
void deliveries_stop(struct deliveries *deliveries);
void deliveries_free(struct deliveries *deliveries); /* stops first */
DEFINE_SCOPED(deliveries)

/* There may be something due: a run has ended, a person has asked. NULL is fine. */
void deliveries_wake(struct deliveries *deliveries);

struct deliveries_stats {
    int64_t pending;
    int64_t delivered; /* these since start */
    int64_t failed;    /* given up */
    int64_t attempts;
};
int deliveries_stats(struct deliveries *deliveries, struct deliveries_stats *out,
                     struct err *err) CHECKED;

/* What signs for receivers that have no secret of their own: the configured one, or one made
 * from the vault's key, the same at each start. The caller frees it. */
struct secret *deliveries_secret(const struct config *config,
                                 const struct vault *vault) CHECKED;

/* How long to wait after that many failed tries (1: the first): the whole back-off less up to a
 * fifth of it, by `random`. */
int64_t deliveries_wait_ms(int tries, uint64_t random);
#endif
