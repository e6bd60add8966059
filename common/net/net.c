/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "net/answer.h"
#include "net/direct.h"
#include "net/net_private.h"

/*
 * Two kinds of threads meet here, but for the calls of direct.h. The net's own runs the multi
 * handle and nothing else touches that. Callers put their call into the list, wake the thread,
 * and wait for the end. It is the callers who watch the clock and *cancel: a call that libcurl
 * holds back because all connections to a host are taken has no timer of libcurl's.
 */
#define TIMEOUT_MS 30000
#define TRIES_MAX 4
#define CONNECTIONS_PER_HOST 8
#define IDLE_CONNECTIONS_MAX 64L
#define CANCEL_LOOK_MS 50 /* how soon *cancel is noticed */
#define WAKE_AT_LEAST_MS 1000

/* --- The net's thread ----------------------------------------------------------------- */

/* Under the lock. From here on the call is its caller's again. */
static void end_call(struct net *net, struct call *call, CURLcode code, enum call_cut cut)
{
    if (call->state == CALL_RUNNING)
        (void)curl_multi_remove_handle(net->multi, call->easy);
    if (call->next)
        call->next->previous = call->previous;
    if (call->previous)
        call->previous->next = call->next;
    else
        net->calls = call->next;
    call->code = code;
    if (call->cut == CUT_NONE)
        call->cut = cut;
    call->state = CALL_ENDED;
    (void)pthread_cond_signal(&call->ended);
}

static void begin_call(struct net *net, struct call *call)
{
    if (curl_multi_add_handle(net->multi, call->easy) == CURLM_OK)
        call->state = CALL_RUNNING;
    else
        end_call(net, call, CURLE_FAILED_INIT, CUT_NONE);
}

/* False when it is time to leave; then every call has ended. */
static bool take_news(struct net *net)
{
    bool go_on;
    struct call *next;

    (void)pthread_mutex_lock(&net->lock);
    for (struct call *call = net->news ? net->calls : NULL; call; call = next) {
        next = call->next;
        if (net->stopping)
            end_call(net, call, CURLE_OK, CUT_CANCELLED);
        else if (call->unwanted != CUT_NONE)
            end_call(net, call, CURLE_OK, call->unwanted);
        else if (call->state == CALL_NEW)
            begin_call(net, call);
    }
    net->news = false;
    go_on = !net->stopping;
    (void)pthread_mutex_unlock(&net->lock);
    return go_on;
}

/* Gives paused streams their pieces again. libcurl does so at once, and the reader takes the
 * lock: so without it. Only this thread takes calls out of the list. */
static void resume_paused(struct net *net)
{
    for (;;) {
        struct call *call;

        (void)pthread_mutex_lock(&net->lock);
        for (call = net->resumes ? net->calls : NULL; call && !call->resume;)
            call = call->next;
        if (call)
            call->resume = false;
        else
            net->resumes = false;
        (void)pthread_mutex_unlock(&net->lock);
        if (!call)
            return;
        if (call->state == CALL_RUNNING)
            (void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
    }
}

static void end_finished(struct net *net)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(net->multi, &left))) {
        void *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        (void)pthread_mutex_lock(&net->lock);
        end_call(net, call, code, CUT_NONE);
        (void)pthread_mutex_unlock(&net->lock);
    }
}

static void *serve(void *self)
{
    struct net *net = self;
    int running;

    while (take_news(net)) {
        resume_paused(net);
        (void)curl_multi_perform(net->multi, &running);
        end_finished(net);
        (void)curl_multi_poll(net->multi, NULL, 0, WAKE_AT_LEAST_MS, NULL);
    }
    return NULL;
}

/* --- Life ----------------------------------------------------------------------------- */

static void setup_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        out_of_memory();
}

/* Signals are for the threads that expect them. */
static int start_thread(struct net *net, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&net->thread, NULL, serve, net);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set_errno(err, failed, "starting the thread for outgoing calls");
    net->started = true;
    return 0;
}

static int open_multi(struct net *net, long per_host, struct err *err)
{
    net->multi = curl_multi_init();
    if (!net->multi
        || curl_multi_setopt(net->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) != CURLM_OK
        || curl_multi_setopt(net->multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host) != CURLM_OK
        || curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX)
               != CURLM_OK)
        return err_set(err, ERR_INTERNAL, "libcurl can't be set up");
    return 0;
}

static int take_ranges(struct call_settings *settings, const char *const *ranges,
                       struct err *err)
{
    size_t n = 0;

