/* SPDX-License-Identifier: Apache-2.0 */
#include "googleapis/token_source.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "crypto/jwt.h"
#include "net/net.h"

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define METADATA_HOST "metadata.google.internal"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

#define KEY_FILE_MAX (64 * 1024)
#define ANSWER_MAX_BYTES (64 * 1024)
#define TOKEN_MAX_BYTES 16384
#define LIFE_MAX_S 86400
/* Google refuses assertions for more than an hour; the half minute back is for clocks that
 * differ. */
#define ASSERTION_LIFE_S 3600
#define ASSERTION_BACKDATE_S 30
#define TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MS 3000
#define SHOWN_MAX 160 /* of what the other side said */

struct token_source {
    char *name;
    struct net *net;
    struct secret *fixed;
    struct jwt_key *key; /* of a key file, as the next two */
    char *client_email;
    char *token_uri;
    char *metadata_url;
};

void token_source_free(struct token_source *source)
{
    if (!source)
        return;
    net_free(source->net);
    secret_free(source->fixed);
    jwt_key_free(source->key);
    free(source->client_email);
    free(source->token_uri);
    free(source->metadata_url);
    free(source->name);
    free(source);
}

void token_source_stop(struct token_source *source)
{
    if (source->net)
        net_stop(source->net);
}

const char *token_source_name(const struct token_source *source)
{
    return source->name;
}

/* --- A key file --------------------------------------------------------------------------- */

struct key_file {
    const char *type;
    const char *client_email;
    const char *private_key;
    const char *token_uri;
};

static const struct jfield key_file_fields[] = {
    JFIELD(struct key_file, type, J_REQUIRED),
    JFIELD(struct key_file, client_email, J_OPTIONAL),
    JFIELD(struct key_file, private_key, J_OPTIONAL),
    JFIELD(struct key_file, token_uri, J_OPTIONAL),
};

static int take_key(struct token_source *source, const cJSON *document, const char *path,
                    struct err *err)
{
    struct key_file file = {0};

    if (json_read_open(document, key_file_fields, &file, err) < 0)
        return err_wrap(err, "%s", path);
    if (strcmp(file.type, "service_account") != 0)
        return err_set(err, ERR_INVALID,
                       "%s: it is of type \"%.40s\"; only service_account is known", path,
                       file.type);
    if (!file.client_email || !file.private_key || !file.token_uri)
        return err_set(err, ERR_INVALID,
                       "%s: client_email, private_key and token_uri are required", path);
    source->key = jwt_key_parse(file.private_key, strlen(file.private_key), path, err);
    if (!source->key)
        return -1;
    source->client_email = xstrdup(file.client_email);
    source->token_uri = xstrdup(file.token_uri);
    source->name = xasprintf("%.100s, by %s", file.client_email, path);
    return 0;
}

static void wipe_strings(cJSON *document)
{
    cJSON *item;

    cJSON_ArrayForEach(item, document)
    {
        if (cJSON_IsString(item))
            secret_wipe(item->valuestring, strlen(item->valuestring));
    }
}

static int read_key_file(struct token_source *source, const char *path, struct err *err)
{
    scoped_buf text = {0};
    scoped_json document = NULL;
    int result;

    if (buf_read_file(&text, path, KEY_FILE_MAX, err) < 0)
        return -1;
    document = text.data ? json_parse(text.data, text.size, err) : NULL;
    if (text.data)
        secret_wipe(text.data, text.room);
    if (!document) /* what the parser says may quote the key */
        return err_set(err, ERR_INVALID, "%s: not a service account's key in JSON", path);
    result = take_key(source, document, path, err);
    wipe_strings(document);
    return result;
}

/* --- Life --------------------------------------------------------------------------------- */

static void use_metadata_server(struct token_source *source)
{
    const char *host = getenv("GCE_METADATA_HOST");

    if (!host || !*host)
        host = METADATA_HOST;
    source->metadata_url = xasprintf("http://%s" METADATA_PATH, host);
    source->name = xasprintf("the metadata server at %s", host);
}

struct token_source *token_source_new(const struct token_source_options *options,
                                      struct err *err)
{
    scoped(token_source) source = xcalloc(1, sizeof(*source));
    struct net_options net_options = {.user_agent = "dispatchd/" DISPATCH_VERSION,
                                      .ca_file = options->ca_file};

    if (options->access_token) {
        source->fixed = secret_new(secret_reveal(options->access_token));
        source->name = xstrdup("an access token that was given");
        return TAKE(source);
    }
    if (!options->key_file)
        use_metadata_server(source);
    else if (read_key_file(source, options->key_file, err) < 0)
        return NULL;
    else
        net_options.proxy = "";
    source->net = net_new(&net_options, err);
    return source->net ? TAKE(source) : NULL;
}

/* --- Asking ------------------------------------------------------------------------------- */

static bool is_token(const char *text)
{
    size_t length = text ? strlen(text) : 0;

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0 && length <= TOKEN_MAX_BYTES;
}

