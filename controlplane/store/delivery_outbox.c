/* SPDX-License-Identifier: Apache-2.0 */
/* How deliveries come about: who is told of a run's end, and what. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "model/run_json.h"
#include "store/delivery_row.h"
#include "store/run_details.h"
#include "store/run_store.h"

/* The port makes one of "https://a" and "https://A:443". */
char *delivery_receiver_of(const char *url)
{
    bool tls = strncasecmp(url, "https:", 6) == 0;
    const char *host = strstr(url, "://");
    size_t length;
    bool has_port;
    char *receiver;

    host = host ? host + 3 : url;
    length = strcspn(host, "/?#");
    has_port = length && memchr(host, ':', length) && host[length - 1] != ']'
               && (host[0] != '[' || memmem(host, length, "]:", 2));
    receiver = xasprintf("%s://%.*s%s", tls ? "https" : "http", (int)length, host,
                         has_port ? ""
                         : tls    ? ":443"
                                  : ":80");
    for (char *c = receiver; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return receiver;
}

/* --- The receivers of the configuration ----------------------------------------------------
 */

struct receivers {
    const struct delivery_receiver *all;
    size_t count;
    int64_t newest_key;
};

static int receivers_write(struct db_conn *conn, void *ctx, struct err *err)
{
    struct receivers *receivers = ctx;
    scoped(stmt) st = NULL;
    int row;

    if (db_exec(conn, err, "DELETE FROM receiver") < 0)
        return -1;
    for (size_t i = 0; i < receivers->count; i++)
        if (db_exec(conn, err, "INSERT OR REPLACE INTO receiver VALUES (?1, ?2)",
                    B(receivers->all[i].url), B((int64_t)receivers->all[i].events))
            < 0)
            return -1;
    st =
        db_query(conn, err, "SELECT key FROM delivery WHERE key > 0 ORDER BY key DESC LIMIT 1");
    row = st ? stmt_step(st, err) : -1;
    if (row == 1)
        receivers->newest_key = stmt_int(st, 0);
    return row < 0 ? -1 : 0;
}

int delivery_store_set_receivers(struct db *db, const struct delivery_receiver *all,
                                 size_t count, struct err *err)
{
    struct receivers receivers = {.all = all, .count = count};

    if (db_write(db, receivers_write, &receivers, err) < 0)
        return -1;
    id_start_after(receivers.newest_key);
    return 0;
}

/* --- A run's end -------------------------------------------------------------------------- */

struct telling {
    struct id run_id;
    enum run_status status;
    int64_t now_ms;
    struct run *run;
    char *payload;
};

/* *out is NULL when there is none. */
static int text_result(struct db_conn *conn, int64_t key, char **out, struct err *err)
{
    scoped(stmt) st = db_query(conn, err, "SELECT text FROM run_result WHERE key = ?1", B(key));
    int row = st ? stmt_step(st, err) : -1;

    if (row == 1)
        *out = stmt_text_copy(st, 0);
    return row < 0 ? -1 : 0;
}

/* The run's page without its prompt, which the receiver has no need of. */
static int make_payload(struct db_conn *conn, struct telling *telling, const char *event,
                        struct err *err)
{
    scoped_str result = NULL;
    scoped_json document = NULL;

    if (text_result(conn, telling->run_id.key, &result, err) < 0)
        return -1;
    telling->run = run_store_load_in(conn, telling->run_id, err);
    if (!telling->run)
        return -1;
    document = run_json(telling->run, result);
    (void)cJSON_AddItemToObject(document, "event", jstr(event));
    telling->payload = json_text(document);
    return 0;
}

static int tell(struct db_conn *conn, struct telling *telling, const char *url, bool configured,
                struct err *err)
{
    scoped_str event = xasprintf("run.%s", run_status_name(telling->status));
    scoped_str receiver = delivery_receiver_of(url);

    if (!telling->payload && make_payload(conn, telling, event, err) < 0)
        return -1;
    struct delivery delivery = {
        .id = id_make(telling->now_ms, random_u64()),
        .run = telling->run_id,
        .owner = telling->run->owner,
        .event = event,
        .url = (char *)(uintptr_t)url, /* borrowed for the call */
        .receiver = receiver,
        .configured = configured,
        .payload = telling->payload,
        .give_up_ms = telling->now_ms + DELIVERY_KEPT_UP_MS,
    };
    return delivery_row_insert(conn, &delivery, telling->now_ms, err);
}

static int tell_configured(struct db_conn *conn, struct telling *telling, struct err *err)
{
    scoped(stmt) st = db_query(conn, err, "SELECT url FROM receiver WHERE events & ?1 <> 0",
                               B((int64_t)1 << telling->status));
    int row = st ? stmt_step(st, err) : -1;

    for (; row == 1; row = stmt_step(st, err))
        if (tell(conn, telling, stmt_text(st, 0), true, err) < 0)
            return -1;
    return row;
}

/* Unless the configuration has it told already. */
static int tell_own(struct db_conn *conn, struct telling *telling, struct err *err)
{
    scoped(stmt) st = db_query(conn, err,
                               "SELECT webhook_url FROM run_input WHERE key = ?1"
                               " AND webhook_url IS NOT NULL AND NOT EXISTS"
                               " (SELECT 1 FROM receiver WHERE url = webhook_url"
                               " AND events & ?2 <> 0)",
                               B(telling->run_id.key), B((int64_t)1 << telling->status));
    int row = st ? stmt_step(st, err) : -1;

    if (row != 1)
        return row;
    return tell(conn, telling, stmt_text(st, 0), false, err);
}

int delivery_store_run_ended(struct db_conn *conn, struct id run, enum run_status status,
                             int64_t now_ms, struct err *err)
{
    struct telling telling = {.run_id = run, .status = status, .now_ms = now_ms};
    int result =
        tell_configured(conn, &telling, err) < 0 || tell_own(conn, &telling, err) < 0 ? -1 : 0;

    run_free(telling.run);
    free(telling.payload);
    return result;
}