    while (ranges && ranges[n])
        n++;
    settings->allowed = xcalloc(n + 1, sizeof(*settings->allowed));
    for (; settings->n_allowed < n; settings->n_allowed++)
        if (address_range_parse(ranges[settings->n_allowed],
                                &settings->allowed[settings->n_allowed], err)
            < 0)
            return -1;
    return 0;
}

static int take_settings(struct call_settings *settings, const struct net_options *options,
                         struct err *err)
{
    settings->http1 = options->direct;
    settings->user_agent = xstrdup(options->user_agent ? options->user_agent : "dispatch");
    settings->ca_file = xstrdup(options->ca_file);
    settings->ca_pem = xstrdup(options->ca_pem);
    settings->client_cert_pem = xstrdup(options->client_cert_pem);
    settings->client_key_pem = secret_new(secret_reveal(options->client_key_pem));
    if (!options->proxy)
        settings->proxy = xstrdup("");
    else if (options->proxy[0])
        settings->proxy = xstrdup(options->proxy);
    if (!settings->client_cert_pem != !settings->client_key_pem)
        return err_set(err, ERR_INVALID,
                       "a client certificate needs its key, and a key its "
                       "certificate");
    if (!options->ca_pem && options->ca_file && access(options->ca_file, R_OK) < 0)
        return err_set_errno(err, errno, "%s", options->ca_file);
    return take_ranges(settings, options->allowed_private, err);
}

struct net *net_new(const struct net_options *options, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    scoped(net) net = xcalloc(1, sizeof(*net));
    int connections = options->connections_per_host > 0 ? options->connections_per_host
                                                        : CONNECTIONS_PER_HOST;
    pthread_condattr_t monotonic;

    (void)pthread_once(&once, setup_curl);
    (void)pthread_mutex_init(&net->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&net->changed, &monotonic);
    (void)pthread_cond_init(&net->lane_free, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);

    if (take_settings(&net->settings, options, err) < 0 || open_multi(net, connections, err) < 0
        || (options->direct && direct_open(net, connections, err) < 0)
        || start_thread(net, err) < 0)
        return NULL;
    return TAKE(net);
}

void net_stop(struct net *net)
{
    (void)pthread_mutex_lock(&net->lock);
    net->stopping = true;
    net->news = true;
    (void)pthread_cond_broadcast(&net->changed);
    direct_stop(net);
    (void)pthread_mutex_unlock(&net->lock);
    if (net->started)
        (void)curl_multi_wakeup(net->multi);
}

static void settings_done(struct call_settings *settings)
{
    free(settings->user_agent);
    free(settings->ca_file);
    free(settings->ca_pem);
    free(settings->client_cert_pem);
    secret_free(settings->client_key_pem);
    free(settings->proxy);
    free(settings->allowed);
}

void net_free(struct net *net)
{
    if (!net)
        return;
    net_stop(net);
    if (net->started)
        (void)pthread_join(net->thread, NULL);
    (void)pthread_mutex_lock(&net->lock);
    while (net->callers > 0)
        (void)pthread_cond_wait(&net->changed, &net->lock);
    (void)pthread_mutex_unlock(&net->lock);

    (void)curl_multi_cleanup(net->multi);
    direct_close(net);
    (void)pthread_cond_destroy(&net->lane_free);
    (void)pthread_cond_destroy(&net->changed);
    (void)pthread_mutex_destroy(&net->lock);
    settings_done(&net->settings);
    free(net);
}

/* --- The callers' threads ------------------------------------------------------------- */