int access_token_read(const cJSON *answer, struct access_token *out, struct err *err)
{
    const char *token = json_get_str(answer, "access_token");
    const char *type = json_get_str(answer, "token_type");
    int64_t life_s = 0;

    if (!is_token(token))
        return err_set(err, ERR_UPSTREAM, "there is no access token in the answer");
    if (!type || strcasecmp(type, "Bearer") != 0)
        return err_set(err, ERR_UPSTREAM, "the access token is not a bearer token");
    if (!json_whole(json_get(answer, "expires_in"), &life_s) || life_s < 1
        || life_s > LIFE_MAX_S)
        return err_set(err, ERR_UPSTREAM, "the answer doesn't say how long the token lives");
    *out = (struct access_token){.secret = secret_new(token), .life_ms = life_s * 1000};
    return 0;
}

/* "invalid_grant: Invalid JWT Signature.", as far as it goes. RFC 6749 section 5.2 */
static void said(const cJSON *answer, char out[SHOWN_MAX])
{
    const char *error = json_get_str(answer, "error");
    const char *more = json_get_str(answer, "error_description");

    (void)snprintf(out, SHOWN_MAX, "%.60s%s%.90s", error ? error : "no reason given",
                   more ? ": " : "", more ? more : "");
}

static int refuse(const struct net_answer *answer, const cJSON *document, struct err *err)
{
    char why[SHOWN_MAX];
    bool denied = answer->status >= 400 && answer->status < 500 && answer->status != 408
                  && answer->status != 429;

    said(document, why);
    (void)err_set(err, denied ? ERR_DENIED : ERR_UNAVAILABLE, "%d: %s", answer->status, why);
    err->retry_after_s = net_answer_retry_after_s(answer);
    return -1;
}

static int read_answer(struct net_answer *answer, struct access_token *out, struct err *err)
{
    struct err ignored = {0};
    cJSON *document = net_answer_json(answer, &ignored);
    int result = answer->status == 200 ? access_token_read(document, out, err)
                                       : refuse(answer, document, err);

    if (answer->body.data)
        secret_wipe(answer->body.data, answer->body.size);
    wipe_strings(document);
    cJSON_Delete(document);
    return result;
}

static int ask(struct token_source *source, struct net_request *request,
               struct net_answer *answer, struct err *err)
{
    request->timeout_ms = TIMEOUT_MS;
    request->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    request->answer_max_bytes = ANSWER_MAX_BYTES;
    request->retry = NET_IDEMPOTENT;
    if (net_call(source->net, request, answer, err) == 0)
        return 0;
    err->kind = ERR_UNAVAILABLE;
    return -1;
}

static int ask_token_endpoint(struct token_source *source, struct access_token *out,
                              struct err *err)
{
    int64_t from_s = clock_wall_ms() / 1000 - ASSERTION_BACKDATE_S;
    scoped_json claims = jobj({"iss", jstr(source->client_email)}, {"scope", jstr(SCOPE)},
                              {"aud", jstr(source->token_uri)}, {"iat", jint(from_s)},
                              {"exp", jint(from_s + ASSERTION_LIFE_S)});
    scoped(secret) assertion = jwt_sign(source->key, claims, err);
    scoped_str grant = net_escape(GRANT);
    scoped_str body = NULL;
    scoped_net_answer answer = {0};
    struct net_request request = {.method = "POST",
                                  .url = source->token_uri,
                                  .content_type = "application/x-www-form-urlencoded"};
    int result;

    if (!assertion)
        return -1;
    body = xasprintf("grant_type=%s&assertion=%s", grant, secret_reveal(assertion));
    request.body = body;
    request.body_size = strlen(body);
    result = ask(source, &request, &answer, err);
    secret_wipe(body, request.body_size);
    return result < 0 ? -1 : read_answer(&answer, out, err);
}

/* Anything may sit at a link-local address: who answers without the header isn't Google's. */
static int check_flavour(const struct net_answer *answer, struct err *err)
{
    scoped_str flavour = net_answer_header(answer, "metadata-flavor");

    if (flavour && strcmp(flavour, "Google") == 0)
        return 0;
    return err_set(err, ERR_DENIED, "what answers there is not Google's metadata server");
}

static int ask_metadata_server(struct token_source *source, struct access_token *out,
                               struct err *err)
{
    static const char *const headers[] = {"Metadata-Flavor: Google", NULL};
    struct net_request request = {
        .method = "GET", .url = source->metadata_url, .headers = headers};
    scoped_net_answer answer = {0};

    if (ask(source, &request, &answer, err) < 0 || check_flavour(&answer, err) < 0)
        return -1;
    return read_answer(&answer, out, err);
}

int token_source_fetch(struct token_source *source, struct access_token *out, struct err *err)
{
    int result;

    if (source->fixed) {
        *out = (struct access_token){.secret = secret_new(secret_reveal(source->fixed))};
        return 0;
    }
    result = source->key ? ask_token_endpoint(source, out, err)
                         : ask_metadata_server(source, out, err);
    return result < 0 ? err_wrap(err, "an access token from %s", source->name) : 0;
}
