/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/loop.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "httpd/stream.h"

#define EVENTS_A_TURN 16
/* A stream whose client doesn't take what there is holds up the end no longer than this. */
#define STREAMS_FLUSH_MS 2000
/* How much longer than the grace httpd_stop waits for the loop to say that it has stopped:
 * only an inline handler that blocks, against its contract, can make it late. */
#define STOP_MARGIN_MS 2000

/* --- Waiting ------------------------------------------------------------------------------ */

void loop_wake(struct httpd *httpd)
{
    const uint64_t one = 1;

    /* It can't fail: the counter never comes near its limit. */
    if (write(httpd->wake_fd, &one, sizeof(one)) < 0)
        log_error("waking the HTTP loop failed");
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int wait_ms(struct httpd *httpd)
{
    int64_t due = earlier(connections_next_due_ms(httpd), linger_next_due_ms(&httpd->linger));
    MHD_UNSIGNED_LONG_LONG library_ms = 0;
    int64_t left;

    if (httpd->turn_again)
        return 0;
    if (httpd->draining && !httpd->stopped)
        due = earlier(due, httpd->now_ms < httpd->flush_until_ms ? httpd->flush_until_ms
                                                                 : httpd->stop_until_ms);
    if (MHD_get_timeout(httpd->daemon, &library_ms) == MHD_YES)
        due = earlier(due, httpd->now_ms + (int64_t)library_ms);
    if (due < 0)
        return -1;
    left = due - httpd->now_ms;
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* --- Finished requests -------------------------------------------------------------------- */

void loop_finished(struct request *req)
{
    struct httpd *httpd = req->httpd;
    struct request *top = atomic_load_explicit(&httpd->finished, memory_order_relaxed);

    /* Once pushed, the request may be answered and the server freed before we have woken the
     * loop: loop_quit waits for this to be zero again. */
    atomic_fetch_add_explicit(&httpd->finishers, 1, memory_order_relaxed);
    do {
        req->next_finished = top;
    } while (!atomic_compare_exchange_weak_explicit(
        &httpd->finished, &top, req, memory_order_release, memory_order_relaxed));
    /* Whoever found the stack empty wakes the loop for all that follow until it looks. */
    if (!top)
        loop_wake(httpd);
    atomic_fetch_sub_explicit(&httpd->finishers, 1, memory_order_release);
}

static void resume_finished(struct httpd *httpd)
{
    struct request *newest =
        atomic_exchange_explicit(&httpd->finished, NULL, memory_order_acquire);
    struct request *oldest = NULL;

    while (newest) {
        struct request *req = newest;

        newest = req->next_finished;
        req->next_finished = oldest;
        oldest = req;
    }
    while (oldest) {
        struct request *req = oldest;

        oldest = req->next_finished;
        req->stage = STAGE_READY;
        httpd->n_working--;
        MHD_resume_connection(req->mhd);
    }
}

/* --- Stopping ----------------------------------------------------------------------------- */

static void stop_listening(struct httpd *httpd)
{
    httpd->draining = true;
    httpd->stop_until_ms =
        httpd->now_ms + atomic_load_explicit(&httpd->grace_ms, memory_order_relaxed);
    httpd->flush_until_ms = httpd->now_ms + STREAMS_FLUSH_MS;
    (void)MHD_quiesce_daemon(httpd->daemon);
    listener_close(&httpd->listener);
    streams_finish(httpd);
}

static bool is_busy(const struct httpd *httpd)
{
    for (int phase = 0; phase < PHASE_CUT; phase++)
        if (httpd->lists[phase].first)
            return true;
    return false;
}

static void say_stopped(struct httpd *httpd, int n_cut)
{
    httpd->stopped = true;
    (void)pthread_mutex_lock(&httpd->farewell.lock);
    httpd->farewell.stopped = true;
    httpd->farewell.n_cut = n_cut;
    (void)pthread_cond_broadcast(&httpd->farewell.changed);
    (void)pthread_mutex_unlock(&httpd->farewell.lock);
}

static void drain(struct httpd *httpd)
{
    connections_cut_idle(httpd);
    if (httpd->now_ms >= httpd->flush_until_ms)
        connections_cut_sending(httpd);
    if (is_busy(httpd) && httpd->now_ms < httpd->stop_until_ms)
        return;
    say_stopped(httpd, connections_cut_all(httpd));
}

/* --- The thread --------------------------------------------------------------------------- */

static void turn(struct httpd *httpd)
{
    struct epoll_event events[EVENTS_A_TURN];
    int n = epoll_wait(httpd->poll_fd, events, EVENTS_A_TURN, wait_ms(httpd));

    httpd->now_ms = clock_monotonic_ms();
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr == httpd)
            streams_cut_gone(httpd);
        else if (events[i].data.ptr)
            linger_read(&httpd->linger, events[i].data.ptr);
    if (atomic_load(&httpd->stopping) && !httpd->draining)
        stop_listening(httpd);
    resume_finished(httpd);
    streams_resume_woken(httpd);
    streams_resume_idle(httpd);
    httpd->turn_again = false;
    (void)MHD_run(httpd->daemon);
    connections_cut_late(httpd);
    linger_close_late(&httpd->linger, httpd->now_ms);
    /* After the turn, so that a request that had arrived in time isn't taken for idle. */
    if (httpd->draining && !httpd->stopped)
        drain(httpd);
}

static void *run(void *arg)
{
    struct httpd *httpd = arg;

    (void)pthread_setname_np(pthread_self(), "http-loop");
    while (!atomic_load(&httpd->quitting) || !httpd->stopped || httpd->n_working
           || httpd->n_waiting)
        turn(httpd);
    (void)pthread_mutex_lock(&httpd->farewell.lock);
    httpd->farewell.ended = true;
    (void)pthread_cond_broadcast(&httpd->farewell.changed);
    (void)pthread_mutex_unlock(&httpd->farewell.lock);
    return NULL;
}

static int watch(int poll_fd, int fd, uint32_t events, void *as)
{
    struct epoll_event event = {.events = events, .data.ptr = as};

    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

int loop_start(struct httpd *httpd, struct err *err)
{
    int library_fd = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int failed;

    httpd->poll_fd = httpd->linger.poll_fd = epoll_create1(EPOLL_CLOEXEC);
    httpd->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    httpd->gone_fd = epoll_create1(EPOLL_CLOEXEC);
    /* Edge-triggered, the event counter needs no reading: each write is an edge. */
    if (httpd->poll_fd < 0 || httpd->wake_fd < 0 || httpd->gone_fd < 0
        || watch(httpd->poll_fd, library_fd, EPOLLIN, NULL) < 0
        || watch(httpd->poll_fd, httpd->wake_fd, EPOLLIN | EPOLLET, NULL) < 0
        || watch(httpd->poll_fd, httpd->gone_fd, EPOLLIN, httpd) < 0)
        return err_set_errno(err, errno, "setting up the HTTP loop");
    failed = pthread_create(&httpd->thread, NULL, run, httpd);
    if (failed)
        return err_set_errno(err, failed, "starting the HTTP loop");
    httpd->thread_runs = true;
    return 0;
}

/* Waits for a flag of the farewell; false when it's too late. */
static bool wait_for(struct httpd *httpd, const bool *flag, int64_t at_most_ms)
{
    int64_t until_ms = clock_monotonic_ms() + at_most_ms;
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    bool is_set;
    int late = 0;

    (void)pthread_mutex_lock(&httpd->farewell.lock);
    while (!*flag && !late)
        late = pthread_cond_clockwait(&httpd->farewell.changed, &httpd->farewell.lock,
                                      CLOCK_MONOTONIC, &until);
    is_set = *flag;
    (void)pthread_mutex_unlock(&httpd->farewell.lock);
    return is_set;
}

int loop_stop(struct httpd *httpd, int grace_ms)
{
    int n_cut;

    atomic_store(&httpd->grace_ms, grace_ms);
    atomic_store(&httpd->stopping, true);
    loop_wake(httpd);
    if (!wait_for(httpd, &httpd->farewell.stopped, (int64_t)grace_ms + STOP_MARGIN_MS))
        log_error("the HTTP loop is held up by a handler, going on without it");
    (void)pthread_mutex_lock(&httpd->farewell.lock);
    n_cut = httpd->farewell.n_cut;
    (void)pthread_mutex_unlock(&httpd->farewell.lock);
    return n_cut;
}

bool loop_quit(struct httpd *httpd)
{
    if (!httpd->thread_runs)
        return true;
    atomic_store(&httpd->quitting, true);
    loop_wake(httpd);
    if (!wait_for(httpd, &httpd->farewell.ended, LOOP_QUIT_MS))
        return false;
    (void)pthread_join(httpd->thread, NULL);
    httpd->thread_runs = false;
    /* A moment at most: whoever is counted has one write left to do. */
    while (atomic_load_explicit(&httpd->finishers, memory_order_acquire) > 0)
        (void)sched_yield();
    return true;
}
