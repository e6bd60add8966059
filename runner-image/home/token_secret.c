/* SPDX-License-Identifier: Apache-2.0 */
#include "home/token_secret.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "net/net.h"
#include "json/json.h"

#define API_URL "https://secretmanager.googleapis.com"
#define METADATA_HOST "metadata.google.internal"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"
#define NAME_MAX_BYTES 512
#define ANSWER_MAX_BYTES (64 * 1024)
#define TOKEN_MAX_BYTES 1024
#define TIMEOUT_MS 30000

static bool is_version(const char *name)
{
    return strncmp(name, "projects/", 9) == 0 && strstr(name, "/versions/")
           && strlen(name) <= NAME_MAX_BYTES && !strstr(name, "..")
           && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789:._/-")];
}

static int get(struct net *net, struct net_request *request, struct net_answer *answer,
               struct err *err)
{
    request->method = "GET";
    request->timeout_ms = TIMEOUT_MS;
    request->answer_max_bytes = ANSWER_MAX_BYTES;
    request->retry = NET_IDEMPOTENT;
    if (net_call(net, request, answer, err) < 0)
        return -1;
    if (answer->status != 200)
        return err_set(err, ERR_UPSTREAM, "%s answered %d", request->url, answer->status);
    return 0;
}

static void wipe(struct net_answer *answer)
{
    if (answer->body.data)
        secret_wipe(answer->body.data, answer->body.size);
}

static struct secret *access_token(const char *ca_file, struct err *err)
{
    static const char *const headers[] = {"Metadata-Flavor: Google", NULL};
    const struct net_options options = {.user_agent = "dispatch-runner/" DISPATCH_VERSION,
                                        .ca_file = ca_file};
    const char *host = getenv("GCE_METADATA_HOST");
    scoped_str url = xasprintf("http://%s" METADATA_PATH, host && *host ? host : METADATA_HOST);
    struct net_request request = {.url = url, .headers = headers};
    scoped(net) net = net_new(&options, err);
    scoped_net_answer answer = {0};
    scoped_json document = NULL;
    struct secret *token;

    if (!net || get(net, &request, &answer, err) < 0)
        return NULL;
    document = net_answer_json(&answer, err);
    wipe(&answer);
    token = secret_new(json_get_str(document, "access_token"));
    if (!token)
        (void)err_set(err, ERR_UPSTREAM, "the metadata server gave no access token");
    return token;
}

/* base64 as proto JSON writes bytes, in the other alphabet: our decoder's. */
static void *decode(const char *text, size_t *out_size)
{
    scoped_str url_safe = xstrdup(text);

    url_safe[strcspn(url_safe, "=")] = '\0';
    for (char *c = url_safe; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return base64url_decode(url_safe, out_size);
}

struct secret *token_secret_read(const char *answer, size_t size, struct err *err)
{
    struct err ignored = {0};
    scoped_json document = json_parse(answer, size, &ignored);
    const char *data = json_get_str(json_get(document, "payload"), "data");
    size_t length = 0;
    char *bytes = data ? decode(data, &length) : NULL;
    struct secret *token = NULL;

    if (bytes && length && length <= TOKEN_MAX_BYTES && !memchr(bytes, '\0', length)) {
        scoped_str text = xstrndup(bytes, length);

        token = secret_new(text);
        secret_wipe(text, length);
    }
    if (bytes)
        secret_wipe(bytes, length);
    free(bytes);
    if (!token)
        (void)err_set(err, ERR_UPSTREAM, "Secret Manager's answer has no task token");
    return token;
}

struct secret *token_secret_fetch(const char *version, const char *api_url, const char *ca_file,
                                  struct err *err)
{
    const struct net_options options = {
        .user_agent = "dispatch-runner/" DISPATCH_VERSION, .ca_file = ca_file, .proxy = ""};
    scoped_str url = xasprintf("%s/v1/%s:access", api_url ? api_url : API_URL, version);
    struct net_request request = {.url = url};
    scoped(secret) bearer = NULL;
    scoped(net) net = NULL;
    scoped_net_answer answer = {0};
    struct secret *token;

    if (!is_version(version)) {
        (void)err_set(err, ERR_INVALID, "that isn't the name of a secret's version");
        return NULL;
    }
    bearer = access_token(ca_file, err);
    net = bearer ? net_new(&options, err) : NULL;
    request.bearer = bearer;
    if (!net || get(net, &request, &answer, err) < 0)
        return NULL;
    token = token_secret_read(answer.body.data ? answer.body.data : "", answer.body.size, err);
    wipe(&answer);
    return token;
}
