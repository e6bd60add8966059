/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the deliveries of runs that the caller may see. */
#include "service/deliveries.h"

#include <string.h>

#include "api/app.h"
#include "api/run_query.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/delivery_store.h"

/* --- As JSON ------------------------------------------------------------------------------ */

/* The operator's receivers, and what they answer, are for those who see everything: such a URL
 * may be as good as a password. */
static bool shows_receiver(const struct principal *principal, const struct delivery *delivery)
{
    return !delivery->configured || principal->sees_all;
}

static cJSON *payload_json(const struct delivery *delivery)
{
    struct err ignored = {0};

    if (!delivery->payload)
        return NULL;
    return json_parse(delivery->payload, strlen(delivery->payload), &ignored);
}

static cJSON *delivery_json(const struct principal *principal, const struct delivery *delivery)
{
    bool shown = shows_receiver(principal, delivery);
    char id[ID_TEXT_SIZE];
    char run[ID_TEXT_SIZE];

    id_text(delivery->id, id);
    id_text(delivery->run, run);
    return jobj({"id", jstr(id)}, {"run_id", jstr(run)}, {"event", jstr(delivery->event)},
                {"status", jstr(delivery_status_name(delivery->status))},
                {"url", shown ? jstr(delivery->url) : NULL},
                {"configured", jbool(delivery->configured)},
                {"attempts", jint(delivery->attempts)},
                {"created_at", jtime(id_created_ms(delivery->id))},
                {"next_attempt_at", jtime(delivery->next_ms)},
                {"last_attempt_at", jtime(delivery->last_ms)},
                {"last_status", delivery->last_status ? jint(delivery->last_status) : NULL},
                {"last_error", shown ? jstr(delivery->last_error) : NULL},
                {"ended_at", jtime(delivery->ended_ms)}, {"payload", payload_json(delivery)});
}

/* --- Lists -------------------------------------------------------------------------------- */

static int read_filter(const struct request *req, struct delivery_filter *out, struct err *err)
{
    static const char *const known[] = {"status", "run", "limit", "cursor", NULL};
    const struct principal *principal = principal_of(req);
    const char *status = request_query(req, "status");
    const char *run = request_query(req, "run");
    const char *cursor = request_query(req, "cursor");

    *out = (struct delivery_filter){.owner = principal->owner,
                                    .shared = principal->sees_shared,
                                    .all = principal->sees_all,
                                    .by_status = status != NULL};
    if (request_query_only(req, known, err) < 0 || run_query_limit(req, &out->limit, err) < 0)
        return -1;
    if (status && !delivery_status_parse(status, &out->status))
        return err_set_field(err, "status", "expected one of pending, delivered, failed");
    if (run && !id_parse(run, &out->run))
        return err_set_field(err, "run", "this is no run's id");
    if (cursor && !id_parse(cursor, &out->before))
        return err_set_field(err, "cursor", "this is no cursor of ours");
    return 0;
}

int list_deliveries(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct delivery_filter filter;
    struct delivery_page page = {0};
    char next[ID_TEXT_SIZE];
    cJSON *deliveries;

    if (read_filter(req, &filter, err) < 0
        || delivery_store_page(app->db, &filter, &page, err) < 0)
        return -1;
    deliveries = json_array(NULL, 0);
    for (size_t i = 0; i < page.count; i++)
        cJSON_AddItemToArray(deliveries, delivery_json(principal_of(req), page.all[i]));
    id_text(page.next, next);
    *out = jobj({"deliveries", deliveries}, {"count", jint((int64_t)page.count)},
                {"next_cursor", page.next.key ? jstr(next) : NULL});
    delivery_page_done(&page);
    return 200;
}

/* --- One ---------------------------------------------------------------------------------- */

/* Somebody else's is answered as one that there isn't. */
static struct delivery *load(struct app *app, const struct request *req, struct err *err)
{
    const char *text = request_param(req, "delivery_id");
    scoped(delivery) delivery = NULL;
    struct id id;

    if (id_parse(text, &id))
        delivery = delivery_store_load(app->db, id, err);
    else
        err->kind = ERR_NOT_FOUND;
    if (delivery
        && principal_may_see(principal_of(req), &(const struct run){.owner = delivery->owner}))
        return TAKE(delivery);
    if (delivery || err->kind == ERR_NOT_FOUND)
        (void)err_set(err, ERR_NOT_FOUND, "there is no delivery %s",
                      id_parse(text, &id) ? text : "of that id");
    return NULL;
}

int show_delivery(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    scoped(delivery) delivery = load(app, req, err);

    if (!delivery)
        return -1;
    *out = delivery_json(principal_of(req), delivery);
    return 200;
}

int redeliver(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    const struct audit_source source = request_source(app, req);
    scoped(delivery) delivery = load(app, req, err);
    const char *id = request_param(req, "delivery_id");

    if (!delivery
        || delivery_store_redeliver(app->db, delivery->id, clock_steady_ms(), &source, err) < 0)
        return -1;
    deliveries_wake(app->deliveries);
    log_info("redelivery asked for", KV("delivery", id), KV("by", source.actor));
    *out = jobj({"id", jstr(id)}, {"message", jstr("The delivery is being made again")});
    return 202;
}
