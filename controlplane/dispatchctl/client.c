/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/client.h"

#include <string.h>

#include "base/alloc.h"
#include "dispatchctl/port_forward.h"
#include "dispatchctl/target.h"
#include "model/token.h"

#define CALL_TIMEOUT_MS 30000
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)

struct client {
    struct target target;
    struct port_forward *forward; /* NULL: not needed */
    struct net *net;
};

/* --- Opening ------------------------------------------------------------------------------ */

static int check_credential(const struct client *client, enum client_use use, struct err *err)
{
    if (!client->target.token)
        return err_set(err, ERR_UNAUTHENTICATED,
                       "there is no credential: set $DISPATCH_TOKEN, name a file with "
                       "--token-file, or make a context (dispatchctl help config set-context)");
    if (use == CLIENT_WATCHES && client_dispatches_only(client))
        return err_set(err, ERR_INVALID,
                       "an integration token (vgvbot_...) can only submit: use an API key or a "
                       "personal token to see runs");
    return 0;
}

static int reach_cluster(struct client *client, const struct invocation *call, struct err *err)
{
    const struct kubectl_flags flags = {
        .kubeconfig = call->options.kubeconfig,
        .context = call->options.context,
        .name_space = call->options.name_space,
    };

    client->forward = port_forward_open(&flags, err);
    if (!client->forward)
        return -1;
    client->target.server =
        xasprintf("http://127.0.0.1:%d", port_forward_port(client->forward));
    return 0;
}

/* kubectl's context, where dispatchd is reached that way; NULL elsewhere. */
static int find_kube_context(const struct invocation *call, char **out, struct err *err)
{
    const struct kubectl_flags flags = {
        .kubeconfig = call->options.kubeconfig,
        .context = call->options.context,
    };

    *out = NULL;
    if (!call->as_plugin || call->options.server)
        return 0;
    *out = port_forward_context(&flags, err);
    return *out ? 0 : -1;
}

struct client *client_open(const struct invocation *call, enum client_use use, struct err *err)
{
    scoped(client) client = xcalloc(1, sizeof(*client));
    scoped_str kube_context = NULL;
    struct net_options options = {.user_agent = "dispatchctl/" DISPATCH_VERSION};

    if (find_kube_context(call, &kube_context, err) < 0
        || target_find(call, kube_context, &client->target, err) < 0
        || check_credential(client, use, err) < 0)
        return NULL;
    if (!client->target.server && reach_cluster(client, call, err) < 0)
        return NULL;
    options.ca_file = client->target.ca_file;
    /* Through a proxy only what it can't read. */
    options.proxy = strncasecmp(client->target.server, "https://", 8) == 0 ? "" : NULL;
    client->net = net_new(&options, err);
    return client->net ? TAKE(client) : NULL;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    net_free(client->net);
    port_forward_free(client->forward);
    target_done(&client->target);
    free(client);
}

bool client_dispatches_only(const struct client *client)
{
    const char *token = secret_reveal(client->target.token);

    return strncmp(token, INTEGRATION_TOKEN_PREFIX, strlen(INTEGRATION_TOKEN_PREFIX)) == 0;
}

const char *client_github_url(const struct client *client)
{
    return client->target.github_url;
}

/* --- Answers ------------------------------------------------------------------------------ */

static enum err_kind kind_of(int status)
{
    static const struct {
        int status;
        enum err_kind kind;
    } kinds[] = {
        {400, ERR_INVALID},   {401, ERR_UNAUTHENTICATED}, {403, ERR_DENIED},
        {404, ERR_NOT_FOUND}, {405, ERR_UNSUPPORTED},     {409, ERR_CONFLICT},
        {410, ERR_NOT_FOUND}, {413, ERR_TOO_LARGE},       {415, ERR_UNSUPPORTED},
        {422, ERR_INVALID},   {429, ERR_LIMITED},         {503, ERR_UNAVAILABLE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].status == status)
            return kinds[i].kind;
    return ERR_UPSTREAM;
}

/* The sentence in an error document of either form; NULL. */
static const char *sentence_of(const cJSON *document)
{
    const char *message = json_get_str(document, "message");

    return message ? message : json_get_str(document, "error");
}

int client_refused(const struct net_answer *answer, const char *body, size_t size,
                   struct err *err)
{
    struct err unread = {0};
    scoped_json document = size ? json_parse(body, size, &unread) : NULL;
    const char *sentence = sentence_of(document);
    scoped_str request_id = net_answer_header(answer, "x-request-id");
    scoped_str location = net_answer_header(answer, "location");

