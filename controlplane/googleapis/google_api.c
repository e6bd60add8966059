/* SPDX-License-Identifier: Apache-2.0 */
#include "googleapis/google_api.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "googleapis/rpc_status.h"
#include "net/budget.h"
#include "net/retry.h"

#define TIMEOUT_MS 15000
#define TRIES_MAX 4
#define ANSWER_MAX_BYTES ((size_t)16 * 1024 * 1024)
/* After a 429 nobody calls for as long as it says, two seconds when it says nothing. */
#define HOLD_MS 2000
#define HOLD_MAX_MS 60000

struct google_api {
    char *name;
    char *url;
    struct keyring *keyring;
    struct net *net;

    pthread_mutex_t lock;
    pthread_cond_t stopped;
    struct budget budget;
    bool stopping;
};

/* One call on its way. */
struct errand {
    struct google_api *api;
    const struct google_request *request;
    char *url;
    char *body;
    int64_t deadline_ms;
    bool renewed; /* the access token was made anew for this one already */
    bool sent;    /* the last try got as far as the network */
};

/* --- Turns -------------------------------------------------------------------------------- */

static int say_stopped(const struct google_api *api, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "calls to %s are stopping", api->name);
}

/* Under the lock: sleeps, unless we stop. */
static int sleep_until(struct google_api *api, int64_t until_ms, struct err *err)
{
    const struct timespec until = {.tv_sec = until_ms / 1000,
                                   .tv_nsec = until_ms % 1000 * 1000000};

    while (!api->stopping && clock_monotonic_ms() < until_ms)
        (void)pthread_cond_timedwait(&api->stopped, &api->lock, &until);
    return api->stopping ? say_stopped(api, err) : 0;
}

static int pause_until(struct google_api *api, int64_t until_ms, struct err *err)
{
    int result;

    (void)pthread_mutex_lock(&api->lock);
    result = sleep_until(api, until_ms, err);
    (void)pthread_mutex_unlock(&api->lock);
    return result;
}

static int refuse_turn(const struct google_api *api, int64_t wait_ms, struct err *err)
{
    (void)err_set(err, ERR_UNAVAILABLE, "too many calls to %s for now", api->name);
    err->retry_after_s = (int)((wait_ms + 999) / 1000);
    return -1;
}

static int wait_for_turn(struct google_api *api, int64_t deadline_ms, struct err *err)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t wait_ms;
    int result;

    (void)pthread_mutex_lock(&api->lock);
    if (!budget_take(&api->budget, now_ms, deadline_ms - now_ms, &wait_ms)) {
        result = refuse_turn(api, wait_ms, err);
    } else {
        result = sleep_until(api, now_ms + wait_ms, err);
        if (result < 0)
            budget_return(&api->budget);
    }
    (void)pthread_mutex_unlock(&api->lock);
    return result;
}

static void hold_all(struct google_api *api, int retry_after_s)
{
    int64_t hold_ms = retry_after_s > 0 ? (int64_t)retry_after_s * 1000 : HOLD_MS;

    (void)pthread_mutex_lock(&api->lock);
    budget_hold(&api->budget, clock_monotonic_ms(),
                hold_ms < HOLD_MAX_MS ? hold_ms : HOLD_MAX_MS);
    (void)pthread_mutex_unlock(&api->lock);
}

/* --- One try ------------------------------------------------------------------------------ */

static int send_with(const struct errand *errand, const struct pass *pass,
                     struct net_answer *answer, struct err *err)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    const struct google_request *wanted = errand->request;
    int64_t left_ms = errand->deadline_ms - clock_monotonic_ms();
    struct net_request request = {
        .method = wanted->method,
        .url = errand->url,
        .headers = headers,
        .bearer = pass->token,
        .body = errand->body,
        .body_size = errand->body ? strlen(errand->body) : 0,
        .timeout_ms = left_ms > 1 ? (int)left_ms : 1,
        .answer_max_bytes =
            wanted->answer_max_bytes ? wanted->answer_max_bytes : ANSWER_MAX_BYTES,
    };

    if (net_call(errand->api->net, &request, answer, err) == 0)
        return 0;
    if (err->kind == ERR_TIMEOUT || err->kind == ERR_UPSTREAM)
        err->kind = answer->unsent ? ERR_UNAVAILABLE : ERR_TIMEOUT;
    else if (err->kind == ERR_UNAVAILABLE && !answer->unsent)
        err->kind = ERR_TIMEOUT; /* stopped half-way */
    return -1;
}

/* With an answer of any status: 0; 1 when it should be sent again as somebody newer. */
static int try_with_pass(struct errand *errand, struct net_answer *answer, struct err *err)
{
    scoped(pass) pass = keyring_get(errand->api->keyring, err);
    int result;

    if (!pass)
        return -1;
    result = send_with(errand, pass, answer, err);
    errand->sent = true;
    if (result < 0 || answer->status != 401 || errand->renewed)
        return result;
    errand->renewed = true;
    return keyring_renew(errand->api->keyring, pass) ? 1 : 0;
}

