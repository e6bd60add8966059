/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_METER_H
#define RUNNER_GATEWAY_METER_H
#include "gateway/prices.h"
#include "home/events.h"

/*
 * The run's account: what its model calls have used up, what they cost, and whether there is
 * budget left. Safe from any thread.
 *
 * The budget is looked at before a call and not in the middle of one: calls that were let in
 * when there was some left are served to their end.
 */
struct meter;

struct meter_options {
    const char *prices_file; /* NULL: those built in */
    struct events *events;   /* NULL: nobody hears of it */
    int64_t max_tokens;      /* of all kinds; 0: no limit */
    double max_cost_usd;     /* 0: no limit */
};

struct meter *meter_new(const struct meter_options *options, struct err *err) CHECKED;
void meter_free(struct meter *meter);
DEFINE_SCOPED(meter)

/* May another call be made? False once the budget is spent; *out_first the first time. */
bool meter_admit(struct meter *meter, bool *out_first);
bool meter_exceeded(struct meter *meter); /* has a call been refused? */

/* One more call that is over: priced, added up and told as a `usage` event. `model` may be
 * empty; a cost that `used` has already stays. */
void meter_add(struct meter *meter, const char *provider, const char *model,
               const struct model_totals *used);
/* One that was answered with an error, which costs nothing. */
void meter_add_failed(struct meter *meter);

struct model_totals meter_totals(struct meter *meter);

/* What to tell who is refused; the caller frees it. */
char *meter_sentence(const struct meter *meter) CHECKED;
#endif
