/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/meter.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/buf.h"

struct meter {
    struct prices *prices;
    struct events *events;
    int64_t max_tokens;
    double max_cost_usd;
    pthread_mutex_t lock;
    /* Under the lock: */
    struct model_totals totals;
    bool exceeded;
    bool warned_of_price;
    bool warned_of_estimate;
};

struct meter *meter_new(const struct meter_options *options, struct err *err)
{
    struct prices *prices = prices_load(options->prices_file, err);
    struct meter *meter;

    if (!prices)
        return NULL;
    meter = xcalloc(1, sizeof(*meter));
    meter->prices = prices;
    meter->events = options->events;
    meter->max_tokens = options->max_tokens;
    meter->max_cost_usd = options->max_cost_usd;
    (void)pthread_mutex_init(&meter->lock, NULL);
    return meter;
}

void meter_free(struct meter *meter)
{
    if (!meter)
        return;
    prices_free(meter->prices);
    (void)pthread_mutex_destroy(&meter->lock);
    free(meter);
}

/* --- The budget --------------------------------------------------------------------------- */

/* Under the lock. */
static bool is_spent(const struct meter *meter)
{
    return (meter->max_tokens > 0 && model_totals_tokens(&meter->totals) >= meter->max_tokens)
           || (meter->max_cost_usd > 0 && meter->totals.cost_usd >= meter->max_cost_usd);
}

bool meter_admit(struct meter *meter, bool *out_first)
{
    bool spent;

    (void)pthread_mutex_lock(&meter->lock);
    spent = is_spent(meter);
    *out_first = spent && !meter->exceeded;
    meter->exceeded |= spent;
    (void)pthread_mutex_unlock(&meter->lock);
    return !spent;
}

bool meter_exceeded(struct meter *meter)
{
    bool exceeded;

    (void)pthread_mutex_lock(&meter->lock);
    exceeded = meter->exceeded;
    (void)pthread_mutex_unlock(&meter->lock);
    return exceeded;
}

char *meter_sentence(const struct meter *meter)
{
    struct buf text = {0};

    buf_append_str(&text, "The budget of this run is spent (at most ");
    if (meter->max_tokens > 0)
        buf_printf(&text, "%lld tokens", (long long)meter->max_tokens);
    if (meter->max_tokens > 0 && meter->max_cost_usd > 0)
        buf_append_str(&text, " and ");
    if (meter->max_cost_usd > 0)
        buf_printf(&text, "$%.2f", meter->max_cost_usd);
    buf_append_str(&text, "). No further model calls are made.");
    return buf_take(&text);
}

/* --- The account -------------------------------------------------------------------------- */

static void tell(struct meter *meter, const char *provider, const char *model,
                 const struct model_totals *used, const struct model_totals *totals)
{
    cJSON *fields = model_totals_to_json(used);

    if (!meter->events) {
        cJSON_Delete(fields);
        return;
    }
    cJSON_DeleteItemFromObject(fields, "requests");
    cJSON_AddItemToObject(fields, "provider", jstr(provider));
    cJSON_AddItemToObject(fields, "model", jstr(model));
    cJSON_AddItemToObject(fields, "total", model_totals_to_json(totals));
    events_add(meter->events, "usage", fields);
}

/* Once each is enough for people to know. */
static void warn(struct meter *meter, const char *model, bool of_price, bool of_estimate)
{
    if (meter->events && of_price)
        events_warn(meter->events,
                    "the price of model %.60s isn't known: its cost is counted as 0%s", model,
                    meter->max_cost_usd > 0 ? ", and the run's limit in dollars doesn't hold it"
                                            : "");
    if (meter->events && of_estimate)
        events_warn(meter->events,
                    "an answer of model %.60s didn't say what it used: that is estimated",
                    model);
}

void meter_add(struct meter *meter, const char *provider, const char *model,
               const struct model_totals *used)
{
    struct model_totals one = *used;
    struct model_totals totals;
    const char *name = *model ? model : "unknown";
    bool priced = one.cost_usd > 0 || prices_cost(meter->prices, model, &one, &one.cost_usd);
    bool of_price;
    bool of_estimate;

    (void)pthread_mutex_lock(&meter->lock);
    model_totals_add(&meter->totals, &one);
    totals = meter->totals;
    of_price = !priced && !meter->warned_of_price;
    of_estimate = one.estimated && !meter->warned_of_estimate;
    meter->warned_of_price |= !priced;
    meter->warned_of_estimate |= one.estimated;
    (void)pthread_mutex_unlock(&meter->lock);
    warn(meter, name, of_price, of_estimate);
    tell(meter, provider, name, &one, &totals);
}

void meter_add_failed(struct meter *meter)
{
    (void)pthread_mutex_lock(&meter->lock);
    meter->totals.requests++;
    (void)pthread_mutex_unlock(&meter->lock);
}

struct model_totals meter_totals(struct meter *meter)
{
    struct model_totals totals;

    (void)pthread_mutex_lock(&meter->lock);
    totals = meter->totals;
    (void)pthread_mutex_unlock(&meter->lock);
    return totals;
}
