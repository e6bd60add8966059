/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/job_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/log.h"
#include "launch/job_lock.h"
#include "launch/job_session.h"
#include "launch/proc_stat.h"

#define EVENTS_AT_ONCE 64

/* Only the watch's thread takes entries out, so that one seen there stays valid there. */
struct entry {
    struct job_ref ref;
    pid_t pid;
    int pidfd;
    int64_t started_ms; /* since boot; 0: not known */
    int64_t term_at_ms; /* 0: never */
    int64_t kill_at_ms; /* 0: not told to stop */
    struct entry *next;
};

struct job_watch {
    pthread_t thread;
    pthread_mutex_t lock;
    struct entry *entries;
    int epoll_fd;
    int wake_fd;
    bool closing;
    struct job_watch_hooks hooks;
};

static void send_signal(const struct entry *entry, int number)
{
    (void)syscall(SYS_pidfd_send_signal, entry->pidfd, number, NULL, 0);
}

static struct entry *find(struct job_watch *watch, const struct job_ref *ref)
{
    struct entry *entry = watch->entries;

    while (entry && strcmp(entry->ref.text, ref->text) != 0)
        entry = entry->next;
    return entry;
}

static void wake(struct job_watch *watch)
{
    uint64_t one = 1;

    if (write(watch->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

/* --- The thread ----------------------------------------------------------------------- */

static void tell_to_end(struct entry *entry, int64_t now_ms)
{
    if (entry->kill_at_ms)
        return;
    entry->kill_at_ms = now_ms + JOB_KILL_AFTER_MS;
    send_signal(entry, SIGTERM);
}

/* Sends what is due; the milliseconds until more is, or -1. Called with the lock. */
static int send_due(struct job_watch *watch)
{
    int64_t now_ms = job_lock_now_ms();
    int64_t next_ms = INT64_MAX;

    for (struct entry *entry = watch->entries; entry; entry = entry->next) {
        int64_t due_ms;

        if (entry->term_at_ms && entry->term_at_ms <= now_ms)
            tell_to_end(entry, now_ms);
        if (entry->kill_at_ms && entry->kill_at_ms <= now_ms) {
            send_signal(entry, SIGKILL);
            entry->kill_at_ms = now_ms + JOB_KILL_AFTER_MS;
        }
        due_ms = entry->kill_at_ms ? entry->kill_at_ms : entry->term_at_ms;
        if (due_ms && due_ms < next_ms)
            next_ms = due_ms;
    }
    if (next_ms == INT64_MAX)
        return -1;
    return next_ms - now_ms > 60000 ? 60000 : (int)(next_ms - now_ms) + 1;
}

static void remove_entry(struct job_watch *watch, struct entry *gone)
{
    (void)pthread_mutex_lock(&watch->lock);
    for (struct entry **at = &watch->entries; *at; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&watch->lock);
    (void)close(gone->pidfd);
    free(gone);
}

static void end_entry(struct job_watch *watch, struct entry *entry)
{
    struct job_ref ref = entry->ref;
    struct job_watch_end end = {.exit_code = -1, .started_ms = entry->started_ms};
    siginfo_t info = {0};

    /* Before a child is waited for: until then its pid is nobody else's. */
    job_session_kill(entry->pid, NULL);
    if (waitid(P_PIDFD, (id_t)entry->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
        if (info.si_code == CLD_EXITED)
            end.exit_code = info.si_status;
        else
            end.signal = info.si_status;
    }
    (void)epoll_ctl(watch->epoll_fd, EPOLL_CTL_DEL, entry->pidfd, NULL);
    watch->hooks.ended(watch->hooks.ctx, &ref, &end);
    remove_entry(watch, entry);
    watch->hooks.gone(watch->hooks.ctx, &ref);
}

static void *watch_thread(void *ctx)
{
    struct job_watch *watch = ctx;
    struct epoll_event events[EVENTS_AT_ONCE];

    for (;;) {
        int wait_ms;
        int count;
        bool closing;

        (void)pthread_mutex_lock(&watch->lock);
        wait_ms = send_due(watch);
        closing = watch->closing;
        (void)pthread_mutex_unlock(&watch->lock);
        if (closing)
            return NULL;
        count = epoll_wait(watch->epoll_fd, events, EVENTS_AT_ONCE, wait_ms);
        for (int i = 0; i < count; i++) {
            uint64_t wakes;

            if (events[i].data.ptr)
                end_entry(watch, events[i].data.ptr);
            else if (read(watch->wake_fd, &wakes, sizeof(wakes)) < 0)
                continue; /* another wake took it */
        }
    }
}

/* --- Life cycle ----------------------------------------------------------------------- */

static int start_thread(struct job_watch *watch, struct err *err)
{
    struct epoll_event on_wake = {.events = EPOLLIN, .data.ptr = NULL};
    int failed;

    if (watch->epoll_fd < 0 || watch->wake_fd < 0
        || epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->wake_fd, &on_wake) < 0)
        return err_set_errno(err, errno, "watching processes");
    failed = pthread_create(&watch->thread, NULL, watch_thread, watch);
    return failed ? err_set_errno(err, failed, "starting a thread") : 0;
}

static void release(struct job_watch *watch)
{
    while (watch->entries) {
        struct entry *entry = watch->entries;

        watch->entries = entry->next;
        (void)close(entry->pidfd);
        free(entry);
    }
    if (watch->epoll_fd >= 0)
        (void)close(watch->epoll_fd);
    if (watch->wake_fd >= 0)
        (void)close(watch->wake_fd);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

struct job_watch *job_watch_new(const struct job_watch_hooks *hooks, struct err *err)
{
    struct job_watch *watch = xcalloc(1, sizeof(*watch));

    watch->hooks = *hooks;
    watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&watch->lock, NULL);
    if (start_thread(watch, err) < 0) {
        release(watch);
        return NULL;
    }
    return watch;
}

void job_watch_free(struct job_watch *watch)
{
    if (!watch)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    watch->closing = true;
    (void)pthread_mutex_unlock(&watch->lock);
    wake(watch);
    (void)pthread_join(watch->thread, NULL);
    release(watch);
}

/* --- Questions and actions ------------------------------------------------------------ */

void job_watch_add(struct job_watch *watch, const struct job_ref *ref, pid_t pid, int pidfd,
                   int64_t end_at_ms)
{
    struct proc_stat stat = {0};
    struct entry *entry;
    struct epoll_event on_end;

    if (!proc_stat_read(pid, &stat))
        stat.started_ms = 0;
    (void)pthread_mutex_lock(&watch->lock);
    if (find(watch, ref)) {
        (void)pthread_mutex_unlock(&watch->lock);
        (void)close(pidfd);
        return;
    }
    entry = xcalloc(1, sizeof(*entry));
    *entry = (struct entry){
        .ref = *ref,
        .pid = pid,
        .pidfd = pidfd,
        .started_ms = stat.started_ms,
        .term_at_ms = end_at_ms,
        .next = watch->entries,
    };
    watch->entries = entry;
    on_end = (struct epoll_event){.events = EPOLLIN, .data.ptr = entry};
    if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, pidfd, &on_end) < 0) {
        watch->entries = entry->next;
        free(entry);
        (void)close(pidfd);
        log_warn("a runner can't be watched, its end is seen by polling", KV("job", ref->text));
    }
    (void)pthread_mutex_unlock(&watch->lock);
    wake(watch);
}

bool job_watch_has(struct job_watch *watch, const struct job_ref *ref)
{
    bool has;

    (void)pthread_mutex_lock(&watch->lock);
    has = find(watch, ref) != NULL;
    (void)pthread_mutex_unlock(&watch->lock);
    return has;
}

bool job_watch_stop(struct job_watch *watch, const struct job_ref *ref)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&watch->lock);
    entry = find(watch, ref);
    if (entry)
        tell_to_end(entry, job_lock_now_ms());
    (void)pthread_mutex_unlock(&watch->lock);
    if (entry)
        wake(watch);
    return entry != NULL;
}