/* When a call must be over. A stream has no such moment: it starts anew with each byte. */
int64_t net_until_ms(const struct call *call, int64_t started_ms)
{
    int timeout_ms = call->request->timeout_ms;
    int64_t from_ms = call->request->on_data
                          ? atomic_load_explicit(&call->heard_ms, memory_order_relaxed)
                          : started_ms;

    return from_ms + (timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
}

bool net_is_cancelled(const struct net_request *request)
{
    return request->cancel && __atomic_load_n(request->cancel, __ATOMIC_ACQUIRE);
}

void net_wait_on(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms)
{
    struct timespec until = {
        .tv_sec = until_ms / 1000,
        .tv_nsec = until_ms % 1000 * 1000000,
    };

    (void)pthread_cond_timedwait(cond, lock, &until);
}

int64_t net_look_again_ms(const struct net_request *request, int64_t now_ms, int64_t until_ms)
{
    if (request->cancel && until_ms > now_ms + CANCEL_LOOK_MS)
        return now_ms + CANCEL_LOOK_MS;
    return until_ms;
}

void net_hand_over(struct net *net, struct call *call)
{
    call->state = CALL_NEW;
    call->previous = NULL;
    call->next = net->calls;
    if (call->next)
        call->next->previous = call;
    net->calls = call;
    net->news = true;
    (void)curl_multi_wakeup(net->multi);
}

void net_give_up(struct net *net, struct call *call, enum call_cut why)
{
    call->unwanted = why;
    net->news = true;
    (void)curl_multi_wakeup(net->multi);
}

static void try_once(struct net *net, struct call *call, int64_t started_ms)
{
    call_rewind(call);
    if (net->n_lanes && !call->request->on_data) {
        direct_try(net, call, started_ms);
        return;
    }
    (void)pthread_mutex_lock(&net->lock);
    if (net->stopping)
        call->cut = CUT_CANCELLED;
    else
        net_hand_over(net, call);
    while (!net->stopping && call->state != CALL_ENDED && call->unwanted == CUT_NONE) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t until_ms = net_until_ms(call, started_ms);

        if (net_is_cancelled(call->request))
            net_give_up(net, call, CUT_CANCELLED);
        else if (now_ms >= until_ms)
            net_give_up(net, call, CUT_TIMED_OUT);
        else
            net_wait_on(&call->ended, &net->lock,
                        net_look_again_ms(call->request, now_ms, until_ms));
    }
    while (call->state == CALL_NEW || call->state == CALL_RUNNING)
        (void)pthread_cond_wait(&call->ended, &net->lock);
    (void)pthread_mutex_unlock(&net->lock);
}

/* Waits before the next try; false when there will be none. */
static bool pause_for(struct net *net, const struct net_request *request, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    bool go_on = true;

    (void)pthread_mutex_lock(&net->lock);
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();

        go_on = !net->stopping && !net_is_cancelled(request);
        if (!go_on || now_ms >= until_ms)
            break;
        net_wait_on(&net->changed, &net->lock, net_look_again_ms(request, now_ms, until_ms));
    }
    (void)pthread_mutex_unlock(&net->lock);
    return go_on;
}

static int say_tries(const struct err *failed, int tries, struct err *err)
{
    *err = *failed;
    if (tries > 1)
        (void)snprintf(err->text, sizeof(err->text), "%.480s (%d tries)", failed->text, tries);
    return -1;
}

static int try_until_answered(struct net *net, struct call *call, struct err *err)
{
    const struct net_request *request = call->request;
    int most = request->tries_max > 0 ? request->tries_max : TRIES_MAX;
    int64_t started_ms = clock_monotonic_ms();

    for (int number = 1;; number++) {
        struct err failed = {0};
        struct net_try tried;
        int result;
        int64_t wait_ms;

        try_once(net, call, started_ms);
        result = call_judge(call, &tried, &failed);
        call->answer->tries = number;
        wait_ms = retry_wait_ms(&tried, number + 1, random_u64());
        if (number >= most || !retry_allowed(request->retry, &tried)
            || clock_monotonic_ms() + wait_ms >= net_until_ms(call, started_ms)) {
            return result < 0 ? say_tries(&failed, number, err) : 0;
        }
        if (!pause_for(net, request, wait_ms))
            return err_set(err, ERR_UNAVAILABLE, "%s %s: stopped", request->method,
                           call->shown);
    }
}

int net_enter(struct net *net, struct err *err)
{
    bool stopping;

    (void)pthread_mutex_lock(&net->lock);
    stopping = net->stopping;
    net->callers += !stopping;
    (void)pthread_mutex_unlock(&net->lock);
    return stopping ? err_set(err, ERR_UNAVAILABLE, "outgoing calls are stopping") : 0;
}

void net_leave(struct net *net)
{
    (void)pthread_mutex_lock(&net->lock);
    net->callers--;
    (void)pthread_cond_broadcast(&net->changed);
    (void)pthread_mutex_unlock(&net->lock);
}

int net_call(struct net *net, const struct net_request *request, struct net_answer *out,
             struct err *err)
{
    struct call call;
    int result;

    *out = (struct net_answer){0};
    if (net_enter(net, err) < 0)
        return -1;
    result = call_prepare(&call, &net->settings, request, out, err);
    if (result == 0)
        result = try_until_answered(net, &call, err);
    if (result < 0) {
        int status = call.header_whole && out->status >= 200 ? out->status : 0;

        net_answer_done(out);
        out->unsent = call.untouched;
        out->cut_status = status;
    } else if (out->status >= 400) {
        answer_hide(out, request->bearer);
    }
    call_done(&call);
    net_leave(net);
    return result;
}
