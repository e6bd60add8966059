/* SPDX-License-Identifier: Apache-2.0 */
/* audit list and audit verify. */
#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/audit_chain.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/limit.h"
#include "dispatchctl/output.h"

static const char *const headings[] = {"NUMBER", "AT", "ACTOR", "ACTION", "TARGET", NULL};
static const char *const wide_headings[] = {"NUMBER",  "AT",      "ACTOR",  "ACTION", "TARGET",
                                            "ADDRESS", "REQUEST", "DETAIL", NULL};

static void print_entries(const struct invocation *call, const cJSON *page)
{
    bool wide = output_form(call) == OUTPUT_WIDE;
    scoped(table) table = table_new(wide ? wide_headings : headings, false);
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(page, "entries"))
    {
        scoped_str number = xasprintf("%lld", (long long)json_get_int(entry, "number", 0));
        const char *cells[] = {number,
                               json_get_str(entry, "at"),
                               json_get_str(entry, "actor"),
                               json_get_str(entry, "action"),
                               json_get_str(entry, "target"),
                               json_get_str(entry, "address"),
                               json_get_str(entry, "request_id"),
                               json_get_str(entry, "detail")};

        table_add(table, cells);
    }
    table_print(table, stdout);
    if (json_get_str(page, "next_cursor"))
        output_remark(call, "There are more: --all shows all of them, --limit N more of them.");
}

int command_audit_list(const struct invocation *call)
{
    struct err err = {0};
    int64_t limit;
    scoped_str run = call->options.run ? net_escape(call->options.run) : NULL;
    scoped_str query = run ? xasprintf("run=%s", run) : NULL;

    if (limit_read(&call->options, &limit, &err) < 0)
        return output_fail(&err);
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json page =
        client ? client_pages(client, "/api/audit", query, "entries", limit, &err) : NULL;
    if (!page)
        return output_fail(&err);
    if (!output_list(call, page, "entries", "hash"))
        print_entries(call, page);
    return output_end(EXIT_DONE);
}

/* --- Verifying ---------------------------------------------------------------------------- */

struct verifying {
    struct audit_chain chain;
    const char *wanted; /* a head of earlier; NULL */
    bool found;
};

static int add_page(struct verifying *verifying, const cJSON *page, struct err *err)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(page, "entries"))
    {
        const char *hash = json_get_str(entry, "hash");

        if (audit_chain_add(&verifying->chain, entry, err) < 0)
            return -1;
        verifying->found |=
            verifying->wanted && hash && strcasecmp(hash, verifying->wanted) == 0;
    }
    return 0;
}

static int walk(struct client *client, struct verifying *verifying, struct err *err)
{
    scoped_str cursor = NULL;

    do {
        scoped_json page =
            client_page(client, "/api/audit", "order=asc", cursor, CLIENT_PAGE_MAX, err);
        scoped_str next = page ? xstrdup(json_get_str(page, "next_cursor")) : NULL;
        int64_t before = verifying->chain.number;

        if (!page || add_page(verifying, page, err) < 0)
            return -1;
        free(cursor);
        cursor = verifying->chain.number > before ? TAKE(next) : NULL;
    } while (cursor);
    if (verifying->wanted && !verifying->found)
        return err_set(err, ERR_CONFLICT,
                       "no entry has the hash %s: the log was made anew or cut",
                       verifying->wanted);
    return 0;
}

int command_audit_verify(const struct invocation *call)
{
    struct err err = {0};
    struct verifying verifying = {.wanted = call->options.head};
    scoped(client) client = client_open(call, CLIENT_WATCHES, &err);
    scoped_json verdict = NULL;
    char head[SHA256_HEX_SIZE];

    if (!client || walk(client, &verifying, &err) < 0)
        return output_fail(&err);
    hex_encode(verifying.chain.head, SHA256_SIZE, head);
    verdict = jobj({"entries", jint(verifying.chain.number)},
                   {"head", verifying.chain.number ? jstr(head) : NULL});
    if (!output_document(call, verdict, "head"))
        printf("%lld entries, all as they were written%s%s\n",
               (long long)verifying.chain.number, verifying.chain.number ? "; head " : "",
               verifying.chain.number ? head : "");
    return output_end(EXIT_DONE);
}
