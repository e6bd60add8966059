/* SPDX-License-Identifier: Apache-2.0 */
/* submit and explain. */
#include <string.h>

#include "base/alloc.h"
#include "crypto/random.h"
#include "dispatchctl/clean.h"
#include "dispatchctl/client.h"
#include "dispatchctl/exits.h"
#include "dispatchctl/output.h"
#include "dispatchctl/prompt.h"
#include "dispatchctl/waiting.h"
#include "dispatchctl/way_in.h"

struct wish {
    enum way_in way;
    cJSON *body;
};

static void wish_done(struct wish *wish)
{
    cJSON_Delete(wish->body);
}

#define scoped_wish __attribute__((cleanup(wish_done))) struct wish

static int read_wish(const struct invocation *call, const struct client *client,
                     struct wish *out, struct err *err)
{
    scoped_str prompt = NULL;

    if (way_in_choose(&call->options, client_dispatches_only(client), &out->way, err) < 0)
        return -1;
    prompt = prompt_read(call, err);
    if (!prompt)
        return -1;
    out->body = way_in_body(&call->options, out->way, prompt, client_github_url(client), err);
    return out->body ? 0 : -1;
}

/* A repeat of a dispatch is safe under a key; of our own making where none was given, so that
 * an answer that got lost can be asked for again. */
static char *idempotency_header(const struct options *options, const struct wish *wish)
{
    char made[RANDOM_BASE62_LENGTH + 1];

    if (wish->way != WAY_DISPATCH)
        return NULL;
    random_base62(made);
    return xasprintf("Idempotency-Key: %s",
                     options->idempotency_key ? options->idempotency_key : made);
}

static cJSON *send_wish(const struct invocation *call, struct client *client,
                        const struct wish *wish, bool dry, struct err *err)
{
    scoped_str header = dry ? NULL : idempotency_header(&call->options, wish);
    scoped_str path = xasprintf("%s%s", way_in_path(wish->way), dry ? "?dryRun=All" : "");
    const struct client_request request = {
        .method = "POST",
        .path = path,
        .body = wish->body,
        .header = header,
        .repeatable = dry || header,
    };
    cJSON *answer = NULL;

    return client_call(client, &request, &answer, err) < 0 ? NULL : answer;
}

static void print_explained(const struct invocation *call, const cJSON *explained)
{
    const cJSON *queue = json_get(explained, "queue");

    /* What would be launched is a document of its own kind: there is no better form for it. */
    struct invocation as_yaml = *call;

    as_yaml.options.output = "yaml";
    if (output_document(call, explained, NULL))
        return;
    (void)output_document(&as_yaml, explained, NULL);
    if (json_get(queue, "position"))
        output_remark(call, "Nothing was launched; it would be number %lld in the queue.",
                      (long long)json_get_int(queue, "position", 0));
    else
        output_remark(call, "Nothing was launched.");
}

static int submit(const struct invocation *call, bool dry)
{
    struct err err = {0};
    scoped(client) client = client_open(call, CLIENT_DISPATCHES, &err);
    scoped_wish wish = {0};
    scoped_json answer = NULL;

    if (!client || read_wish(call, client, &wish, &err) < 0)
        return output_fail(&err);
    answer = send_wish(call, client, &wish, dry, &err);
    if (!answer)
        return output_fail(&err);
    if (!dry)
        return waiting_if_asked(call, client, answer, way_in_id_key(wish.way));
    print_explained(call, answer);
    return output_end(EXIT_DONE);
}

int command_submit(const struct invocation *call)
{
    return submit(call, call->options.dry_run);
}

int command_explain(const struct invocation *call)
{
    return submit(call, true);
}
