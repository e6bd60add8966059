/* SPDX-License-Identifier: Apache-2.0 */
#include "net/call.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/answer.h"
#include "net/header.h"
#include "net/url.h"

#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define BEARER_MAX_BYTES 16384

/* A connection that has been idle for longer may be one that the server is just closing. A
 * request that must not be sent twice doesn't take the risk. */
#define IDLE_MAX_S_FOR_ONE_SHOT 4L

/* --- Callbacks, on the net's thread --------------------------------------------------- */

static size_t send_body(char *to, size_t one, size_t count, void *self)
{
    struct call *call = self;
    size_t left = call->request->body_size - call->body_sent;
    size_t size = one * count < left ? one * count : left;

    if (size)
        memcpy(to, (const char *)call->request->body + call->body_sent, size);
    call->body_sent += size;
    return size;
}

/* libcurl would quietly send a request again when a reused connection turns out dead, though
 * the server may have acted on it. Not being able to go back stops that. */
static int rewind_body(void *self, curl_off_t offset, int origin)
{
    struct call *call = self;

    if (call->request->retry != NET_IDEMPOTENT || origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_FAIL;
    call->body_sent = 0;
    return CURL_SEEKFUNC_OK;
}

static void heard(struct call *call)
{
    atomic_store_explicit(&call->heard_ms, clock_monotonic_ms(), memory_order_relaxed);
}

static size_t cut(struct call *call, enum call_cut why)
{
    call->cut = why;
    return CURL_WRITEFUNC_ERROR;
}

static size_t take_header(char *line, size_t one, size_t count, void *self)
{
    struct call *call = self;
    size_t size = one * count;

    heard(call);
    if (call->head_taken) /* trailers */
        return size;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        call->header_whole = false;
    else if (size > 0 && (*line == '\r' || *line == '\n'))
        call->header_whole = true;
    if (!answer_add_header(call->answer, line, size, &call->headers_total))
        return cut(call, CUT_TOO_LARGE);
    if (call->reader && call->header_whole && call->answer->status >= 200) {
        call->head_taken = true;
        call->reader->take_head(call);
    }
    return size;
}

static size_t stream_body(struct call *call, const char *data, size_t size)
{
    const struct net_request *request = call->request;

    call->streamed += size;
    if (request->answer_max_bytes && call->streamed > request->answer_max_bytes)
        return cut(call, CUT_TOO_LARGE);
    call->delivered = true;
    if (request->on_data(request->ctx, data, size) < 0)
        return cut(call, CUT_BY_READER);
    heard(call); /* the reader's time isn't the server's silence */
    return size;
}

static size_t take_body(char *data, size_t one, size_t count, void *self)
{
    struct call *call = self;
    size_t size = one * count;
    size_t most = call->request->answer_max_bytes;

    heard(call);
    if (call->reader)
        return call->reader->take_piece(call, data, size);
    if (call->request->on_data && call->answer->status / 100 == 2)
        return stream_body(call, data, size);
    if (!buf_append_within(&call->answer->body, data, size, most ? most : ANSWER_MAX_BYTES))
        return cut(call, CUT_TOO_LARGE);
    return size;
}

/* --- Preparing ------------------------------------------------------------------------ */

static bool is_named(const char *header, const char *name)
{
    size_t length = strlen(name);

    return strncasecmp(header, name, length) == 0 && header[length] == ':';
}

static int add_header(struct call *call, const char *header, struct err *err)
{
    struct curl_slist *longer = curl_slist_append(call->headers, header);

    if (!longer)
        return err_set(err, ERR_INTERNAL, "libcurl has no memory");
    call->headers = longer;
    return 0;
}

/* "Name:" without a value means to libcurl that the header be left out; "Name;" sends it. */
static int add_own_header(struct call *call, const char *header, struct err *err)
{
    size_t name = strcspn(header, ":");
    scoped_str empty = NULL;

    if (header[name + 1 + strspn(header + name + 1, " \t")])
        return add_header(call, header, err);
    empty = xasprintf("%.*s;", (int)name, header);
    return add_header(call, empty, err);
}

static int add_own_headers(struct call *call, bool *out_has_type, struct err *err)
{
    const struct net_request *request = call->request;

    for (const char *const *header = request->headers; header && *header; header++) {
        if (!header_valid(*header))
            return err_set(err, ERR_INVALID, "%s %s: a header can't be sent as it is",
                           request->method, call->shown);
        if (request->bearer && is_named(*header, "authorization"))
            return err_set(err, ERR_INVALID, "%s %s: two authorizations", request->method,
                           call->shown);
        *out_has_type |= is_named(*header, "content-type");
        if (add_own_header(call, *header, err) < 0)
            return -1;
    }
    return 0;
}

static int add_type(struct call *call, struct err *err)
{
    const struct net_request *request = call->request;
    const char *type = request->content_type ? request->content_type : "application/json";
    scoped_str header = xasprintf("Content-Type: %s", type);

    if (!header_valid(header))
        return err_set(err, ERR_INVALID, "%s %s: a content type can't be sent as it is",
                       request->method, call->shown);
    return add_header(call, request->body ? header : "Content-Type:", err);
}

static int add_bearer(struct call *call, struct err *err)
{
    const char *token = secret_reveal(call->request->bearer);
    size_t length = strnlen(token, BEARER_MAX_BYTES + 1);
    bool fits = length <= BEARER_MAX_BYTES;
    char *header;
    int added;

    for (size_t i = 0; i < length && fits; i++)
        fits = token[i] > 0x20 && token[i] < 0x7f;
    if (!fits)
        return err_set(err, ERR_INVALID, "%s %s: a bearer can't be sent as it is",
                       call->request->method, call->shown);
    header = xasprintf("Authorization: Bearer %s", token);
    added = add_header(call, header, err);
    secret_wipe(header, strlen(header));
    free(header);
    return added;
}

static int add_headers(struct call *call, struct err *err)
{
    bool has_type = false;

    if (add_header(call, "Expect:", err) < 0 || add_own_headers(call, &has_type, err) < 0)
        return -1;
    if (!has_type && add_type(call, err) < 0)
        return -1;
    return call->request->bearer ? add_bearer(call, err) : 0;
}

/* The CURLcodes of several settings in one: 0 when all were taken. */
#define SET(easy, option, value) (int)curl_easy_setopt((easy), (option), (value))

/* Over TLS the handshake tells whether a connection can be shared, and waiting for that saves
 * connections. Without TLS only the first answer would tell, and all would wait for it. */
static int set_version(CURL *easy, const char *url, bool http1)
{
    if (http1 || strncmp(url, "https:", 6) != 0)
        return SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    return SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS)
           | SET(easy, CURLOPT_PIPEWAIT, 1L);
}

