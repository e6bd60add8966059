/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_NET_PRIVATE_H
#define NET_NET_PRIVATE_H
#include "net/call.h"

/* A struct net from the inside: between net.c, stream.c and direct.c only. */
struct net {
    struct call_settings settings;
    CURLM *multi;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* stopping has begun, or a caller has left */
    struct call *calls;     /* the thread's, new and running */
    bool news;              /* something in the list wants the thread's attention */
    bool resumes;           /* a paused one among them wants to go on */
    bool stopping;

    struct net_lane *lanes; /* direct.h; none: every call is the thread's */
    size_t n_lanes;
    struct net_lane *free_lane;
    pthread_cond_t lane_free;
    int callers; /* inside net_call, and streams that are open */
};

/* Around each call: net_free waits for those that have entered. ERR_UNAVAILABLE. */
int net_enter(struct net *net, struct err *err) CHECKED;
void net_leave(struct net *net);

/* Under the lock: the thread has the call from here until it is CALL_ENDED, or is asked to
 * give it back soon. */
void net_hand_over(struct net *net, struct call *call);
void net_give_up(struct net *net, struct call *call, enum call_cut why);
void net_wait_on(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);

/* When a call must be over, and when its caller looks again whether it still may go on. */
int64_t net_until_ms(const struct call *call, int64_t started_ms);
int64_t net_look_again_ms(const struct net_request *request, int64_t now_ms, int64_t until_ms);
bool net_is_cancelled(const struct net_request *request);
#endif