static int try_once(struct errand *errand, struct net_answer *answer, struct err *err)
{
    int result;

    do {
        net_answer_done(answer);
        *answer = (struct net_answer){0};
        errand->sent = false;
        if (wait_for_turn(errand->api, errand->deadline_ms, err) < 0)
            return -1;
        result = try_with_pass(errand, answer, err);
    } while (result == 1);
    return result;
}

/* --- All tries ---------------------------------------------------------------------------- */

static int judge(const struct errand *errand, const struct net_answer *answer, int result,
                 struct err *err)
{
    scoped_str what = xasprintf("%s: %s %s", errand->api->name, errand->request->method,
                                errand->request->path);

    if (result < 0)
        return err_wrap(err, "%s", what);
    if (answer->status / 100 == 2)
        return 0;
    (void)rpc_status_from_answer(answer, what, err);
    if (answer->status == 429)
        hold_all(errand->api, err->retry_after_s);
    return -1;
}

static enum net_retry rule_of(const struct google_request *request)
{
    if (request->once)
        return NET_ONCE;
    return request->repeatable || strcmp(request->method, "GET") == 0 ? NET_IDEMPOTENT
                                                                      : NET_UNSENT;
}

static bool may_try_again(const struct errand *errand, const struct net_try *tried, int number,
                          int64_t wait_ms)
{
    return number < TRIES_MAX && retry_allowed(rule_of(errand->request), tried)
           && clock_monotonic_ms() + wait_ms < errand->deadline_ms;
}

static int run_errand(struct errand *errand, struct net_answer *answer, struct err *err)
{
    for (int number = 1;; number++) {
        struct err failed = {0};
        int result = try_once(errand, answer, &failed);
        struct net_try tried = {.status = answer->status};
        int64_t wait_ms;

        tried.broken = result < 0 && errand->sent && failed.kind == ERR_TIMEOUT;
        tried.unsent = result < 0 && errand->sent && failed.kind == ERR_UNAVAILABLE;
        if (judge(errand, answer, result, &failed) == 0)
            return 0;
        tried.retry_after_s = failed.retry_after_s;
        wait_ms = retry_wait_ms(&tried, number + 1, random_u64());
        if (!may_try_again(errand, &tried, number, wait_ms)) {
            *err = failed;
            return -1;
        }
        if (pause_until(errand->api, clock_monotonic_ms() + wait_ms, err) < 0)
            return -1;
    }
}

static int read_body(const struct errand *errand, const struct net_answer *answer, cJSON **out,
                     struct err *err)
{
    if (!out)
        return 0;
    *out = net_answer_json(answer, err);
    if (*out)
        return 0;
    (void)err_wrap(err, "%s: %s %s", errand->api->name, errand->request->method,
                   errand->request->path);
    err->kind = ERR_TIMEOUT;
    return -1;
}

int google_api_call(struct google_api *api, const struct google_request *request, cJSON **out,
                    struct err *err)
{
    int timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS;
    struct errand errand = {
        .api = api,
        .request = request,
        .url = xasprintf("%s%s%s%s", api->url, request->path, request->query ? "?" : "",
                         request->query ? request->query : ""),
        .body = request->body ? json_text(request->body) : NULL,
        .deadline_ms = clock_monotonic_ms() + timeout_ms,
    };
    scoped_net_answer answer = {0};
    int result = run_errand(&errand, &answer, err);

    if (result == 0)
        result = read_body(&errand, &answer, out, err);
    if (errand.body) {
        /* It may be a secret's, and so may the answer that repeats it. */
        secret_wipe(errand.body, strlen(errand.body));
        if (answer.body.data)
            secret_wipe(answer.body.data, answer.body.size);
    }
    free(errand.body);
    free(errand.url);
    return result;
}

/* --- Life --------------------------------------------------------------------------------- */

struct google_api *google_api_new(const struct google_api_options *options)
{
    struct google_api *api = xcalloc(1, sizeof(*api));
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&api->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&api->stopped, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    budget_init(&api->budget, options->qps, options->burst, clock_monotonic_ms());
    api->name = xstrdup(options->name);
    api->url = xstrdup(options->url);
    api->keyring = options->keyring;
    api->net = options->net;
    return api;
}

void google_api_stop(struct google_api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    api->stopping = true;
    (void)pthread_cond_broadcast(&api->stopped);
    (void)pthread_mutex_unlock(&api->lock);
}

void google_api_free(struct google_api *api)
{
    if (!api)
        return;
    (void)pthread_cond_destroy(&api->stopped);
    (void)pthread_mutex_destroy(&api->lock);
    free(api->name);
    free(api->url);
    free(api);
}