/* The text is the net's, which outlives every call. */
static int set_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob blob = {.len = strlen(text), .flags = CURL_BLOB_NOCOPY};

    memcpy(&blob.data, &text, sizeof(text)); /* never written to */
    return SET(easy, option, &blob);
}

static int set_authorities(CURL *easy, const struct call_settings *settings)
{
    int bad = 0;

    if (settings->ca_pem) {
        bad |= set_blob(easy, CURLOPT_CAINFO_BLOB, settings->ca_pem);
    } else if (settings->ca_file) {
        bad |= SET(easy, CURLOPT_CAINFO, settings->ca_file);
        bad |= SET(easy, CURLOPT_PROXY_CAINFO, settings->ca_file);
        bad |= SET(easy, CURLOPT_PROXY_CAPATH, NULL);
    }
    if (settings->ca_pem || settings->ca_file)
        bad |= SET(easy, CURLOPT_CAPATH, NULL); /* the system's stands beside it otherwise */
    return bad;
}

static int set_client_certificate(CURL *easy, const struct call_settings *settings)
{
    int bad = 0;

    if (!settings->client_cert_pem)
        return 0;
    bad |= SET(easy, CURLOPT_SSLCERTTYPE, "PEM");
    bad |= SET(easy, CURLOPT_SSLKEYTYPE, "PEM");
    bad |= set_blob(easy, CURLOPT_SSLCERT_BLOB, settings->client_cert_pem);
    bad |= set_blob(easy, CURLOPT_SSLKEY_BLOB, secret_reveal(settings->client_key_pem));
    return bad;
}

