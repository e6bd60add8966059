/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: everybody sees what they did themselves, administrators see all. */
#include "store/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/app.h"
#include "api/run_query.h"
#include "base/id.h"

/* --- Reading ------------------------------------------------------------------------------ */

/* A cursor is the number of the last entry of the page before. */
static int read_cursor(const char *text, int64_t *out, struct err *err)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno || text[0] < '1' || text[0] > '9' || *end)
        return err_set_field(err, "cursor", "this is no cursor of ours");
    return 0;
}

static int read_order(const char *text, bool *out_oldest_first, struct err *err)
{
    *out_oldest_first = text && strcmp(text, "asc") == 0;
    if (text && !*out_oldest_first && strcmp(text, "desc") != 0)
        return err_set_field(err, "order", "expected one of asc, desc");
    return 0;
}

/* Nothing of a run is older than the run. */
static int read_run(const char *text, struct audit_filter *out, struct err *err)
{
    struct id id;

    if (!id_parse(text, &id))
        return err_set_field(err, "run", "this is no run's id");
    out->target = text;
    out->since_ms = id_created_ms(id);
    return 0;
}

static int read_filter(const struct request *req, struct audit_filter *out, struct err *err)
{
    static const char *const known[] = {"limit", "cursor", "order", "run", NULL};
    const struct principal *principal = principal_of(req);
    const char *cursor = request_query(req, "cursor");
    const char *run = request_query(req, "run");

    *out = (struct audit_filter){.actor = principal->sees_all ? NULL : principal->actor};
    if (request_query_only(req, known, err) < 0 || run_query_limit(req, &out->limit, err) < 0
        || read_order(request_query(req, "order"), &out->oldest_first, err) < 0
        || (cursor && read_cursor(cursor, &out->beyond, err) < 0)
        || (run && read_run(run, out, err) < 0))
        return -1;
    return 0;
}

/* --- Showing ------------------------------------------------------------------------------ */

static void add_entry(void *ctx, const struct audit_entry *entry)
{
    char hash[SHA256_HEX_SIZE];

    hex_encode(entry->hash, sizeof(entry->hash), hash);
    cJSON_AddItemToArray(
        ctx, jobj({"number", jint(entry->number)}, {"at", jtime(entry->at_ms)},
                  {"actor", jstr(entry->actor)}, {"action", jstr(entry->action)},
                  {"target", jstr(entry->target)}, {"address", jstr(entry->address)},
                  {"request_id", jstr(entry->request_id)}, {"detail", jstr(entry->detail)},
                  {"hash", jstr(hash)}));
}

int list_audit(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    struct audit_filter filter;
    scoped_json entries = json_array(NULL, 0);
    char next[24];
    int64_t beyond;

    if (read_filter(req, &filter, err) < 0
        || audit_page(app->db, &filter, add_entry, entries, &beyond, err) < 0)
        return -1;
    (void)snprintf(next, sizeof(next), "%" PRId64, beyond);
    *out = jobj({"entries", TAKE(entries)}, {"next_cursor", beyond ? jstr(next) : NULL});
    return 200;
}

/* --- For the command, over the control socket --------------------------------------------- */

int verify_audit(struct app *app, struct request *req, cJSON **out, struct err *err)
{
    static const char *const known[] = {"head", NULL};
    const char *head = request_query(req, "head");
    uint8_t noted[SHA256_SIZE];
    struct audit_verdict verdict;

    if (request_query_only(req, known, err) < 0)
        return -1;
    if (head && !hex_decode(head, noted, sizeof(noted)))
        return err_set_field(err, "head", "expected 64 hex digits");
    if (audit_verify(app->db, head ? noted : NULL, &verdict, err) < 0)
        return -1;
    *out = audit_verdict_json(&verdict);
    return 200;
}
