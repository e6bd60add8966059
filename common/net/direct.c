/* SPDX-License-Identifier: Apache-2.0 */
#include "net/direct.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "net/net_private.h"

/* A multi handle keeps the connection of the calls that it had. */
struct net_lane {
    CURLM *multi;
    bool taken;
    struct net_lane *next; /* free too; the last used first, so that few connections idle */
};

int direct_open(struct net *net, int connections, struct err *err)
{
    net->lanes = xcalloc((size_t)connections, sizeof(*net->lanes));
    for (; net->n_lanes < (size_t)connections; net->n_lanes++) {
        struct net_lane *lane = &net->lanes[net->n_lanes];

        lane->multi = curl_multi_init();
        if (!lane->multi
            || curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "libcurl can't be set up");
        lane->next = net->free_lane;
        net->free_lane = lane;
    }
    return 0;
}

void direct_close(struct net *net)
{
    for (size_t i = 0; i < net->n_lanes; i++)
        (void)curl_multi_cleanup(net->lanes[i].multi);
    free(net->lanes);
}

void direct_stop(struct net *net)
{
    (void)pthread_cond_broadcast(&net->lane_free);
    for (size_t i = 0; i < net->n_lanes; i++)
        if (net->lanes[i].taken)
            (void)curl_multi_wakeup(net->lanes[i].multi);
}

/* Under the lock: should the call end where it is? */
static enum call_cut why_end(const struct net *net, const struct call *call, int64_t now_ms,
                             int64_t until_ms)
{
    if (net->stopping || net_is_cancelled(call->request))
        return CUT_CANCELLED;
    return now_ms >= until_ms ? CUT_TIMED_OUT : CUT_NONE;
}

/* NULL: the call has been cut. */
static struct net_lane *take(struct net *net, struct call *call, int64_t until_ms)
{
    struct net_lane *lane = NULL;

    (void)pthread_mutex_lock(&net->lock);
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();

        call->cut = why_end(net, call, now_ms, until_ms);
        if (call->cut != CUT_NONE)
            break;
        lane = net->free_lane;
        if (lane) {
            net->free_lane = lane->next;
            lane->taken = true;
            break;
        }
        net_wait_on(&net->lane_free, &net->lock,
                    net_look_again_ms(call->request, now_ms, until_ms));
    }
    if (!lane && net->free_lane) /* it may have been told of that one: somebody else is, then */
        (void)pthread_cond_signal(&net->lane_free);
    (void)pthread_mutex_unlock(&net->lock);
    return lane;
}

static void give_back(struct net *net, struct net_lane *lane)
{
    (void)pthread_mutex_lock(&net->lock);
    lane->taken = false;
    lane->next = net->free_lane;
    net->free_lane = lane;
    (void)pthread_cond_signal(&net->lane_free);
    (void)pthread_mutex_unlock(&net->lock);
}

static bool has_ended(struct net_lane *lane, struct call *call)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(lane->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        call->code = message->data.result;
        return true;
    }
    return false;
}

static void drive(struct net *net, struct net_lane *lane, struct call *call, int64_t until_ms)
{
    for (;;) {
        enum call_cut cut;
        int64_t now_ms;
        int running;

        (void)curl_multi_perform(lane->multi, &running);
        if (has_ended(lane, call))
            return;
        now_ms = clock_monotonic_ms();
        (void)pthread_mutex_lock(&net->lock);
        cut = why_end(net, call, now_ms, until_ms);
        (void)pthread_mutex_unlock(&net->lock);
        if (cut != CUT_NONE) {
            call->cut = cut;
            return;
        }
        /* libcurl wakes earlier for its own timers. */
        (void)curl_multi_poll(
            lane->multi, NULL, 0,
            (int)(net_look_again_ms(call->request, now_ms, until_ms) - now_ms), NULL);
    }
}

void direct_try(struct net *net, struct call *call, int64_t started_ms)
{
    int64_t until_ms = net_until_ms(call, started_ms);
    struct net_lane *lane = take(net, call, until_ms);

    if (!lane)
        return;
    if (curl_multi_add_handle(lane->multi, call->easy) == CURLM_OK) {
        drive(net, lane, call, until_ms);
        (void)curl_multi_remove_handle(lane->multi, call->easy);
    } else {
        call->code = CURLE_FAILED_INIT;
    }
    give_back(net, lane);
}