static int set_transport(CURL *easy, const struct call_settings *settings,
                         const struct net_request *request)
{
    int connect_ms = request->connect_timeout_ms;
    int bad = SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");

    bad |= SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= SET(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    /* Ending a call while its host is being looked up must not hold up all the others. */
    bad |= SET(easy, CURLOPT_QUICK_EXIT, 1L);
    bad |= SET(easy, CURLOPT_CONNECTTIMEOUT_MS,
               (long)(connect_ms > 0 ? connect_ms : CONNECT_TIMEOUT_MS));
    bad |= SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= set_authorities(easy, settings);
    bad |= set_client_certificate(easy, settings);
    if (request->unix_socket) {
        bad |= SET(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        bad |= SET(easy, CURLOPT_PROXY, "");
    } else if (settings->proxy) {
        bad |= SET(easy, CURLOPT_PROXY, settings->proxy);
    }
    return bad;
}

static int set_rule(CURL *easy, struct call *call, const struct call_settings *settings)
{
    call->rule.allowed = settings->allowed;
    call->rule.n_allowed = settings->n_allowed;
    return call->request->public_only ? public_only_set(easy, &call->rule) : 0;
}

/* May the server act twice if it gets this twice? */
static bool is_one_shot(const struct net_request *request)
{
    return request->retry != NET_IDEMPOTENT
           && (strcmp(request->method, "POST") == 0 || strcmp(request->method, "PATCH") == 0);
}

static int set_body(CURL *easy, struct call *call)
{
    const struct net_request *request = call->request;
    bool has_body = request->body != NULL;
    int bad = 0;

    if (!has_body && strcmp(request->method, "HEAD") == 0)
        return SET(easy, CURLOPT_NOBODY, 1L);
    if (has_body || is_one_shot(request) || strcmp(request->method, "POST") == 0
        || strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0) {
        bad |= SET(easy, CURLOPT_POST, 1L);
        bad |= SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        bad |= SET(easy, CURLOPT_READFUNCTION, send_body);
        bad |= SET(easy, CURLOPT_READDATA, call);
        bad |= SET(easy, CURLOPT_SEEKFUNCTION, rewind_body);
        bad |= SET(easy, CURLOPT_SEEKDATA, call);
    }
    if (is_one_shot(request)) {
        bad |= SET(easy, CURLOPT_MAXAGE_CONN, IDLE_MAX_S_FOR_ONE_SHOT);
        if (!request->body_size) /* nothing to go back in: see rewind_body */
            bad |= SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    bad |= SET(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return bad;
}

static int set_request(CURL *easy, struct call *call, const struct call_settings *settings)
{
    int bad = SET(easy, CURLOPT_URL, call->request->url);

    bad |= set_version(easy, call->shown, settings->http1 && !call->request->on_data);
    bad |= SET(easy, CURLOPT_PRIVATE, call);
    bad |= SET(easy, CURLOPT_USERAGENT, settings->user_agent);
    bad |= SET(easy, CURLOPT_HTTPHEADER, call->headers);
    bad |= SET(easy, CURLOPT_ERRORBUFFER, call->said);
    bad |= SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    bad |= SET(easy, CURLOPT_HEADERFUNCTION, take_header);
    bad |= SET(easy, CURLOPT_HEADERDATA, call);
    bad |= SET(easy, CURLOPT_WRITEFUNCTION, take_body);
    bad |= SET(easy, CURLOPT_WRITEDATA, call);
    return bad;
}

int call_prepare(struct call *call, const struct call_settings *settings,
                 const struct net_request *request, struct net_answer *answer, struct err *err)
{
    pthread_condattr_t monotonic;

    *call = (struct call){.request = request, .answer = answer, .untouched = true};
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&call->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);

    if (!method_valid(request->method))
        return err_set(err, ERR_INVALID, "not an HTTP method");
    if (url_check(request->url, &call->shown, err) < 0 || add_headers(call, err) < 0)
        return -1;
    call->easy = curl_easy_init();
    if (!call->easy || set_transport(call->easy, settings, request) != 0
        || set_rule(call->easy, call, settings) != 0
        || set_request(call->easy, call, settings) != 0 || set_body(call->easy, call) != 0)
        return err_set(err, ERR_INTERNAL, "%s %s: libcurl refuses the request", request->method,
                       call->shown);
    return 0;
}

void call_wipe(struct call *call)
{
    for (struct curl_slist *one = call->headers; one; one = one->next)
        secret_wipe(one->data, strlen(one->data));
}

void call_done(struct call *call)
{
    curl_easy_cleanup(call->easy);
    call_wipe(call);
    curl_slist_free_all(call->headers);
    free(call->shown);
    (void)pthread_cond_destroy(&call->ended);
}

/* --- Trying --------------------------------------------------------------------------- */

void call_rewind(struct call *call)
{
    net_answer_done(call->answer);
    call->said[0] = '\0';
    call->body_sent = 0;
    call->headers_total = 0;
    call->streamed = 0;
    call->header_whole = false;
    call->code = CURLE_OK;
    call->cut = CUT_NONE;
    call->unwanted = CUT_NONE;
    public_only_rewind(&call->rule);
    heard(call);
}

/* libcurl takes a connection that closes in the middle of a header for the end of an empty
 * answer. */
static bool has_answer(const struct call *call)
{
    return call->code == CURLE_OK && call->header_whole && call->answer->status >= 200;
}

/* libcurl's own words where they say more than its code and can't quote the other side. */
static const char *reason(const struct call *call)
{
    switch (call->code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return call->said[0] ? call->said : curl_easy_strerror(call->code);
    case CURLE_OK:
        return "the answer was cut short";
    case CURLE_SEND_FAIL_REWIND:
        return "the connection broke before an answer came";
    default:
        return curl_easy_strerror(call->code);
    }
}

static int say_cut(const struct call *call, struct err *err)
{
    const char *method = call->request->method;

    switch (call->cut) {
    case CUT_TIMED_OUT:
        return err_set(err, ERR_TIMEOUT, "%s %s: no answer in time", method, call->shown);
    case CUT_TOO_LARGE:
        return err_set(err, ERR_TOO_LARGE, "%s %s: the answer is too large", method,
                       call->shown);
    case CUT_BY_READER:
        return err_set(err, ERR_UNAVAILABLE, "%s %s: stopped reading the answer", method,
                       call->shown);
    case CUT_NONE:
    case CUT_CANCELLED:
    default:
        return err_set(err, ERR_UNAVAILABLE, "%s %s: stopped", method, call->shown);
    }
}

static enum err_kind kind_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_URL_MALFORMAT:
        return ERR_INVALID;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return ERR_INTERNAL;
    default:
        return ERR_UPSTREAM;
    }
}

/* Another try of these would end the same way. */
static bool is_final(CURLcode code)
{
    return kind_of(code) == ERR_INVALID || kind_of(code) == ERR_INTERNAL
           || code == CURLE_PEER_FAILED_VERIFICATION;
}

int call_judge(struct call *call, struct net_try *out, struct err *err)
{
    long sent = 0;

    *out = (struct net_try){.delivered = call->delivered};
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    call->untouched = sent == 0;
    if (call->cut != CUT_NONE)
        return say_cut(call, err);
    if (public_only_ended(&call->rule, call->code))
        return err_set(err, ERR_DENIED,
                       "%s %s: leads to an address that is neither public nor allowed",
                       call->request->method, call->shown);
    if (has_answer(call)) {
        out->status = call->answer->status;
        out->retry_after_s = net_answer_retry_after_s(call->answer);
        return 0;
    }
    out->broken = !is_final(call->code);
    out->unsent = out->broken && call->untouched;
    return err_set(err, kind_of(call->code), "%s %s: %s", call->request->method, call->shown,
                   reason(call));
}
