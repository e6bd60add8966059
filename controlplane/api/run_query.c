/* SPDX-License-Identifier: Apache-2.0 */
#include "api/run_query.h"

#include <string.h>

#include "base/buf.h"

#define LIST_LIMIT_DEFAULT 100
#define LIST_LIMIT_MAX 1000

/* A public status is one or two stored ones. */
static int read_status(const char *text, const char *(*name_of)(enum run_status status),
                       unsigned among, unsigned *out, struct err *err)
{
    scoped_buf known = {0};
    const char *last = "";
    unsigned found = 0;

    for (int i = 0; i < RUN_STATUS_COUNT; i++) {
        const char *name = name_of((enum run_status)i);

        if (!(among >> i & 1U))
            continue;
        if (strcmp(text, name) == 0)
            found |= 1U << i;
        if (strcmp(last, name) != 0)
            buf_printf(&known, "%s%s", *last ? ", " : "", name);
        last = name;
    }
    if (!found)
        return err_set_field(err, "status", "expected one of %s", known.data);
    *out = found;
    return 0;
}

int run_query_limit(const struct request *req, int *out, struct err *err)
{
    const char *text = request_query(req, "limit");
    char *end;
    long limit;

    *out = LIST_LIMIT_DEFAULT;
    if (!text)
        return 0;
    limit = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || limit < 1 || limit > LIST_LIMIT_MAX)
        return err_set_field(err, "limit", "expected a whole number from 1 to %d",
                             LIST_LIMIT_MAX);
    *out = (int)limit;
    return 0;
}

int run_query_read(const struct request *req, const char *(*name_of)(enum run_status status),
                   unsigned among, struct run_filter *out, struct err *err)
{
    static const char *const known[] = {"status", "limit", "cursor", NULL};
    const char *status = request_query(req, "status");
    const char *cursor = request_query(req, "cursor");

    *out = (struct run_filter){.statuses = among};
    if (request_query_only(req, known, err) < 0
        || (status && read_status(status, name_of, among, &out->statuses, err) < 0)
        || run_query_limit(req, &out->limit, err) < 0)
        return -1;
    if (cursor && !id_parse(cursor, &out->before))
        return err_set_field(err, "cursor", "this is no cursor of ours");
    return 0;
}