    if (location && answer->status >= 300 && answer->status < 400)
        return err_set(err, ERR_UPSTREAM, "the server sends us on to %s, where we don't follow",
                       location);
    err->retry_after_s = net_answer_retry_after_s(answer);
    if (answer->status >= 500 && request_id)
        return err_set(err, kind_of(answer->status), "the server answered %d: %s (request %s)",
                       answer->status, sentence ? sentence : "without a reason", request_id);
    if (!sentence)
        return err_set(err, kind_of(answer->status), "the server answered %d", answer->status);
    return err_set(err, kind_of(answer->status), "%s", sentence);
}

static int take_answer(const struct net_answer *answer, cJSON **out, struct err *err)
{
    cJSON *document;

    if (answer->status < 200 || answer->status > 299)
        return client_refused(answer, answer->body.data, answer->body.size, err);
    if (!out)
        return 0;
    document = net_answer_json(answer, err);
    if (!document)
        return -1;
    *out = document;
    return 0;
}

/* --- Calls -------------------------------------------------------------------------------- */

int client_call(struct client *client, const struct client_request *request, cJSON **out,
                struct err *err)
{
    scoped_str url = xasprintf("%s%s", client->target.server, request->path);
    scoped_str body = request->body ? json_text(request->body) : NULL;
    const char *headers[] = {"Accept: application/json", request->header, NULL};
    struct net_request sent = {
        .method = request->method,
        .url = url,
        .headers = headers,
        .bearer = client->target.token,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = CALL_TIMEOUT_MS,
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .retry = request->repeatable ? NET_IDEMPOTENT : NET_UNSENT,
        .tries_max = 3,
    };
    scoped_net_answer answer = {0};

    if (net_call(client->net, &sent, &answer, err) < 0)
        return -1;
    return take_answer(&answer, out, err);
}

cJSON *client_get(struct client *client, const char *path, struct err *err)
{
    const struct client_request request = {.method = "GET", .path = path, .repeatable = true};
    cJSON *document = NULL;

    return client_call(client, &request, &document, err) < 0 ? NULL : document;
}

/* Moves the page's entries to the list; how many there were. */
static int64_t move_entries(cJSON *page, const char *key, cJSON *list)
{
    cJSON *entries = cJSON_GetObjectItemCaseSensitive(page, key);
    int64_t count = 0;

    while (entries && entries->child) {
        cJSON_AddItemToArray(list, cJSON_DetachItemViaPointer(entries, entries->child));
        count++;
    }
    return count;
}

cJSON *client_page(struct client *client, const char *path, const char *query,
                   const char *cursor, int64_t limit, struct err *err)
{
    scoped_str escaped = cursor ? net_escape(cursor) : NULL;
    scoped_str whole =
        xasprintf("%s?limit=%lld%s%s%s%s", path, (long long)limit, query && *query ? "&" : "",
                  query ? query : "", escaped ? "&cursor=" : "", escaped ? escaped : "");

    return client_get(client, whole, err);
}

cJSON *client_pages(struct client *client, const char *path, const char *query, const char *key,
                    int64_t limit, struct err *err)
{
    scoped_json list = cJSON_CreateArray();
    scoped_str cursor = NULL;
    bool more = true;

    for (int64_t count = 0; more && (!limit || count < limit);) {
        int64_t left = limit ? limit - count : CLIENT_PAGE_MAX;
        scoped_json page = client_page(client, path, query, cursor,
                                       left < CLIENT_PAGE_MAX ? left : CLIENT_PAGE_MAX, err);
        scoped_str next = page ? xstrdup(json_get_str(page, "next_cursor")) : NULL;

        if (!page)
            return NULL;
        count += move_entries(page, key, list);
        /* A page may be empty and not the last; but each has a cursor of its own. */
        more = next && !(cursor && strcmp(next, cursor) == 0);
        free(cursor);
        cursor = TAKE(next);
    }
    return jobj({"count", jint(cJSON_GetArraySize(list))}, {key, TAKE(list)},
                {"next_cursor", jstr(cursor)});
}

struct net_stream *client_stream(struct client *client, const char *path, const char *accept,
                                 const char *header, struct err *err)
{
    scoped_str url = xasprintf("%s%s", client->target.server, path);
    scoped_str accepts = xasprintf("Accept: %s", accept);
    const char *headers[] = {accepts, header, NULL};
    const struct net_request request = {
        .method = "GET",
        .url = url,
        .headers = headers,
        .bearer = client->target.token,
    };

    return net_stream_open(client->net, &request, err);
}
